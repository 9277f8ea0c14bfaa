package wan.jvm.vector;

import wan.jvm.kernel.TaskPlan;

/**
 * How the register tiles of one linear layer are shared out: chunks of rows one after the other, each packed once for all threads; within a chunk
 * groups of panels are the planes and tiles of rows the units of a {@link TaskPlan}.
 *
 * @param tiles of rows
 * @param panels of output features
 * @param groups of panels, as equal as can be
 * @param chunks of tiles, as equal as can be
 * @param threads that compute
 */
record LinearPlan(int tiles, int panels, int groups, int chunks, int threads) {
    /**
     * Panels of a group, at most. With {@link PackedWeights#SUPER} inputs they take 0.25 MB, and with the sums of a piece 0.7 MB. The more, the less often x is read.
     */
    static final int GROUP = 6;
    /** Smaller groups read x too often; they are for the one row of a time embedding. */
    private static final int SMALL_GROUP = 3;
    /** The fewest tiles of a chunk: a panel's weights are read and widened once for all of a thread's tiles in it. */
    private static final int CHUNK_TILES = Math.ceilDiv(520, Lanes.TILE);
    /** The balance that is good enough to keep chunks small and groups large. */
    private static final double BALANCED = 0.97;

    /** The smallest chunks and largest groups that keep the threads busy. */
    static LinearPlan of(int tiles, int panels, int threads) {
        LinearPlan best = new LinearPlan(tiles, panels, panels, 1, threads);
        for (int fewest : new int[] {Math.min(SMALL_GROUP, panels), 1}) {
            for (int chunks = Math.max(1, tiles / CHUNK_TILES); chunks >= 1; chunks /= 2) {
                for (int group = Math.min(GROUP, panels); group >= fewest; group--) {
                    LinearPlan plan = new LinearPlan(tiles, panels, Math.ceilDiv(panels, group), chunks, threads);
                    if (plan.balance() >= BALANCED) {
                        return plan;
                    }
                    best = plan.balance() > best.balance() ? plan : best;
                }
            }
        }
        return best;
    }

    /** The first tile of a chunk. */
    int firstTile(int chunk) {
        return (int) ((long) tiles * chunk / chunks);
    }

    /** Tiles of the largest chunk. */
    int chunkTiles() {
        return Math.ceilDiv(tiles, chunks);
    }

    /** The first panel of a group. */
    int firstPanel(int group) {
        return (int) ((long) panels * group / groups);
    }

    /** A chunk's tasks; planes are groups, units tiles. */
    TaskPlan tasks(int chunk) {
        long[] costs = new long[groups];
        for (int group = 0; group < groups; group++) {
            costs[group] = (long) firstPanel(group + 1) - firstPanel(group);
        }
        int count = firstTile(chunk + 1) - firstTile(chunk);
        return TaskPlan.of(costs, count, Math.ceilDiv(count, Math.ceilDiv(count, CHUNK_TILES)), threads);
    }

    /** The balance of all chunks. */
    double balance() {
        double time = 0;
        for (int chunk = 0; chunk < chunks; chunk++) {
            time += (firstTile(chunk + 1) - firstTile(chunk)) / tasks(chunk).balance();
        }
        return tiles / time;
    }
}
