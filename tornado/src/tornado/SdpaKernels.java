package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.collections.VectorFloat16;

/**
 * What goes with an attention of cuDNN: its pages are rows [heads, headDim] of tokens in 16 bits, where our own kernels read panels of float32.
 * One item per element.
 */
final class SdpaKernels {
    private SdpaKernels() {}

    /**
     * Rows to pages; a page numbered below 0 is left out.
     *
     * <p>Slot: items, from, pages, elements of a page, where a table of {@link HalfKernels#half} begins.
     */
    static void appendRows(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray pages) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int unit = step.get(slot + 3);
            int index = i / unit;
            int page = step.get(step.get(slot + 2) + index);
            if (page >= 0) {
                float value = act.get(step.get(slot + 1) + i);
                int pattern = HalfKernels.half(step, step.get(slot + 4), act, params, value);
                pages.set(page * unit + (i - index * unit), (short) pattern);
            }
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * Pages of keys to panels side by side, 0 in the padding.
     *
     * <p>Slot: items, table of values of patterns, pages, tokens of a page, heads, headDim.
     */
    static void widenKeys(
            KernelContext context,
            IntArray step,
            int slot,
            FloatArray act,
            FloatArray params,
            ShortArray from,
            VectorFloat16 to) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int pageTokens = step.get(slot + 3);
            int heads = step.get(slot + 4);
            int headDim = step.get(slot + 5);
            int tiles = (pageTokens + 31) / 32;
            int token = i % 32 + i / (32 * headDim) % tiles * 32;
            int channel = i / 32 % headDim;
            int head = i / (32 * headDim * tiles) % heads;
            int page = step.get(step.get(slot + 2) + i / (heads * tiles * headDim * 32));
            float value = 0f;
            if (token < pageTokens) {
                int pattern = from.get(((page * pageTokens + token) * heads + head) * headDim + channel) & 0xffff;
                value = params.get(step.get(slot + 1) + pattern);
            }
            to.getArray().set(i, value);
        }
        Launches.count(context, step, slot, act);
    }

    /** As {@link #widenKeys}. */
    static void widenValues(
            KernelContext context,
            IntArray step,
            int slot,
            FloatArray act,
            FloatArray params,
            ShortArray from,
            VectorFloat16 to) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int pageTokens = step.get(slot + 3);
            int heads = step.get(slot + 4);
            int headDim = step.get(slot + 5);
            int tiles = (headDim + 31) / 32;
            int channel = i % 32 + i / (32 * pageTokens) % tiles * 32;
            int token = i / 32 % pageTokens;
            int head = i / (32 * pageTokens * tiles) % heads;
            int page = step.get(step.get(slot + 2) + i / (heads * tiles * pageTokens * 32));
            float value = 0f;
            if (channel < headDim) {
                int pattern = from.get(((page * pageTokens + token) * heads + head) * headDim + channel) & 0xffff;
                value = params.get(step.get(slot + 1) + pattern);
            }
            to.getArray().set(i, value);
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * Values [batch, keys, columns] in float16 that are 1 where a column is the group of the key, counted from the first, and 0 elsewhere.
     *
     * <p>Slot: items, where they go in the array of halves, keys, columns, tokens of a page, tokens of a group, first group, for each
     * page of keys, as they lie, which one it is of those attended to.
     */
    static void keyGroups(KernelContext context, IntArray step, int slot, FloatArray act, ShortArray halves) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int columns = step.get(slot + 3);
            int pageTokens = step.get(slot + 4);
            int key = i / columns % step.get(slot + 2);
            int token = step.get(step.get(slot + 7) + key / pageTokens) * pageTokens + key % pageTokens;
            int one = 0;
            if (token / step.get(slot + 5) - step.get(slot + 6) == i % columns) {
                one = 0x3c00; // 1 as float16
            }
            halves.set(step.get(slot + 1) + i, (short) one);
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * Masses out of rows of so many columns to rows of all groups.
     *
     * <p>Slot: items, from, to, columns, first group, groups.
     */
    static void gatherMasses(KernelContext context, IntArray step, int slot, FloatArray act) {
        int i = context.globalIdx;
        int columns = step.get(slot + 3);
        int group = i % columns + step.get(slot + 4);
        if (i < step.get(slot) && group < step.get(slot + 5)) {
            act.set(step.get(slot + 2) + i / columns * step.get(slot + 5) + group, act.get(step.get(slot + 1) + i));
        }
        Launches.count(context, step, slot, act);
    }
}
