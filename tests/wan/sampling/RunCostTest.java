package wan.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.noise.CudaGeometry;
import wan.noise.NoiseSource;
import wan.noise.Rng;
import wan.op.AttentionKind;
import wan.op.AttentionTap;
import wan.op.HostTensor;
import wan.op.ObservedOps;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Shape;
import wan.op.Tensor;
import wan.pass.Context;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.weights.RandomModel;

/** What a run is said to cost beside what it does: the operations that its backend is asked for. */
class RunCostTest {
    private static final WanConfig CONFIG = RandomModel.tiny();

    /** Counts the operations since the last look. */
    private static final class Counted extends ObservedOps {
        private double flops;

        Counted(Ops ops) {
            super(ops);
        }

        @Override
        protected Tensor observe(String op, double more, Supplier<Tensor> call) {
            flops += more;
            return call.get();
        }
    }

    /** The first layer's operations include the embeddings, so the others are compared. */
    @ParameterizedTest
    @ValueSource(ints = {-1, 4})
    void layerFlops_areThoseThatTheBackendIsAskedFor(int window) {
        RunSettings settings =
                new RunSettings(4, 6, 7, 0, 3, true, List.of(1000f, 500f), 5, true, window, 1, 0, Method.SELF_FORCING);
        RunPlan plan = RunPlan.of(settings, CONFIG.numLayers());
        RunCost cost = new RunCost(CONFIG, 2, settings.frameSeqLen());
        NoiseSource noise = NoiseSource.of(Rng.JAVA, 1, false, CudaGeometry.H100);
        Sampler sampler = Sampler.of(plan, new SamplerInputs(noise, null));
        HostTensor text = HostTensor.zeros(Shape.of(2, CONFIG.textLen(), CONFIG.textDim()));
        int[] layers = {0};
        try (Arena arena = Arena.ofShared();
                Counted ops = new Counted(new JvmOps(JvmOptions.defaults()))) {
            WanModel model = new WanModel(CONFIG, RandomModel.inMemory(CONFIG, 0, arena), ops);
            try (PassRunner runner = sampler.open(List.of(model), List.of(new Context(text)))) {
                HostTensor _ = sampler.run(runner, pass -> comparing(pass, ops, cost, layers));
            }
        }
        assertThat(layers[0]).isEqualTo(plan.passes().size() * (CONFIG.numLayers() - 1));
    }

    private static PassObserver comparing(Pass pass, Counted ops, RunCost cost, int[] layers) {
        return new PassObserver() {
            @Override
            public AttentionTap tap(int layer, AttentionKind kind) {
                return AttentionTap.NONE;
            }

            @Override
            public void layerDone(int layer) {
                if (layer > 0) {
                    assertThat(ops.flops).as("%s, layer %d", pass.id(), layer).isEqualTo(cost.layerFlops(pass));
                    layers[0]++;
                }
                ops.flops = 0;
            }
        };
    }

    @Test
    void flops_ofTheReferenceModel_areThoseOfTheFormula() {
        WanConfig wan = WanConfig.wan13b();
        RunSettings settings = RunSettings.of(60, 104, 21);
        RunPlan plan = RunPlan.of(settings, wan.numLayers());
        RunCost cost = new RunCost(wan, 1, 1560);
        Pass last = plan.passes().getLast();
        double queries = 3 * 1560.0;
        int keyFrames = settings.totalFrames();
        double dim = 1536;
        double linear = 2 * queries * dim * (6 * dim + 2 * 8960);
        double attention = 4 * queries * dim * (keyFrames * 1560.0 + 512);
        assertThat(cost.layerFlops(last)).isEqualTo(linear + attention);
    }
}
