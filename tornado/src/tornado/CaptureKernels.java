package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.collections.VectorFloat16;

/**
 * What is captured beside the attention. Mean logits come from mean vectors: the mean of q_i . k_j over i and j is the product of
 * the means. Letters as in {@link wan.op.Quantity}; sums are of sums of 16.
 *
 * <p>The first value of every slot is the number of items.
 */
final class CaptureKernels {
    private CaptureKernels() {}

    /**
     * Mean queries [B, N, f, headDim]. Slot: items, q, y, queries per sample, group tokens, heads, headDim, captured heads, head
     * table.
     */
    static void meanQueries(KernelContext context, IntArray step, int slot, FloatArray act) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int queries = step.get(slot + 3);
            int groupTokens = step.get(slot + 4);
            int dim = step.get(slot + 5) * step.get(slot + 6);
            int headDim = step.get(slot + 6);
            int captured = step.get(slot + 7);
            int groups = queries / groupTokens;
            int channel = i % headDim;
            int group = i / headDim % groups;
            int head = step.get(step.get(slot + 8) + i / (headDim * groups) % captured);
            int sample = i / (headDim * groups * captured);
            int from = step.get(slot + 1) + (sample * queries + group * groupTokens) * dim + head * headDim + channel;
            float total = 0f;
            for (int t = 0; t < groupTokens; t += 16) {
                float part = 0f;
                for (int j = t; j < TornadoMath.min(t + 16, groupTokens); j++) {
                    part += act.get(from + j * dim);
                }
                total += part;
            }
            act.set(step.get(slot + 2) + i, total / groupTokens);
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * Mean keys [B, N, K, headDim]. Slot: items, y, key groups, group tokens, heads, headDim, captured heads, head table, page tokens,
     * page table, first page of the cache, pages per sample.
     */
    static void meanKeys(KernelContext context, IntArray step, int slot, FloatArray act, VectorFloat16 keys) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int groups = step.get(slot + 2);
            int groupTokens = step.get(slot + 3);
            int heads = step.get(slot + 4);
            int headDim = step.get(slot + 5);
            int captured = step.get(slot + 6);
            int pageTokens = step.get(slot + 8);
            int tiles = (pageTokens + 31) / 32;
            int channel = i % headDim;
            int group = i / headDim % groups;
            int head = step.get(step.get(slot + 7) + i / (headDim * groups) % captured);
            int sample = i / (headDim * groups * captured);
            int key = group * groupTokens;
            int page = step.get(slot + 10)
                    + sample * step.get(slot + 11)
                    + step.get(step.get(slot + 9) + key / pageTokens);
            int from = (page * heads + head) * tiles * headDim * 32 + channel * 32;
            int token = key % pageTokens;
            float total = 0f;
            for (int t = token; t < token + groupTokens; t += 16) {
                float part = 0f;
                for (int j = t; j < TornadoMath.min(t + 16, token + groupTokens); j++) {
                    part += keys.getArray().get(from + j / 32 * headDim * 32 + j % 32);
                }
                total += part;
            }
            act.set(step.get(slot + 1) + i, total / groupTokens);
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * {@link #meanKeys} of keys in 16 bits, as they are stored. Slot: also a table of the values of all patterns, and whether pages are rows
     * [heads, headDim] of tokens, as {@link SdpaKernels} has them.
     */
    static void meanHalfKeys(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray keys) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int groups = step.get(slot + 2);
            int groupTokens = step.get(slot + 3);
            int heads = step.get(slot + 4);
            int headDim = step.get(slot + 5);
            int captured = step.get(slot + 6);
            int pageTokens = step.get(slot + 8);
            int channel = i % headDim;
            int group = i / headDim % groups;
            int head = step.get(step.get(slot + 7) + i / (headDim * groups) % captured);
            int sample = i / (headDim * groups * captured);
            int key = group * groupTokens;
            int page = step.get(slot + 10)
                    + sample * step.get(slot + 11)
                    + step.get(step.get(slot + 9) + key / pageTokens);
            // Token j is at from + j / 32 * tile + j % 32 * token.
            int from = (page * heads + head) * ((pageTokens + 31) / 32) * headDim * 32 + channel * 32;
            int ofTile = headDim * 32;
            int ofToken = 1;
            if (step.get(slot + 13) > 0) {
                from = (page * pageTokens * heads + head) * headDim + channel;
                ofToken = heads * headDim;
                ofTile = 32 * ofToken;
            }
            int token = key % pageTokens;
            float total = 0f;
            for (int t = token; t < token + groupTokens; t += 16) {
                float part = 0f;
                for (int j = t; j < TornadoMath.min(t + 16, token + groupTokens); j++) {
                    int pattern = keys.get(from + j / 32 * ofTile + j % 32 * ofToken) & 0xffff;
                    part += params.get(step.get(slot + 12) + pattern);
                }
                total += part;
            }
            act.set(step.get(slot + 1) + i, total / groupTokens);
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * Products of rows, scaled: y [B, N, rows, columns] = a . b. Slot: items, a, b, y, rows, columns, headDim, captured heads, a's
     * stride of a sample, of a head, of a row, whether a's heads are all heads, head table, scale. b is [B, N, columns, headDim].
     */
    static void products(KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int rows = step.get(slot + 4);
            int columns = step.get(slot + 5);
            int headDim = step.get(slot + 6);
            int captured = step.get(slot + 7);
            int column = i % columns;
            int row = i / columns % rows;
            int plane = i / (columns * rows);
            int head = plane % captured;
            if (step.get(slot + 11) == 1) {
                head = step.get(step.get(slot + 12) + head);
            }
            int a = step.get(slot + 1)
                    + plane / captured * step.get(slot + 8)
                    + head * step.get(slot + 9)
                    + row * step.get(slot + 10);
            int b = step.get(slot + 2) + (plane * columns + column) * headDim;
            float sum = 0f;
            for (int c = 0; c < headDim; c++) {
                sum += act.get(a + c) * act.get(b + c);
            }
            act.set(step.get(slot + 3) + i, sum * params.get(step.get(slot + 13)));
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * Mean queries with every key, y [B, N, f, Lk]. Slot: items, mean queries, y, f, Lk, heads, headDim, captured heads, head table, page
     * tokens, page table, first page of the cache, pages per sample, scale.
     */
    static void keyLogits(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, VectorFloat16 keys) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int groups = step.get(slot + 3);
            int count = step.get(slot + 4);
            int heads = step.get(slot + 5);
            int headDim = step.get(slot + 6);
            int captured = step.get(slot + 7);
            int pageTokens = step.get(slot + 9);
            int tiles = (pageTokens + 31) / 32;
            int key = i % count;
            int plane = i / (count * groups);
            int head = step.get(step.get(slot + 8) + plane % captured);
            int page = step.get(slot + 11)
                    + plane / captured * step.get(slot + 12)
                    + step.get(step.get(slot + 10) + key / pageTokens);
            int token = key % pageTokens;
            int from = ((page * heads + head) * tiles + token / 32) * headDim * 32 + token % 32;
            int q = step.get(slot + 1) + i / count * headDim;
            float sum = 0f;
            for (int c = 0; c < headDim; c++) {
                sum += act.get(q + c) * keys.getArray().get(from + c * 32);
            }
            act.set(step.get(slot + 2) + i, sum * params.get(step.get(slot + 13)));
        }
        Launches.count(context, step, slot, act);
    }

    /** Means over consecutive rows: x [items / columns * tokens, columns] to y [items / columns, columns]. Slot: items, x, y, columns, tokens. */
    static void meanRows(KernelContext context, IntArray step, int slot, FloatArray act) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int columns = step.get(slot + 3);
            int tokens = step.get(slot + 4);
            int from = step.get(slot + 1) + i / columns * tokens * columns + i % columns;
            float total = 0f;
            for (int t = 0; t < tokens; t += 16) {
                float part = 0f;
                for (int j = t; j < TornadoMath.min(t + 16, tokens); j++) {
                    part += act.get(from + j * columns);
                }
                total += part;
            }
            act.set(step.get(slot + 2) + i, total / tokens);
        }
        Launches.count(context, step, slot, act);
    }
}
