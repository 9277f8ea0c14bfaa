package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * What surrounds an attention of a library ({@link SdpaOperands}): queries are rounded to 16 bits, pages are gathered, and the result
 * is widened. One item per element. {@link AttentionKernels} has the slot; argument 12 is the number of rows that is recorded,
 * argument 13 where a table of {@link HalfKernels#pattern} begins.
 */
final class SdpaKernels {
    /** The argument for the rows that are recorded, which a call does not know. */
    static final int RECORDED_ROWS = 12;

    /** Where {@link #stageGroups} and {@link #finishMasses}, which need no queries and no pages, have theirs. */
    static final int GROUP_TOKENS = 4;

    static final int FIRST_GROUP = 9;
    static final int GROUPS = 11;

    private SdpaKernels() {}

    /** Queries [batch, queries, heads, headDim] to [batch, heads, recorded rows, headDim]. */
    static void stageQueries(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray q) {
        int i = context.globalIdx;
        int rows = step.get(slot + 1) * step.get(slot);
        if (i < rows * step.get(slot + 2) * step.get(slot + 3)) {
            float value = act.get(step.get(slot + 4) + i);
            q.set(inHeads(step, slot, i), (short) HalfKernels.pattern(step, step.get(slot + 13), act, params, value));
        }
        Launches.count(context, step, slot, act);
    }

    /** Pages of keys to [batch, heads, keys, headDim]. */
    static void stageKeys(
            KernelContext context, IntArray step, int slot, FloatArray act, ShortArray pages, ShortArray k) {
        int i = context.globalIdx;
        int headDim = step.get(slot + 3);
        int rows = step.get(slot + 1) * step.get(slot + 2) * step.get(slot + 7) * step.get(slot + 6);
        if (i < rows * headDim) {
            int token = tokenInPage(step, slot, i / headDim);
            int tile = headInPage(step, slot, i / headDim) * ((step.get(slot + 6) + 31) / 32) + token / 32;
            k.set(i, pages.get((tile * headDim + i % headDim) * 32 + token % 32));
        }
        Launches.count(context, step, slot, act);
    }

    /** As {@link #stageKeys}. */
    static void stageValues(
            KernelContext context, IntArray step, int slot, FloatArray act, ShortArray pages, ShortArray v) {
        int i = context.globalIdx;
        int headDim = step.get(slot + 3);
        int rows = step.get(slot + 1) * step.get(slot + 2) * step.get(slot + 7) * step.get(slot + 6);
        if (i < rows * headDim) {
            int channel = i % headDim;
            int tile = headInPage(step, slot, i / headDim) * ((headDim + 31) / 32) + channel / 32;
            v.set(i, pages.get((tile * step.get(slot + 6) + tokenInPage(step, slot, i / headDim)) * 32 + channel % 32));
        }
        Launches.count(context, step, slot, act);
    }

    /** The way back of {@link #stageQueries}, to the activations. */
    static void finishAttention(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray o) {
        int i = context.globalIdx;
        int rows = step.get(slot + 1) * step.get(slot);
        if (i < rows * step.get(slot + 2) * step.get(slot + 3)) {
            int pattern = o.get(inHeads(step, slot, i)) & 0xffff;
            act.set(step.get(slot + 5) + i, params.get(step.get(step.get(slot + 13)) + pattern));
        }
        Launches.count(context, step, slot, act);
    }

    /** Values [batch, heads, keys, headDim] that are 1 where channel c is the group of the key, counted from the first, and 0 elsewhere. */
    static void stageGroups(KernelContext context, IntArray step, int slot, FloatArray act, ShortArray v) {
        int i = context.globalIdx;
        int headDim = step.get(slot + 3);
        int keys = step.get(slot + 7) * step.get(slot + 6);
        if (i < step.get(slot + 1) * step.get(slot + 2) * keys * headDim) {
            int group = i / headDim % keys / step.get(slot + GROUP_TOKENS) - step.get(slot + FIRST_GROUP);
            int one = 0;
            if (group == i % headDim) {
                one = 0x3c00; // 1 as float16
            }
            v.set(i, (short) one);
        }
        Launches.count(context, step, slot, act);
    }

    /** Masses out of [batch, heads, recorded rows, headDim] to [batch, heads, queries, groups], as many as there are columns. */
    static void finishMasses(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray o) {
        int i = context.globalIdx;
        int queries = step.get(slot);
        int headDim = step.get(slot + 3);
        int group = i % headDim + step.get(slot + FIRST_GROUP);
        if (i < step.get(slot + 1) * step.get(slot + 2) * queries * headDim && group < step.get(slot + GROUPS)) {
            int row = i / headDim;
            int pattern = o.get((row / queries * step.get(slot + 12) + row % queries) * headDim + i % headDim) & 0xffff;
            int to = step.get(slot + 5) + row * step.get(slot + GROUPS) + group;
            act.set(to, params.get(step.get(step.get(slot + 13)) + pattern));
        }
        Launches.count(context, step, slot, act);
    }

    /** Where element {@code i} of [batch, queries, heads, headDim] lies in [batch, heads, recorded rows, headDim]. */
    private static int inHeads(IntArray step, int slot, int i) {
        int queries = step.get(slot);
        int heads = step.get(slot + 2);
        int headDim = step.get(slot + 3);
        int head = i / headDim % heads;
        int row = i / (headDim * heads);
        return ((row / queries * heads + head) * step.get(slot + 12) + row % queries) * headDim + i % headDim;
    }

    /** The token, within its page, of number {@code index} of [batch, heads, keys]. */
    private static int tokenInPage(IntArray step, int slot, int index) {
        return index % step.get(slot + 6); // keys are whole pages
    }

    /** Which of [pages of the pool, heads] number {@code index} of [batch, heads, keys] is in. */
    private static int headInPage(IntArray step, int slot, int index) {
        int heads = step.get(slot + 2);
        int pageTokens = step.get(slot + 6);
        int keys = step.get(slot + 7) * pageTokens;
        int key = index % keys;
        int sample = index / (keys * heads);
        int page = step.get(slot + 9) + sample * step.get(slot + 10) + step.get(step.get(slot + 8) + key / pageTokens);
        return page * heads + index / keys % heads;
    }
}
