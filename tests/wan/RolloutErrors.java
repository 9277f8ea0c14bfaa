package wan;

import static org.assertj.core.api.Assertions.assertThat;

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
import tools.jackson.databind.JsonNode;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.op.AttentionKind;
import wan.op.HalfFormat;
import wan.op.HostTensor;
import wan.op.Ops;
import wan.op.Quantity;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.run.Replay;
import wan.sampling.CausalSampler;
import wan.sampling.RunPlan;

/**
 * How far a whole rollout is off the float32 reference: errors over sizes, both root mean square.
 *
 * @param matrices of frame logits, the worst layer
 * @param masses of keys' frames, the worst pass of the captured layer; 0 if they were not asked for
 * @param keyLogits the same, of each key
 * @param latents of what comes out
 */
public record RolloutErrors(double matrices, double masses, double keyLogits, double latents) {
    /**
     * What rounding the factors of products allows. A sum of products of factors that are rounded by up to 2^-8, as bfloat16's, is off
     * by 2.3e-3 of its size (root mean square). A layer has seven such products one after the other, and each adds at most an error of
     * that share to the residual stream; independent errors add up as squares. Each bit more halves it.
     */
    public static double limit(String rollout, HalfFormat format) {
        try (Goldens golden = Goldens.open(rollout)) {
            int layers = golden.config().get("model_config").get("num_layers").asInt();
            return Math.sqrt(7.0 * layers) * 2.3e-3 * Math.scalb(1.0, 7 - format.mantissaBits());
        }
    }

    /** For a message. */
    @Override
    public String toString() {
        return String.format(
                Locale.ROOT,
                "matrices %.1e, masses %.1e, key logits %.1e, latents %.1e",
                matrices,
                masses,
                keyLogits,
                latents);
    }

    /** Runs a rollout with the reference's noise. */
    public static RolloutErrors of(String name, Supplier<Ops> backend) {
        return of(name, backend, EnumSet.of(Quantity.FRAME_LOGITS));
    }

    /** The same, with whatever else is captured. */
    public static RolloutErrors of(String name, Supplier<Ops> backend, EnumSet<Quantity> quantities) {
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
            int captured = config.get("captured_layer").asInt();
            if (!layers.contains(captured)) {
                layers.add(captured);
            }
            CapturePlan capturePlan = new CapturePlan(
                    layers,
                    EnumSet.of(AttentionKind.SELF),
                    PassChoice.FIRST,
                    IntStream.range(0, sizes.numHeads()).boxed().toList(),
                    quantities);
            RunGeometry run = new RunGeometry(
                    config.get("batch_size").asInt(),
                    plan.settings().totalFrames(),
                    plan.settings().frameSeqLen(),
                    sizes.textLen(),
                    plan.timesteps().size());
            MemorySink sink = new MemorySink();
            Capture capture = new Capture(capturePlan, run, sink);
            CausalSampler sampler = new CausalSampler(plan, replay, replay.initialLatent());
            HostTensor output;
            try (PassRunner runner = sampler.open(model, replay.promptEmbeds())) {
                output = sampler.run(runner, capture::observe);
            }
            double matrices = 0;
            for (JsonNode node : config.get("script_layers")) {
                int layer = node.asInt();
                String tensor = "script.layer" + layer + ".full_frame_attention";
                matrices = Math.max(
                        matrices,
                        error(
                                capture.matrix(layer).scriptValues().values(),
                                golden.file().tensor(tensor).toDoubles()));
            }
            double masses = 0;
            double keyLogits = 0;
            for (Pass pass : plan.passes()) {
                String layer = pass.id() + ".layer" + captured + ".";
                HostTensor mass = sink.tensors().get(layer + "frame_mass");
                if (mass != null) {
                    double[] right = golden.file().tensor(layer + "frame_mass").toDoubles();
                    masses = Math.max(masses, error(mass.values(), right));
                }
                HostTensor keys = sink.tensors().get(layer + "key_logits");
                if (keys != null) {
                    HostTensor logits = golden.get(layer + "self_logits");
                    double[] right =
                            RolloutGoldenTest.means(logits, plan.settings().frameSeqLen(), 1);
                    keyLogits = Math.max(keyLogits, error(keys.values(), right));
                }
            }
            return new RolloutErrors(
                    matrices,
                    masses,
                    keyLogits,
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
