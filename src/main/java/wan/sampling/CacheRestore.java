package wan.sampling;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Stream;
import wan.op.HostTensor;
import wan.pass.Pass;
import wan.pass.PassRunner;

/**
 * Which passes bring the caches back to what they were in the middle of a plan, to the bit.
 *
 * <p>What a layer writes to a page depends on what the layers below attended, so a page is not restored from its own frames alone:
 * the pass that wrote it runs again, and before it those that wrote what it attended, and so on. Each step back needs one layer
 * less. With a window and few layers that ends soon; else it is every pass that put finished frames into the cache, a fifth of a
 * four-step run.
 */
final class CacheRestore {
    private CacheRestore() {}

    /**
     * Runs them, when the noise is where it was.
     *
     * @param done how many passes of the plan have been run
     * @param input the latents of such a pass
     */
    static void run(RunPlan plan, int done, PassRunner runner, RunListener listener, Function<Pass, HostTensor> input) {
        List<Pass> again = of(plan.passes(), done, listener::runsAgain);
        listener.restoring(again);
        for (Pass pass : again) {
            HostTensor _ = runner.run(pass, input.apply(pass), listener.restoreStarted(pass));
        }
        again.stream()
                .mapToInt(Pass::context)
                .distinct()
                .filter(context -> plan.lastUseOf(context) < done)
                .forEach(runner::forget);
    }

    /**
     * The passes to run again, in order, each with no more layers than matter.
     *
     * @param passes of the whole plan
     * @param done how many of them have been run
     * @param others whose input is no finished frames, but that decide what pages are made of
     * @return empty where nothing that is still to come attends to what was written before
     * @throws IllegalArgumentException if a page is needed whose writer's input is no finished frames
     */
    static List<Pass> of(List<Pass> passes, int done, Predicate<Pass> others) {
        if (passes.stream().anyMatch(pass -> pass.placement().blends())) {
            // What pages were made of is no longer there: they are made again, one after the other.
            return passes.subList(0, done).stream()
                    .filter(pass -> readsFinishedFrames(pass) || others.test(pass))
                    .map(pass -> pass.onlyLayers(pass.numLayers()))
                    .toList();
        }
        int[] layers = new int[passes.size()];
        List<List<Integer>> reads = reads(passes);
        for (int p = passes.size() - 1; p >= 0; p--) {
            // What is run again only has to have the right keys in its last layer: attention there no longer matters.
            int needed = p >= done ? passes.get(p).numLayers() : layers[p] - 1;
            if (needed <= 0) {
                continue;
            }
            for (int writer : reads.get(p)) {
                if (writer < done) {
                    layers[writer] = Math.max(layers[writer], needed);
                }
            }
        }
        List<Pass> again = new ArrayList<>();
        for (int p = 0; p < done; p++) {
            if (layers[p] > 0) {
                Pass pass = passes.get(p);
                if (!readsFinishedFrames(pass)) {
                    throw new IllegalArgumentException(pass.id() + " cannot be run again: its input is gone");
                }
                again.add(pass.onlyLayers(Math.min(layers[p], pass.numLayers())));
            }
        }
        return blankFirst(again);
    }

    /**
     * The last layer that runs again may attend to pages of which it needs nothing, and which nobody has written: they
     * are zeros.
     */
    private static List<Pass> blankFirst(List<Pass> again) {
        Set<Integer> begun = new TreeSet<>();
        return again.stream()
                .map(pass -> begun.add(pass.cache())
                        ? pass.blanking(again.stream()
                                .filter(other -> other.cache() == pass.cache())
                                .flatMap(other -> Stream.concat(
                                        other.placement().attended().stream(), other.placement().blank().stream()))
                                .distinct()
                                .sorted()
                                .toList())
                        : pass)
                .toList();
    }

    /** Whether a pass's input is part of what a sampler keeps, rather than something on the way there. */
    static boolean readsFinishedFrames(Pass pass) {
        return switch (pass.id().kind()) {
            case INIT, CONTEXT, UPDATE, RECACHE, RECOMPUTE -> true;
            default -> false;
        };
    }

    /** For each pass, the earlier passes that wrote what it attends to. */
    private static List<List<Integer>> reads(List<Pass> passes) {
        Map<List<Integer>, Integer> lastWriter = new HashMap<>();
        List<List<Integer>> reads = new ArrayList<>();
        for (int p = 0; p < passes.size(); p++) {
            Pass pass = passes.get(p);
            // What it fills with zeros it overwrites too.
            Set<Integer> written = new TreeSet<>(pass.placement().written());
            written.addAll(pass.placement().blank());
            reads.add(pass.placement().attended().stream()
                    .filter(page -> !written.contains(page))
                    .map(page -> lastWriter.getOrDefault(List.of(pass.cache(), page), Integer.MAX_VALUE))
                    .filter(writer -> writer != Integer.MAX_VALUE)
                    .distinct()
                    .toList());
            int writer = p;
            written.forEach(page -> lastWriter.put(List.of(pass.cache(), page), writer));
        }
        return reads;
    }
}
