package wan.sampling;

import java.util.ArrayList;
import java.util.List;
import wan.cache.CacheLayout;
import wan.cache.KvCursor;
import wan.op.WanException;
import wan.pass.Pass;
import wan.pass.PassId;

/**
 * Every pass of a run, in order, before anything is computed.
 *
 * @param settings what is run
 * @param timesteps of the denoising steps, on the scale 0 to 1000
 * @param caches which the passes name by number
 * @param passes in order
 */
public record RunPlan(RunSettings settings, List<Float> timesteps, List<CacheLayout> caches, List<Pass> passes) {
    /**
     * Plans a whole rollout: the initial frame blocks, then for each frame block its denoising steps and a context pass.
     *
     * @param numLayers layers of the model
     */
    public static RunPlan of(RunSettings settings, int numLayers) {
        FlowMatchScheduler scheduler = new FlowMatchScheduler(settings.shift());
        List<Float> timesteps = settings.warp() ? scheduler.warp(settings.denoisingSteps()) : settings.denoisingSteps();
        KvCursor cursor = new KvCursor(settings.cacheFrames(), settings.localAttnSize() != -1, settings.sinkSize());
        List<Pass> passes = new ArrayList<>();
        int frame = 0;
        List<Integer> initial = settings.initialBlockSizes();
        for (int b = 0; b < initial.size(); b++) {
            int frames = initial.get(b);
            PassId id = new PassId(PassId.Kind.INIT, b, 0);
            passes.add(new Pass(id, frame, frames, 0, cursor.place(id.label(), frame, frames), numLayers, false));
            frame += frames;
        }
        List<Integer> generated = settings.generatedBlockSizes();
        for (int b = 0; b < generated.size(); b++) {
            int frames = generated.get(b);
            for (int s = 0; s < timesteps.size(); s++) {
                PassId id = new PassId(PassId.Kind.DENOISE, b, s);
                passes.add(new Pass(
                        id, frame, frames, timesteps.get(s), cursor.place(id.label(), frame, frames), numLayers, true));
            }
            PassId id = new PassId(PassId.Kind.CONTEXT, b, 0);
            passes.add(new Pass(
                    id,
                    frame,
                    frames,
                    settings.contextNoise(),
                    cursor.place(id.label(), frame, frames),
                    numLayers,
                    false));
            frame += frames;
        }
        return new RunPlan(
                settings, timesteps, List.of(CacheLayout.rotated(settings.cacheFrames())), List.copyOf(passes));
    }

    /**
     * The shortest run that still computes some layers of one pass: later passes are left out, and so are the layers above
     * in that pass and in the context passes right before it, which then matter only for their keys.
     *
     * @param last the last pass that is needed
     * @param numLayers how many of its layers are
     */
    public RunPlan endingAt(PassId last, int numLayers) {
        List<Pass> kept = new ArrayList<>();
        for (Pass pass : passes) {
            kept.add(pass);
            if (pass.id().equals(last)) {
                for (int i = kept.size() - 1; i >= 0; i--) {
                    if (i < kept.size() - 1 && kept.get(i).id().kind() == PassId.Kind.DENOISE) {
                        break;
                    }
                    kept.set(i, kept.get(i).onlyLayers(numLayers));
                }
                return new RunPlan(settings, timesteps, caches, List.copyOf(kept));
            }
        }
        throw WanException.mismatch("run plan", "one of its passes", last, "");
    }

    /** The same run with the flow of every pass computed, the context passes' included. */
    public RunPlan withAllFlows(int numLayers) {
        List<Pass> all = passes.stream().map(pass -> pass.withFlow(numLayers)).toList();
        return new RunPlan(settings, timesteps, caches, all);
    }

    /** The most layers that any pass runs. */
    public int numLayers() {
        return passes.stream().mapToInt(Pass::numLayers).max().orElse(0);
    }
}
