package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.collections.VectorFloat16;

/**
 * Keys and values into pages and out of them. A page of keys is [heads][tokens / 32][headDim][32 tokens], a page of values
 * [heads][headDim / 32][tokens][32 channels], rounded up: what the attention kernels read in vectors. Padding is zero.
 *
 * <p>Slot: items, k or v, batch, pages, page table, first page of the cache, pages per sample, page tokens, heads, headDim.
 */
final class CacheKernels {
    /** In a page table: leave this page out. Far below 0 whatever is added. */
    static final int LEFT_OUT = -(1 << 28);

    private CacheKernels() {}

    /** One item per element of the pages, padding included. */
    static void appendKeys(KernelContext context, IntArray step, int slot, FloatArray act, VectorFloat16 keys) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int at = keyPlace(step, slot, i);
            if (at >= 0) {
                keys.getArray().set(at, key(step, slot, act, i));
            }
        }
        Launches.count(context, step, slot, act);
    }

    /** As {@link #appendKeys}. */
    static void appendValues(KernelContext context, IntArray step, int slot, FloatArray act, VectorFloat16 values) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int at = valuePlace(step, slot, i);
            if (at >= 0) {
                values.getArray().set(at, value(step, slot, act, i));
            }
        }
        Launches.count(context, step, slot, act);
    }

    /** As {@link #appendKeys}, in float16. The slot goes on with what {@link HalfKernels#half} needs. */
    static void appendHalfKeys(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray keys) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int at = keyPlace(step, slot, i);
            if (at >= 0) {
                keys.set(at, (short) HalfKernels.half(step, slot + 10, act, params, key(step, slot, act, i)));
            }
        }
        Launches.count(context, step, slot, act);
    }

    /** As {@link #appendHalfKeys}. */
    static void appendHalfValues(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray values) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int at = valuePlace(step, slot, i);
            if (at >= 0) {
                values.set(at, (short) HalfKernels.half(step, slot + 10, act, params, value(step, slot, act, i)));
            }
        }
        Launches.count(context, step, slot, act);
    }

    /** Element {@code i} of the pages of keys, 0 in the padding. */
    private static float key(IntArray step, int slot, FloatArray act, int i) {
        int pageTokens = step.get(slot + 7);
        int heads = step.get(slot + 8);
        int headDim = step.get(slot + 9);
        int tiles = (pageTokens + 31) / 32;
        int token = i % 32 + i / (32 * headDim) % tiles * 32;
        int channel = i / 32 % headDim;
        int head = i / (32 * headDim * tiles) % heads;
        int index = i / (heads * tiles * headDim * 32);
        float value = 0f;
        if (token < pageTokens) {
            value = act.get(step.get(slot + 1) + ((index * pageTokens + token) * heads + head) * headDim + channel);
        }
        return value;
    }

    private static float value(IntArray step, int slot, FloatArray act, int i) {
        int pageTokens = step.get(slot + 7);
        int heads = step.get(slot + 8);
        int headDim = step.get(slot + 9);
        int tiles = (headDim + 31) / 32;
        int channel = i % 32 + i / (32 * pageTokens) % tiles * 32;
        int token = i / 32 % pageTokens;
        int head = i / (32 * pageTokens * tiles) % heads;
        int index = i / (heads * tiles * pageTokens * 32);
        float value = 0f;
        if (channel < headDim) {
            value = act.get(step.get(slot + 1) + ((index * pageTokens + token) * heads + head) * headDim + channel);
        }
        return value;
    }

    /** Where element {@code i} of the pages of keys lies in the pool; negative where the page is left out. */
    private static int keyPlace(IntArray step, int slot, int i) {
        int pageSize = step.get(slot + 8) * ((step.get(slot + 7) + 31) / 32) * step.get(slot + 9) * 32;
        return place(step, slot, i, pageSize);
    }

    private static int valuePlace(IntArray step, int slot, int i) {
        int pageSize = step.get(slot + 8) * ((step.get(slot + 9) + 31) / 32) * step.get(slot + 7) * 32;
        return place(step, slot, i, pageSize);
    }

    private static int place(IntArray step, int slot, int i, int pageSize) {
        int page = page(step, slot, i / pageSize);
        int at = -1;
        if (page >= 0) {
            at = page * pageSize + i % pageSize;
        }
        return at;
    }

    /** One item per value of [batch, pages * pageTokens, heads, headDim]. */
    static void readKeys(KernelContext context, IntArray step, int slot, FloatArray act, VectorFloat16 keys) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int pageTokens = step.get(slot + 7);
            int heads = step.get(slot + 8);
            int headDim = step.get(slot + 9);
            int tiles = (pageTokens + 31) / 32;
            int channel = i % headDim;
            int head = i / headDim % heads;
            int token = i / (headDim * heads) % pageTokens;
            int page = page(step, slot, i / (headDim * heads * pageTokens));
            int at = (((page * heads + head) * tiles + token / 32) * headDim + channel) * 32 + token % 32;
            act.set(step.get(slot + 1) + i, keys.getArray().get(at));
        }
        Launches.count(context, step, slot, act);
    }

    /** As {@link #readKeys}. */
    static void readValues(KernelContext context, IntArray step, int slot, FloatArray act, VectorFloat16 values) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int pageTokens = step.get(slot + 7);
            int heads = step.get(slot + 8);
            int headDim = step.get(slot + 9);
            int tiles = (headDim + 31) / 32;
            int channel = i % headDim;
            int head = i / headDim % heads;
            int token = i / (headDim * heads) % pageTokens;
            int page = page(step, slot, i / (headDim * heads * pageTokens));
            int at = (((page * heads + head) * tiles + channel / 32) * pageTokens + token) * 32 + channel % 32;
            act.set(step.get(slot + 1) + i, values.getArray().get(at));
        }
        Launches.count(context, step, slot, act);
    }

    /** The page of the pool that holds entry {@code index} of [batch, pages]. */
    private static int page(IntArray step, int slot, int index) {
        int pages = step.get(slot + 3);
        return step.get(slot + 5) + index / pages * step.get(slot + 6) + step.get(step.get(slot + 4) + index % pages);
    }
}
