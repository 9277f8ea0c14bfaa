package wan;

import static org.assertj.core.api.Assertions.assertThat;

import capture.Capture;
import capture.CapturePlan;
import capture.MemorySink;
import capture.PassChoice;
import capture.RunGeometry;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.op.AttentionKind;
import wan.op.HostTensor;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Quantity;
import wan.op.Shape;
import wan.pass.Context;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.run.Replay;
import wan.sampling.RunListener;
import wan.sampling.RunPlan;
import wan.sampling.Sampler;

/** Whole generations of Wan itself: text to video, image to video, a timestep per token; by UniPC and DPM-Solver++ with guidance. */
public class SolverGoldenTest {
    private static final double V = 2e-5;
    private static final double GUIDED = 1e-4;
    private static final double LATENT = 5e-5;
    private static final double LOGITS = 3e-5;

    /** The backend that is tested. */
    protected Ops open() {
        return new JvmOps(new JvmOptions(2, JvmOptions.Kind.AUTO));
    }

    static Stream<Arguments> runs() {
        List<Arguments> all = new ArrayList<>();
        try (Goldens golden = Goldens.open("golden3/bidir-rollout")) {
            golden.config()
                    .get("runs")
                    .forEach(run -> all.add(
                            Arguments.of("bidir-rollout", run.get("name").asString())));
        }
        all.add(Arguments.of("i2v-rollout", ""));
        all.add(Arguments.of("ti2v-rollout", ""));
        return all.stream();
    }

    @ParameterizedTest
    @MethodSource("runs")
    void run_reproducesEveryTensor_withEverythingCaptured(String file, String run) {
        String path = "golden3/" + file;
        try (Goldens golden = Goldens.open(path);
                Replay replay = Replay.open(Goldens.path(path), run);
                Goldens parameters = Goldens.open(weights(golden, path));
                Ops ops = open()) {
            List<Context> prompts = replay.prompts();
            HostTensor image = prompts.getFirst().image();
            WanConfig plain = Goldens.modelConfig(golden.config().get("model_config"));
            WanConfig sizes =
                    image == null ? plain : plain.withImage(image.shape().dim(2), 0);
            WanModel model = new WanModel(sizes, parameters.weights("weights/"), ops);
            RunPlan plan = RunPlan.of(replay.settings(), sizes.numLayers());
            MemorySink sink = new MemorySink();
            RunGeometry geometry = new RunGeometry(
                    1,
                    plan.settings().totalFrames(),
                    plan.settings().frameSeqLen(),
                    sizes.textLen(),
                    plan.timesteps().size(),
                    image == null ? 0 : image.shape().dim(1));
            CapturePlan what = new CapturePlan(
                    List.of(golden.config().get("captured_layer").asInt()),
                    EnumSet.allOf(AttentionKind.class),
                    PassChoice.parse("all"),
                    IntStream.range(0, sizes.numHeads()).boxed().toList(),
                    EnumSet.of(Quantity.FRAME_LOGITS, Quantity.FRAME_MASS, Quantity.TOKEN_LOGITS));
            Capture capture = new Capture(what, geometry, sink);

            Map<String, HostTensor> results = new TreeMap<>();
            Sampler sampler = Sampler.of(plan, replay.inputs());
            try (PassRunner runner = sampler.open(List.of(model), prompts)) {
                HostTensor output = sampler.run(runner, new RunListener() {
                    @Override
                    public PassObserver passStarted(Pass pass) {
                        assertTimesteps(golden, pass);
                        return capture.observe(pass);
                    }

                    @Override
                    public void passDone(
                            Pass pass, HostTensor latents, @Nullable HostTensor flow, @Nullable HostTensor x0) {
                        // The picture's channels are behind those of the sample.
                        results.put("step" + pass.id().step() + ".latent", channels(latents, sizes.outDim()));
                    }

                    @Override
                    public void tensor(String name, HostTensor value) {
                        results.put(name, value);
                    }
                });
                results.put("output", output);
            }
            results.replaceAll((name, tensor) -> channelsFirst(tensor));
            sink.tensors().forEach((name, tensor) -> results.put(name, firstSample(tensor)));
            String prefix = run.isEmpty() ? "" : run + "/";
            Set<String> missing = new HashSet<>();
            for (String tensor : golden.file().names()) {
                if (tensor.startsWith(prefix) && (tensor.startsWith(prefix + "step") || tensor.equals("output"))) {
                    HostTensor actual =
                            results.get(tensor.substring(prefix.length()).replace('/', '.'));
                    if (actual == null) {
                        missing.add(tensor);
                    } else {
                        golden.assertMatches(tensor, actual, tolerance(tensor));
                    }
                }
            }
            missing.removeIf(tensor -> tensor.endsWith("/t")); // compared as the passes start
            assertThat(missing).isEmpty();
            assertSchedule(golden, prefix, plan);
        }
    }

    private static String weights(Goldens golden, String own) {
        JsonNode named = golden.config().get("weights");
        return named == null ? own : "golden3/" + named.asString().replace(".safetensors", "");
    }

    private static void assertTimesteps(Goldens golden, Pass pass) {
        String name = "step" + pass.id().step() + "/t";
        if (golden.has(name)) {
            float[] expected = golden.get(name).values();
            int perFrame = expected.length / pass.frames();
            for (int i = 0; i < expected.length; i++) {
                assertThat(pass.timesteps().get(i / perFrame)).as(name).isEqualTo(expected[i]);
            }
        }
    }

    private static void assertSchedule(Goldens golden, String prefix, RunPlan plan) {
        if (golden.has(prefix + "timesteps")) {
            float[] expected = golden.get(prefix + "timesteps").values();
            assertThat(plan.timesteps()).hasSize(expected.length);
            for (int i = 0; i < expected.length; i++) {
                assertThat(plan.timesteps().get(i)).isEqualTo(expected[i]);
            }
        }
    }

    private static double tolerance(String tensor) {
        if (tensor.endsWith("frame_mass")) {
            return Goldens.FRAME_MASS;
        }
        if (tensor.endsWith("frame_logits")) {
            return Goldens.FRAME_LOGITS;
        }
        if (tensor.endsWith("logits")) {
            return LOGITS;
        }
        if (tensor.endsWith("v_guided")) {
            return GUIDED;
        }
        return tensor.endsWith("v_cond") || tensor.endsWith("v_uncond") || tensor.endsWith("/latent") ? V : LATENT;
    }

    private static HostTensor channels(HostTensor latents, int count) {
        Shape shape = latents.shape();
        int cells = shape.dim(3) * shape.dim(4);
        HostTensor out = HostTensor.zeros(Shape.of(shape.dim(0), shape.dim(1), count, shape.dim(3), shape.dim(4)));
        for (int i = 0; i < shape.dim(0) * shape.dim(1); i++) {
            System.arraycopy(
                    latents.values(), i * shape.dim(2) * cells, out.values(), i * count * cells, count * cells);
        }
        return out;
    }

    /** [1, F, C, H, W] as [C, F, H, W]. */
    private static HostTensor channelsFirst(HostTensor latents) {
        Shape shape = latents.shape();
        int frames = shape.dim(1);
        int channels = shape.dim(2);
        int cells = shape.dim(3) * shape.dim(4);
        HostTensor out = HostTensor.zeros(Shape.of(channels, frames, shape.dim(3), shape.dim(4)));
        for (int i = 0; i < frames * channels; i++) {
            int to = i % channels * frames + i / channels;
            System.arraycopy(latents.values(), i * cells, out.values(), to * cells, cells);
        }
        return out;
    }

    private static HostTensor firstSample(HostTensor tensor) {
        Shape shape = tensor.shape();
        return new HostTensor(Shape.of(shape.dim(1), shape.dim(2), shape.dim(3)), tensor.values());
    }
}
