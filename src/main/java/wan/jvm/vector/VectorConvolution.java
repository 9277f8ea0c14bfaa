package wan.jvm.vector;

import static wan.jvm.vector.Lanes.FLOAT;
import static wan.jvm.vector.Lanes.ORDER;
import static wan.jvm.vector.Lanes.PANEL;
import static wan.jvm.vector.Lanes.TILE;
import static wan.jvm.vector.Lanes.WIDTH;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import wan.jvm.kernel.ConvolutionCall;
import wan.jvm.kernel.Frame;
import wan.jvm.kernel.JvmConvolution;
import wan.jvm.kernel.TaskPlan;
import wan.jvm.kernel.Workers;

/**
 * Convolutions as products of matrices that are never whole: output channels by pixels.
 *
 * <p>A task is {@value #VECTORS} vectors of neighbouring pixels and all output channels, or some of them if there are few pixels for the threads. It
 * copies the pixels and their margin, does norm and activation there, and lays the windows out, {@value #DEPTH} terms at a time, as the panels that
 * {@link RegisterTile} reads; weights take the place of its rows. All sums of a call share the panels. Each sum is one chain of
 * multiply-adds in the order of input channel, row and column, so that how they are shared out changes no bit.
 */
final class VectorConvolution {
    /** Vectors of pixels in a block. */
    static final int VECTORS = 8;

    /** Terms of a block, at most. */
    private static final int DEPTH = 384;

    private static final int PANELS = VECTORS / 2;
    private static final int TILE_FLOATS = TILE * PANEL;

    private static final ByteOrder NATIVE = ByteOrder.nativeOrder();

    private final Workers workers;
    private final Scratch[] scratch;

    /** One worker's memory. */
    private static final class Scratch {
        /** [panel][term][PANEL]. */
        final MemorySegment panels;
        /** [in][position]: the block's pixels with their margin. */
        float[] pixels = new float[0];
        /** [position]: what a pixel's channels are multiplied with. */
        float[] factors = new float[0];
        /** [sum][tile of output channels][panel][TILE][PANEL]. */
        float[] sums = new float[0];

        Scratch(Arena arena) {
            panels = arena.allocate(4L * PANELS * DEPTH * PANEL, 64);
        }
    }

    VectorConvolution(Workers workers, Arena arena) {
        this.workers = workers;
        scratch = new Scratch[workers.threads()];
        for (int i = 0; i < scratch.length; i++) {
            scratch[i] = new Scratch(arena);
        }
    }

    /** Terms of a block: equal blocks, none deeper than the panels. */
    private static int blockDepth(JvmConvolution weights) {
        int depth = weights.depth();
        return Math.ceilDiv(depth, Math.ceilDiv(depth, DEPTH));
    }

    private static int tiles(JvmConvolution weights) {
        return Math.ceilDiv(weights.outChannels(), TILE);
    }

    /** Weights as {@code [frame][block of terms][tile of output channels][term][TILE]}. */
    static float[] pack(JvmConvolution weights) {
        int window = weights.kernelRows() * weights.kernelColumns();
        int depth = weights.depth();
        int tiles = tiles(weights);
        int block = blockDepth(weights);
        float[] packed = new float[Math.multiplyExact(weights.kernelFrames() * depth, tiles * TILE)];
        int ofChannel = weights.kernelFrames() * depth;
        for (int out = 0; out < weights.outChannels(); out++) {
            float[] from = weights.weight().floats((long) out * ofChannel, ofChannel);
            for (int frame = 0; frame < weights.kernelFrames(); frame++) {
                for (int first = 0; first < depth; first += block) {
                    int end = Math.min(depth, first + block);
                    int at = ((frame * depth + first) * tiles + out / TILE * (end - first)) * TILE + out % TILE;
                    for (int term = first; term < end; term++, at += TILE) {
                        int channel = term / window;
                        packed[at] = from[(channel * weights.kernelFrames() + frame) * window + term % window];
                    }
                }
            }
        }
        return packed;
    }

    void run(ConvolutionCall call, float[] packed) {
        Plan plan = new Plan(call, packed);
        workers.run(
                tasks(plan.blocks(), tiles(call.weights()), workers.threads()),
                (block, from, to, worker) -> new Task(plan, scratch[worker], block, from, to).run());
    }

    /** Planes are blocks of pixels, units tiles of output channels. */
    static TaskPlan tasks(int blocks, int tiles, int threads) {
        return TaskPlan.planes(blocks, tiles, threads);
    }

    /** What all tasks of a call share. */
    private static final class Plan {
        final ConvolutionCall call;
        final JvmConvolution weights;
        final float[] packed;
        /** Vectors beside each other in a block: as many as waste the fewest lanes at the frame's edges. */
        final int across;

        final int blockRows;
        final int blockColumns;
        final int blocksAcross;
        /** Of the copied pixels; where windows step by two, even and odd columns lie apart. */
        final int copiedRows;

        final int copiedColumns;
        final int pitch;
        final int positions;
        /** Where the first lane's value of a term lies in the copy. */
        final int[] terms;

        final int[] vectors;

        Plan(ConvolutionCall call, float[] packed) {
            this.call = call;
            this.packed = packed;
            weights = call.weights();
            across = lanes(call, 1) < lanes(call, 2) ? 1 : 2;
            blockRows = VECTORS / across;
            blockColumns = across * WIDTH;
            blocksAcross = Math.ceilDiv(call.columns(), blockColumns);
            int step = call.step();
            copiedRows = (blockRows - 1) * step + weights.kernelRows();
            copiedColumns = (blockColumns - 1) * step + weights.kernelColumns();
            pitch = Math.ceilDiv(copiedColumns, step);
            positions = Math.ceilDiv(copiedRows * step * pitch, WIDTH) * WIDTH;
            terms = new int[weights.depth()];
            int term = 0;
            for (int channel = 0; channel < weights.inChannels(); channel++) {
                for (int i = 0; i < weights.kernelRows(); i++) {
                    for (int j = 0; j < weights.kernelColumns(); j++) {
                        terms[term++] = channel * positions + position(i, j);
                    }
                }
            }
            vectors = new int[VECTORS];
            for (int v = 0; v < VECTORS; v++) {
                vectors[v] = row(v) * step * step * pitch + column(v);
            }
        }

        private static long lanes(ConvolutionCall call, int across) {
            int rows = VECTORS / across;
            int columns = across * WIDTH;
            return (long) Math.ceilDiv(call.rows().count(), rows) * Math.ceilDiv(call.columns(), columns);
        }

        int blocks() {
            return Math.ceilDiv(call.rows().count(), blockRows) * blocksAcross;
        }

        /** Row of a vector within the block. */
        int row(int vector) {
            return vector / across;
        }

        /** First column of a vector within the block. */
        int column(int vector) {
            return vector % across * WIDTH;
        }

        /** Where a pixel of the copy lies. */
        int position(int row, int column) {
            int step = call.step();
            return (row * step + column % step) * pitch + column / step;
        }
    }

    /** A block of pixels in some tiles of output channels. */
    private static final class Task {
        private final Plan plan;
        private final ConvolutionCall call;
        private final JvmConvolution weights;
        private final Scratch scratch;
        private final int firstRow;
        private final int firstColumn;
        private final int firstTile;
        private final int endTile;

        Task(Plan plan, Scratch scratch, int block, int firstTile, int endTile) {
            this.plan = plan;
            this.scratch = scratch;
            call = plan.call;
            weights = plan.weights;
            firstRow = call.rows().first() + block / plan.blocksAcross * plan.blockRows;
            firstColumn = block % plan.blocksAcross * plan.blockColumns;
            this.firstTile = firstTile;
            this.endTile = endTile;
        }

        private int tiles() {
            return endTile - firstTile;
        }

        private int firstOut() {
            return firstTile * TILE;
        }

        private int endOut() {
            return Math.min(endTile * TILE, weights.outChannels());
        }

        void run() {
            copyPixels();
            if (call.gamma() != null) {
                normalize(call.gamma());
            }
            int count = weights.inChannels() * plan.positions;
            switch (call.activation()) {
                case NONE -> {}
                case SILU -> silu(scratch.pixels, count);
                case RELU -> relu(scratch.pixels, count);
            }
            int size = call.sums().size() * tiles() * PANELS * TILE_FLOATS;
            if (scratch.sums.length < size) {
                scratch.sums = new float[size];
            }
            for (int sum = 0; sum < call.sums().size(); sum++) {
                start(sum);
            }
            int block = blockDepth(weights);
            for (int first = 0; first < weights.depth(); first += block) {
                int depth = Math.min(block, weights.depth() - first);
                layOut(first, depth);
                for (int sum = 0; sum < call.sums().size(); sum++) {
                    multiply(sum, first, depth);
                }
            }
            for (int sum = 0; sum < call.sums().size(); sum++) {
                finish(sum);
            }
        }

        private void copyPixels() {
            int size = weights.inChannels() * plan.positions;
            if (scratch.pixels.length < size) {
                scratch.pixels = new float[size];
            }
            int row0 = firstRow * call.step() - call.marginRows();
            int column0 = firstColumn * call.step() - call.marginColumns();
            boolean plain = call.step() == 1 && call.shift() == 0;
            for (int channel = 0; channel < weights.inChannels(); channel++) {
                for (int i = 0; i < plan.copiedRows; i++) {
                    int to = channel * plan.positions + plan.position(i, 0);
                    int row = (row0 + i) >> call.shift();
                    if (row < 0 || row >= call.x().rows()) {
                        Arrays.fill(scratch.pixels, to, to + call.step() * plan.pitch, 0);
                        continue;
                    }
                    long from = call.x().at(channel, row);
                    if (plain) {
                        copyRow(from, column0, to);
                    } else {
                        sampleRow(from, column0, to);
                    }
                }
            }
        }

        private void copyRow(long from, int column0, int to) {
            int left = Math.max(0, -column0);
            int end = Math.min(plan.copiedColumns, call.x().columns() - column0);
            Arrays.fill(scratch.pixels, to, to + left, 0);
            if (end > left) {
                load(
                        call.x().values(),
                        from + (long) Float.BYTES * (column0 + left),
                        scratch.pixels,
                        to + left,
                        end - left);
            }
            Arrays.fill(scratch.pixels, to + Math.max(left, end), to + plan.pitch, 0);
        }

        private void sampleRow(long from, int column0, int to) {
            for (int j = 0; j < plan.copiedColumns; j++) {
                int column = (column0 + j) >> call.shift();
                boolean inside = column >= 0 && column < call.x().columns();
                scratch.pixels[to + plan.position(0, j)] =
                        inside ? call.x().values().get(ValueLayout.JAVA_FLOAT, from + (long) Float.BYTES * column) : 0;
            }
        }

        /** Copies some floats, the last vector of them over the one before where they fill no whole one. */
        private static void load(MemorySegment from, long at, float[] to, int index, int count) {
            if (count < WIDTH) {
                MemorySegment.copy(from, ValueLayout.JAVA_FLOAT, at, to, index, count);
                return;
            }
            for (int i = 0; i < count; i += WIDTH) {
                int start = Math.min(i, count - WIDTH);
                FloatVector.fromMemorySegment(FLOAT, from, at + (long) Float.BYTES * start, NATIVE)
                        .intoArray(to, index + start);
            }
        }

        /** Margins stay zero: their length is below the smallest that is divided by. */
        private void normalize(float[] gamma) {
            int positions = plan.positions;
            if (scratch.factors.length < positions) {
                scratch.factors = new float[positions];
            }
            Arrays.fill(scratch.factors, 0, positions, 0);
            for (int channel = 0; channel < gamma.length; channel++) {
                addSquares(scratch.pixels, channel * positions, positions, scratch.factors);
            }
            double root = Math.sqrt(gamma.length);
            for (int i = 0; i < positions; i++) {
                double length = Math.max(Math.sqrt(scratch.factors[i]), ConvolutionCall.SMALLEST_LENGTH);
                scratch.factors[i] = (float) (root / length);
            }
            for (int channel = 0; channel < gamma.length; channel++) {
                scale(scratch.pixels, channel * positions, positions, scratch.factors, gamma[channel]);
            }
        }

        private static void addSquares(float[] x, int at, int count, float[] to) {
            for (int i = 0; i < count; i += WIDTH) {
                FloatVector value = FloatVector.fromArray(FLOAT, x, at + i);
                value.fma(value, FloatVector.fromArray(FLOAT, to, i)).intoArray(to, i);
            }
        }

        private static void scale(float[] x, int at, int count, float[] factors, float gamma) {
            for (int i = 0; i < count; i += WIDTH) {
                FloatVector.fromArray(FLOAT, x, at + i)
                        .mul(FloatVector.fromArray(FLOAT, factors, i))
                        .mul(gamma)
                        .intoArray(x, at + i);
            }
        }

        private static void silu(float[] x, int count) {
            for (int i = 0; i < count; i += WIDTH) {
                VectorMath.silu(FloatVector.fromArray(FLOAT, x, i)).intoArray(x, i);
            }
        }

        private static void relu(float[] x, int count) {
            for (int i = 0; i < count; i += WIDTH) {
                FloatVector.fromArray(FLOAT, x, i).max(0).intoArray(x, i);
            }
        }

        private void layOut(int first, int depth) {
            for (int panel = 0; panel < PANELS; panel++) {
                layOut(
                        scratch.pixels,
                        plan.terms,
                        first,
                        depth,
                        plan.vectors[2 * panel],
                        plan.vectors[2 * panel + 1],
                        scratch.panels,
                        4L * panel * depth * PANEL);
            }
        }

        private static void layOut(
                float[] pixels, int[] terms, int first, int depth, int left, int right, MemorySegment to, long at) {
            for (int i = 0; i < depth; i++) {
                int from = terms[first + i];
                long row = at + 4L * i * PANEL;
                FloatVector.fromArray(FLOAT, pixels, from + left).intoMemorySegment(to, row, ORDER);
                FloatVector.fromArray(FLOAT, pixels, from + right).intoMemorySegment(to, row + 4L * WIDTH, ORDER);
            }
        }

        private void multiply(int sum, int first, int depth) {
            int frame = call.sums().get(sum).kernelFrame();
            int weightsAt =
                    ((frame * weights.depth() + first) * VectorConvolution.tiles(weights) + firstTile * depth) * TILE;
            int at = sum * tiles() * PANELS * TILE_FLOATS;
            for (int tile = firstTile; tile < endTile; tile++) {
                for (int panel = 0; panel < PANELS; panel++) {
                    long panelAt = 4L * panel * depth * PANEL;
                    RegisterTile.add(
                            scratch.sums, at, plan.packed, weightsAt, scratch.panels, panelAt, depth, scratch.sums, at);
                    at += TILE_FLOATS;
                }
                weightsAt += depth * TILE;
            }
        }

        /** Index of a vector of an output channel within a sum's tiles. */
        private int sumIndex(int sum, int out, int vector) {
            return ((sum * tiles() + out / TILE - firstTile) * PANELS + vector / 2) * TILE_FLOATS
                    + out % TILE * PANEL
                    + vector % 2 * WIDTH;
        }

        /** Lanes of a vector that lie within the frame. */
        private int valid(int vector) {
            if (firstRow + plan.row(vector) >= call.rows().end()) {
                return 0;
            }
            return Math.clamp(call.columns() - firstColumn - plan.column(vector), 0, WIDTH);
        }

        /** Where a vector of an output channel lies in a frame. */
        private long at(Frame frame, int out, int vector) {
            return frame.at(out, firstRow + plan.row(vector))
                    + (long) Float.BYTES * (firstColumn + plan.column(vector));
        }

        private void start(int sum) {
            Frame start = call.sums().get(sum).start();
            for (int out = firstOut(); out < endOut(); out++) {
                for (int vector = 0; vector < VECTORS; vector++) {
                    int to = sumIndex(sum, out, vector);
                    if (start == null) {
                        Arrays.fill(scratch.sums, to, to + WIDTH, weights.bias()[out]);
                    } else {
                        int valid = valid(vector);
                        if (valid > 0) {
                            load(start.values(), at(start, out, vector), scratch.sums, to, valid);
                        }
                        Arrays.fill(scratch.sums, to + valid, to + WIDTH, 0);
                    }
                }
            }
        }

        private void finish(int sum) {
            Frame to = call.sums().get(sum).to();
            boolean add = call.sums().get(sum).add();
            for (int out = firstOut(); out < endOut(); out++) {
                for (int vector = 0; vector < VECTORS; vector++) {
                    int valid = valid(vector);
                    if (valid > 0) {
                        store(scratch.sums, sumIndex(sum, out, vector), to.values(), at(to, out, vector), valid, add);
                    }
                }
            }
        }

        private static void store(float[] from, int index, MemorySegment to, long at, int valid, boolean add) {
            if (valid == WIDTH) {
                FloatVector sum = FloatVector.fromArray(FLOAT, from, index);
                FloatVector result = add
                        ? FloatVector.fromMemorySegment(FLOAT, to, at, NATIVE).add(sum)
                        : sum;
                result.intoMemorySegment(to, at, NATIVE);
                return;
            }
            for (int i = 0; i < valid; i++) {
                long place = at + (long) Float.BYTES * i;
                float present = add ? to.get(ValueLayout.JAVA_FLOAT, place) : 0;
                to.set(ValueLayout.JAVA_FLOAT, place, add ? present + from[index + i] : from[index + i]);
            }
        }
    }
}
