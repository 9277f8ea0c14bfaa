package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * Norms of whole rows: one group of items per row, which may be a single item.
 *
 * <p>Sums are of sums of 16: in float32 that keeps the error of a row of thousands at that of a few dozen.
 */
final class RowKernels {
    private RowKernels() {}

    /** y = x / sqrt(mean(x^2) + eps) * weight. Slot: rows, dim, x, y, eps, weight. */
    static void rmsNorm(KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params) {
        int dim = step.get(slot + 1);
        int row = context.groupIdx;
        int x = step.get(slot + 2) + row * dim;
        int y = step.get(slot + 3) + row * dim;
        int weight = step.get(slot + 5);
        float squares = sumOfSquares(context, act, x, dim, 0f);
        float factor = factor(squares, dim, params.get(step.get(slot + 4)));
        for (int i = context.localIdx; i < dim; i += context.localGroupSizeX) {
            act.set(y + i, act.get(x + i) * factor * params.get(weight + i));
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * {@link #rmsNorm}, in float16 too. Slot: also where that goes in the array of halves, and where a table of {@link HalfKernels#half}
     * begins.
     */
    static void rmsNormHalf(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray halves) {
        int dim = step.get(slot + 1);
        int row = context.groupIdx;
        int x = step.get(slot + 2) + row * dim;
        int y = step.get(slot + 3) + row * dim;
        int weight = step.get(slot + 5);
        int half = step.get(slot + 6) + row * dim;
        int rounding = step.get(slot + 7);
        float squares = sumOfSquares(context, act, x, dim, 0f);
        float factor = factor(squares, dim, params.get(step.get(slot + 4)));
        for (int i = context.localIdx; i < dim; i += context.localGroupSizeX) {
            float value = act.get(x + i) * factor * params.get(weight + i);
            act.set(y + i, value);
            halves.set(half + i, (short) HalfKernels.half(step, rounding, act, params, value));
        }
        Launches.count(context, step, slot, act);
    }

    /** LN(x) * weight + bias. Slot: rows, dim, x, y, eps, weight, bias. */
    static void layerNorm(KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params) {
        normalise(context, step, slot, act, params);
        Launches.count(context, step, slot, act);
    }

    /** All of {@link #layerNorm} but the count. */
    static void normalise(KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params) {
        int dim = step.get(slot + 1);
        int row = context.groupIdx;
        int x = step.get(slot + 2) + row * dim;
        int y = step.get(slot + 3) + row * dim;
        int weight = step.get(slot + 5);
        int bias = step.get(slot + 6);
        float mean = sum(context, act, x, dim) / dim;
        float squares = sumOfSquares(context, act, x, dim, mean);
        float factor = factor(squares, dim, params.get(step.get(slot + 4)));
        for (int i = context.localIdx; i < dim; i += context.localGroupSizeX) {
            act.set(y + i, (act.get(x + i) - mean) * factor * params.get(weight + i) + params.get(bias + i));
        }
    }

    /**
     * LN(x) * (1 + scale of the row's entry) + shift. Slot: rows, dim, x, y, eps, scale, shift, values of an entry, rows of an entry, and
     * what is added to each scale and to each shift, among the parameters; 0 for nothing.
     */
    static void layerNormModulate(KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params) {
        modulate(context, step, slot, act, params);
        Launches.count(context, step, slot, act);
    }

    /** All of {@link #layerNormModulate} but the count. */
    static void modulate(KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params) {
        int dim = step.get(slot + 1);
        int row = context.groupIdx;
        int x = step.get(slot + 2) + row * dim;
        int y = step.get(slot + 3) + row * dim;
        int entry = row / step.get(slot + 8) * step.get(slot + 7);
        int scale = step.get(slot + 5) + entry;
        int shift = step.get(slot + 6) + entry;
        int scaleTable = step.get(slot + 9);
        int shiftTable = step.get(slot + 10);
        float mean = sum(context, act, x, dim) / dim;
        float squares = sumOfSquares(context, act, x, dim, mean);
        float factor = factor(squares, dim, params.get(step.get(slot + 4)));
        for (int i = context.localIdx; i < dim; i += context.localGroupSizeX) {
            float scaled = act.get(scale + i);
            float shifted = act.get(shift + i);
            if (scaleTable > 0) {
                scaled += params.get(scaleTable + i);
                shifted += params.get(shiftTable + i);
            }
            act.set(y + i, (act.get(x + i) - mean) * factor * (1f + scaled) + shifted);
        }
    }

    /**
     * {@link #layerNorm}, in 16 bits too. Slot: also where those go in the array of halves, and where a table of {@link
     * HalfKernels#rounded} begins.
     */
    static void layerNormHalf(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray halves) {
        int dim = step.get(slot + 1);
        int row = context.groupIdx;
        int x = step.get(slot + 2) + row * dim;
        int y = step.get(slot + 3) + row * dim;
        int weight = step.get(slot + 5);
        int bias = step.get(slot + 6);
        int half = step.get(slot + 7) + row * dim;
        int rounding = step.get(slot + 8);
        float mean = sum(context, act, x, dim) / dim;
        float squares = sumOfSquares(context, act, x, dim, mean);
        float factor = factor(squares, dim, params.get(step.get(slot + 4)));
        for (int i = context.localIdx; i < dim; i += context.localGroupSizeX) {
            float value = (act.get(x + i) - mean) * factor * params.get(weight + i) + params.get(bias + i);
            act.set(y + i, value);
            halves.set(half + i, (short) HalfKernels.rounded(step, rounding, act, params, value));
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * residual += y * gate, as {@link ElementKernels#gatedResidual}, and {@link #layerNorm} of the residual, which each item reads where it has
     * written. Slot: that of {@link #layerNormHalf}, -1 where nothing goes in 16 bits; then y, gate, values of an entry, rows of an entry, and what
     * is added to each gate, among the parameters; 0 for nothing.
     */
    static void gatedLayerNorm(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray halves) {
        gate(context, step, slot, act, params);
        int dim = step.get(slot + 1);
        int row = context.groupIdx;
        int x = step.get(slot + 2) + row * dim;
        int y = step.get(slot + 3) + row * dim;
        int weight = step.get(slot + 5);
        int bias = step.get(slot + 6);
        int half = step.get(slot + 7);
        int rounding = step.get(slot + 8);
        float mean = sum(context, act, x, dim) / dim;
        float squares = sumOfSquares(context, act, x, dim, mean);
        float factor = factor(squares, dim, params.get(step.get(slot + 4)));
        for (int i = context.localIdx; i < dim; i += context.localGroupSizeX) {
            float value = (act.get(x + i) - mean) * factor * params.get(weight + i) + params.get(bias + i);
            act.set(y + i, value);
            if (half >= 0) {
                halves.set(half + row * dim + i, (short) HalfKernels.rounded(step, rounding, act, params, value));
            }
        }
        Launches.count(context, step, slot, act);
    }

    /** The first half of {@link #gatedLayerNorm}: residual += y * gate. */
    static void gate(KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params) {
        int dim = step.get(slot + 1);
        int row = context.groupIdx;
        int x = step.get(slot + 2) + row * dim;
        int from = step.get(slot + 9) + row * dim;
        int gates = step.get(slot + 10) + row / step.get(slot + 12) * step.get(slot + 11);
        int table = step.get(slot + 13);
        // The emulator has to know that items share memory before one writes.
        float[] _ = context.allocateFloatLocalArray(1);
        for (int i = context.localIdx; i < dim; i += context.localGroupSizeX) {
            float gate = act.get(gates + i);
            if (table > 0) {
                gate += params.get(table + i);
            }
            act.set(x + i, act.get(x + i) + act.get(from + i) * gate);
        }
    }

    /** {@link #layerNormModulate}, in 16 bits too. Slot: also as {@link #layerNormHalf}. */
    static void layerNormModulateHalf(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray halves) {
        int dim = step.get(slot + 1);
        int row = context.groupIdx;
        int x = step.get(slot + 2) + row * dim;
        int y = step.get(slot + 3) + row * dim;
        int entry = row / step.get(slot + 8) * step.get(slot + 7);
        int scale = step.get(slot + 5) + entry;
        int shift = step.get(slot + 6) + entry;
        int scaleTable = step.get(slot + 9);
        int shiftTable = step.get(slot + 10);
        int half = step.get(slot + 11) + row * dim;
        int rounding = step.get(slot + 12);
        float mean = sum(context, act, x, dim) / dim;
        float squares = sumOfSquares(context, act, x, dim, mean);
        float factor = factor(squares, dim, params.get(step.get(slot + 4)));
        for (int i = context.localIdx; i < dim; i += context.localGroupSizeX) {
            float scaled = act.get(scale + i);
            float shifted = act.get(shift + i);
            if (scaleTable > 0) {
                scaled += params.get(scaleTable + i);
                shifted += params.get(shiftTable + i);
            }
            float value = (act.get(x + i) - mean) * factor * (1f + scaled) + shifted;
            act.set(y + i, value);
            halves.set(half + i, (short) HalfKernels.rounded(step, rounding, act, params, value));
        }
        Launches.count(context, step, slot, act);
    }

    /** 1 / sqrt(mean + eps); where the squares are beyond a float infinity, since 0 would make numbers of it. */
    static float factor(float squares, int dim, float eps) {
        float factor = 1f / TornadoMath.sqrt(squares / dim + eps);
        if (squares > 3.4e38f) {
            factor = squares;
        }
        return factor;
    }

    private static float sum(KernelContext context, FloatArray act, int x, int dim) {
        int stride = context.localGroupSizeX;
        float total = 0f;
        for (int from = context.localIdx; from < dim; from += 16 * stride) {
            float part = 0f;
            for (int i = from; i < TornadoMath.min(from + 16 * stride, dim); i += stride) {
                part += act.get(x + i);
            }
            total += part;
        }
        return overGroup(context, total);
    }

    static float sumOfSquares(KernelContext context, FloatArray act, int x, int dim, float mean) {
        int stride = context.localGroupSizeX;
        float total = 0f;
        for (int from = context.localIdx; from < dim; from += 16 * stride) {
            float part = 0f;
            for (int i = from; i < TornadoMath.min(from + 16 * stride, dim); i += stride) {
                float value = act.get(x + i) - mean;
                part += value * value;
            }
            total += part;
        }
        return overGroup(context, total);
    }

    /**
     * The sum of every item's value, for every item. The group's size is a power of two.
     *
     * <p>The array is allocated here: one that comes as a parameter is indexed by byte offsets, beyond its end (TornadoVM 5.2.0,
     * OpenCL and CUDA).
     */
    static float overGroup(KernelContext context, float value) {
        float[] shared = context.allocateFloatLocalArray(256);
        int item = context.localIdx;
        shared[item] = value;
        context.localBarrier();
        for (int half = context.localGroupSizeX / 2; half > 0; half = half / 2) {
            if (item < half) {
                shared[item] = shared[item] + shared[item + half];
            }
            context.localBarrier();
        }
        float total = shared[0];
        context.localBarrier();
        return total;
    }

    /** The largest of every item's value, for every item. The group's size is a power of two. */
    static float largestOfGroup(KernelContext context, float value) {
        float[] shared = context.allocateFloatLocalArray(256);
        int item = context.localIdx;
        shared[item] = value;
        context.localBarrier();
        for (int half = context.localGroupSizeX / 2; half > 0; half = half / 2) {
            if (item < half) {
                shared[item] = TornadoMath.max(shared[item], shared[item + half]);
            }
            context.localBarrier();
        }
        float largest = shared[0];
        context.localBarrier();
        return largest;
    }
}
