package wan.sampling;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import wan.cache.CacheLayout;
import wan.cache.Placement;
import wan.op.UsageException;
import wan.pass.Pass;
import wan.pass.PassId;
import wan.pass.PassId.Kind;

/**
 * Plans frame blocks before each of which the context is recomputed: finished frames at positions 0, 1, 2, ... in one pass at
 * timestep 0 with a mask that is causal between groups of frames, then the frame block's steps; no context pass ({@code
 * release_server.py} of krea-ai/realtime-video).
 */
final class RecomputePlanner {
    private final RunSettings settings;
    private final Method.RecomputedKeys method;
    private final int numLayers;

    RecomputePlanner(RunSettings settings, Method.RecomputedKeys method, int numLayers) {
        this.settings = settings;
        this.method = method;
        this.numLayers = numLayers;
        int perBlock = settings.numFramePerBlock();
        if (method.contextFrames() < perBlock || method.contextFrames() % perBlock != 0) {
            throw new UsageException("frames of the recomputed context: expected a multiple of the frame block's "
                    + perBlock + ", got " + method.contextFrames());
        }
        if (settings.numInitialFrames() > 0 || settings.independentFirstFrame()) {
            throw new UsageException("recomputed keys: expected frame blocks of one size and no frames given");
        }
    }

    RunPlan plan() {
        List<Float> timesteps = FewStepPlanner.timesteps(settings, settings.denoisingSteps());
        int perBlock = settings.numFramePerBlock();
        List<Pass> passes = new ArrayList<>();
        List<RunEvent> events = new ArrayList<>();
        int blocks = settings.generatedBlockSizes().size();
        int most = 0;
        for (int b = 0; b < blocks; b++) {
            List<Integer> context = context(b);
            int cached = context.size();
            most = Math.max(most, cached + perBlock);
            PassId recompute = new PassId(Kind.RECOMPUTE, b, 0);
            if (b > 0) {
                List<Integer> all = range(0, cached);
                Placement placement = new Placement(
                        all,
                        all,
                        List.of(),
                        all,
                        context,
                        all,
                        Collections.nCopies(cached, recompute.label()),
                        List.of(),
                        0);
                passes.add(new Pass(
                        recompute,
                        0,
                        cached,
                        Collections.nCopies(cached, 0f),
                        prompt(b - 1),
                        0,
                        0,
                        perBlock,
                        placement,
                        numLayers,
                        false));
                events.add(new RunEvent(RunEvent.Kind.RECOMPUTE, recompute, frames(context)));
            }
            for (int s = 0; s < timesteps.size(); s++) {
                PassId id = new PassId(Kind.DENOISE, b, s);
                if (s == 0 && b > 0 && prompt(b) != prompt(b - 1)) {
                    events.add(new RunEvent(RunEvent.Kind.SWITCH, id, "interpolated prompt " + prompt(b)));
                }
                List<Integer> own = range(cached, cached + perBlock);
                List<Integer> keyFrames = new ArrayList<>(context);
                keyFrames.addAll(range(b * perBlock, (b + 1) * perBlock));
                List<String> writers = new ArrayList<>(Collections.nCopies(cached, recompute.label()));
                writers.addAll(Collections.nCopies(perBlock, id.label()));
                List<Integer> all = range(0, cached + perBlock);
                Placement placement = new Placement(own, all, List.of(), own, keyFrames, all, writers, List.of(), 0);
                passes.add(new Pass(id, b * perBlock, perBlock, timesteps.get(s), placement, numLayers, true)
                        .withContext(prompt(b)));
            }
        }
        return new RunPlan(settings, timesteps, List.of(CacheLayout.rotated(most)), passes, events);
    }

    /** The frames that a frame block sees. */
    private List<Integer> context(int frameBlock) {
        int start = frameBlock * settings.numFramePerBlock();
        if (frameBlock == 0) {
            return List.of();
        }
        int later = Math.min(start - 1, method.contextFrames() - 1);
        List<Integer> frames = new ArrayList<>();
        boolean replaced =
                !method.keepFirstFrame() && (frameBlock - 1) * settings.numFramePerBlock() >= method.contextFrames();
        frames.add(replaced ? Placement.GIVEN : 0);
        frames.addAll(range(start - later, start));
        return frames;
    }

    /** Which context a frame block has: the prompt, then one for each weight of the interpolation. */
    private int prompt(int frameBlock) {
        int change = method.promptChangeBlock();
        return change < 0 || frameBlock < change ? 0 : Math.min(frameBlock - change + 1, method.interpolationSteps());
    }

    private static String frames(List<Integer> context) {
        return "frames "
                + context.stream()
                        .map(frame -> frame == Placement.GIVEN ? "first, re-encoded" : frame.toString())
                        .collect(Collectors.joining(", "));
    }

    private static List<Integer> range(int from, int to) {
        return IntStream.range(from, to).boxed().toList();
    }
}
