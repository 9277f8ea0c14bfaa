package wan.jvm.kernel;

import java.util.Arrays;

/**
 * How the work of a kernel is cut into tasks of equal length for some threads.
 *
 * <p>The work is a line of units, plane after plane (a head, a group of output features); all units of a plane cost the same. The line is cut where the
 * cost says, not where a plane ends, so that a task may hold the end of one plane and the beginning of the next. There are as many tasks for each
 * thread as for any other. A kernel computes each unit in the same way whatever task it lies in, so that the cut changes no bit of a result.
 */
public final class TaskPlan {
    /** Tasks for each thread in a loop over items that all are alike: a thread that is held up leaves some to the others. */
    private static final int TASKS_PER_THREAD = 4;
    /** The balance of whole planes below which they are cut. */
    private static final double BALANCED = 0.95;

    private final long[] unitCosts;
    private final int units;
    private final int longestPiece;
    private final int threads;
    /** Of task i the units from cuts[i] to cuts[i + 1], counted over all planes. */
    private final long[] cuts;

    /** What a task does. */
    @FunctionalInterface
    public interface Piece {
        /** Units {@code from} to {@code to} of a plane. */
        void run(int plane, int from, int to);
    }

    private TaskPlan(long[] unitCosts, int units, int longestPiece, int threads, long[] cuts) {
        this.unitCosts = unitCosts;
        this.units = units;
        this.longestPiece = longestPiece;
        this.threads = threads;
        this.cuts = cuts;
    }

    private static long[] cuts(long[] unitCosts, int units, int tasks) {
        long[] cuts = new long[tasks + 1];
        long total = units * Arrays.stream(unitCosts).sum();
        int plane = 0;
        long before = 0; // cost of the planes before
        for (int task = 1; task < tasks; task++) {
            long target = total * task / tasks;
            while (before + units * unitCosts[plane] <= target && plane < unitCosts.length - 1) {
                before += units * unitCosts[plane];
                plane++;
            }
            long within = unitCosts[plane] == 0 ? 0 : (target - before) / unitCosts[plane];
            cuts[task] = (long) plane * units + Math.min(within, units);
        }
        cuts[tasks] = (long) unitCosts.length * units;
        return cuts;
    }

    /**
     * Cuts planes of equal size.
     *
     * @param unitCosts what one unit costs, by plane
     * @param units of each plane
     * @param longestPiece units that a kernel takes at once
     */
    public static TaskPlan of(long[] unitCosts, int units, int longestPiece, int threads) {
        int tasks = tasks((long) unitCosts.length * units, 1, longestPiece, threads);
        return new TaskPlan(unitCosts, units, longestPiece, threads, cuts(unitCosts, units, tasks));
    }

    /** Cuts planes of equal size and cost. */
    public static TaskPlan even(int planes, int units, int longestPiece, int threads) {
        return of(ones(planes), units, longestPiece, threads);
    }

    /**
     * Hands out whole planes of equal size and cost, for work that has to be prepared once more where a plane is cut: planes are cut only where there
     * are too few of them to keep the threads busy.
     */
    public static TaskPlan planes(int planes, int units, int threads) {
        long[] wholes = cuts(ones(planes), 1, tasks(planes, 1, 1, threads));
        Arrays.setAll(wholes, task -> wholes[task] * units);
        TaskPlan whole = new TaskPlan(ones(planes), units, units, threads, wholes);
        if (whole.balance() >= BALANCED) {
            return whole;
        }
        TaskPlan cut = even(planes, units, units, threads);
        return cut.balance() > whole.balance() ? cut : whole;
    }

    private static long[] ones(int count) {
        long[] ones = new long[count];
        Arrays.fill(ones, 1);
        return ones;
    }

    /**
     * Cuts a loop.
     *
     * @param grain the fewest items that are worth a task
     */
    public static TaskPlan loop(int items, int grain, int threads) {
        int tasks = tasks(items, Math.max(1, grain), Math.ceilDiv(items, TASKS_PER_THREAD * threads), threads);
        long[] one = {1};
        return new TaskPlan(one, items, Math.max(1, items), threads, cuts(one, items, tasks));
    }

    /** The same number for each thread, unless there is not enough to do. */
    private static int tasks(long units, int fewest, int most, int threads) {
        int enough = Math.toIntExact(Math.max(1, units / fewest));
        int needed = Math.toIntExact(Math.ceilDiv(units, Math.max(1, most)));
        return enough < threads ? enough : threads * Math.clamp(Math.ceilDiv(needed, threads), 1, enough / threads);
    }

    /** Their number. */
    public int tasks() {
        return cuts.length - 1;
    }

    /** Hands out the pieces of a task in order, none of them beyond a plane's end or too long. */
    public void pieces(int task, Piece piece) {
        for (long from = cuts[task]; from < cuts[task + 1]; ) {
            int plane = Math.toIntExact(from / units);
            long end = Math.min(cuts[task + 1], (plane + 1L) * units);
            long parts = Math.ceilDiv(end - from, longestPiece);
            long next = from + (end - from) / parts;
            piece.run(plane, (int) (from - (long) plane * units), (int) (next - (long) plane * units));
            from = next;
        }
    }

    /** The longest piece that there is. */
    public int longest() {
        int[] longest = {0};
        for (int task = 0; task < tasks(); task++) {
            pieces(task, (_, from, to) -> longest[0] = Math.max(longest[0], to - from));
        }
        return longest[0];
    }

    /** The first task of a worker, which begins with it, goes on to the next worker's first, and then helps others. */
    static int firstTask(int tasks, int worker, int threads) {
        return (int) ((long) tasks * worker / threads);
    }

    /**
     * What share of the threads' time is spent computing, if all are equally fast: the mean of their work over the most that one has.
     */
    public double balance() {
        long total = 0;
        long most = 0;
        for (int worker = 0; worker < threads; worker++) {
            long[] mine = {0};
            for (int task = firstTask(tasks(), worker, threads);
                    task < firstTask(tasks(), worker + 1, threads);
                    task++) {
                pieces(task, (plane, from, to) -> mine[0] += (to - from) * unitCosts[plane]);
            }
            total += mine[0];
            most = Math.max(most, mine[0]);
        }
        return most == 0 ? 1 : (double) total / most / threads;
    }
}
