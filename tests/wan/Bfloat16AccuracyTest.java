package wan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import capture.Capture;
import capture.CapturePlan;
import capture.MemorySink;
import capture.PassChoice;
import capture.RunGeometry;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import wan.app.Replay;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.jvm.OneDnnStatus;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.op.AttentionKind;
import wan.op.HostTensor;
import wan.op.Ops;
import wan.op.Quantity;
import wan.op.RoundingOps;
import wan.sampling.CausalSampler;
import wan.sampling.RunPlan;
import wan.session.Session;

/**
 * Whole rollouts of the float32 reference with products in bfloat16 on oneDNN: how far frame matrices and latents are off, beside what a
 * model that is all bfloat16 is off.
 */
class Bfloat16AccuracyTest {
    /**
     * A sum of products of factors that are rounded by up to 2^-8 is off by 2.3e-3 of its size (root mean square). A layer has
     * seven such products one after the other, and each adds at most an error of that share to the residual stream;
     * independent errors add up as squares.
     */
    private static double limit(int layers) {
        return Math.sqrt(7.0 * layers) * 2.3e-3;
    }

    /** Errors over sizes, both root mean square. */
    private record Errors(double matrices, double latents) {}

    @ParameterizedTest
    @ValueSource(strings = {"rollout-a", "rollout-b", "rollout-c", "rollout-d", "rollout-e", "rollout-h128"})
    void run_staysNearTheReference_andNearerThanAModelInBfloat16(String name) {
        OneDnnStatus status = OneDnnStatus.find();
        assumeTrue(status.isThere(), status.problem());
        Errors ours = errors(name, () -> new JvmOps(new JvmOptions(2, JvmOptions.Kind.ONEDNN_BF16)));
        Errors all = errors(name, () -> new RoundingOps(new JvmOps(new JvmOptions(2, JvmOptions.Kind.VECTOR))));
        String figures = String.format(
                Locale.ROOT,
                "matrices %.1e against %.1e, latents %.1e against %.1e",
                ours.matrices,
                all.matrices,
                ours.latents,
                all.latents);
        System.out.println(name + ": " + figures);
        assertThat(ours.matrices).as(figures).isLessThan(all.matrices);
        assertThat(ours.latents).as(figures).isLessThan(all.latents);
        try (Goldens golden = Goldens.open(name)) {
            double limit =
                    limit(golden.config().get("model_config").get("num_layers").asInt());
            assertThat(ours.matrices).as(figures).isLessThan(limit);
            assertThat(ours.latents).as(figures).isLessThan(limit);
        }
    }

    private static Errors errors(String name, Supplier<Ops> backend) {
        try (Goldens golden = Goldens.open(name);
                Replay replay = Replay.open(Goldens.path(name));
                Goldens parameters =
                        Goldens.open("model-" + golden.config().get("model").asString());
                Ops ops = backend.get()) {
            JsonNode config = golden.config();
            WanConfig sizes = Goldens.modelConfig(config.get("model_config"));
            WanModel model = new WanModel(sizes, parameters.weights(), ops);
            RunPlan plan = RunPlan.of(replay.settings(), sizes.numLayers());
            List<Integer> layers = new ArrayList<>();
            config.get("script_layers").forEach(layer -> layers.add(layer.asInt()));
            CapturePlan capturePlan = new CapturePlan(
                    layers,
                    EnumSet.of(AttentionKind.SELF),
                    PassChoice.FIRST,
                    IntStream.range(0, sizes.numHeads()).boxed().toList(),
                    EnumSet.of(Quantity.FRAME_LOGITS));
            RunGeometry run = new RunGeometry(
                    config.get("batch_size").asInt(),
                    plan.settings().totalFrames(),
                    plan.settings().frameSeqLen(),
                    sizes.textLen(),
                    plan.timesteps().size());
            Capture capture = new Capture(capturePlan, run, new MemorySink());
            CausalSampler sampler = new CausalSampler(plan, replay, replay.initialLatent());
            HostTensor output;
            try (Session session = sampler.open(model, replay.promptEmbeds())) {
                output = sampler.run(session, capture::observe);
            }
            double matrices = 0;
            for (int layer : layers) {
                String tensor = "script.layer" + layer + ".full_frame_attention";
                matrices = Math.max(
                        matrices,
                        error(
                                capture.matrix(layer).scriptValues().values(),
                                golden.file().tensor(tensor).toDoubles()));
            }
            return new Errors(
                    matrices,
                    error(output.values(), golden.file().tensor("output").toDoubles()));
        }
    }

    private static double error(float[] actual, double[] expected) {
        assertThat(actual).hasSize(expected.length);
        double squares = 0;
        double errors = 0;
        for (int i = 0; i < expected.length; i++) {
            if (!Double.isNaN(expected[i])) {
                squares += expected[i] * expected[i];
                errors += (actual[i] - expected[i]) * (actual[i] - expected[i]);
            }
        }
        return Math.sqrt(errors / squares);
    }
}
