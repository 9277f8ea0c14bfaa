package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.BFloat16;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * Rows of activations in E4M3, as a library multiplies them: a group of items for each row, which finds the row's largest number, maps it to
 * 448 and rounds as {@link wan.op.Float8} does. Bytes go into the array of halves, two in each element, the first in its low bits;
 * what a row was divided by goes to the activations.
 *
 * <p>A table says where: bytes, scales, where the number of the first call goes that met what is not finite, this call's number. What is
 * not finite is left out of the largest number, and no pattern is NaN.
 */
final class Float8Kernels {
    private static final float MAX = 448f;
    private static final float MIN_NORMAL = Float.MIN_NORMAL;
    private static final float MAX_FLOAT = Float.MAX_VALUE;
    /** Added to a number below 2^22 and taken away again, it leaves the nearest integer, ties to even. */
    private static final float INTEGERS = 8388608f;

    private Float8Kernels() {}

    /**
     * Rows as they are, or GELU of rows that a library has left in bfloat16. Slot: rows, dim, x, where the table begins, whether x is in
     * the array of halves and GELU follows.
     */
    static void quantiseRows(KernelContext context, IntArray step, int slot, FloatArray act, ShortArray halves) {
        int dim = step.get(slot + 1);
        int x = step.get(slot + 2) + context.groupIdx * dim;
        int table = step.get(slot + 3);
        if (step.get(slot + 4) == 0) {
            quantise(context, step, table, act, halves, x, dim);
        } else {
            float most = 0f;
            for (int i = context.localIdx; i < dim; i += context.localGroupSizeX) {
                most = larger(step, table, act, most, gelu(BFloat16.bf16ToFloat(halves.get(x + i))));
            }
            float scale = scale(context, step, table, act, most);
            int to = step.get(table) + context.groupIdx * dim / 2;
            for (int i = context.localIdx; i < dim / 2; i += context.localGroupSizeX) {
                int low = pattern(gelu(BFloat16.bf16ToFloat(halves.get(x + 2 * i))) / scale);
                int high = pattern(gelu(BFloat16.bf16ToFloat(halves.get(x + 2 * i + 1))) / scale);
                halves.set(to + i, (short) (low + 256 * high));
            }
        }
        Launches.count(context, step, slot, act);
    }

    /** {@link RowKernels#layerNorm}, in bytes too. Slot: also where the table begins. */
    static void layerNormBytes(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray halves) {
        RowKernels.normalise(context, step, slot, act, params);
        row(context, step, slot, 7, act, halves);
        Launches.count(context, step, slot, act);
    }

    /** {@link RowKernels#layerNormModulate}, in bytes too. Slot: also where the table begins. */
    static void layerNormModulateBytes(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray halves) {
        RowKernels.modulate(context, step, slot, act, params);
        row(context, step, slot, 11, act, halves);
        Launches.count(context, step, slot, act);
    }

    /** {@link RowKernels#gatedLayerNorm}, in bytes instead of 16 bits. Slot: also where the table begins. */
    static void gatedLayerNormBytes(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray halves) {
        RowKernels.gate(context, step, slot, act, params);
        RowKernels.normalise(context, step, slot, act, params);
        row(context, step, slot, 14, act, halves);
        Launches.count(context, step, slot, act);
    }

    private static void row(
            KernelContext context, IntArray step, int slot, int argument, FloatArray act, ShortArray halves) {
        int dim = step.get(slot + 1);
        int y = step.get(slot + 3) + context.groupIdx * dim;
        quantise(context, step, step.get(slot + argument), act, halves, y, dim);
    }

    /** A group's row. The items may have written it: each begins with what it has written itself. */
    private static void quantise(
            KernelContext context, IntArray step, int table, FloatArray act, ShortArray halves, int x, int dim) {
        float most = 0f;
        for (int i = context.localIdx; i < dim; i += context.localGroupSizeX) {
            most = larger(step, table, act, most, act.get(x + i));
        }
        float scale = scale(context, step, table, act, most);
        int to = step.get(table) + context.groupIdx * dim / 2;
        for (int i = context.localIdx; i < dim / 2; i += context.localGroupSizeX) {
            int low = pattern(act.get(x + 2 * i) / scale);
            int high = pattern(act.get(x + 2 * i + 1) / scale);
            halves.set(to + i, (short) (low + 256 * high));
        }
    }

    private static float larger(IntArray step, int table, FloatArray act, float most, float value) {
        float size = TornadoMath.abs(value);
        float result = most;
        if (size < MAX_FLOAT) { // in CUDA C, <= would become !>, which NaN passes
            result = TornadoMath.max(most, size);
        } else if (act.get(step.get(table + 2)) == 0f) {
            act.set(step.get(table + 2), step.get(table + 3));
        }
        return result;
    }

    /** What the row is divided by, from every item's largest number. */
    private static float scale(KernelContext context, IntArray step, int table, FloatArray act, float most) {
        float scale = RowKernels.largestOfGroup(context, most) / MAX;
        if (scale < MIN_NORMAL) {
            scale = 1f;
        }
        if (context.localIdx == 0) {
            act.set(step.get(table + 1) + context.groupIdx, scale);
        }
        return scale;
    }

    private static float gelu(float value) {
        return LinearKernels.gelu(value);
    }

    /** The pattern nearest to a value, ties to even; what is beyond 448 becomes that. */
    private static int pattern(float value) {
        int pattern = 0;
        if (value < 0f) {
            pattern = 0x80;
        }
        // In units of the smallest number, 2^-9; halved until it is below 16, each time the exponent goes up by one.
        float size = TornadoMath.min(TornadoMath.abs(value), MAX) * 512f;
        if (size >= 2048f) {
            size = size * 0.00390625f;
            pattern = pattern + 64;
        }
        if (size >= 128f) {
            size = size * 0.0625f;
            pattern = pattern + 32;
        }
        if (size >= 32f) {
            size = size * 0.25f;
            pattern = pattern + 16;
        }
        if (size >= 16f) {
            size = size * 0.5f;
            pattern = pattern + 8;
        }
        return pattern + (int) (size + INTEGERS - INTEGERS);
    }
}
