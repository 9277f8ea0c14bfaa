package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Kernels with one item per element, which do little work; the first value of every slot is their number. */
final class ElementKernels {
    /** Where the slot of {@link #upload} says where its values begin. */
    static final int FROM = 2;
    /** Where the slot of {@link #download} says where they go. */
    static final int TO = 2;

    private ElementKernels() {}

    /**
     * Slot: values, where the parts are, where the values begin. A part has two numbers: its end among the values, and how much further
     * its place is.
     */
    static void upload(KernelContext context, IntArray step, int slot, FloatArray act, FloatArray input) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int part = step.get(slot + 1);
            while (i >= step.get(part)) {
                part += 2;
            }
            act.set(step.get(part + 1) + i, input.get(step.get(slot + FROM) + i));
        }
        Launches.count(context, step, slot, act);
    }

    /** Slot: values, from, to. */
    static void download(KernelContext context, IntArray step, int slot, FloatArray act, FloatArray output) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            output.set(step.get(slot + TO) + i, act.get(step.get(slot + 1) + i));
        }
        Launches.count(context, step, slot, act);
    }

    /** v / (1 + e^-v). Slot: values, x, y. */
    static void silu(KernelContext context, IntArray step, int slot, FloatArray act) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            float v = act.get(step.get(slot + 1) + i);
            act.set(step.get(slot + 2) + i, v / (1f + TornadoMath.exp(-v)));
        }
        Launches.count(context, step, slot, act);
    }

    /** GELU in place. Slot: values, x. */
    static void gelu(KernelContext context, IntArray step, int slot, FloatArray act) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int x = step.get(slot + 1) + i;
            act.set(x, LinearKernels.gelu(act.get(x)));
        }
        Launches.count(context, step, slot, act);
    }

    /** Table plus embedding. Slot: values, y, table, values of the table, embedding, values of an entry of it. */
    static void modulation(KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int tableSize = step.get(slot + 3);
            int width = step.get(slot + 5);
            float added = act.get(step.get(slot + 4) + i / tableSize * width + i % tableSize % width);
            act.set(step.get(slot + 1) + i, params.get(step.get(slot + 2) + i % tableSize) + added);
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * Turns pairs of channels in place. Slot: pairs, x, heads, pairs of a head, tokens, rows of a frame, columns of a row, where
     * the frames' positions are, frame table, grid table. The tables hold cosine and sine: [position][pair of the axis].
     */
    static void rope(KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int heads = step.get(slot + 2);
            int pairs = step.get(slot + 3);
            int pair = i % pairs;
            int token = i / (pairs * heads) % step.get(slot + 4);
            int columns = step.get(slot + 6);
            int frameTokens = step.get(slot + 5) * columns;
            int third = pairs / 3;
            int framePairs = pairs - 2 * third;
            int entry;
            if (pair < framePairs) {
                entry = step.get(slot + 8)
                        + 2 * (step.get(step.get(slot + 7) + token / frameTokens) * framePairs + pair);
            } else if (pair < framePairs + third) {
                int row = token % frameTokens / columns;
                entry = step.get(slot + 9) + 2 * (row * third + pair - framePairs);
            } else {
                int column = token % columns;
                entry = step.get(slot + 9) + 2 * (column * third + pair - framePairs - third);
            }
            float cos = params.get(entry);
            float sin = params.get(entry + 1);
            int at = step.get(slot + 1) + 2 * i;
            float real = act.get(at);
            float imaginary = act.get(at + 1);
            act.set(at, real * cos - imaginary * sin);
            act.set(at + 1, real * sin + imaginary * cos);
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * Mean of a group of rows, in all of them, one item per channel. Slot: items, x, channels of a row, of a head, chosen heads, rows of a
     * group, head table.
     */
    static void averageHeads(KernelContext context, IntArray step, int slot, FloatArray act) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int dim = step.get(slot + 2);
            int headDim = step.get(slot + 3);
            int heads = step.get(slot + 4);
            int rows = step.get(slot + 5);
            int head = step.get(step.get(slot + 6) + i / headDim % heads);
            int at = step.get(slot + 1) + i / (headDim * heads) * rows * dim + head * headDim + i % headDim;
            float total = 0f;
            for (int t = 0; t < rows; t += 16) {
                float part = 0f;
                for (int j = t; j < TornadoMath.min(t + 16, rows); j++) {
                    part += act.get(at + j * dim);
                }
                total += part;
            }
            for (int j = 0; j < rows; j++) {
                act.set(at + j * dim, total / rows);
            }
        }
        Launches.count(context, step, slot, act);
    }

    /** x = keep * x + values. Slot: values, x, values, channels of a row, of a head, chosen heads, keep, head table. */
    static void mixHeads(KernelContext context, IntArray step, int slot, FloatArray act) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int headDim = step.get(slot + 4);
            int heads = step.get(slot + 5);
            int head = step.get(step.get(slot + 7) + i / headDim % heads);
            int at = step.get(slot + 1) + i / (headDim * heads) * step.get(slot + 3) + head * headDim + i % headDim;
            float keep = act.get(step.get(slot + 6));
            float kept = 0f;
            if (keep != 0f) {
                kept = keep * act.get(at);
            }
            act.set(at, kept + act.get(step.get(slot + 2) + i));
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * residual += y * gate. Slot: values, residual, y, channels of a row, gate, values of an entry, rows of an entry, what is
     * added to each gate, among the parameters; 0 for nothing.
     */
    static void gatedResidual(KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int dim = step.get(slot + 3);
            int entry = i / dim / step.get(slot + 6);
            float gate = act.get(step.get(slot + 4) + entry * step.get(slot + 5) + i % dim);
            int table = step.get(slot + 7);
            if (table > 0) {
                gate += params.get(table + i % dim);
            }
            int at = step.get(slot + 1) + i;
            act.set(at, act.get(at) + act.get(step.get(slot + 2) + i) * gate);
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * [samples and frames, channels, 2 rows, 2 columns] to [samples, frames, rows, columns, channels, 2, 2]. Slot: values, x, y,
     * channels, rows, columns.
     */
    static void patchify(KernelContext context, IntArray step, int slot, FloatArray act) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int channels = step.get(slot + 3);
            int rows = step.get(slot + 4);
            int columns = step.get(slot + 5);
            int dx = i % 2;
            int dy = i / 2 % 2;
            int channel = i / 4 % channels;
            int column = i / (4 * channels) % columns;
            int row = i / (4 * channels * columns) % rows;
            int frame = i / (4 * channels * columns * rows);
            int from = ((frame * channels + channel) * 2 * rows + 2 * row + dy) * 2 * columns + 2 * column + dx;
            act.set(step.get(slot + 2) + i, act.get(step.get(slot + 1) + from));
        }
        Launches.count(context, step, slot, act);
    }

    /** The way back from patches [.., rows, columns, 2, 2, channels]. Slot: as {@link #patchify}. */
    static void unpatchify(KernelContext context, IntArray step, int slot, FloatArray act) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int channels = step.get(slot + 3);
            int rows = step.get(slot + 4);
            int columns = step.get(slot + 5);
            int x = i % (2 * columns);
            int y = i / (2 * columns) % (2 * rows);
            int channel = i / (4 * columns * rows) % channels;
            int frame = i / (4 * columns * rows * channels);
            int patch = (frame * rows + y / 2) * columns + x / 2;
            int from = patch * 4 * channels + (y % 2 * 2 + x % 2) * channels + channel;
            act.set(step.get(slot + 2) + i, act.get(step.get(slot + 1) + from));
        }
        Launches.count(context, step, slot, act);
    }
}
