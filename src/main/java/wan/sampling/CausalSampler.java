package wan.sampling;

import org.jspecify.annotations.Nullable;
import wan.noise.NoiseSource;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.WanException;
import wan.pass.Pass;
import wan.pass.PassId;
import wan.pass.PassRunner;

/**
 * The rollout: every frame block is denoised in a few steps with the finished ones in the cache ({@code
 * CausalInferencePipeline.inference} in the reference's {@code pipeline/causal_inference.py}).
 */
public final class CausalSampler implements Sampler {
    private final RunPlan plan;
    private final FlowMatchScheduler scheduler;
    private final NoiseSource noise;
    private final @Nullable HostTensor initialLatent;

    /**
     * Prepares a run.
     *
     * @param initialLatent clean latents of the given frames, [B, F0, C, H, W], or null for none
     */
    public CausalSampler(RunPlan plan, NoiseSource noise, @Nullable HostTensor initialLatent) {
        this.plan = plan;
        this.scheduler = new FlowMatchScheduler(plan.settings().shift());
        this.noise = noise;
        this.initialLatent = initialLatent;
    }

    @Override
    public RunPlan plan() {
        return plan;
    }

    @Override
    public HostTensor run(PassRunner runner, RunListener listener) {
        int batch = runner.batch();
        int channels = runner.model().config().inDim();
        RunSettings settings = plan.settings();
        int h = settings.latentHeight();
        int w = settings.latentWidth();
        Shape generated = Shape.of(batch, settings.generatedFrames(), channels, h, w);
        HostTensor start = new HostTensor(generated, noise.initial(generated)).requireFinite("initial noise");
        HostTensor output = HostTensor.zeros(Shape.of(batch, settings.totalFrames(), channels, h, w));
        if (settings.numInitialFrames() > 0) {
            Shape expected = Shape.of(batch, settings.numInitialFrames(), channels, h, w);
            if (initialLatent == null || !initialLatent.shape().equals(expected)) {
                throw WanException.mismatch(
                        "initial latent", expected, initialLatent == null ? "none" : initialLatent.shape(), "");
            }
            output.setFrames(0, initialLatent.requireFinite("initial latent"));
        }
        @Nullable HostTensor renoised = null;
        for (Pass pass : plan.passes()) {
            HostTensor latents = switch (pass.id().kind()) {
                case INIT, CONTEXT -> output.frames(pass.firstFrame(), pass.frames());
                default ->
                    renoised != null
                            ? renoised
                            : start.frames(pass.firstFrame() - settings.numInitialFrames(), pass.frames());
            };
            HostTensor flow = runner.run(pass, latents, listener.passStarted(pass));
            HostTensor x0 = flow == null ? null : scheduler.toX0(flow, latents, pass.timestep());
            renoised = null;
            if (pass.id().kind() == PassId.Kind.DENOISE && x0 != null) {
                int step = pass.id().step();
                if (step < plan.timesteps().size() - 1) {
                    HostTensor fresh = new HostTensor(
                                    x0.shape(), noise.renoise(pass.id().frameBlock(), step, x0.shape()))
                            .requireFinite("noise after " + pass.id());
                    renoised = scheduler.addNoise(x0, fresh, plan.timesteps().get(step + 1));
                } else {
                    output.setFrames(pass.firstFrame(), x0);
                }
            }
            listener.passDone(pass, latents, flow, x0);
        }
        return output;
    }
}
