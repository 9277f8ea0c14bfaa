package wan.sampling;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import wan.cache.CacheLayout;
import wan.cache.KvCursor;
import wan.cache.Placement;
import wan.pass.Pass;
import wan.pass.PassId;
import wan.pass.PassId.Branch;
import wan.pass.PassId.Kind;

/** Plans a solver's steps, each with the prompt and, under guidance, with the negative prompt: of all frames, or of each frame block. */
final class OdePlanner {
    private OdePlanner() {}

    static RunPlan plan(RunSettings settings, Method.Ode method, int numLayers) {
        OdeSchedule schedule = OdeSchedule.of(method.solver(), method.steps(), settings.shift());
        List<Float> timesteps =
                schedule.timesteps().stream().map(t -> (float) t).toList();
        return method.perFrameBlock()
                ? frameBlocks(settings, method, timesteps, numLayers)
                : whole(settings, method, timesteps, numLayers);
    }

    private static List<Branch> branches(Method.Ode method) {
        return method.guided() ? List.of(Branch.COND, Branch.UNCOND) : List.of(Branch.COND);
    }

    private static RunPlan whole(RunSettings settings, Method.Ode method, List<Float> timesteps, int numLayers) {
        List<Pass> passes = new ArrayList<>();
        List<RunEvent> events = new ArrayList<>();
        int frames = settings.generatedFrames();
        int lastExpert = 0;
        for (int s = 0; s < timesteps.size(); s++) {
            int expert = timesteps.get(s) >= method.boundary() * FlowMatchScheduler.TRAIN_STEPS ? 1 : 0;
            for (Branch branch : branches(method)) {
                PassId id = new PassId(Kind.STEP, 0, s, branch);
                if (s > 0 && expert != lastExpert) {
                    events.add(new RunEvent(RunEvent.Kind.EXPERT, id, "the expert of low noise"));
                }
                lastExpert = expert;
                List<Float> perFrame = new ArrayList<>(Collections.nCopies(frames, timesteps.get(s)));
                if (method.pictureFirst()) {
                    perFrame.set(0, 0f);
                }
                Placement placement = Placement.alone(id.label(), frames);
                passes.add(new Pass(
                        id,
                        0,
                        frames,
                        perFrame,
                        branch == Branch.COND ? 0 : 1,
                        0,
                        expert,
                        0,
                        placement,
                        numLayers,
                        true));
            }
        }
        return new RunPlan(settings, timesteps, List.of(CacheLayout.passing(frames)), passes, events);
    }

    private static RunPlan frameBlocks(RunSettings settings, Method.Ode method, List<Float> timesteps, int numLayers) {
        List<Pass> passes = new ArrayList<>();
        List<CacheLayout> caches = new ArrayList<>();
        List<KvCursor> cursors = new ArrayList<>();
        for (Branch _ : branches(method)) {
            caches.add(CacheLayout.rotated(settings.cacheFrames()));
            cursors.add(new KvCursor(settings.cacheFrames(), settings.localAttnSize() != -1, settings.sinkSize()));
        }
        int frame = 0;
        for (int b = 0; b < settings.blockSizes().size(); b++) {
            int given = settings.initialBlockSizes().size();
            int frames = settings.blockSizes().get(b);
            for (int s = 0; b >= given && s < timesteps.size(); s++) {
                for (int k = 0; k < cursors.size(); k++) {
                    PassId id = new PassId(
                            Kind.DENOISE, b - given, s, branches(method).get(k));
                    passes.add(pass(id, frame, frames, timesteps.get(s), cursors.get(k), numLayers, true, k));
                }
            }
            for (int k = 0; k < cursors.size(); k++) {
                PassId id = new PassId(
                        b < given ? Kind.INIT : Kind.CONTEXT,
                        b < given ? b : b - given,
                        0,
                        branches(method).get(k));
                passes.add(pass(id, frame, frames, settings.contextNoise(), cursors.get(k), numLayers, false, k));
            }
            frame += frames;
        }
        return new RunPlan(settings, timesteps, caches, passes, List.of());
    }

    private static Pass pass(
            PassId id,
            int frame,
            int frames,
            float timestep,
            KvCursor cursor,
            int numLayers,
            boolean flow,
            int branch) {
        Placement placement = cursor.place(id.label(), frame, frames);
        return new Pass(id, frame, frames, timestep, placement, numLayers, flow)
                .withContext(branch)
                .withCache(branch);
    }
}
