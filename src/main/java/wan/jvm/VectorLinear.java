package wan.jvm;

import static wan.jvm.Lanes.FLOAT;
import static wan.jvm.Lanes.PANEL;
import static wan.jvm.Lanes.TILE;
import static wan.jvm.Lanes.WIDTH;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * y = x W^T + b and its epilogues, blocked for the caches.
 *
 * <p>Loops, outermost first: block of rows and part of the panels (the task), super-block of inputs (x is packed here, per
 * task), panel (widened here if it is bfloat16), tile of rows. Each element of y is the sum, in order, of one chain of
 * multiply-adds per super-block, so that how the rows and panels are shared out changes no bit.
 */
final class VectorLinear {
    /** Rows of a task, about: with {@link PackedWeights#SUPER} inputs they take 0.8 MB of the second-level cache. */
    private static final int BLOCK_ROWS = 260;
    /** The fewest panels that pay for packing x once more. */
    private static final int FEWEST_PANELS = 4;

    private final Workers workers;
    private final Scratch[] scratch;

    /** One worker's memory. */
    private static final class Scratch {
        /** A panel of bfloat16 weights, widened. */
        final MemorySegment panel;

        float[] x = new float[0];
        final float[] product = new float[TILE * PANEL];
        final float[] bias = new float[PANEL];
        final float[] y = new float[TILE * PANEL];
        final float[] gate = new float[TILE * PANEL];

        Scratch(Arena arena) {
            panel = arena.allocate(4L * PackedWeights.SUPER * PANEL, 64);
        }
    }

    VectorLinear(Workers workers, Arena arena) {
        this.workers = workers;
        scratch = new Scratch[workers.threads()];
        for (int i = 0; i < scratch.length; i++) {
            scratch[i] = new Scratch(arena);
        }
    }

    void run(float[] x, int rows, JvmLinear weights, MemorySegment packed, Epilogue epilogue, float[] y) {
        if (rows == 0) {
            return;
        }
        int threads = workers.threads();
        int panels = Math.ceilDiv(weights.outFeatures(), PANEL);
        int blocks = Math.ceilDiv(rows, BLOCK_ROWS);
        if (blocks > threads) {
            blocks = Math.ceilDiv(blocks, threads) * threads; // equal shares for all
        }
        int blockRows = Math.ceilDiv(Math.ceilDiv(rows, blocks), TILE) * TILE;
        int rowBlocks = Math.ceilDiv(rows, blockRows);
        int parts = Math.clamp(Math.ceilDiv(3 * threads, rowBlocks), 1, Math.ceilDiv(panels, FEWEST_PANELS));
        if (rowBlocks >= 3 * threads) {
            parts = 1;
        }
        int panelParts = parts;
        workers.run(rowBlocks * panelParts, (task, worker) -> {
            int firstRow = task / panelParts * blockRows;
            int part = task % panelParts;
            new Task(x, weights, packed, epilogue, y, scratch[worker])
                    .run(
                            firstRow,
                            Math.min(rows, firstRow + blockRows),
                            panels * part / panelParts,
                            panels * (part + 1) / panelParts);
        });
    }

    /** A block of rows times some panels. */
    @SuppressWarnings("ArrayRecordComponent") // arguments under one name, never compared
    private record Task(
            float[] x, JvmLinear weights, MemorySegment packed, Epilogue epilogue, float[] y, Scratch scratch) {

        void run(int firstRow, int endRow, int firstPanel, int endPanel) {
            int in = weights.inFeatures();
            for (int first = 0; first < in; first += PackedWeights.SUPER) {
                int depth = Math.min(PackedWeights.SUPER, in - first);
                packX(firstRow, endRow, first, depth);
                for (int panel = firstPanel; panel < endPanel; panel++) {
                    MemorySegment floats = packed;
                    long at = PackedWeights.offset(weights, first, panel);
                    if (weights.isBfloat16()) {
                        PackedWeights.widen(packed, at, depth, scratch.panel);
                        floats = scratch.panel;
                        at = 0;
                    }
                    for (int row = firstRow; row < endRow; row += TILE) {
                        int xAt = (row - firstRow) * depth;
                        int rows = Math.min(TILE, endRow - row);
                        RegisterTile.multiply(scratch.x, xAt, floats, at, depth, scratch.product, 0);
                        finish(row, rows, panel, first == 0, first + depth == in);
                    }
                }
            }
        }

        /** x [rows, depth] to [row / TILE][depth][row % TILE]; rows beyond the last keep what they had and are never stored. */
        private void packX(int firstRow, int endRow, int firstInput, int depth) {
            int size = Math.ceilDiv(endRow - firstRow, TILE) * TILE * depth;
            if (scratch.x.length < size) {
                scratch.x = new float[size];
            }
            float[] to = scratch.x;
            int in = weights.inFeatures();
            for (int row = firstRow; row < endRow; row++) {
                int tile = (row - firstRow) / TILE;
                transpose(x, row * in + firstInput, to, tile * TILE * depth + (row - firstRow) % TILE, depth);
            }
        }

        private static void transpose(float[] from, int fromAt, float[] to, int toAt, int count) {
            for (int i = 0; i < count; i++) {
                to[toAt + i * TILE] = from[fromAt + i];
            }
        }

        /** Brings one finished tile into y. */
        private void finish(int row, int rows, int panel, boolean first, boolean last) {
            int out = weights.outFeatures();
            int column = panel * PANEL;
            if (column + PANEL <= out) {
                if (first) {
                    addBias(scratch.product, rows, weights.bias(), column);
                }
                finish(row, rows, first, last, y, row * out + column, out, epilogue.gate(), column);
                return;
            }
            // The last panel is wider than y: the same arithmetic on copies.
            int columns = out - column;
            if (first) {
                System.arraycopy(weights.bias(), column, scratch.bias, 0, columns);
                addBias(scratch.product, rows, scratch.bias, 0);
            }
            boolean gated = epilogue.kind() == Epilogue.Kind.ADD_GATED;
            for (int r = 0; r < rows; r++) {
                System.arraycopy(y, (row + r) * out + column, scratch.y, r * PANEL, columns);
                if (gated) {
                    System.arraycopy(
                            epilogue.gate(), epilogue.gateIndex(row + r) + column, scratch.gate, r * PANEL, columns);
                }
            }
            finish(row, rows, first, last, scratch.y, 0, PANEL, scratch.gate, -1);
            for (int r = 0; r < rows; r++) {
                System.arraycopy(scratch.y, r * PANEL, y, (row + r) * out + column, columns);
            }
        }

        private void finish(
                int row,
                int rows,
                boolean first,
                boolean last,
                float[] to,
                int toAt,
                int toStride,
                float[] gate,
                int gateColumn) {
            float[] product = scratch.product;
            switch (epilogue.kind()) {
                case STORE, GELU -> {
                    if (first) {
                        store(product, rows, to, toAt, toStride);
                    } else {
                        add(product, rows, to, toAt, toStride);
                    }
                    if (last && epilogue.kind() == Epilogue.Kind.GELU) {
                        gelu(rows, to, toAt, toStride);
                    }
                }
                case ADD -> add(product, rows, to, toAt, toStride);
                case ADD_GATED -> {
                    for (int r = 0; r < rows; r++) {
                        int gateAt = gateColumn < 0 ? r * PANEL : epilogue.gateIndex(row + r) + gateColumn;
                        addGated(product, r * PANEL, to, toAt + r * toStride, gate, gateAt);
                    }
                }
            }
        }

        private static void addBias(float[] product, int rows, float[] bias, int biasAt) {
            FloatVector a = FloatVector.fromArray(FLOAT, bias, biasAt);
            FloatVector b = FloatVector.fromArray(FLOAT, bias, biasAt + WIDTH);
            for (int r = 0; r < rows; r++) {
                int at = r * PANEL;
                FloatVector.fromArray(FLOAT, product, at).add(a).intoArray(product, at);
                FloatVector.fromArray(FLOAT, product, at + WIDTH).add(b).intoArray(product, at + WIDTH);
            }
        }

        private static void store(float[] product, int rows, float[] to, int toAt, int toStride) {
            for (int r = 0; r < rows; r++) {
                int at = toAt + r * toStride;
                FloatVector.fromArray(FLOAT, product, r * PANEL).intoArray(to, at);
                FloatVector.fromArray(FLOAT, product, r * PANEL + WIDTH).intoArray(to, at + WIDTH);
            }
        }

        private static void add(float[] product, int rows, float[] to, int toAt, int toStride) {
            for (int r = 0; r < rows; r++) {
                int at = toAt + r * toStride;
                FloatVector.fromArray(FLOAT, to, at)
                        .add(FloatVector.fromArray(FLOAT, product, r * PANEL))
                        .intoArray(to, at);
                FloatVector.fromArray(FLOAT, to, at + WIDTH)
                        .add(FloatVector.fromArray(FLOAT, product, r * PANEL + WIDTH))
                        .intoArray(to, at + WIDTH);
            }
        }

        private static void addGated(float[] product, int productAt, float[] to, int toAt, float[] gate, int gateAt) {
            for (int i = 0; i < PANEL; i += WIDTH) {
                FloatVector.fromArray(FLOAT, product, productAt + i)
                        .fma(FloatVector.fromArray(FLOAT, gate, gateAt + i), FloatVector.fromArray(FLOAT, to, toAt + i))
                        .intoArray(to, toAt + i);
            }
        }

        private static void gelu(int rows, float[] to, int toAt, int toStride) {
            for (int i = 0; i < 2 * rows; i++) {
                int at = toAt + i / 2 * toStride + i % 2 * WIDTH;
                VectorMath.gelu(FloatVector.fromArray(FLOAT, to, at)).intoArray(to, at);
            }
        }
    }
}
