package wan.sampling;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import wan.cache.CacheLayout;
import wan.cache.KvCursor;
import wan.cache.LongLiveCursor;
import wan.cache.Placement;
import wan.op.UsageException;
import wan.pass.Pass;
import wan.pass.PassId;
import wan.pass.PassId.Kind;

/** Plans frame blocks one after the other: the given ones, then for each its denoising steps and a context pass. */
final class FewStepPlanner {
    private final RunSettings settings;
    private final Method.FewStep method;
    private final int numLayers;
    private final Window window;
    private final List<Pass> passes = new ArrayList<>();
    private final List<RunEvent> events = new ArrayList<>();
    private int prompt;
    private int recaches;

    /** The rule of the window. */
    private interface Window {
        Placement place(String pass, int firstFrame, int frames, boolean overSink);

        /** Forgets what is cached. */
        void clear();
    }

    FewStepPlanner(RunSettings settings, Method.FewStep method, int numLayers) {
        this.settings = settings;
        this.method = method;
        this.numLayers = numLayers;
        if (method.rule() == Method.CacheRule.LONGLIVE) {
            int largest = Collections.max(settings.blockSizes());
            if (method.slotPositions() && settings.sinkSize() > largest) {
                throw new UsageException("cache.sink_size: expected at most a frame block of " + largest
                        + " frames where keys stand at their slots' positions, got " + settings.sinkSize()
                        + "; the reference stops there too");
            }
            if (settings.sinkSize() > settings.cacheFrames()) {
                throw new UsageException("cache.sink_size: expected at most the window of " + settings.cacheFrames()
                        + " frames, got " + settings.sinkSize());
            }
            LongLiveCursor cursor =
                    new LongLiveCursor(settings.cacheFrames(), settings.sinkSize(), method.slotPositions());
            this.window = new Window() {
                @Override
                public Placement place(String pass, int firstFrame, int frames, boolean overSink) {
                    return cursor.place(pass, firstFrame, frames, overSink);
                }

                @Override
                public void clear() {
                    cursor.clear();
                }
            };
        } else {
            if (!method.switchFrames().isEmpty() || method.slotPositions()) {
                throw new UsageException("prompt switches and slot positions: expected LongLive's window, got"
                        + " Self-Forcing's, which has neither");
            }
            KvCursor cursor = new KvCursor(settings.cacheFrames(), settings.localAttnSize() != -1, settings.sinkSize());
            this.window = new Window() {
                @Override
                public Placement place(String pass, int firstFrame, int frames, boolean overSink) {
                    return cursor.place(pass, firstFrame, frames);
                }

                @Override
                public void clear() {
                    throw new IllegalStateException("nothing clears this cache");
                }
            };
        }
    }

    /** What the configured steps are as timesteps. */
    static List<Float> timesteps(RunSettings settings, List<Float> steps) {
        return settings.warp() ? new FlowMatchScheduler(settings.shift()).warp(steps) : steps;
    }

    RunPlan plan() {
        List<Float> steps = timesteps(settings, settings.denoisingSteps());
        List<Float> firstSteps =
                method.firstBlockSteps().isEmpty() ? steps : timesteps(settings, method.firstBlockSteps());
        int frame = 0;
        List<Integer> given = settings.initialBlockSizes();
        for (int b = 0; b < given.size(); b++) {
            add(new PassId(Kind.INIT, b, 0), frame, given.get(b), 0, false);
            frame += given.get(b);
        }
        List<Integer> generated = settings.generatedBlockSizes();
        for (int b = 0; b < generated.size(); b++) {
            int frames = generated.get(b);
            switchPrompt(b, frame);
            List<Float> own = b == 0 ? firstSteps : steps;
            for (int s = 0; s < own.size(); s++) {
                add(new PassId(Kind.DENOISE, b, s), frame, frames, own.get(s), true);
            }
            add(new PassId(Kind.CONTEXT, b, 0), frame, frames, settings.contextNoise(), false);
            frame += frames;
        }
        CacheLayout layout = method.slotPositions()
                ? CacheLayout.unrotated(settings.cacheFrames(), settings.cacheFrames())
                : CacheLayout.rotated(settings.cacheFrames());
        return new RunPlan(settings, steps, List.of(layout), passes, events);
    }

    private void add(PassId id, int frame, int frames, float timestep, boolean flow) {
        Placement placement = window.place(id.label(), frame, frames, false);
        passes.add(new Pass(id, frame, frames, timestep, placement, numLayers, flow).withContext(prompt));
    }

    private void switchPrompt(int frameBlock, int frame) {
        if (prompt == method.switchFrames().size()
                || frame < method.switchFrames().get(prompt)) {
            return;
        }
        prompt++;
        PassId next = frame == 0 ? new PassId(Kind.DENOISE, frameBlock, 0) : new PassId(Kind.RECACHE, recaches, 0);
        events.add(new RunEvent(RunEvent.Kind.SWITCH, next, "prompt " + prompt + " from frame " + frame));
        if (frame == 0) {
            return;
        }
        if (!method.globalSink()) {
            window.clear();
            events.add(new RunEvent(RunEvent.Kind.FLUSH, next, "the sink's keys too"));
        }
        int frames = Math.min(settings.cacheFrames(), frame);
        Placement placement = window.place(next.label(), frame - frames, frames, !method.globalSink());
        passes.add(new Pass(next, frame - frames, frames, settings.contextNoise(), placement, numLayers, false)
                .withContext(prompt));
        events.add(new RunEvent(RunEvent.Kind.RECACHE, next, "frames " + (frame - frames) + " to " + (frame - 1)));
        recaches++;
    }
}
