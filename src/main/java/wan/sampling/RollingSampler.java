package wan.sampling;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.cache.CacheLayout;
import wan.cache.Placement;
import wan.cache.RollingCursor;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.UsageException;
import wan.pass.Pass;
import wan.pass.PassId;
import wan.pass.PassId.Kind;
import wan.pass.PassRunner;

/**
 * Rolling Forcing: windows of frame blocks are denoised together, the first one nearly clean and the last one pure noise, and move on by
 * one frame block with every pass ({@code pipeline/rolling_forcing_inference.py} of TencentARC/RollingForcing).
 */
final class RollingSampler implements Sampler {
    private final RunPlan plan;
    private final FlowMatchScheduler scheduler;
    private final SamplerInputs inputs;

    RollingSampler(RunPlan plan, SamplerInputs inputs) {
        this.plan = plan;
        this.scheduler = new FlowMatchScheduler(plan.settings().shift());
        this.inputs = inputs;
    }

    /** Every window's pass, and after each the one that caches its first frame block. */
    static RunPlan plan(RunSettings settings, Method.RollingWindow method, int numLayers) {
        int perBlock = settings.numFramePerBlock();
        List<Float> timesteps = FewStepPlanner.timesteps(settings, settings.denoisingSteps());
        int steps = timesteps.size();
        if (settings.numInitialFrames() > 0 || settings.independentFirstFrame()) {
            throw new UsageException("rolling windows: expected frame blocks of one size and no frames given; the"
                    + " reference has no other");
        }
        if (method.cacheFrames() % perBlock != 0
                || method.maxAttentionFrames() % perBlock != 0
                || method.cacheFrames() < 2 * perBlock
                || method.maxAttentionFrames() < (steps + 1) * perBlock) {
            throw new UsageException(
                    "rolling windows: expected a cache of at least two frame blocks and attention to at"
                            + " least " + (steps + 1) + ", in multiples of " + perBlock + " frames, got "
                            + method.cacheFrames()
                            + " and " + method.maxAttentionFrames());
        }
        int blocks = settings.generatedBlockSizes().size();
        RollingCursor cursor = new RollingCursor(perBlock, method.cacheFrames(), method.maxAttentionFrames());
        List<Pass> passes = new ArrayList<>();
        int most = 0;
        for (int w = 0; w < blocks + steps - 1; w++) {
            int first = Math.max(0, w - steps + 1);
            int last = Math.min(blocks - 1, w);
            List<Float> perFrame = new ArrayList<>();
            for (int block = first; block <= last; block++) {
                perFrame.addAll(Collections.nCopies(perBlock, timesteps.get(w - block)));
            }
            PassId window = new PassId(Kind.WINDOW, w, 0);
            Placement joint = cursor.place(window.label(), first, perFrame.size(), false);
            passes.add(
                    new Pass(window, first * perBlock, perFrame.size(), perFrame, 0, 0, 0, 0, joint, numLayers, true));
            PassId update = new PassId(Kind.UPDATE, w, 0);
            Placement clean = cursor.place(update.label(), first, perBlock, true);
            passes.add(new Pass(update, first * perBlock, perBlock, settings.contextNoise(), clean, numLayers, false));
            most = Math.max(most, Math.max(joint.keys(), clean.keys()));
        }
        return new RunPlan(
                settings, timesteps, List.of(CacheLayout.unrotated(method.cacheFrames(), most)), passes, List.of());
    }

    @Override
    public RunPlan plan() {
        return plan;
    }

    @Override
    public HostTensor run(PassRunner runner, @Nullable Checkpoint from, RunListener listener) {
        RunSettings settings = plan.settings();
        Shape shape = Shape.of(
                runner.batch(),
                settings.generatedFrames(),
                runner.model().config().inDim(),
                settings.latentHeight(),
                settings.latentWidth());
        HostTensor noisy = new HostTensor(shape, inputs.noise().initial(shape)).requireFinite("initial noise");
        HostTensor output = HostTensor.zeros(shape);
        int done = 0;
        if (from != null) {
            done = from.passes();
            for (Pass pass : plan.passes().subList(0, done)) {
                if (pass.id().kind() == Kind.WINDOW) {
                    Shape window =
                            output.frames(pass.firstFrame(), pass.frames()).shape();
                    take(pass, from.tensor(pass.id().label(), window), noisy, output);
                }
            }
            CacheRestore.run(plan, done, runner, listener, pass -> output.frames(pass.firstFrame(), pass.frames()));
        }
        HostTensor window = output;
        for (int i = done; i < plan.passes().size(); i++) {
            Pass pass = plan.passes().get(i);
            boolean update = pass.id().kind() == Kind.UPDATE;
            HostTensor latents = (update ? output : noisy).frames(pass.firstFrame(), pass.frames());
            HostTensor flow = runner.run(pass, latents, listener.passStarted(pass));
            @Nullable HostTensor x0 = flow == null ? null : clean(flow, latents, pass);
            if (!update && x0 != null) {
                take(pass, x0, noisy, output);
                window = x0;
            }
            listener.passDone(pass, latents, flow, x0);
            if (update) {
                listener.resumable(i + 1, new PassId(Kind.WINDOW, pass.id().frameBlock(), 0).label(), window);
            }
        }
        return output;
    }

    /** What a window gives: clean frames, and what the next window starts from. */
    private void take(Pass pass, HostTensor x0, HostTensor noisy, HostTensor output) {
        output.setFrames(pass.firstFrame(), x0);
        int perBlock = plan.settings().numFramePerBlock();
        int window = pass.id().frameBlock();
        int first = pass.firstFrame() / perBlock;
        int inWindow = pass.frames() / perBlock;
        for (int block = first; block < first + inWindow; block++) {
            int step = window - block;
            if (step < plan.timesteps().size() - 1) {
                HostTensor mine = x0.frames((block - first) * perBlock, perBlock);
                HostTensor fresh = new HostTensor(
                                mine.shape(),
                                inputs.noise().renoiseWindow(window, block, block - first, mine.shape(), inWindow))
                        .requireFinite("noise of frame block " + block + " after " + pass.id());
                noisy.setFrames(
                        block * perBlock,
                        scheduler.addNoise(mine, fresh, plan.timesteps().get(step + 1)));
            }
        }
    }

    /** The clean latents that a flow means, with each frame's own noise level. */
    private HostTensor clean(HostTensor flow, HostTensor latents, Pass pass) {
        HostTensor x0 = HostTensor.zeros(latents.shape());
        for (int frame = 0; frame < pass.frames(); frame++) {
            x0.setFrames(
                    frame,
                    scheduler.toX0(
                            flow.frames(frame, 1),
                            latents.frames(frame, 1),
                            pass.timesteps().get(frame)));
        }
        return x0;
    }
}
