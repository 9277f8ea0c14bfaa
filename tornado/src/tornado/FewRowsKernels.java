package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * Linear layers of a row per frame, as the time embedding has, over plain weights [out, in], which a library multiplies otherwise: a group
 * of items for each sum. Inputs stay float32. The slot is that of {@link LinearKernels}; argument 15 is where the table of 16-bit
 * or 8-bit values is.
 */
final class FewRowsKernels {
    private FewRowsKernels() {}

    /** Weights in float32. */
    static void linearFew(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, FloatArray weights) {
        int in = step.get(slot + 1);
        int out = step.get(slot + 2);
        int row = context.groupIdx / out;
        int column = context.groupIdx % out;
        int x = step.get(slot + 3) + row * step.get(slot + 4);
        int w = step.get(slot + 7) * 16 + column * in;
        float sum = 0f;
        for (int k = context.localIdx; k < in; k += context.localGroupSizeX) {
            sum += act.get(x + k) * weights.get(w + k);
        }
        float total = RowKernels.overGroup(context, sum);
        if (context.localIdx == 0) {
            LinearKernels.finish(step, slot, 0, act, params, row, column, total);
        }
        Launches.count(context, step, slot, act);
    }

    /** Weights in 16 bits. */
    static void linearFewHalf(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray weights) {
        int in = step.get(slot + 1);
        int out = step.get(slot + 2);
        int row = context.groupIdx / out;
        int column = context.groupIdx % out;
        int x = step.get(slot + 3) + row * step.get(slot + 4);
        int w = step.get(slot + 7) * 16 + column * in;
        int table = step.get(slot + 15);
        float sum = 0f;
        for (int k = context.localIdx; k < in; k += context.localGroupSizeX) {
            sum += act.get(x + k) * params.get(table + (weights.get(w + k) & 0xffff));
        }
        float total = RowKernels.overGroup(context, sum);
        if (context.localIdx == 0) {
            LinearKernels.finish(step, slot, 0, act, params, row, column, total);
        }
        Launches.count(context, step, slot, act);
    }

    /** Weights in 8 bits, two in each element, the first in its low bits. The scales of the channels lie behind the bias. */
    static void linearFewBytes(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray weights) {
        int in = step.get(slot + 1);
        int out = step.get(slot + 2);
        int row = context.groupIdx / out;
        int column = context.groupIdx % out;
        int x = step.get(slot + 3) + row * step.get(slot + 4);
        int w = step.get(slot + 7) * 16 + column * in;
        int table = step.get(slot + 15);
        float sum = 0f;
        for (int k = context.localIdx; k < in; k += context.localGroupSizeX) {
            int both = weights.get((w + k) / 2) & 0xffff;
            int pattern = both % 256;
            if ((w + k) % 2 == 1) {
                pattern = both / 256;
            }
            sum += act.get(x + k) * params.get(table + pattern);
        }
        float total = RowKernels.overGroup(context, sum);
        if (context.localIdx == 0) {
            float scale = params.get(step.get(slot + 10) + out + column);
            LinearKernels.finish(step, slot, 0, act, params, row, column, total * scale);
        }
        Launches.count(context, step, slot, act);
    }
}
