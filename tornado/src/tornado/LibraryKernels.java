package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.collections.VectorFloat16;

/**
 * What surrounds a matmul of a library ({@link GemmOperands}): its operands are copied out of the arrays they are part of, and its
 * result goes through the same epilogue as our own matmul's. The slot is that of {@link LinearKernels}, one item per element;
 * argument 14 is where a table of {@link HalfKernels#pattern} begins if the factors have 16 bits.
 */
final class LibraryKernels {
    private LibraryKernels() {}

    /** The rows of x, packed: [rows, in]. */
    static void stageRows(KernelContext context, IntArray step, int slot, FloatArray act, FloatArray x) {
        int i = context.globalIdx;
        if (i < step.get(slot) * step.get(slot + 1)) {
            x.set(i, act.get(inRows(step, slot, i)));
        }
        Launches.count(context, step, slot, act);
    }

    /** One layer's weights, transposed: panels [out / 32][in][32] to [in, out]. */
    static void stageWeights(
            KernelContext context, IntArray step, int slot, FloatArray act, VectorFloat16 weights, FloatArray w) {
        int i = context.globalIdx;
        if (i < step.get(slot + 1) * step.get(slot + 2)) {
            w.set(i, weights.getArray().get(inPanels(step, slot, i)));
        }
        Launches.count(context, step, slot, act);
    }

    /** As {@link #stageRows}, rounded to 16 bits. */
    static void stageHalfRows(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray x) {
        int i = context.globalIdx;
        if (i < step.get(slot) * step.get(slot + 1)) {
            float value = act.get(inRows(step, slot, i));
            x.set(i, (short) HalfKernels.pattern(step, step.get(slot + 14), act, params, value));
        }
        Launches.count(context, step, slot, act);
    }

    /** As {@link #stageWeights}, of weights that are stored in 16 bits. */
    static void stageHalfWeights(
            KernelContext context, IntArray step, int slot, FloatArray act, ShortArray weights, ShortArray w) {
        int i = context.globalIdx;
        if (i < step.get(slot + 1) * step.get(slot + 2)) {
            w.set(i, weights.get(inPanels(step, slot, i)));
        }
        Launches.count(context, step, slot, act);
    }

    /** Bias and what follows it, from sums [rows, out]. */
    static void finishRows(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, FloatArray y) {
        int i = context.globalIdx;
        int out = step.get(slot + 2);
        if (i < step.get(slot) * out) {
            LinearKernels.finish(step, slot, 0, act, params, i / out, i % out, y.get(i));
        }
        Launches.count(context, step, slot, act);
    }

    /** As {@link #finishRows}, from sums in 16 bits. */
    static void finishHalfRows(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray y) {
        int i = context.globalIdx;
        int out = step.get(slot + 2);
        if (i < step.get(slot) * out) {
            float sum = params.get(step.get(step.get(slot + 14)) + (y.get(i) & 0xffff));
            LinearKernels.finish(step, slot, 0, act, params, i / out, i % out, sum);
        }
        Launches.count(context, step, slot, act);
    }

    /** Where element {@code i} of [rows, in] lies among the activations. */
    private static int inRows(IntArray step, int slot, int i) {
        int in = step.get(slot + 1);
        return step.get(slot + 3) + i / in * step.get(slot + 4) + i % in;
    }

    /** Where element {@code i} of [in, out] lies among the packed weights. */
    private static int inPanels(IntArray step, int slot, int i) {
        int in = step.get(slot + 1);
        int out = step.get(slot + 2);
        int feature = i % out;
        return step.get(slot + 7) * 16 + (feature / 32 * in + i / out) * 32 + feature % 32;
    }
}
