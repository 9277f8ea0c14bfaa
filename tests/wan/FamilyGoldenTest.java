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
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import wan.cache.Placement;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.op.AttentionKind;
import wan.op.Dyn;
import wan.op.Grid;
import wan.op.HostTensor;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.run.Replay;
import wan.sampling.RunListener;
import wan.sampling.RunPlan;
import wan.sampling.Sampler;

/** Whole rollouts of LongLive, Rolling Forcing, Causal Forcing and Krea, tensor by tensor and list by list. */
public class FamilyGoldenTest {
    /** The backend that is tested. */
    protected Ops open() {
        return new JvmOps(new JvmOptions(2, JvmOptions.Kind.AUTO));
    }

    static Stream<String> rollouts() {
        return Stream.of(
                "longlive-window",
                "longlive-sink4",
                "longlive-switch",
                "longlive-switch-nosink",
                "longlive-infinity",
                "framewise",
                "framewise-window",
                "framewise-i2v",
                "framewise-1step",
                "framewise-2step",
                "krea-keep",
                "krea-reencode",
                "rolling-a",
                "rolling-b",
                "rolling-real");
    }

    @ParameterizedTest
    @MethodSource("rollouts")
    void run_reproducesEveryTensorAndList_withEverythingCaptured(String name) {
        String path = "golden3/" + name;
        try (Goldens golden = Goldens.open(path);
                Replay replay = Replay.open(Goldens.path(path));
                Goldens parameters = Goldens.open(
                        "golden3/" + golden.config().get("model").asString().replace(".safetensors", ""));
                Ops ops = open()) {
            WanConfig sizes = Goldens.modelConfig(golden.config().get("model_config"));
            WanModel model = new WanModel(sizes, parameters.weights(), ops);
            RunPlan plan = RunPlan.of(replay.settings(), sizes.numLayers()).withAllFlows(sizes.numLayers());
            assertPlanMatches(golden, plan);

            MemorySink sink = new MemorySink();
            Capture capture = capture(golden, plan, sizes, sink);
            Set<String> compared = new HashSet<>();
            Sampler sampler = Sampler.of(plan, replay.inputs());
            try (PassRunner runner = sampler.open(List.of(model), replay.prompts())) {
                HostTensor output = sampler.run(runner, new RunListener() {
                    @Override
                    public PassObserver passStarted(Pass pass) {
                        return capture.observe(pass);
                    }

                    @Override
                    public void passDone(
                            Pass pass, HostTensor latents, @Nullable HostTensor flow, @Nullable HostTensor x0) {
                        compare(golden, compared, pass.id() + ".in", latents);
                        compare(golden, compared, pass.id() + ".flow", flow);
                        compare(golden, compared, pass.id() + ".x0", x0);
                        String embeds = pass.id() + ".prompt_embeds";
                        if (golden.has(embeds)) {
                            golden.assertMatches(
                                    embeds,
                                    sampler.contexts(replay.prompts())
                                            .get(pass.context())
                                            .text(),
                                    5e-7);
                            compared.add(embeds);
                        }
                        assertTimesteps(golden, compared, pass);
                    }
                });
                compare(golden, compared, "output", output);
                Goldens.assertClose(
                        "output64",
                        output.values(),
                        golden.file().tensor("output64").toDoubles(),
                        Goldens.ROLLOUT);
                compared.add("output64");
                compareCaches(golden, compared, plan, runner, ops);
            }
            sink.tensors().forEach((tensor, actual) -> {
                if (golden.has(tensor)) {
                    golden.assertMatches(tensor, actual, tolerance(tensor));
                    compared.add(tensor);
                }
            });
            assertThat(golden.file().names().stream()
                            .filter(tensor -> !compared.contains(tensor) && !isInput(tensor))
                            .toList())
                    .isEmpty();
        }
    }

    private static double tolerance(String tensor) {
        return tensor.endsWith("frame_mass")
                ? Goldens.FRAME_MASS
                : tensor.endsWith("frame_logits") ? Goldens.FRAME_LOGITS : Goldens.ROLLOUT;
    }

    private static boolean isInput(String tensor) {
        return tensor.endsWith(".renoise")
                || tensor.endsWith(".reencoded")
                || tensor.endsWith(".embeds")
                || Set.of(
                                "noise",
                                "initial_latent",
                                "prompt_embeds",
                                "denoising_step_list",
                                "denoising_sigmas",
                                "first_block_denoising_step_list",
                                "first_block_denoising_sigmas",
                                "interpolation_weights",
                                "context_sigma")
                        .contains(tensor);
    }

    private static void compare(Goldens golden, Set<String> compared, String tensor, @Nullable HostTensor actual) {
        if (golden.has(tensor)) {
            assertThat(actual).as(tensor).isNotNull();
            golden.assertMatches(tensor, actual, Goldens.ROLLOUT);
            compared.add(tensor);
        }
    }

    private static void assertTimesteps(Goldens golden, Set<String> compared, Pass pass) {
        String name = pass.id() + ".t";
        double[] expected = golden.get(name).values().length == 0
                ? new double[0]
                : golden.file().tensor(name).toDoubles();
        for (int frame = 0; frame < pass.frames(); frame++) {
            assertThat((double) pass.timesteps().get(frame))
                    .isCloseTo(expected[frame % expected.length], org.assertj.core.data.Offset.offset(2.5e-4));
        }
        compared.add(name);
    }

    private static Capture capture(Goldens golden, RunPlan plan, WanConfig sizes, MemorySink sink) {
        CapturePlan what = new CapturePlan(
                List.of(golden.config().get("captured_layer").asInt()),
                EnumSet.of(AttentionKind.SELF, AttentionKind.CROSS),
                PassChoice.parse("all"),
                IntStream.range(0, sizes.numHeads()).boxed().toList(),
                EnumSet.allOf(Quantity.class));
        return new Capture(
                what,
                new RunGeometry(
                        1,
                        plan.settings().totalFrames(),
                        plan.settings().frameSeqLen(),
                        sizes.textLen(),
                        plan.timesteps().size()),
                sink);
    }

    private static void assertPlanMatches(Goldens golden, RunPlan plan) {
        JsonNode passes = golden.config().get("passes");
        int s = golden.config().get("frame_seq_length").asInt();
        List<String> names = new ArrayList<>();
        passes.forEach(pass -> names.add(pass.get("name").asString()));
        assertThat(plan.passes().stream().map(pass -> pass.id().label()).toList())
                .isEqualTo(names);
        for (int i = 0; i < passes.size(); i++) {
            JsonNode expected = passes.get(i);
            Pass pass = plan.passes().get(i);
            Placement placement = pass.placement();
            String name = names.get(i);
            assertThat(pass.firstFrame())
                    .as(name)
                    .isEqualTo(expected.get("first_frame").asInt());
            assertThat(pass.frames()).as(name).isEqualTo(expected.get("frames").asInt());
            assertThat(placement.keyFrames()).as(name).isEqualTo(ints(expected.get("key_frames")));
            assertThat(placement.keyPositions()).as(name).isEqualTo(ints(expected.get("key_positions")));
            assertThat(placement.queryPositions()).as(name).isEqualTo(ints(expected.get("query_positions")));
            List<String> writers = new ArrayList<>();
            expected.get("key_written_by").forEach(writer -> writers.add(writer.asString()));
            assertThat(placement.keyWrittenBy()).as(name).isEqualTo(writers);
            if (expected.has("prompt")) {
                assertThat(pass.context())
                        .as(name)
                        .isEqualTo(expected.get("prompt").asInt());
            }
            if (expected.has("masked")) {
                assertThat(pass.causalFrames() > 0)
                        .as(name)
                        .isEqualTo(expected.get("masked").asBoolean());
            }
            assertThat(placement.attended().size() * s)
                    .as(name)
                    .isLessThanOrEqualTo(plan.caches().get(0).frames() * s);
        }
    }

    private static List<Integer> ints(JsonNode list) {
        List<Integer> values = new ArrayList<>();
        list.forEach(value -> values.add(value.asInt()));
        return values;
    }

    /** The caches' keys, slot by slot, as the reference keeps them after the last pass; slots never written are zero. */
    private static void compareCaches(Goldens golden, Set<String> compared, RunPlan plan, PassRunner runner, Ops ops) {
        for (int layer = 0; golden.has("final_cache.layer0.k") && layer < plan.numLayers(); layer++) {
            if (!golden.has("final_cache.layer" + layer + ".k")) {
                continue;
            }
            for (String which : List.of("k", "v")) {
                String name = "final_cache.layer" + layer + "." + which;
                HostTensor expected = golden.get(name);
                List<Integer> pages = List.copyOf(finalPages(plan).values());
                HostTensor actual = which.equals("k") ? runner.keys(0, layer, pages) : runner.values(0, layer, pages);
                if (which.equals("k") && golden.config().has("max_attention_frames")) {
                    actual = turned(ops, actual, plan);
                }
                float[] padded = java.util.Arrays.copyOf(actual.values(), expected.values().length);
                golden.assertMatches(name, new HostTensor(expected.shape(), padded), Goldens.ROLLOUT);
                compared.add(name);
            }
        }
    }

    /** Every cached frame's page after the last pass, in the order of the slots, which is that of the frames. */
    private static Map<Integer, Integer> finalPages(RunPlan plan) {
        Map<Integer, Integer> frameOf = new TreeMap<>();
        for (Pass pass : plan.passes()) {
            for (int i = 0; i < pass.frames(); i++) {
                if (pass.placement().written().get(i) >= 0) {
                    frameOf.put(pass.placement().written().get(i), pass.firstFrame() + i);
                }
            }
        }
        Map<Integer, Integer> pages = new TreeMap<>();
        frameOf.forEach((page, frame) -> pages.put(frame, page));
        return pages;
    }

    /** Rolling Forcing keeps all but the anchor rotated; here nothing is. */
    private static HostTensor turned(Ops ops, HostTensor keys, RunPlan plan) {
        int perBlock = plan.settings().numFramePerBlock();
        int s = plan.settings().frameSeqLen();
        int frames = keys.shape().dim(1) / s;
        int width = keys.shape().dim(2) * keys.shape().dim(3);
        List<Integer> keyFrames = List.copyOf(finalPages(plan).keySet());
        try (Scope _ = ops.scope()) {
            Tensor x = ops.scratch(Shape.of((long) frames * s, width));
            ops.write(x, keys.values());
            Dyn positions = new Dyn("positions", frames);
            positions.set(keyFrames.stream().mapToInt(frame -> frame).toArray());
            ops.rope(
                    x,
                    keys.shape().dim(2),
                    new Grid(
                            frames,
                            plan.settings().latentHeight() / 2,
                            plan.settings().latentWidth() / 2),
                    positions);
            float[] turned = ops.read(x);
            System.arraycopy(keys.values(), 0, turned, 0, perBlock * s * width);
            return new HostTensor(keys.shape(), turned);
        }
    }
}
