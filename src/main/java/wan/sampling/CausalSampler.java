package wan.sampling;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.cache.Placement;
import wan.noise.NoiseSource;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.WanException;
import wan.pass.Context;
import wan.pass.Pass;
import wan.pass.PassId;
import wan.pass.PassRunner;

/**
 * The causal rollout: every frame block is denoised in a few steps, with noise between them, and the finished ones in the cache ({@code
 * CausalInferencePipeline.inference} in the reference's {@code pipeline/causal_inference.py}).
 */
public final class CausalSampler implements Sampler {
    private final RunPlan plan;
    private final FlowMatchScheduler scheduler;
    private final SamplerInputs inputs;

    /** Prepares a run. */
    public CausalSampler(RunPlan plan, SamplerInputs inputs) {
        this.plan = plan;
        this.scheduler = new FlowMatchScheduler(plan.settings().shift());
        this.inputs = inputs;
    }

    /**
     * Prepares a run.
     *
     * @param initialLatent clean latents of the given frames, [B, F0, C, H, W], or null for none
     */
    public CausalSampler(RunPlan plan, NoiseSource noise, @Nullable HostTensor initialLatent) {
        this(plan, new SamplerInputs(noise, initialLatent));
    }

    @Override
    public RunPlan plan() {
        return plan;
    }

    @Override
    public int prompts() {
        return plan.settings().method() instanceof Method.RecomputedKeys method && method.promptChangeBlock() >= 0
                ? 2
                : Sampler.super.prompts();
    }

    @Override
    public List<Context> contexts(List<Context> prompts) {
        if (plan.settings().method() instanceof Method.RecomputedKeys method && method.promptChangeBlock() >= 0) {
            if (prompts.size() != prompts()) {
                throw WanException.mismatch(
                        "prompts of the run", prompts(), prompts.size(), "one fades into the other");
            }
            List<Context> all = new ArrayList<>(prompts.subList(0, 1));
            all.addAll(Sampler.interpolated(prompts.get(0), prompts.get(1), method.interpolationSteps()));
            return all;
        }
        return Sampler.super.contexts(prompts);
    }

    @Override
    public HostTensor run(PassRunner runner, @Nullable Checkpoint from, RunListener listener) {
        return run(runner, from, null, listener);
    }

    @Override
    public boolean forks() {
        return true;
    }

    @Override
    public HostTensor fork(PassRunner runner, Fork from, RunListener listener) {
        return run(runner, null, from, listener);
    }

    private HostTensor run(PassRunner runner, @Nullable Checkpoint from, @Nullable Fork fork, RunListener listener) {
        int batch = runner.batch();
        int channels = runner.model().config().inDim();
        RunSettings settings = plan.settings();
        int h = settings.latentHeight();
        int w = settings.latentWidth();
        Shape generated = Shape.of(batch, settings.generatedFrames(), channels, h, w);
        HostTensor start = new HostTensor(generated, inputs.noise().initial(generated)).requireFinite("initial noise");
        HostTensor output = HostTensor.zeros(Shape.of(batch, settings.totalFrames(), channels, h, w));
        if (settings.numInitialFrames() > 0) {
            Shape expected = Shape.of(batch, settings.numInitialFrames(), channels, h, w);
            HostTensor given = inputs.initialLatent();
            if (given == null || !given.shape().equals(expected)) {
                throw WanException.mismatch("initial latent", expected, given == null ? "none" : given.shape(), "");
            }
            output.setFrames(0, given.requireFinite("initial latent"));
        }
        int done = 0;
        if (from != null) {
            done = from.passes();
            restore(runner, from, start, output, listener);
        }
        @Nullable HostTensor renoised = null;
        if (fork != null) {
            done = fork.pass();
            output.setFrames(0, fork.latents());
            draw(done, output);
            renoised = plan.passes().get(done).id().step() > 0 ? fork.input() : null;
        }
        for (int i = done; i < plan.passes().size(); i++) {
            Pass pass = plan.passes().get(i);
            HostTensor latents;
            if (pass.id().kind() != PassId.Kind.DENOISE) {
                latents = finished(pass, output);
            } else if (renoised != null) {
                latents = renoised;
            } else {
                latents = firstInput(pass, start);
            }
            HostTensor flow = runner.run(pass, latents, listener.passStarted(pass));
            HostTensor x0 = flow == null ? null : scheduler.toX0(flow, latents, pass.timestep());
            renoised = null;
            if (pass.id().kind() == PassId.Kind.DENOISE && x0 != null) {
                @Nullable Pass next = nextStep(i);
                if (next != null) {
                    HostTensor fresh = new HostTensor(
                                    x0.shape(),
                                    inputs.noise()
                                            .renoise(
                                                    pass.id().frameBlock(),
                                                    pass.id().step(),
                                                    x0.shape()))
                            .requireFinite("noise after " + pass.id());
                    renoised = scheduler.addNoise(x0, fresh, next.timestep());
                } else {
                    output.setFrames(pass.firstFrame(), x0);
                }
            }
            listener.passDone(pass, latents, flow, x0);
            if (plan.lastUseOf(pass.context()) == i) {
                runner.forget(pass.context());
            }
            boolean clean = pass.id().kind() != PassId.Kind.DENOISE || (renoised == null && x0 != null);
            if (clean && endsFrameBlock(i)) {
                listener.resumable(i + 1, kept(pass), output.frames(pass.firstFrame(), pass.frames()));
            }
        }
        return output;
    }

    /** The pass after one, if it is the next step of the same frame block. */
    private @Nullable Pass nextStep(int i) {
        Pass next = i + 1 < plan.passes().size() ? plan.passes().get(i + 1) : null;
        return next != null
                        && next.id().kind() == PassId.Kind.DENOISE
                        && next.id().step() > 0
                ? next
                : null;
    }

    private boolean endsFrameBlock(int i) {
        PassId here = plan.passes().get(i).id();
        boolean own = belongsToFrameBlock(here.kind());
        if (!own || i + 1 == plan.passes().size()) {
            return own;
        }
        PassId next = plan.passes().get(i + 1).id();
        boolean given = here.kind() == PassId.Kind.INIT;
        return !belongsToFrameBlock(next.kind())
                || here.frameBlock() != next.frameBlock()
                || given != (next.kind() == PassId.Kind.INIT);
    }

    /** Others go over frames that are finished already. */
    private static boolean belongsToFrameBlock(PassId.Kind kind) {
        return kind == PassId.Kind.INIT || kind == PassId.Kind.DENOISE || kind == PassId.Kind.CONTEXT;
    }

    /** Under what name a frame block is kept. */
    private static String kept(Pass pass) {
        return "frames" + pass.firstFrame();
    }

    /** Takes the frames that were finished, draws the noise that was drawn, and fills the caches as they were. */
    private void restore(
            PassRunner runner, Checkpoint from, HostTensor start, HostTensor output, RunListener listener) {
        draw(from.passes(), output);
        for (int i = 0; i < from.passes(); i++) {
            Pass pass = plan.passes().get(i);
            if (endsFrameBlock(i)) {
                Shape shape = output.frames(pass.firstFrame(), pass.frames()).shape();
                output.setFrames(pass.firstFrame(), from.tensor(kept(pass), shape));
            }
        }
        CacheRestore.run(
                plan,
                from.passes(),
                runner,
                listener,
                pass -> pass.id().kind() == PassId.Kind.DENOISE ? firstInput(pass, start) : finished(pass, output));
    }

    /** The noise that a frame block begins with. */
    private HostTensor firstInput(Pass pass, HostTensor start) {
        if (pass.id().step() > 0) {
            throw new WanException(
                    pass.id() + " cannot run again, since its input is gone, and the cache policy is decided"
                            + " by it; expected frame blocks of more than one frame; start again");
        }
        return start.frames(pass.firstFrame() - plan.settings().numInitialFrames(), pass.frames());
    }

    private void draw(int done, HostTensor output) {
        for (int i = 0; i < done; i++) {
            Pass pass = plan.passes().get(i);
            if (pass.id().kind() == PassId.Kind.DENOISE && nextStep(i) != null) {
                Shape shape = output.frames(pass.firstFrame(), pass.frames()).shape();
                float[] _ =
                        inputs.noise().renoise(pass.id().frameBlock(), pass.id().step(), shape);
            }
        }
    }

    /** The finished frames that a pass computes keys of. */
    private HostTensor finished(Pass pass, HostTensor output) {
        if (pass.id().kind() != PassId.Kind.RECOMPUTE) {
            return output.frames(pass.firstFrame(), pass.frames());
        }
        List<Integer> frames = pass.placement().keyFrames();
        long[] dims = output.shape().dims();
        dims[1] = frames.size();
        HostTensor latents = HostTensor.zeros(Shape.of(dims));
        for (int i = 0; i < frames.size(); i++) {
            if (frames.get(i) == Placement.GIVEN) {
                if (inputs.reencoded() == null) {
                    throw new WanException(pass.id()
                            + ": expected a picture in the place of frame 0, got none; keep the" + " first frame");
                }
                int frameBlock = pass.id().frameBlock();
                int firstFrame = frameBlock * plan.settings().numFramePerBlock();
                latents.setFrames(i, inputs.reencoded().before(frameBlock, firstFrame, output));
            } else {
                latents.setFrames(i, output.frames(frames.get(i), 1));
            }
        }
        return latents;
    }
}
