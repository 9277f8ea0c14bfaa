package wan.sampling;

import java.util.ArrayList;
import java.util.List;
import wan.cache.CacheLayout;
import wan.op.WanException;
import wan.pass.Pass;
import wan.pass.PassId;

/**
 * Every pass of a run, in order, before anything is computed.
 *
 * @param settings what is run
 * @param timesteps of the denoising steps, on the scale 0 to 1000; of every frame block, unless the first has its own
 * @param caches which the passes name by number
 * @param passes in order
 * @param events what happens between them
 */
public record RunPlan(
        RunSettings settings,
        List<Float> timesteps,
        List<CacheLayout> caches,
        List<Pass> passes,
        List<RunEvent> events) {
    /** Copies the lists. */
    public RunPlan {
        timesteps = List.copyOf(timesteps);
        caches = List.copyOf(caches);
        passes = List.copyOf(passes);
        events = List.copyOf(events);
    }

    /**
     * Plans a whole run by the method of its settings.
     *
     * @param numLayers layers of the model
     */
    public static RunPlan of(RunSettings settings, int numLayers) {
        return switch (settings.method()) {
            case Method.FewStep few -> new FewStepPlanner(settings, few, numLayers).plan();
            case Method.RecomputedKeys keys -> new RecomputePlanner(settings, keys, numLayers).plan();
            case Method.RollingWindow rolling -> RollingSampler.plan(settings, rolling, numLayers);
            case Method.Ode ode -> OdePlanner.plan(settings, ode, numLayers);
        };
    }

    /**
     * The shortest run that still computes some layers of one pass: later passes are left out, and so are the layers above
     * in that pass, in the other call of its guided step, whose flow nothing uses then, and in the passes right before it that only fill
     * the cache, which then matter only for their keys.
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
                    if (kept.get(i).id().denoises() && !kept.get(i).id().sameStep(last)) {
                        break;
                    }
                    kept.set(i, kept.get(i).onlyLayers(numLayers));
                }
                List<PassId> ids = kept.stream().map(Pass::id).toList();
                List<RunEvent> before = events.stream()
                        .filter(event -> ids.contains(event.before()))
                        .toList();
                return new RunPlan(settings, timesteps, caches, kept, before);
            }
        }
        throw WanException.mismatch("run plan", "one of its passes", last, "");
    }

    /** The same run with the flow of every pass computed, the context passes' included. */
    public RunPlan withAllFlows(int numLayers) {
        List<Pass> all = passes.stream().map(pass -> pass.withFlow(numLayers)).toList();
        return new RunPlan(settings, timesteps, caches, all, events);
    }

    /** The most layers that any pass runs. */
    public int numLayers() {
        return passes.stream().mapToInt(Pass::numLayers).max().orElse(0);
    }

    /** How many contexts the passes name. */
    public int contexts() {
        return 1 + passes.stream().mapToInt(Pass::context).max().orElse(0);
    }

    /** The last pass, counted from 0, that uses a context; -1 if none does. */
    int lastUseOf(int context) {
        for (int i = passes.size() - 1; i >= 0; i--) {
            if (passes.get(i).context() == context) {
                return i;
            }
        }
        return -1;
    }
}
