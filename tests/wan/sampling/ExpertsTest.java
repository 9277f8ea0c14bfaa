package wan.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import wan.Goldens;
import wan.cache.CacheLayout;
import wan.cache.Placement;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.noise.CudaGeometry;
import wan.noise.NoiseSource;
import wan.noise.Rng;
import wan.op.HostTensor;
import wan.op.PassObserver;
import wan.op.Shape;
import wan.pass.Context;
import wan.pass.Pass;
import wan.pass.PassId;
import wan.pass.PassRunner;
import wan.weights.RandomModel;

/** Two experts that take turns by timestep, against a loop that picks the model itself. */
class ExpertsTest {
    private static final int STEPS = 6;
    private static final float SHIFT = 12;
    private static final float BOUNDARY = 0.875f;
    private static final float LOW_SCALE = 3;
    private static final float HIGH_SCALE = 4;
    private static final int FRAMES = 3;
    private static final int SIZE = 4;
    private static final WanConfig CONFIG = new WanConfig(48, 96, 32, 16, 16, 2, 2, 24, 12, 1e-6f);

    @Test
    void theExpertOfHighNoise_runsFromTheBoundaryOn_withItsOwnScale() {
        try (Arena arena = Arena.ofShared();
                JvmOps ops = new JvmOps(new JvmOptions(2, JvmOptions.Kind.AUTO))) {
            WanModel low = new WanModel(CONFIG, RandomModel.inMemory(CONFIG, 1, arena), ops);
            WanModel high = new WanModel(CONFIG, RandomModel.inMemory(CONFIG, 2, arena), ops);
            List<Context> prompts = List.of(text(3), text(4));
            RunSettings settings = new RunSettings(
                    SIZE,
                    SIZE,
                    FRAMES,
                    0,
                    FRAMES,
                    false,
                    List.of(1000f),
                    SHIFT,
                    true,
                    -1,
                    0,
                    0,
                    new Method.Ode(Method.Solver.UNIPC, STEPS, LOW_SCALE, BOUNDARY, HIGH_SCALE, false, false));
            RunPlan plan = RunPlan.of(settings, CONFIG.numLayers());
            assertThat(plan.passes().stream().map(Pass::expert).distinct()).containsExactly(1, 0);
            assertThat(plan.events()).hasSize(1);

            Sampler sampler = Sampler.of(plan, new SamplerInputs(noise(), null));
            HostTensor output;
            try (PassRunner runner = sampler.open(List.of(low, high), prompts)) {
                output = sampler.run(runner, RunListener.NONE);
            }
            double[] expected = loop(low, high, prompts);
            Goldens.assertClose("output", output.values(), expected, 5e-5);
        }
    }

    private static NoiseSource noise() {
        return NoiseSource.of(Rng.TORCH_CPU, 5, false, CudaGeometry.H100);
    }

    private static double[] loop(WanModel low, WanModel high, List<Context> prompts) {
        OdeSchedule schedule = OdeSchedule.of(Method.Solver.UNIPC, STEPS, SHIFT);
        OdeSolver solver = new OdeSolver(Method.Solver.UNIPC, schedule);
        float[] drawn = noise().initial(Shape.of(16, FRAMES, SIZE, SIZE));
        HostTensor x = HostTensor.zeros(Shape.of(1, FRAMES, 16, SIZE, SIZE));
        int cells = SIZE * SIZE;
        for (int channel = 0; channel < 16; channel++) {
            for (int frame = 0; frame < FRAMES; frame++) {
                System.arraycopy(
                        drawn, (channel * FRAMES + frame) * cells, x.values(), (frame * 16 + channel) * cells, cells);
            }
        }
        for (int s = 0; s < STEPS; s++) {
            float t = schedule.timesteps().get(s);
            boolean noisy = t >= 1000 * BOUNDARY;
            WanModel model = noisy ? high : low;
            float scale = noisy ? HIGH_SCALE : LOW_SCALE;
            HostTensor cond = flow(model, prompts.get(0), x, t);
            HostTensor uncond = flow(model, prompts.get(1), x, t);
            HostTensor v = HostTensor.zeros(x.shape());
            for (int i = 0; i < v.values().length; i++) {
                v.values()[i] = uncond.values()[i] + scale * (cond.values()[i] - uncond.values()[i]);
            }
            x = solver.step(s, v, x);
        }
        double[] values = new double[x.values().length];
        for (int i = 0; i < values.length; i++) {
            values[i] = x.values()[i];
        }
        return values;
    }

    private static HostTensor flow(WanModel model, Context prompt, HostTensor x, float t) {
        Pass pass = new Pass(
                new PassId(PassId.Kind.DENOISE, 0, 0),
                0,
                FRAMES,
                t,
                Placement.alone("block0.step0", FRAMES),
                CONFIG.numLayers(),
                true);
        try (PassRunner runner = new PassRunner(
                List.of(model),
                List.of(prompt),
                SIZE,
                SIZE,
                List.of(CacheLayout.passing(FRAMES)),
                CONFIG.numLayers())) {
            return Objects.requireNonNull(runner.run(pass, x, PassObserver.NONE));
        }
    }

    private static Context text(int seed) {
        Random random = new Random(seed);
        HostTensor tensor = HostTensor.zeros(Shape.of(1, CONFIG.textLen(), CONFIG.textDim()));
        for (int i = 0; i < tensor.values().length; i++) {
            tensor.values()[i] = (float) random.nextGaussian();
        }
        return new Context(tensor);
    }
}
