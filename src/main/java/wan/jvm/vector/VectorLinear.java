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
import wan.jvm.kernel.Workers;

/**
 * y = x W^T + b and its epilogues, blocked for the caches.
 *
 * <p>Loops, outermost first: block of rows and part of the panels (the task, which packs its x), group of panels, super-block of
 * inputs (the group's panels are widened here if they are bfloat16), tile of rows, panel. A group's panels of one super-block and
 * the sums of all its rows stay in the second-level cache, a tile of x in the first; x itself is read in order, once per group.
 * The sums go to y when they are complete. Each is one chain of multiply-adds in the order of the inputs that starts with the
 * bias, so that how rows and panels are shared out changes no bit.
 */
final class VectorLinear {
    /** Rows of a task, about: fewer make widening dear, and the sums of more take too much of the cache. */
    private static final int BLOCK_ROWS = 195;
    /**
     * Panels of a group. With {@link PackedWeights#SUPER} inputs they take 0.2 MB, and with the sums 0.3 MB: on a machine of one's
     * own twice that is as good, where another hardware thread uses the same cache it is not.
     */
    private static final int GROUP = 4;
    /** The fewest panels that pay for packing x once more. */
    private static final int FEWEST_PANELS = 4;

    private final Workers workers;
    private final Scratch[] scratch;

    /** One worker's memory. */
    private static final class Scratch {
        static final long PANEL_BYTES = 4L * GROUP * PackedWeights.SUPER * PANEL;

        /** A group's panels of bfloat16 weights, widened. */
        final MemorySegment panels;

        float[] x = new float[0];
        /** Tiles [row / TILE][panel of the group][TILE][PANEL]. */
        float[] sums = new float[0];
        /** The bias as tiles, which is what sums start with. */
        final float[] start = new float[GROUP * TILE * PANEL];

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

    /** How rows and panels are shared out: blocks of rows, each by so many tasks. */
    private record Shares(int blockRows, int panelParts) {
        int tasks(int rows) {
            return Math.ceilDiv(rows, blockRows) * panelParts;
        }
    }

    private Shares shares(int rows, JvmLinear weights) {
        int threads = workers.threads();
        int blocks = Math.ceilDiv(rows, BLOCK_ROWS);
        int parts = 1;
        if (blocks >= threads) {
            blocks = Math.ceilDiv(blocks, threads) * threads; // equal shares for all
        } else {
            parts = Math.clamp(Math.ceilDiv(3 * threads, blocks), 1, Math.ceilDiv(panels(weights), FEWEST_PANELS));
        }
        return new Shares(Math.ceilDiv(Math.ceilDiv(rows, blocks), TILE) * TILE, parts);
    }

    private static int panels(JvmLinear weights) {
        return Math.ceilDiv(weights.outFeatures(), PANEL);
    }

    /** What {@link #run} takes of all workers' memory. */
    HostBytes scratch(int rows, JvmLinear weights) {
        HostBytes widened = new HostBytes(0, Scratch.PANEL_BYTES).times(workers.threads());
        if (rows == 0) {
            return widened;
        }
        Shares shares = shares(rows, weights);
        long blockRows = Math.min(shares.blockRows, Math.ceilDiv(rows, TILE) * TILE);
        long sums = (long) Math.min(GROUP, panels(weights)) * PANEL;
        int busy = shares.tasks(rows) > 1 ? workers.threads() : 1;
        return widened.plus(new HostBytes(Float.BYTES * blockRows * (weights.inFeatures() + sums), 0).times(busy));
    }

    void run(float[] x, int rows, JvmLinear weights, MemorySegment packed, Epilogue epilogue, float[] y) {
        if (rows == 0) {
            return;
        }
        Shares shares = shares(rows, weights);
        int panels = panels(weights);
        int blockRows = shares.blockRows;
        int panelParts = shares.panelParts;
        workers.run(shares.tasks(rows), (task, worker) -> {
            int firstRow = task / panelParts * blockRows;
            int part = task % panelParts;
            new Task(x, weights, packed, epilogue, y, scratch[worker], firstRow, Math.min(rows, firstRow + blockRows))
                    .run(panels * part / panelParts, panels * (part + 1) / panelParts);
        });
    }

    /** A block of rows. */
    @SuppressWarnings("ArrayRecordComponent") // arguments under one name, never compared
    private record Task(
            float[] x,
            JvmLinear weights,
            MemorySegment packed,
            Epilogue epilogue,
            float[] y,
            Scratch scratch,
            int firstRow,
            int endRow) {

        void run(int firstPanel, int endPanel) {
            packX();
            for (int panel = firstPanel; panel < endPanel; panel += GROUP) {
                int panels = Math.min(GROUP, endPanel - panel);
                sum(panel, panels);
                finish(panel, panels);
            }
        }

        private int tiles() {
            return Math.ceilDiv(endRow - firstRow, TILE);
        }

        /**
         * x [rows, in] to {@code [in / SUPER][row / TILE][in % SUPER][row % TILE]}; rows beyond the last keep what they had and their
         * sums are never read.
         */
        private void packX() {
            int in = weights.inFeatures();
            int size = tiles() * TILE * in;
            if (scratch.x.length < size) {
                scratch.x = new float[size];
            }
            for (int first = 0; first < in; first += PackedWeights.SUPER) {
                int depth = Math.min(PackedWeights.SUPER, in - first);
                int to = first * tiles() * TILE;
                for (int tile = firstRow; tile < endRow; tile += TILE) {
                    int rows = Math.min(TILE, endRow - tile);
                    int row = 0;
                    for (; row + 4 <= rows; row += 4) {
                        transpose4(x, (tile + row) * in + first, in, scratch.x, to + row, depth);
                    }
                    for (; row < rows; row++) {
                        transpose(x, (tile + row) * in + first, scratch.x, to + row, depth);
                    }
                    to += TILE * depth;
                }
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

        /** The sums of a group of panels. */
        private void sum(int firstPanel, int panels) {
            int in = weights.inFeatures();
            int size = tiles() * panels * TILE * PANEL;
            if (scratch.sums.length < size) {
                scratch.sums = new float[size];
            }
            startWithBias(firstPanel, panels);
            for (int first = 0; first < in; first += PackedWeights.SUPER) {
                int depth = Math.min(PackedWeights.SUPER, in - first);
                MemorySegment floats = packed;
                long at = PackedWeights.offset(weights, first, firstPanel);
                if (weights.isBfloat16()) {
                    PackedWeights.widen(packed, at, panels * depth, scratch.panels);
                    floats = scratch.panels;
                    at = 0;
                }
                int xAt = first * tiles() * TILE;
                int sum = 0;
                for (int tile = 0; tile < tiles(); tile++) {
                    for (int panel = 0; panel < panels; panel++) {
                        float[] from = first == 0 ? scratch.start : scratch.sums;
                        int fromAt = first == 0 ? panel * TILE * PANEL : sum;
                        long panelAt = at + 4L * panel * depth * PANEL;
                        RegisterTile.add(from, fromAt, scratch.x, xAt, floats, panelAt, depth, scratch.sums, sum);
                        sum += TILE * PANEL;
                    }
                    xAt += TILE * depth;
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

        /** Brings the sums of a group into y, a row after the other. */
        private void finish(int firstPanel, int panels) {
            for (int row = firstRow; row < endRow; row++) {
                int tile = (row - firstRow) / TILE;
                for (int panel = 0; panel < panels; panel++) {
                    int sum = ((tile * panels + panel) * TILE + (row - firstRow) % TILE) * PANEL;
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
                    case STORE -> {}
                    case GELU -> value = VectorMath.gelu(value);
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
