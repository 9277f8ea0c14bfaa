package wan.run;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import wan.cache.Placement;
import wan.edit.Edits;
import wan.pass.Pass;
import wan.sampling.RunCost;
import wan.sampling.RunPlan;

/**
 * Where an edited run leaves the unedited one: everything before is identical, bit for bit.
 *
 * @param pass of the plan, counted from 0; the number of passes if the edits change nothing
 * @param layer of that pass: the first that is changed
 */
record Departure(int pass, int layer) {
    /** Of a run with edits. */
    static Departure of(RunPlan plan, Edits edits) {
        for (int p = 0; p < plan.passes().size(); p++) {
            Pass pass = plan.passes().get(p);
            int layer = edits.firstChange(pass);
            if (layer < pass.numLayers()) {
                // A pass in groups of frames runs all layers for one group after the other.
                return new Departure(p, pass.causalFrames() > 0 ? 0 : layer);
            }
        }
        return new Departure(plan.passes().size(), 0);
    }

    /** The part of a run's operations that are left to be computed. */
    double share(RunPlan plan, RunCost cost) {
        double left = 0;
        for (int p = pass; p < plan.passes().size(); p++) {
            left += cost.flops(plan.passes().get(p));
        }
        if (pass < plan.passes().size()) {
            left -= layer * cost.layerFlops(plan.passes().get(pass));
        }
        return left / cost.flops(plan);
    }

    /** In words. */
    String text(RunPlan plan) {
        return pass == plan.passes().size()
                ? "nothing changes"
                : plan.passes().get(pass).id().label() + ".layer" + layer;
    }

    /**
     * Pages of a cache that have to be kept for whoever goes on with some pass: what was written before, is attended from there on, and will be
     * overwritten by then in another run.
     *
     * @param first the pass that is run first, counted from 0
     */
    static List<Integer> overwritten(List<Pass> passes, int cache, int first) {
        Set<Integer> before = new TreeSet<>();
        for (Pass pass : passes.subList(0, first)) {
            if (pass.cache() == cache) {
                before.addAll(written(pass));
            }
        }
        Set<Integer> attended = new TreeSet<>();
        Set<Integer> rewritten = new TreeSet<>();
        for (Pass pass : passes.subList(first, passes.size())) {
            if (pass.cache() == cache) {
                Set<Integer> own = written(pass);
                pass.placement().attended().stream()
                        .filter(page -> !own.contains(page) && !rewritten.contains(page) && before.contains(page))
                        .forEach(attended::add);
                rewritten.addAll(own);
            }
        }
        attended.retainAll(rewritten);
        return new ArrayList<>(attended);
    }

    private static Set<Integer> written(Pass pass) {
        Placement placement = pass.placement();
        Set<Integer> pages = new TreeSet<>(placement.written());
        pages.addAll(placement.blank());
        pages.remove(-1);
        return pages;
    }
}
