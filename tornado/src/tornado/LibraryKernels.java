package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.collections.VectorFloat16;

/**
 * What surrounds a matmul of a library ({@link GemmOperands}): its operands are copied out of the arrays they are part of, and its
 * result goes through the same epilogue as our own matmul's. The slot is that of {@link LinearKernels}, one item per element.
 */
final class LibraryKernels {
    private LibraryKernels() {}

    /** The rows of x, packed: [rows, in]. */
    static void stageRows(KernelContext context, IntArray step, int slot, FloatArray act, FloatArray x) {
        int i = context.globalIdx;
        int in = step.get(slot + 1);
        if (i < step.get(slot) * in) {
            x.set(i, act.get(step.get(slot + 3) + i / in * step.get(slot + 4) + i % in));
        }
    }

    /** One layer's weights, transposed: panels [out / 32][in][32] to [in, out]. */
    static void stageWeights(KernelContext context, IntArray step, int slot, VectorFloat16 weights, FloatArray w) {
        int i = context.globalIdx;
        int in = step.get(slot + 1);
        int out = step.get(slot + 2);
        if (i < in * out) {
            int feature = i % out;
            int panel = step.get(slot + 7) * 16 + (feature / 32 * in + i / out) * 32;
            w.set(i, weights.getArray().get(panel + feature % 32));
        }
    }

    /** Bias and what follows it, from sums [rows, out]. */
    static void finishRows(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, FloatArray y) {
        int i = context.globalIdx;
        int out = step.get(slot + 2);
        if (i < step.get(slot) * out) {
            LinearKernels.finish(step, slot, act, params, i / out, i % out, y.get(i));
        }
    }
}
