package wan;

import static org.assertj.core.api.Assertions.assertThat;

import capture.Capture;
import capture.CapturePlan;
import capture.FrameMatrix;
import capture.MemorySink;
import capture.PassChoice;
import capture.RunGeometry;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
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
import wan.pass.Pass;
import wan.pass.PassId;
import wan.pass.PassRunner;
import wan.run.Replay;
import wan.sampling.CausalSampler;
import wan.sampling.RunListener;
import wan.sampling.RunPlan;

/** Whole rollouts of the reference, tensor by tensor: inputs, flows, x0, logits, captures, caches, and the script's matrices. */
public class RolloutGoldenTest {
    /** The backend that is tested. */
    protected Ops open(int threads) {
        return new JvmOps(new JvmOptions(threads, JvmOptions.Kind.AUTO));
    }

    static Stream<String> rollouts() {
        return Stream.of("a", "b", "c", "c2", "d", "d2", "e", "h128").map(x -> "rollout-" + x);
    }

    @ParameterizedTest
    @MethodSource("rollouts")
    void run_reproducesEveryTensor_withEverythingCaptured(String name) {
        try (Goldens golden = Goldens.open(name);
                Replay replay = Replay.open(Goldens.path(name));
                Goldens parameters =
                        Goldens.open("model-" + golden.config().get("model").asString());
                Ops ops = open(2)) {
            JsonNode config = golden.config();
            WanConfig sizes = Goldens.modelConfig(config.get("model_config"));
            WanModel model = new WanModel(sizes, parameters.weights(), ops);
            RunPlan plan = RunPlan.of(replay.settings(), sizes.numLayers()).withAllFlows(sizes.numLayers());
            assertPlanMatches(golden, plan);

            MemorySink sink = new MemorySink();
            Capture capture =
                    capture(plan, golden, sizes, sink, PassChoice.parse("all"), EnumSet.allOf(Quantity.class));
            List<String> compared = new ArrayList<>();
            CausalSampler sampler = new CausalSampler(plan, replay, replay.initialLatent());
            try (PassRunner runner = sampler.open(model, replay.promptEmbeds())) {
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
                    }
                });
                compare(golden, compared, "output", output);
                Goldens.assertClose(
                        "output64",
                        output.values(),
                        golden.file().tensor("output64").toDoubles(),
                        Goldens.ROLLOUT);
                compared.add("output64");
                compareCaches(golden, compared, plan, runner, sizes.numLayers());
            }
            compareCaptures(golden, compared, sink, plan);
            compareMatrices(golden, compared, capture, plan);
            assertThat(notCompared(golden, compared)).isEmpty();
        }
    }

    @ParameterizedTest
    @MethodSource("rollouts")
    void run_givesTheSameMatrices_whenItStopsAsSoonAsEverythingIsCaptured(String name) {
        try (Goldens golden = Goldens.open(name);
                Replay replay = Replay.open(Goldens.path(name));
                Goldens parameters =
                        Goldens.open("model-" + golden.config().get("model").asString());
                Ops ops = open(1)) {
            WanConfig sizes = Goldens.modelConfig(golden.config().get("model_config"));
            WanModel model = new WanModel(sizes, parameters.weights(), ops);
            RunPlan whole = RunPlan.of(replay.settings(), sizes.numLayers());
            Capture capture = capture(
                    whole, golden, sizes, new MemorySink(), PassChoice.FIRST, EnumSet.of(Quantity.FRAME_LOGITS));
            int layers = layers(golden).getLast() + 1;
            PassId last = whole.passes().stream()
                    .map(Pass::id)
                    .filter(id -> PassChoice.FIRST.includes(id, 4))
                    .reduce((a, b) -> b)
                    .orElseThrow();
            RunPlan plan = whole.endingAt(last, layers);
            assertThat(plan.passes())
                    .hasSize(whole.passes().size() - whole.timesteps().size());
            CausalSampler sampler = new CausalSampler(plan, replay, replay.initialLatent());
            try (PassRunner runner = sampler.open(model, replay.promptEmbeds())) {
                HostTensor _ = sampler.run(runner, capture::observe);
            }
            compareMatrices(golden, new ArrayList<>(), capture, whole);
        }
    }

    private static List<Integer> layers(Goldens golden) {
        TreeSet<Integer> layers = new TreeSet<>();
        layers.add(golden.config().get("captured_layer").asInt());
        golden.config().get("script_layers").forEach(layer -> layers.add(layer.asInt()));
        return List.copyOf(layers);
    }

    private static Capture capture(
            RunPlan plan, Goldens golden, WanConfig sizes, MemorySink sink, PassChoice choice, Set<Quantity> what) {
        CapturePlan capturePlan = new CapturePlan(
                layers(golden),
                EnumSet.allOf(AttentionKind.class),
                choice,
                IntStream.range(0, sizes.numHeads()).boxed().toList(),
                what);
        int batch = golden.config().get("batch_size").asInt();
        RunGeometry run = new RunGeometry(
                batch,
                plan.settings().totalFrames(),
                plan.settings().frameSeqLen(),
                sizes.textLen(),
                plan.timesteps().size());
        return new Capture(capturePlan, run, sink);
    }

    private static void assertPlanMatches(Goldens golden, RunPlan plan) {
        JsonNode passes = golden.config().get("passes");
        assertThat(plan.passes()).hasSize(passes.size());
        int s = golden.config().get("frame_seq_length").asInt();
        for (int i = 0; i < passes.size(); i++) {
            JsonNode expected = passes.get(i);
            Pass pass = plan.passes().get(i);
            assertThat(pass.id().label()).isEqualTo(expected.get("name").asString());
            assertThat(pass.firstFrame()).isEqualTo(expected.get("first_frame").asInt());
            assertThat(pass.frames()).isEqualTo(expected.get("frames").asInt());
            assertThat(pass.placement().evictedFrames())
                    .isEqualTo(expected.get("evicted_frames").asInt());
            assertThat(pass.placement().attended().size() * s)
                    .isEqualTo(expected.get("local_end_index").asInt());
            List<Integer> keyFrames = new ArrayList<>();
            expected.get("key_frames").forEach(frame -> keyFrames.add(frame.asInt()));
            assertThat(pass.placement().keyFrames()).as(pass.id().label()).isEqualTo(keyFrames);
            assertThat((double) pass.timestep())
                    .isCloseTo(expected.get("timestep").get(0).asDouble(), org.assertj.core.data.Offset.offset(2.5e-4));
        }
    }

    private static void compare(Goldens golden, List<String> compared, String tensor, @Nullable HostTensor actual) {
        assertThat(actual).as(tensor).isNotNull();
        golden.assertMatches(tensor, actual, Goldens.ROLLOUT);
        compared.add(tensor);
    }

    private static void compareCaches(
            Goldens golden, List<String> compared, RunPlan plan, PassRunner runner, int numLayers) {
        List<Integer> pages = plan.passes().getLast().placement().attended();
        for (int l = 0; l < numLayers; l++) {
            if (golden.has("final_cache.layer" + l + ".k")) {
                compare(golden, compared, "final_cache.layer" + l + ".k", runner.keys(0, l, pages));
                compare(golden, compared, "final_cache.layer" + l + ".v", runner.values(0, l, pages));
            }
        }
    }

    private static void compareCaptures(Goldens golden, List<String> compared, MemorySink sink, RunPlan plan) {
        sink.tensors().forEach((tensor, actual) -> {
            if (golden.has(tensor)) {
                double tolerance = tensor.endsWith("frame_mass")
                        ? Goldens.FRAME_MASS
                        : tensor.endsWith("frame_logits") ? Goldens.FRAME_LOGITS : Goldens.ROLLOUT;
                golden.assertMatches(tensor, actual, tolerance);
                compared.add(tensor);
            }
        });
        int s = plan.settings().frameSeqLen();
        for (Pass pass : plan.passes()) {
            for (int layer : layers(golden)) {
                String prefix = pass.id() + ".layer" + layer + ".";
                HostTensor self = sink.get(prefix + "self_logits");
                HostTensor cross = sink.get(prefix + "cross_logits");
                assertMeans(sink, prefix + "key_logits", self, s, 1);
                assertMeans(sink, prefix + "query_logits", self, 1, s);
                assertMeans(sink, prefix + "cross_frame_logits", cross, s, 1);
                assertMeans(sink, prefix + "cross_key_logits", cross, s, 1);
                assertMeans(sink, prefix + "cross_query_logits", cross, 1, 1);
                assertCrossMass(sink.get(prefix + "cross_frame_mass"), cross, s);
            }
        }
    }

    /** The captured means against means of the captured logits, which are compared with the reference's own. */
    private static void assertMeans(MemorySink sink, String tensor, HostTensor logits, int queryGroup, int keyGroup) {
        int rows = logits.shape().dim(2) / queryGroup;
        int columns = logits.shape().dim(3) / keyGroup;
        HostTensor actual = sink.get(tensor);
        assertThat(actual.shape())
                .as(tensor)
                .isEqualTo(Shape.of(logits.shape().dim(0), logits.shape().dim(1), rows, columns));
        Goldens.assertClose(tensor, actual.values(), means(logits, queryGroup, keyGroup), Goldens.FRAME_LOGITS);
    }

    /** Of logits [B, heads, queries, keys], over groups of queries and of keys. */
    static double[] means(HostTensor logits, int queryGroup, int keyGroup) {
        int rows = logits.shape().dim(2) / queryGroup;
        int columns = logits.shape().dim(3) / keyGroup;
        int heads = logits.shape().dim(0) * logits.shape().dim(1);
        double[] means = new double[heads * rows * columns];
        for (int i = 0; i < logits.values().length; i++) {
            int key = i % logits.shape().dim(3);
            int query = i / logits.shape().dim(3) % logits.shape().dim(2);
            int head = i / logits.shape().dim(3) / logits.shape().dim(2);
            means[(head * rows + query / queryGroup) * columns + key / keyGroup] +=
                    logits.values()[i] / (double) (queryGroup * keyGroup);
        }
        return means;
    }

    private static void assertCrossMass(HostTensor mass, HostTensor logits, int s) {
        int keys = logits.shape().dim(3);
        double[] expected = new double[mass.values().length];
        for (int row = 0; row < logits.values().length / keys; row++) {
            double sum = 0;
            for (int k = 0; k < keys; k++) {
                sum += Math.exp(logits.values()[row * keys + k]);
            }
            for (int k = 0; k < keys; k++) {
                expected[row / s * keys + k] += Math.exp(logits.values()[row * keys + k]) / sum / s;
            }
        }
        Goldens.assertClose("cross_frame_mass", mass.values(), expected, Goldens.FRAME_MASS);
    }

    private static void compareMatrices(Goldens golden, List<String> compared, Capture capture, RunPlan plan) {
        int lastStart =
                plan.settings().totalFrames() - plan.settings().blockSizes().getLast();
        for (JsonNode node : golden.config().get("script_layers")) {
            String layer = "layer" + node.asInt() + ".";
            FrameMatrix matrix = capture.matrix(node.asInt());
            String full = "full_frame_attention";
            String last = "last_block_frame_attention";
            golden.assertMatches("script." + layer + full, matrix.scriptValues(), Goldens.FRAME_LOGITS);
            golden.assertMatches(
                    "script." + layer + last, matrix.scriptLastFrameBlock(lastStart), Goldens.FRAME_LOGITS);
            compared.add("script." + layer + full);
            compared.add("script." + layer + last);
            if (golden.has("absolute." + layer + full)) {
                HostTensor absolute = golden.get("absolute." + layer + full);
                byte[] mask = matrix.mask();
                double[] expectedMask =
                        golden.file().tensor("absolute.window_mask").toDoubles();
                double[] expected = new double[absolute.values().length];
                for (int i = 0; i < expected.length; i++) {
                    expected[i] = mask[i % mask.length] == 1 ? absolute.values()[i] : Double.NaN;
                    assertThat((double) mask[i % mask.length]).isEqualTo(expectedMask[i % mask.length]);
                }
                Goldens.assertClose(
                        "absolute." + layer + full, matrix.values().values(), expected, Goldens.FRAME_LOGITS);
                compared.add("absolute." + layer + full);
                compared.add("absolute.window_mask");
            }
        }
    }

    /** Inputs, twins in another type, and what a test of single layers compares. */
    private static List<String> notCompared(Goldens golden, List<String> compared) {
        return golden.file().names().stream()
                .filter(tensor -> !compared.contains(tensor))
                .filter(tensor -> !tensor.endsWith(".renoise") && !tensor.endsWith(".t") && !tensor.endsWith(".f16"))
                .filter(tensor -> !tensor.contains(".debug."))
                .filter(tensor -> !List.of(
                                "noise",
                                "initial_latent",
                                "prompt_embeds",
                                "denoising_step_list",
                                "denoising_sigmas",
                                "context_sigma")
                        .contains(tensor))
                .toList();
    }
}
