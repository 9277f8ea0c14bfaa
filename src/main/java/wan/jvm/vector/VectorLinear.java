package wan.jvm.vector;

import static wan.jvm.vector.Lanes.FLOAT;
import static wan.jvm.vector.Lanes.PANEL;
import static wan.jvm.vector.Lanes.TILE;
import static wan.jvm.vector.Lanes.WIDTH;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import wan.jvm.kernel.Epilogue;
import wan.jvm.kernel.HostBytes;
import wan.jvm.kernel.JvmLinear;
import wan.jvm.kernel.TaskPlan;
import wan.jvm.kernel.Workers;

/**
 * y = x W^T + b and its epilogues, blocked for the caches.
 *
 * <p>Loops, outermost first: chunk of rows, whose x is packed once for all threads; piece of a task of {@link LinearPlan}, which is some tiles of rows
 * and a group of panels; super-block of inputs (the group's panels are widened here if they are bfloat16); tile of rows; panel. A group's panels of
 * one super-block and the sums of the piece's rows stay in the second-level cache, a tile of x in the first; x itself is read in
 * order, once per group. The sums go to y when they are complete. Each is one chain of multiply-adds in the order of the inputs
 * that starts with the bias, so that how rows and panels are shared out changes no bit.
 */
final class VectorLinear {
    private static final int TILE_FLOATS = TILE * PANEL;

    private final Workers workers;
    private final Scratch[] scratch;
    /** A chunk of x as {@code [in / SUPER][row / TILE][in % SUPER][row % TILE]}. */
    private float[] packedX = new float[0];

    /** One worker's memory. */
    private static final class Scratch {
        static final long PANEL_BYTES = 4L * LinearPlan.GROUP * PackedWeights.SUPER * PANEL;

        /** A group's panels of bfloat16 weights, widened. */
        final MemorySegment panels;

        /** Tiles [row / TILE][panel of the group][TILE][PANEL]. */
        float[] sums = new float[0];
        /** The bias as tiles, which is what sums start with. */
        final float[] start = new float[LinearPlan.GROUP * TILE_FLOATS];

        final float[] y = new float[PANEL];
        final float[] gate = new float[PANEL];

        Scratch(Arena arena) {
            panels = arena.allocate(PANEL_BYTES, 64);
        }
    }

    VectorLinear(Workers workers, Arena arena) {
        this.workers = workers;
        scratch = new Scratch[workers.threads()];
        for (int i = 0; i < scratch.length; i++) {
            scratch[i] = new Scratch(arena);
        }
    }

    private LinearPlan plan(int rows, JvmLinear weights) {
        return LinearPlan.of(Math.ceilDiv(rows, TILE), Math.ceilDiv(weights.outFeatures(), PANEL), workers.threads());
    }

    /** What {@link #run} takes of all workers' memory. */
    HostBytes scratch(int rows, JvmLinear weights) {
        HostBytes widened = new HostBytes(0, Scratch.PANEL_BYTES).times(workers.threads());
        if (rows == 0) {
            return widened;
        }
        LinearPlan plan = plan(rows, weights);
        long x = (long) plan.chunkTiles() * TILE * weights.inFeatures();
        TaskPlan tasks = plan.tasks(plan.chunks() - 1);
        long sums = (long) tasks.longest() * Math.ceilDiv(plan.panels(), plan.groups()) * TILE_FLOATS;
        return widened.plus(new HostBytes(Float.BYTES * (x + sums * Math.min(tasks.tasks(), workers.threads())), 0));
    }

    void run(float[] x, int rows, JvmLinear weights, MemorySegment[] packed, Epilogue epilogue, float[] y) {
        if (rows == 0) {
            return;
        }
        LinearPlan plan = plan(rows, weights);
        int in = weights.inFeatures();
        int size = plan.chunkTiles() * TILE * in;
        if (packedX.length < size) {
            packedX = new float[size];
        }
        for (int chunk = 0; chunk < plan.chunks(); chunk++) {
            int firstTile = plan.firstTile(chunk);
            int firstRow = firstTile * TILE;
            int tiles = plan.firstTile(chunk + 1) - firstTile;
            int chunkRows = Math.min(tiles * TILE, rows - firstRow);
            float[] tilesOfX = packedX;
            int supers = Math.ceilDiv(in, PackedWeights.SUPER);
            workers.ranges(tiles * supers, 1, (from, to) -> {
                for (int i = from; i < to; i++) { // rows of x in order, as they lie
                    packX(x, firstRow, chunkRows, in, i / supers, i % supers * PackedWeights.SUPER, tiles, tilesOfX);
                }
            });
            workers.run(
                    plan.tasks(chunk),
                    (group, from, to, worker) -> new Piece(
                                    plan,
                                    tilesOfX,
                                    tiles,
                                    weights,
                                    packed,
                                    epilogue,
                                    y,
                                    scratch[worker],
                                    from,
                                    to,
                                    firstRow,
                                    rows)
                            .run(plan.firstPanel(group), plan.firstPanel(group + 1)));
        }
    }

    /** A tile's inputs of one super-block; rows beyond the last keep what they had and their sums are never read. */
    private static void packX(
            float[] x, int firstRow, int rows, int in, int tile, int first, int tiles, float[] packed) {
        int depth = Math.min(PackedWeights.SUPER, in - first);
        int to = (first * tiles + tile * depth) * TILE;
        int end = Math.min(TILE, rows - tile * TILE);
        int from = (firstRow + tile * TILE) * in + first;
        int row = 0;
        for (; row + 4 <= end; row += 4) {
            transpose4(x, from + row * in, in, packed, to + row, depth);
        }
        for (; row < end; row++) {
            transpose(x, from + row * in, packed, to + row, depth);
        }
    }

    /** Four rows at a time: what is written to one cache line is written while it is there. */
    private static void transpose4(float[] from, int fromAt, int stride, float[] to, int toAt, int count) {
        int second = fromAt + stride;
        int third = second + stride;
        int fourth = third + stride;
        for (int i = 0; i < count; i++) {
            to[toAt + i * TILE] = from[fromAt + i];
            to[toAt + i * TILE + 1] = from[second + i];
            to[toAt + i * TILE + 2] = from[third + i];
            to[toAt + i * TILE + 3] = from[fourth + i];
        }
    }

    private static void transpose(float[] from, int fromAt, float[] to, int toAt, int count) {
        for (int i = 0; i < count; i++) {
            to[toAt + i * TILE] = from[fromAt + i];
        }
    }

    /**
     * Some tiles of a chunk's rows and a group of panels.
     *
     * @param tilesOfX the chunk's x
     * @param chunkTiles tiles of the chunk
     * @param fromTile the first tile, within the chunk
     * @param firstRow of the chunk
     * @param rows of x and y
     */
    @SuppressWarnings("ArrayRecordComponent") // arguments under one name, never compared
    private record Piece(
            LinearPlan plan,
            float[] tilesOfX,
            int chunkTiles,
            JvmLinear weights,
            MemorySegment[] packed,
            Epilogue epilogue,
            float[] y,
            Scratch scratch,
            int fromTile,
            int endTile,
            int firstRow,
            int rows) {

        void run(int firstPanel, int endPanel) {
            sum(firstPanel, endPanel - firstPanel);
            if (epilogue.kind() == Epilogue.Kind.GELU) {
                gelu(scratch.sums, (endTile - fromTile) * (endPanel - firstPanel) * TILE_FLOATS);
            }
            finish(firstPanel, endPanel - firstPanel);
        }

        /** The sums of a group of panels. */
        private void sum(int firstPanel, int panels) {
            int in = weights.inFeatures();
            int size = (endTile - fromTile) * panels * TILE_FLOATS;
            if (scratch.sums.length < size) {
                scratch.sums = new float[size];
            }
            startWithBias(firstPanel, panels);
            MemorySegment[] from = new MemorySegment[panels];
            long[] at = new long[panels];
            for (int first = 0; first < in; first += PackedWeights.SUPER) {
                int depth = Math.min(PackedWeights.SUPER, in - first);
                for (int panel = 0; panel < panels; panel++) {
                    MemorySegment part = packed[PackedWeights.part(firstPanel + panel, plan.panels(), packed.length)];
                    long partAt = PackedWeights.offset(weights, first, firstPanel + panel, packed.length);
                    if (weights.isBfloat16()) {
                        long to = 4L * panel * depth * PANEL;
                        PackedWeights.widen(part, partAt, depth, scratch.panels, to);
                        from[panel] = scratch.panels;
                        at[panel] = to;
                    } else {
                        from[panel] = part;
                        at[panel] = partAt;
                    }
                }
                int sum = 0;
                for (int tile = fromTile; tile < endTile; tile++) {
                    int xAt = (first * chunkTiles + tile * depth) * TILE;
                    for (int panel = 0; panel < panels; panel++) {
                        float[] start = first == 0 ? scratch.start : scratch.sums;
                        int startAt = first == 0 ? panel * TILE_FLOATS : sum;
                        RegisterTile.add(
                                start, startAt, tilesOfX, xAt, from[panel], at[panel], depth, scratch.sums, sum);
                        sum += TILE_FLOATS;
                    }
                }
            }
        }

        private void startWithBias(int firstPanel, int panels) {
            int column = firstPanel * PANEL;
            for (int panel = 0; panel < panels; panel++) {
                int columns = Math.min(PANEL, weights.outFeatures() - column);
                for (int row = 0; row < TILE; row++) {
                    System.arraycopy(weights.bias(), column, scratch.start, (panel * TILE + row) * PANEL, columns);
                }
                column += PANEL;
            }
        }

        /** In a loop of its own, whose steps overlap: on the way to y it took a tenth of the whole. */
        private static void gelu(float[] sums, int count) {
            for (int i = 0; i < count; i += WIDTH) {
                VectorMath.gelu(FloatVector.fromArray(FLOAT, sums, i)).intoArray(sums, i);
            }
        }

        /** Brings the sums of a group into y, a row after the other. */
        private void finish(int firstPanel, int panels) {
            int first = firstRow + fromTile * TILE;
            int end = Math.min(rows, firstRow + endTile * TILE);
            for (int row = first; row < end; row++) {
                int tile = (row - first) / TILE;
                for (int panel = 0; panel < panels; panel++) {
                    int sum = ((tile * panels + panel) * TILE + (row - first) % TILE) * PANEL;
                    finish(sum, row, (firstPanel + panel) * PANEL);
                }
            }
        }

        private void finish(int sum, int row, int column) {
            int columns = weights.outFeatures() - column;
            int at = row * weights.outFeatures() + column;
            int gateAt = epilogue.kind() == Epilogue.Kind.ADD_GATED ? epilogue.gateIndex(row) + column : 0;
            if (columns >= PANEL) {
                store(sum, y, at, epilogue.gate(), gateAt);
                return;
            }
            // The last panel is wider than y: the same arithmetic on copies.
            System.arraycopy(y, at, scratch.y, 0, columns);
            if (epilogue.kind() == Epilogue.Kind.ADD_GATED) {
                System.arraycopy(epilogue.gate(), gateAt, scratch.gate, 0, columns);
            }
            store(sum, scratch.y, 0, scratch.gate, 0);
            System.arraycopy(scratch.y, 0, y, at, columns);
        }

        private void store(int sum, float[] to, int toAt, float[] gate, int gateAt) {
            for (int i = 0; i < PANEL; i += WIDTH) {
                FloatVector value = FloatVector.fromArray(FLOAT, scratch.sums, sum + i);
                switch (epilogue.kind()) {
                    case STORE, GELU -> {}
                    case ADD ->
                        value = FloatVector.fromArray(FLOAT, to, toAt + i).add(value);
                    case ADD_GATED ->
                        value = value.fma(
                                FloatVector.fromArray(FLOAT, gate, gateAt + i),
                                FloatVector.fromArray(FLOAT, to, toAt + i));
                }
                value.intoArray(to, toAt + i);
            }
        }
    }
}
