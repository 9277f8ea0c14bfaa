package wan.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import wan.Goldens;
import wan.cache.CacheLayout;
import wan.cache.Placement;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.noise.NoiseSource;
import wan.op.HostTensor;
import wan.op.PassObserver;
import wan.op.Shape;
import wan.pass.Context;
import wan.pass.Pass;
import wan.pass.PassId;
import wan.pass.PassRunner;

/**
 * A causal model with guidance, frame block by frame block, against the same arithmetic without any cache: every step is one pass over all
 * frames so far, the finished ones at timestep 0, under a mask that hides later frame blocks.
 */
class GuidedFrameBlocksTest {
    private static final int BLOCK = 2;
    private static final int BLOCKS = 3;
    private static final int STEPS = 4;
    private static final float SCALE = 3;
    private static final int SIZE = 4;
    private static final float SHIFT = 5;

    @ParameterizedTest
    @EnumSource(Method.Solver.class)
    void run_isTheSameAsWithoutCaches(Method.Solver solver) {
        try (Goldens golden = Goldens.open("golden3/model-causal");
                JvmOps ops = new JvmOps(new JvmOptions(2, JvmOptions.Kind.AUTO))) {
            WanConfig config = Goldens.modelConfig(golden.config());
            WanModel model = new WanModel(config, golden.weights(), ops);
            List<Context> prompts = List.of(new Context(text(config, 1)), new Context(text(config, 2)));
            RunSettings settings = new RunSettings(
                    SIZE,
                    SIZE,
                    BLOCK * BLOCKS,
                    0,
                    BLOCK,
                    false,
                    List.of(1000f),
                    SHIFT,
                    true,
                    -1,
                    0,
                    0,
                    new Method.Ode(solver, STEPS, SCALE, 2, SCALE, false, true));
            RunPlan plan = RunPlan.of(settings, config.numLayers());
            HostTensor noise = normal(Shape.of(1, BLOCK * BLOCKS, config.inDim(), SIZE, SIZE), 3);
            Sampler sampler = Sampler.of(plan, new SamplerInputs(recorded(noise), null));
            HostTensor output;
            try (PassRunner runner = sampler.open(List.of(model), prompts)) {
                output = sampler.run(runner, RunListener.NONE);
            }
            HostTensor expected = withoutCaches(model, prompts, solver, noise);
            Goldens.assertClose("output", output.values(), doubles(expected), Goldens.ROLLOUT);
            assertThat(plan.passes().stream().map(pass -> pass.id().label()))
                    .containsSubsequence(
                            "block0.step0.cond", "block0.step0.uncond", "block0.ctx.cond", "block0.ctx.uncond");
        }
    }

    private static HostTensor withoutCaches(
            WanModel model, List<Context> prompts, Method.Solver solver, HostTensor noise) {
        OdeSchedule schedule = OdeSchedule.of(solver, STEPS, SHIFT);
        HostTensor output = HostTensor.zeros(noise.shape());
        for (int b = 0; b < BLOCKS; b++) {
            OdeSolver steps = new OdeSolver(solver, schedule);
            HostTensor x = noise.frames(b * BLOCK, BLOCK);
            for (int s = 0; s < STEPS; s++) {
                HostTensor soFar =
                        HostTensor.zeros(output.frames(0, (b + 1) * BLOCK).shape());
                soFar.setFrames(0, output.frames(0, (b + 1) * BLOCK));
                soFar.setFrames(b * BLOCK, x);
                float t = schedule.timesteps().get(s);
                HostTensor cond = masked(model, prompts, 0, soFar, t);
                HostTensor uncond = masked(model, prompts, 1, soFar, t);
                HostTensor v = HostTensor.zeros(cond.shape());
                for (int i = 0; i < v.values().length; i++) {
                    v.values()[i] = uncond.values()[i] + SCALE * (cond.values()[i] - uncond.values()[i]);
                }
                x = steps.step(s, v, x);
            }
            output.setFrames(b * BLOCK, x);
        }
        return output;
    }

    /** The flow of the last frame block; the frames before it are clean. */
    private static HostTensor masked(
            WanModel model, List<Context> prompts, int prompt, HostTensor latents, float timestep) {
        int frames = latents.shape().dim(1);
        int layers = model.config().numLayers();
        List<Float> timesteps = new ArrayList<>();
        IntStream.range(0, frames).forEach(frame -> timesteps.add(frame < frames - BLOCK ? 0f : timestep));
        Pass pass = new Pass(
                new PassId(PassId.Kind.DENOISE, 0, 0),
                0,
                frames,
                timesteps,
                prompt,
                0,
                0,
                BLOCK,
                Placement.alone("block0.step0", frames),
                layers,
                true);
        try (PassRunner runner =
                new PassRunner(List.of(model), prompts, SIZE, SIZE, List.of(CacheLayout.rotated(frames)), layers)) {
            HostTensor flow = Objects.requireNonNull(runner.run(pass, latents, PassObserver.NONE));
            return flow.frames(frames - BLOCK, BLOCK);
        }
    }

    private static NoiseSource recorded(HostTensor noise) {
        return new NoiseSource() {
            @Override
            public float[] initial(Shape shape) {
                assertThat(shape).isEqualTo(noise.shape());
                return noise.values().clone();
            }

            @Override
            public float[] renoise(int frameBlock, int step, Shape shape) {
                throw new IllegalStateException("a solver draws once");
            }

            @Override
            public float[] renoiseWindow(int window, int frameBlock, int place, Shape shape, int blocks) {
                throw new IllegalStateException("a solver draws once");
            }

            @Override
            public String description() {
                return "a test";
            }
        };
    }

    private static HostTensor text(WanConfig config, int seed) {
        return normal(Shape.of(1, config.textLen(), config.textDim()), seed);
    }

    private static HostTensor normal(Shape shape, int seed) {
        Random random = new Random(seed);
        HostTensor tensor = HostTensor.zeros(shape);
        for (int i = 0; i < tensor.values().length; i++) {
            tensor.values()[i] = (float) random.nextGaussian();
        }
        return tensor;
    }

    private static double[] doubles(HostTensor tensor) {
        return IntStream.range(0, tensor.values().length)
                .mapToDouble(i -> tensor.values()[i])
                .toArray();
    }
}
