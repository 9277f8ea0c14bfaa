package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.collections.VectorFloat16;

/**
 * What self-attention does between its projections and its product, a group of items for each token: norms and rotations of queries, in
 * place, and of keys, which go to the cache with the values. The numbers are those of {@link RowKernels}, {@link ElementKernels#rope} and
 * {@link CacheKernels}, whose pages these are; their padding stays as it is, zero.
 *
 * <p>Slot: tokens, channels of one, q, k, v, eps, weights of q and of k, heads, tokens of a frame, columns of a row, frames, where the frames'
 * positions are and behind them the page of each frame in the pool, negative to leave it out, where {@link HalfKernels#half} has what it needs
 * for keys and then for values, frame table, grid table.
 */
final class QueryKeyKernels {
    private QueryKeyKernels() {}

    static void normRopeAppend(
            KernelContext context,
            IntArray step,
            int slot,
            FloatArray act,
            FloatArray params,
            VectorFloat16 keys,
            VectorFloat16 values) {
        int row = context.groupIdx;
        int page = page(step, slot, row);
        float ofQuery = factor(context, step, slot, act, params, 2);
        float ofKey = factor(context, step, slot, act, params, 3);
        for (int i = 2 * context.localIdx; i < step.get(slot + 1); i += 2 * context.localGroupSizeX) {
            int angle = angle(step, slot, row, i);
            turnQuery(step, slot, act, params, row, i, ofQuery, angle);
            if (page >= 0) {
                float cos = params.get(angle);
                float sin = params.get(angle + 1);
                float real = normed(step, slot, act, params, row, i, 3, ofKey);
                float imaginary = normed(step, slot, act, params, row, i + 1, 3, ofKey);
                int at = keyPlace(step, slot, page, row, i);
                keys.getArray().set(at, real * cos - imaginary * sin);
                keys.getArray().set(at + 32, real * sin + imaginary * cos);
                int v = element(step, slot, row, i, 4);
                at = valuePlace(step, slot, page, row, i);
                values.getArray().set(at, act.get(v));
                values.getArray().set(at + 1, act.get(v + 1));
            }
        }
        Launches.count(context, step, slot, act);
    }

    /** As the other, into pages of float16: TornadoVM compiles no kernel for two types of an array. */
    static void normRopeAppendHalf(
            KernelContext context,
            IntArray step,
            int slot,
            FloatArray act,
            FloatArray params,
            ShortArray keys,
            ShortArray values) {
        int row = context.groupIdx;
        int page = page(step, slot, row);
        float ofQuery = factor(context, step, slot, act, params, 2);
        float ofKey = factor(context, step, slot, act, params, 3);
        int rounding = step.get(slot + 13);
        for (int i = 2 * context.localIdx; i < step.get(slot + 1); i += 2 * context.localGroupSizeX) {
            int angle = angle(step, slot, row, i);
            turnQuery(step, slot, act, params, row, i, ofQuery, angle);
            if (page >= 0) {
                float cos = params.get(angle);
                float sin = params.get(angle + 1);
                float real = normed(step, slot, act, params, row, i, 3, ofKey);
                float imaginary = normed(step, slot, act, params, row, i + 1, 3, ofKey);
                int at = keyPlace(step, slot, page, row, i);
                keys.set(at, half(step, rounding, act, params, real * cos - imaginary * sin));
                keys.set(at + 32, half(step, rounding, act, params, real * sin + imaginary * cos));
                int v = element(step, slot, row, i, 4);
                at = valuePlace(step, slot, page, row, i);
                values.set(at, half(step, rounding + 3, act, params, act.get(v)));
                values.set(at + 1, half(step, rounding + 3, act, params, act.get(v + 1)));
            }
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * As the other, into pages of rows [heads, headDim], with the queries in float16 too. Behind the table of {@link HalfKernels#half} for
     * values comes that for queries, and where those go in the array of halves.
     */
    static void normRopeAppendRows(
            KernelContext context,
            IntArray step,
            int slot,
            FloatArray act,
            FloatArray params,
            ShortArray keys,
            ShortArray values,
            ShortArray halves) {
        int row = context.groupIdx;
        int dim = step.get(slot + 1);
        int page = page(step, slot, row);
        float ofQuery = factor(context, step, slot, act, params, 2);
        float ofKey = factor(context, step, slot, act, params, 3);
        int rounding = step.get(slot + 13);
        int to = (page * step.get(slot + 9) + row % step.get(slot + 9)) * dim;
        int query = step.get(rounding + 9) + row * dim;
        for (int i = 2 * context.localIdx; i < dim; i += 2 * context.localGroupSizeX) {
            int angle = angle(step, slot, row, i);
            turnQuery(step, slot, act, params, row, i, ofQuery, angle);
            int q = element(step, slot, row, i, 2);
            halves.set(query + i, half(step, rounding + 6, act, params, act.get(q)));
            halves.set(query + i + 1, half(step, rounding + 6, act, params, act.get(q + 1)));
            if (page >= 0) {
                float cos = params.get(angle);
                float sin = params.get(angle + 1);
                float real = normed(step, slot, act, params, row, i, 3, ofKey);
                float imaginary = normed(step, slot, act, params, row, i + 1, 3, ofKey);
                keys.set(to + i, half(step, rounding, act, params, real * cos - imaginary * sin));
                keys.set(to + i + 1, half(step, rounding, act, params, real * sin + imaginary * cos));
                int v = element(step, slot, row, i, 4);
                values.set(to + i, half(step, rounding + 3, act, params, act.get(v)));
                values.set(to + i + 1, half(step, rounding + 3, act, params, act.get(v + 1)));
            }
        }
        Launches.count(context, step, slot, act);
    }

    /** What divides the token's query ({@code which} 2) or key (3). */
    private static float factor(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, int which) {
        int dim = step.get(slot + 1);
        int at = element(step, slot, context.groupIdx, 0, which);
        return RowKernels.factor(
                RowKernels.sumOfSquares(context, act, at, dim, 0f), dim, params.get(step.get(slot + 5)));
    }

    /** Where a channel of the token's query, key or value (4) is. */
    private static int element(IntArray step, int slot, int row, int channel, int which) {
        return step.get(slot + which) + row * step.get(slot + 1) + channel;
    }

    private static float normed(
            IntArray step, int slot, FloatArray act, FloatArray params, int row, int channel, int which, float factor) {
        float weight = params.get(step.get(slot + 4 + which) + channel);
        return act.get(element(step, slot, row, channel, which)) * factor * weight;
    }

    /** A channel of a query and the next, in place. */
    private static void turnQuery(
            IntArray step, int slot, FloatArray act, FloatArray params, int row, int channel, float factor, int angle) {
        float cos = params.get(angle);
        float sin = params.get(angle + 1);
        float real = normed(step, slot, act, params, row, channel, 2, factor);
        float imaginary = normed(step, slot, act, params, row, channel + 1, 2, factor);
        int q = element(step, slot, row, channel, 2);
        act.set(q, real * cos - imaginary * sin);
        act.set(q + 1, real * sin + imaginary * cos);
    }

    private static short half(IntArray step, int at, FloatArray act, FloatArray params, float value) {
        return (short) HalfKernels.half(step, at, act, params, value);
    }

    /** The page in the pool that a token goes to. */
    private static int page(IntArray step, int slot, int row) {
        return step.get(step.get(slot + 12) + step.get(slot + 11) + row / step.get(slot + 9));
    }

    /** Where cosine and sine of a channel and the next are. */
    private static int angle(IntArray step, int slot, int row, int channel) {
        int frameTokens = step.get(slot + 9);
        int columns = step.get(slot + 10);
        int pairs = step.get(slot + 1) / step.get(slot + 8) / 2;
        int third = pairs / 3;
        int framePairs = pairs - 2 * third;
        int pair = channel / 2 % pairs;
        int token = row % frameTokens;
        int entry;
        if (pair < framePairs) {
            int position = step.get(step.get(slot + 12) + row / frameTokens % step.get(slot + 11));
            entry = step.get(slot + 14) + 2 * (position * framePairs + pair);
        } else if (pair < framePairs + third) {
            entry = step.get(slot + 15) + 2 * (token / columns * third + pair - framePairs);
        } else {
            entry = step.get(slot + 15) + 2 * (token % columns * third + pair - framePairs - third);
        }
        return entry;
    }

    /** Where a channel of a token's key lies in a pool; the next channel is 32 further. */
    private static int keyPlace(IntArray step, int slot, int page, int row, int channel) {
        int heads = step.get(slot + 8);
        int headDim = step.get(slot + 1) / heads;
        int tokens = step.get(slot + 9);
        int token = row % tokens;
        int tile = (page * heads + channel / headDim) * ((tokens + 31) / 32) + token / 32;
        return (tile * headDim + channel % headDim) * 32 + token % 32;
    }

    /** Where a channel of a token's value lies in a pool; an even one has the next beside it. */
    private static int valuePlace(IntArray step, int slot, int page, int row, int channel) {
        int heads = step.get(slot + 8);
        int headDim = step.get(slot + 1) / heads;
        int tokens = step.get(slot + 9);
        int ofHead = channel % headDim;
        int tile = (page * heads + channel / headDim) * ((headDim + 31) / 32) + ofHead / 32;
        return (tile * tokens + row % tokens) * 32 + ofHead % 32;
    }
}
