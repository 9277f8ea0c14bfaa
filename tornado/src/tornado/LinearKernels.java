package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.collections.VectorFloat16;
import uk.ac.manchester.tornado.api.types.vectors.Float16;

/**
 * y = x W^T with what follows it fused in, over weights in panels: [out / 32][in][32], the last panel filled with zeros.
 *
 * <p>A key page is in the same form for one head ([tokens / 32][headDim][32]), so these kernels also make token logits.
 *
 * <p>Slot: rows, in, out, x, xStride, y, yStride, weight / 16, mode, scale, bias, gate, gateStride, rowsPerEntry, parts. Where there is a gate,
 * scale is what is added to it, among the parameters; 0 for nothing. Parts is where a table begins: how many matmuls of the same x there are, all
 * of one size, then weight / 16, y and bias of each after the first. The kernels take the same slot; which one runs is the device's
 * choice.
 */
final class LinearKernels {
    /** Output features of a panel. */
    static final int PANEL = 32;
    /** y = scale * sum. */
    static final int SCALE = 0;
    /** y = sum + bias. */
    static final int BIAS = 1;
    /** y = gelu(sum + bias). */
    static final int GELU = 2;
    /** y += sum + bias. */
    static final int ADD = 3;
    /** y += (sum + bias) * gate of the row's entry. */
    static final int ADD_GATED = 4;

    /** Rows of an item's tile in {@link #linearVector}. */
    static final int ROWS = 6;
    /** Rows of a group's tile in {@link #linearShared}. */
    static final int SHARED_ROWS = 128;
    /** Columns of it. */
    static final int SHARED_COLUMNS = 64;
    /** Items of a group of {@link #linearShared}. */
    static final int SHARED_ITEMS = 128;

    private static final float SQRT_2_OVER_PI = 0.7978846f;

    private LinearKernels() {}

    /**
     * For processors: each item holds a tile of 6 rows by two vectors of 16 in registers. No local memory, no barrier.
     *
     * <p>Written out because vectors can be neither in arrays nor made in loops on a device.
     */
    static void linearVector(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, VectorFloat16 weights) {
        int rows = step.get(slot);
        int in = step.get(slot + 1);
        int out = step.get(slot + 2);
        int x = step.get(slot + 3);
        int xStride = step.get(slot + 4);
        int rowTiles = (rows + 5) / 6;
        int panels = (out + 31) / 32;
        int part = context.globalIdx / rowTiles / panels;
        int panel = context.globalIdx / rowTiles % panels;
        int row = context.globalIdx % rowTiles * 6;
        if (panel * 32 < out) {
            int last = x + (rows - 1) * xStride;
            int x0 = x + row * xStride;
            int x1 = TornadoMath.min(x0 + xStride, last);
            int x2 = TornadoMath.min(x1 + xStride, last);
            int x3 = TornadoMath.min(x2 + xStride, last);
            int x4 = TornadoMath.min(x3 + xStride, last);
            int x5 = TornadoMath.min(x4 + xStride, last);
            int w = weight(step, slot, part) + panel * in * 2;
            float[] tile = new float[192];
            Float16 left0 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
            Float16 right0 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
            Float16 left1 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
            Float16 right1 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
            Float16 left2 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
            Float16 right2 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
            Float16 left3 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
            Float16 right3 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
            Float16 left4 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
            Float16 right4 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
            Float16 left5 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
            Float16 right5 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
            for (int k = 0; k < in; k++) {
                Float16 w0 = weights.get(w + 2 * k);
                Float16 w1 = weights.get(w + 2 * k + 1);
                float v0 = act.get(x0 + k);
                float v1 = act.get(x1 + k);
                float v2 = act.get(x2 + k);
                float v3 = act.get(x3 + k);
                float v4 = act.get(x4 + k);
                float v5 = act.get(x5 + k);
                left0 = Float16.add(left0, Float16.mult(w0, v0));
                right0 = Float16.add(right0, Float16.mult(w1, v0));
                left1 = Float16.add(left1, Float16.mult(w0, v1));
                right1 = Float16.add(right1, Float16.mult(w1, v1));
                left2 = Float16.add(left2, Float16.mult(w0, v2));
                right2 = Float16.add(right2, Float16.mult(w1, v2));
                left3 = Float16.add(left3, Float16.mult(w0, v3));
                right3 = Float16.add(right3, Float16.mult(w1, v3));
                left4 = Float16.add(left4, Float16.mult(w0, v4));
                right4 = Float16.add(right4, Float16.mult(w1, v4));
                left5 = Float16.add(left5, Float16.mult(w0, v5));
                right5 = Float16.add(right5, Float16.mult(w1, v5));
            }
            spread(tile, 0, left0);
            spread(tile, 16, right0);
            spread(tile, 32, left1);
            spread(tile, 48, right1);
            spread(tile, 64, left2);
            spread(tile, 80, right2);
            spread(tile, 96, left3);
            spread(tile, 112, right3);
            spread(tile, 128, left4);
            spread(tile, 144, right4);
            spread(tile, 160, left5);
            spread(tile, 176, right5);
            for (int i = 0; i < 6; i++) {
                for (int j = 0; j < 32; j++) {
                    if (row + i < rows && panel * 32 + j < out) {
                        finish(step, slot, part, act, params, row + i, panel * 32 + j, tile[i * 32 + j]);
                    }
                }
            }
        }
        Launches.count(context, step, slot, act);
    }

    /** Writes the lanes of a vector side by side; a device wants lane numbers that are constants. */
    static void spread(float[] to, int at, Float16 vector) {
        to[at + 0] = vector.get(0);
        to[at + 1] = vector.get(1);
        to[at + 2] = vector.get(2);
        to[at + 3] = vector.get(3);
        to[at + 4] = vector.get(4);
        to[at + 5] = vector.get(5);
        to[at + 6] = vector.get(6);
        to[at + 7] = vector.get(7);
        to[at + 8] = vector.get(8);
        to[at + 9] = vector.get(9);
        to[at + 10] = vector.get(10);
        to[at + 11] = vector.get(11);
        to[at + 12] = vector.get(12);
        to[at + 13] = vector.get(13);
        to[at + 14] = vector.get(14);
        to[at + 15] = vector.get(15);
    }

    /**
     * For graphics processors: a group of 128 items makes a tile of 128 x 64 from slices of x and W in local memory; each item holds 8
     * x 8 sums in registers: 16 values from local memory serve 64 multiplications, which is as fast as local memory is read on
     * NVIDIA's. 4 x 4 sums wait for it half of the time.
     *
     * <p>Sums are in registers only where the compiler knows every index, so the loops over them have extents that it unrolls. The
     * loop over a slice must not be unrolled too: its extent comes from the slot.
     */
    static void linearShared(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, VectorFloat16 weights) {
        int rows = step.get(slot);
        int in = step.get(slot + 1);
        int out = step.get(slot + 2);
        float[] xs = context.allocateFloatLocalArray(2080); // [k][row], 130 apart: 16 k of two rows are in 32 banks
        float[] ws = context.allocateFloatLocalArray(1024); // [k][column]; at last [row / 8][column]
        float[] sums = new float[64];
        for (int i = 0; i < 64; i++) {
            sums[i] = 0f;
        }
        int item = context.localIdx;
        int columnTiles = (out + 63) / 64;
        int parts = step.get(step.get(slot + 14));
        int row = context.groupIdx / (columnTiles * parts) * 128;
        int part = context.groupIdx / columnTiles % parts;
        int column = context.groupIdx % columnTiles * 64;
        int myColumn = item % 8;
        int myRow = item / 8 * 8;
        // What this item brings: every eighth row of x at one k, and every second k of W in one column.
        int k = item % 16;
        int firstRow = row + item / 16;
        int x = step.get(slot + 3) + firstRow * step.get(slot + 4) + k;
        int eightRows = 8 * step.get(slot + 4);
        int feature = column + item % 64;
        int w = weight(step, slot, part) * 16 + (feature / 32 * in + item / 64) * 32 + feature % 32;
        for (int k0 = 0; k0 < in; k0 += 16) {
            for (int i = 0; i < 16; i++) {
                float value = 0f;
                if (k0 + k < in && firstRow + i * 8 < rows) {
                    value = act.get(x + i * eightRows + k0);
                }
                xs[k * 130 + item / 16 + i * 8] = value;
            }
            for (int i = 0; i < 8; i++) {
                float weight = 0f;
                if (k0 + item / 64 + i * 2 < in && feature < out) {
                    weight = weights.getArray().get(w + (k0 + i * 2) * 32);
                }
                ws[item + i * 128] = weight;
            }
            context.localBarrier();
            int slice = TornadoMath.min(16, in - k0);
            for (int s = 0; s < slice; s++) {
                for (int i = 0; i < 8; i++) {
                    float value = xs[s * 130 + myRow + i];
                    for (int j = 0; j < 8; j++) {
                        sums[i * 8 + j] += value * ws[s * 64 + j * 8 + myColumn];
                    }
                }
            }
            context.localBarrier();
        }
        for (int i = 0; i < 8; i++) {
            for (int j = 0; j < 8; j++) {
                ws[myRow * 8 + j * 8 + myColumn] = sums[i * 8 + j];
            }
            context.localBarrier();
            int values = TornadoMath.min(16, (rows - row - i + 7) / 8) * 64;
            for (int e = item; e < values; e += 128) {
                if (column + e % 64 < out) {
                    finish(step, slot, part, act, params, row + e / 64 * 8 + i, column + e % 64, ws[e]);
                }
            }
            context.localBarrier();
        }
        Launches.count(context, step, slot, act);
    }

    /** Where the weights of a part are, in vectors of 16. */
    static int weight(IntArray step, int slot, int part) {
        return ofPart(step, slot, 7, part, 0);
    }

    /** Where the result of a part goes. */
    static int output(IntArray step, int slot, int part) {
        return ofPart(step, slot, 5, part, 1);
    }

    /** Where the bias of a part is. */
    static int bias(IntArray step, int slot, int part) {
        return ofPart(step, slot, 10, part, 2);
    }

    private static int ofPart(IntArray step, int slot, int argument, int part, int column) {
        int at = slot + argument;
        if (part > 0) {
            at = step.get(slot + 14) + part * 3 - 2 + column;
        }
        return step.get(at);
    }

    /** What happens to one finished sum. */
    static void finish(
            IntArray step, int slot, int part, FloatArray act, FloatArray params, int row, int column, float sum) {
        int y = output(step, slot, part) + row * step.get(slot + 6) + column;
        int mode = step.get(slot + 8);
        if (mode == 0) {
            act.set(y, sum * params.get(step.get(slot + 9)));
        } else {
            float value = sum + params.get(bias(step, slot, part) + column);
            if (mode == 1) {
                act.set(y, value);
            } else if (mode == 2) {
                act.set(y, gelu(value));
            } else if (mode == 3) {
                act.set(y, act.get(y) + value);
            } else {
                int gate = step.get(slot + 11) + row / step.get(slot + 13) * step.get(slot + 12) + column;
                float factor = act.get(gate);
                int table = step.get(slot + 9);
                if (table > 0) {
                    factor += params.get(table + column);
                }
                act.set(y, act.get(y) + value * factor);
            }
        }
    }

    /** By the approximation with tanh: 0.5 v (1 + tanh u) = v - v / (e^2u + 1). */
    static float gelu(float value) {
        float u = SQRT_2_OVER_PI * (value + 0.044715f * value * value * value);
        return value - value / (TornadoMath.exp(2f * u) + 1f);
    }
}
