package wan.jvm.vector;

import java.util.ArrayList;
import java.util.List;
import wan.jvm.kernel.AttentionCall;
import wan.jvm.kernel.TaskPlan;

/**
 * How the panels of queries of one attention are shared out.
 *
 * <p>The keys of a head are a few parts, each with a softmax of its own; these are merged in order. Which parts there are depends on the shapes
 * and the edit alone. A task takes all parts of its queries, or, where that would leave threads without work, only one; no bit differs.
 */
final class AttentionPlan {
    /** Fewer keys than these are not worth a merge. */
    private static final int PART_KEYS = 1024;
    /** Each has to be kept where tasks do not take all of them. */
    private static final int MOST_PARTS = 4;
    /** Below this the parts are tasks of their own. */
    private static final double BALANCED = 0.95;

    /**
     * What a plane of the tasks is.
     *
     * @param part one part of the keys, or -1 for all
     */
    record Plane(int sample, int head, int part) {}

    private final int[] seen;
    private final int partPages;
    private final Plane[] planes;
    private final TaskPlan tasks;

    private AttentionPlan(int[] seen, int partPages, Plane[] planes, TaskPlan tasks) {
        this.seen = seen;
        this.partPages = partPages;
        this.planes = planes;
        this.tasks = tasks;
    }

    /**
     * Plans a call.
     *
     * @param panels of queries of a sample
     */
    static AttentionPlan of(AttentionCall call, int panels, int longestPiece, int threads) {
        int[] seen = new int[call.cache().numHeads()];
        for (int head = 0; head < seen.length; head++) {
            seen[head] = call.seen(head).length;
        }
        return of(
                call.cache().batch(),
                seen,
                call.pages().length,
                call.cache().pageTokens(),
                panels,
                longestPiece,
                threads);
    }

    /**
     * Plans.
     *
     * @param seen pages that each head sees
     * @param pages of the call
     */
    static AttentionPlan of(
            int batch, int[] seen, int pages, int pageTokens, int panels, int longestPiece, int threads) {
        int partPages = Math.max(Math.ceilDiv(pages, MOST_PARTS), Math.ceilDiv(PART_KEYS, pageTokens));
        AttentionPlan whole = plan(batch, seen, partPages, false, panels, longestPiece, threads);
        if (whole.tasks.balance() >= BALANCED) {
            return whole;
        }
        AttentionPlan split = plan(batch, seen, partPages, true, panels, longestPiece, threads);
        return split.tasks.balance() > whole.tasks.balance() ? split : whole;
    }

    private static AttentionPlan plan(
            int batch, int[] seen, int partPages, boolean split, int panels, int longestPiece, int threads) {
        List<Plane> planes = new ArrayList<>();
        List<Long> costs = new ArrayList<>();
        for (int sample = 0; sample < batch; sample++) {
            for (int head = 0; head < seen.length; head++) {
                int parts = Math.max(1, Math.ceilDiv(seen[head], partPages));
                for (int part = 0; part < (split ? parts : 1); part++) {
                    planes.add(new Plane(sample, head, split ? part : -1));
                    costs.add((long)
                            (split
                                    ? partEnd(seen[head], parts, part) - partEnd(seen[head], parts, part - 1)
                                    : seen[head]));
                }
            }
        }
        long[] unitCosts = costs.stream().mapToLong(Long::longValue).toArray();
        return new AttentionPlan(
                seen, partPages, planes.toArray(Plane[]::new), TaskPlan.of(unitCosts, panels, longestPiece, threads));
    }

    private static int partEnd(int seen, int parts, int part) {
        return (int) ((long) seen * (part + 1) / parts);
    }

    /** Parts of a head's keys. */
    int parts(int head) {
        return Math.max(1, Math.ceilDiv(seen[head], partPages));
    }

    /** The first of the pages that a head sees of a part; beyond the last part, their number. */
    int firstPage(int head, int part) {
        return partEnd(seen[head], parts(head), part - 1);
    }

    /** Whether tasks take one part of the keys. */
    boolean isSplit() {
        return planes[0].part >= 0;
    }

    Plane plane(int plane) {
        return planes[plane];
    }

    int planes() {
        return planes.length;
    }

    /** Planes are {@link #plane}, units are panels of queries. */
    TaskPlan tasks() {
        return tasks;
    }
}
