package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.MMAShape;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.BFloat16;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * y = x W^T on tensor cores, over the panels of {@link LinearKernels} in bfloat16, with the same epilogues. Inputs are rounded to bfloat16
 * on their way to local memory; sums are float32.
 *
 * <p>Weights may have 8 bits, whose values bfloat16 has all: then the table of parts is followed by where the values of all patterns are
 * among the parameters, else by 0, and each bias by the scales of its channels, which multiply the sums.
 *
 * <p>Slot: that of {@link LinearKernels}; argument 15 is where each group has {@link #SUMS} floats among the activations. TornadoVM
 * 5.2.0 gives Java no access to the sums of tensor cores, so a group writes them there and reads them again for the epilogue, while
 * they are still in the cache.
 */
final class TensorLinearKernels {
    /** Rows of a group's tile. */
    static final int ROWS = 128;
    /** Columns of it. */
    static final int COLUMNS = 128;
    /** Items of a group: eight warps, each of which makes 64 x 32. */
    static final int ITEMS = 256;
    /** Floats of a tile. */
    static final int SUMS = ROWS * COLUMNS;

    private static final float SQRT_2_OVER_PI = 0.7978846f;

    private TensorLinearKernels() {}

    /**
     * Local memory has two slices of 16 k: of x [128 rows][16 k], 32 bytes a row, and of W [16 tiles][16 k][8 columns], 16 bytes a row,
     * as the instructions load them; slices of x are 4160 bytes apart and tiles of W 272, so that neighbouring items write to different
     * banks.
     */
    static void linearTensor(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray weights) {
        int rows = step.get(slot);
        int in = step.get(slot + 1);
        int out = step.get(slot + 2);
        int[] xs = context.allocateIntLocalArray(2080);
        int[] ws = context.allocateIntLocalArray(2176);
        int item = context.localIdx;
        int columnTiles = (out + 127) / 128;
        int parts = step.get(step.get(slot + 14));
        int row = context.groupIdx / (columnTiles * parts) * 128;
        int part = context.groupIdx / columnTiles % parts;
        int column = context.groupIdx % columnTiles * 128;
        int warpRow = item / 32 % 2 * 64;
        int warpColumn = item / 64 * 32;
        // What this item brings: two k of every sixteenth row of x, and two columns of W at every fourth k.
        int k = item % 16 * 2;
        int firstRow = row + item / 16;
        int xStride = step.get(slot + 4);
        int x = step.get(slot + 3) + firstRow * xStride + k;
        int toX = item % 16 / 8 * 1040 + item / 16 * 8 + item % 8;
        int feature = column + item % 64 * 2;
        int firstK = item / 64;
        int w = LinearKernels.weight(step, slot, part) * 16 + (feature / 32 * in + firstK) * 32 + feature % 32;
        int toW = item % 64 / 4 * 68 + firstK * 4 + item % 4;
        int panels = (out + 31) / 32 * 32;
        int table = step.get(step.get(slot + 14) + 3 * parts - 2);
        float[] sum00 = context.mmaFragment(0f);
        float[] sum01 = context.mmaFragment(0f);
        float[] sum02 = context.mmaFragment(0f);
        float[] sum03 = context.mmaFragment(0f);
        float[] sum10 = context.mmaFragment(0f);
        float[] sum11 = context.mmaFragment(0f);
        float[] sum12 = context.mmaFragment(0f);
        float[] sum13 = context.mmaFragment(0f);
        float[] sum20 = context.mmaFragment(0f);
        float[] sum21 = context.mmaFragment(0f);
        float[] sum22 = context.mmaFragment(0f);
        float[] sum23 = context.mmaFragment(0f);
        float[] sum30 = context.mmaFragment(0f);
        float[] sum31 = context.mmaFragment(0f);
        float[] sum32 = context.mmaFragment(0f);
        float[] sum33 = context.mmaFragment(0f);
        for (int k0 = 0; k0 < in; k0 += 32) {
            for (int i = 0; i < 8; i++) {
                // Integers by assignment only: TornadoVM 5.2.0 keeps a converted pattern in 16 bits, which << 16 leaves
                // empty.
                int low = 0;
                int high = 0;
                if (firstRow + i * 16 < rows) {
                    if (k0 + k < in) {
                        low = BFloat16.bf16FromFloat(act.get(x + i * 16 * xStride + k0));
                    }
                    if (k0 + k + 1 < in) {
                        high = BFloat16.bf16FromFloat(act.get(x + i * 16 * xStride + k0 + 1));
                    }
                }
                xs[toX + i * 128] = (low & 0xffff) | high << 16;
            }
            for (int i = 0; i < 8; i++) {
                int pair = 0;
                if (k0 + firstK + i * 4 < in && feature < panels) {
                    pair = pair(params, weights, table, w + (k0 + i * 4) * 32);
                }
                ws[toW + i / 4 * 1088 + i % 4 * 16] = pair;
            }
            context.localBarrier();
            // Unrolled, since TornadoVM 5.2.0 has no sums that two loops hand to each other.
            for (int s = 0; s < 2; s++) {
                int a = s * 4160 + warpRow * 32;
                int b = s * 4352 + warpColumn * 34;
                HalfFloat[] b0 = context.mmaLoadB(ws, 16, b);
                HalfFloat[] b1 = context.mmaLoadB(ws, 16, b + 272);
                HalfFloat[] b2 = context.mmaLoadB(ws, 16, b + 544);
                HalfFloat[] b3 = context.mmaLoadB(ws, 16, b + 816);
                HalfFloat[] a0 = context.mmaLoadA(xs, 16, a);
                sum00 = context.mmaBF16(a0, b0, sum00, MMAShape.M16N8K16);
                sum01 = context.mmaBF16(a0, b1, sum01, MMAShape.M16N8K16);
                sum02 = context.mmaBF16(a0, b2, sum02, MMAShape.M16N8K16);
                sum03 = context.mmaBF16(a0, b3, sum03, MMAShape.M16N8K16);
                HalfFloat[] a1 = context.mmaLoadA(xs, 16, a + 512);
                sum10 = context.mmaBF16(a1, b0, sum10, MMAShape.M16N8K16);
                sum11 = context.mmaBF16(a1, b1, sum11, MMAShape.M16N8K16);
                sum12 = context.mmaBF16(a1, b2, sum12, MMAShape.M16N8K16);
                sum13 = context.mmaBF16(a1, b3, sum13, MMAShape.M16N8K16);
                HalfFloat[] a2 = context.mmaLoadA(xs, 16, a + 1024);
                sum20 = context.mmaBF16(a2, b0, sum20, MMAShape.M16N8K16);
                sum21 = context.mmaBF16(a2, b1, sum21, MMAShape.M16N8K16);
                sum22 = context.mmaBF16(a2, b2, sum22, MMAShape.M16N8K16);
                sum23 = context.mmaBF16(a2, b3, sum23, MMAShape.M16N8K16);
                HalfFloat[] a3 = context.mmaLoadA(xs, 16, a + 1536);
                sum30 = context.mmaBF16(a3, b0, sum30, MMAShape.M16N8K16);
                sum31 = context.mmaBF16(a3, b1, sum31, MMAShape.M16N8K16);
                sum32 = context.mmaBF16(a3, b2, sum32, MMAShape.M16N8K16);
                sum33 = context.mmaBF16(a3, b3, sum33, MMAShape.M16N8K16);
            }
            context.localBarrier();
        }
        int sums = step.get(slot + 15) + context.groupIdx * 16384;
        int to = sums + warpColumn;
        context.mmaStore(sum00, act, warpRow, to, 128);
        context.mmaStore(sum01, act, warpRow, to + 8, 128);
        context.mmaStore(sum02, act, warpRow, to + 16, 128);
        context.mmaStore(sum03, act, warpRow, to + 24, 128);
        context.mmaStore(sum10, act, warpRow + 16, to, 128);
        context.mmaStore(sum11, act, warpRow + 16, to + 8, 128);
        context.mmaStore(sum12, act, warpRow + 16, to + 16, 128);
        context.mmaStore(sum13, act, warpRow + 16, to + 24, 128);
        context.mmaStore(sum20, act, warpRow + 32, to, 128);
        context.mmaStore(sum21, act, warpRow + 32, to + 8, 128);
        context.mmaStore(sum22, act, warpRow + 32, to + 16, 128);
        context.mmaStore(sum23, act, warpRow + 32, to + 24, 128);
        context.mmaStore(sum30, act, warpRow + 48, to, 128);
        context.mmaStore(sum31, act, warpRow + 48, to + 8, 128);
        context.mmaStore(sum32, act, warpRow + 48, to + 16, 128);
        context.mmaStore(sum33, act, warpRow + 48, to + 24, 128);
        context.localBarrier();
        finish(context, step, slot, act, params, table, row, column + item % 128, part, sums);
        Launches.count(context, step, slot, act);
    }

    /** The epilogue of one column. */
    private static void finish(
            KernelContext context,
            IntArray step,
            int slot,
            FloatArray act,
            FloatArray params,
            int table,
            int row,
            int myColumn,
            int part,
            int sums) {
        int rows = step.get(slot);
        int out = step.get(slot + 2);
        int item = context.localIdx;
        if (myColumn < out) {
            // Read once: behind every write to the activations the device would read them again.
            int mode = step.get(slot + 8);
            int yStride = step.get(slot + 6);
            int y = LinearKernels.output(step, slot, part) + myColumn;
            int biases = LinearKernels.bias(step, slot, part);
            float bias = params.get(biases + myColumn);
            float scale = 1f;
            if (table > 0) {
                scale = params.get(biases + out + myColumn);
            }
            int gate = step.get(slot + 11) + myColumn;
            int gateStride = step.get(slot + 12);
            int rowsPerEntry = step.get(slot + 13);
            float added = 0f; // to each gate
            if (mode == 4 && step.get(slot + 9) > 0) {
                added = params.get(step.get(slot + 9) + myColumn);
            }
            int here = TornadoMath.min(128, rows - row);
            for (int r = item / 128; r < here; r += 2) {
                float value = act.get(sums + r * 128 + item % 128) * scale + bias;
                int at = y + (row + r) * yStride;
                if (mode == 2) {
                    float u = SQRT_2_OVER_PI * (value + 0.044715f * value * value * value);
                    value = value - value / (TornadoMath.exp(2f * u) + 1f);
                } else if (mode == 3) {
                    value = value + act.get(at);
                } else if (mode == 4) {
                    value = act.get(at) + value * (act.get(gate + (row + r) / rowsPerEntry * gateStride) + added);
                }
                act.set(at, value);
            }
        }
    }

    /** A weight and the one of the next column, in bfloat16. */
    private static int pair(FloatArray params, ShortArray weights, int table, int at) {
        int low = 0;
        int high = 0;
        if (table > 0) {
            int both = weights.get(at / 2) & 0xffff;
            if (both != 0) {
                low = BFloat16.bf16FromFloat(params.get(table + both % 256));
                high = BFloat16.bf16FromFloat(params.get(table + both / 256));
            }
        } else {
            low = weights.get(at);
            high = weights.get(at + 1);
        }
        return (low & 0xffff) | high << 16;
    }
}
