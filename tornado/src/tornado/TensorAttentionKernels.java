package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.MMAShape;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * The attention of {@link AttentionKernels} on tensor cores, over pages of float16 as they are stored. Queries and weights are rounded to
 * float16; logits, their maximum and all sums are float32.
 *
 * <p>TornadoVM 5.2.0 gives Java no access to the sums of tensor cores. So a tile of logits goes through memory, where it stays in the cache,
 * and the output cannot be scaled when a larger logit turns up: a first walk over the keys finds each query's largest logit, a second one
 * makes the logits again and their exponentials, which are final then, captured masses included.
 *
 * <p>Slot: that of {@link AttentionKernels}. Behind the page table stand: where each group has {@link #SCRATCH} floats among the
 * activations, what {@link HalfKernels#half} needs, where the output begins that goes into the array of halves as well, or -1, and what {@link
 * HalfKernels#rounded} needs for it.
 */
final class TensorAttentionKernels {
    /** Queries of a group. */
    static final int ROWS = 64;
    /** Items of a group: four warps, each with 16 queries. */
    static final int ITEMS = 128;
    /** The largest head. */
    static final int HEAD_DIM = 128;
    /** Floats of the output of a group, and of the logits before. */
    static final int SCRATCH = ROWS * HEAD_DIM;

    private static final float LOWEST = -3e38f;

    private TensorAttentionKernels() {}

    /**
     * Local memory has queries as [16 channels][64 queries][16], keys of 32 tokens as tiles [16 channels][8 tokens], values as tiles
     * [16 tokens][8 channels], and weights as [16 tokens][64 queries][16]: what the instructions load.
     */
    static void attentionTensor(
            KernelContext context,
            IntArray step,
            int slot,
            FloatArray act,
            FloatArray params,
            ShortArray keys,
            ShortArray values,
            ShortArray halves) {
        int queries = step.get(slot);
        int heads = step.get(slot + 2);
        int headDim = step.get(slot + 3);
        int pageTokens = step.get(slot + 6);
        int[] qs = context.allocateIntLocalArray(4096);
        int[] kv = context.allocateIntLocalArray(2176);
        int[] weights = context.allocateIntLocalArray(1056);
        float[] shared = context.allocateFloatLocalArray(128);
        int item = context.localIdx;
        int tiles = (queries + 63) / 64;
        int query = context.groupIdx % tiles * 64;
        int head = context.groupIdx / tiles % heads;
        int sample = context.groupIdx / (tiles * heads);
        int dim = heads * headDim;
        int first = (sample * queries + query) * dim + head * headDim;
        int rows = TornadoMath.min(64, queries - query);
        int attendedPages = step.get(slot + 7);
        int more = step.get(slot + 8) + attendedPages;
        int scratch = step.get(more) + context.groupIdx * 8192;
        int pair = item % 64; // of channels
        for (int r = item / 64; r < 64; r += 2) {
            float low = 0f;
            float high = 0f;
            int at = step.get(slot + 4) + first + r * dim + pair * 2;
            if (r < rows && pair * 2 < headDim) {
                low = act.get(at);
            }
            if (r < rows && pair * 2 + 1 < headDim) {
                high = act.get(at + 1);
            }
            int both = HalfKernels.half(step, more + 1, act, params, low);
            qs[pair / 8 * 512 + r * 8 + pair % 8] = both | HalfKernels.half(step, more + 1, act, params, high) << 16;
        }
        int warp = item / 32 * 16; // its first query
        int mine = item / 2; // the query of this item's logits, of which it has 16
        int firstToken = item % 2 * 16;
        int pageTiles = (pageTokens + 31) / 32;
        int channelTiles = (headDim + 31) / 32;
        int chunks = (headDim + 15) / 16;
        float scale = params.get(step.get(slot + 11));
        int pages = attendedPages;
        int edit = step.get(slot + 15);
        int seen = 0;
        int bias = 0;
        float outputScale = 1f;
        if (edit > 0) {
            seen = edit + 3 + head * (pages + 1);
            pages = step.get(seen);
            bias = step.get(edit) + head * (step.get(edit + 1) + 2);
            scale = scale * act.get(bias);
            outputScale = act.get(bias + 1);
        }
        int groupTokens = step.get(slot + 13);
        int groups = step.get(slot + 14);
        int masses = step.get(slot + 12) + ((sample * heads + head) * queries + query + mine) * groups;
        if (firstToken == 0 && mine < rows) {
            for (int g = 0; g < groups; g++) {
                act.set(masses + g, 0f);
            }
        }
        float max = LOWEST;
        float sum = 0f;
        for (int p = 0; p < pages * pageTiles; p++) {
            int attended = p / pageTiles;
            if (edit > 0) {
                attended = step.get(seen + 1 + attended);
            }
            int page = step.get(slot + 9) + sample * step.get(slot + 10) + step.get(step.get(slot + 8) + attended);
            int tile = p % pageTiles;
            int token = tile * 32;
            int here = TornadoMath.min(32, pageTokens - token);
            int k = ((page * heads + head) * pageTiles + tile) * headDim * 32 + item % 16 * 2;
            for (int c = item / 16; c < chunks * 16; c += 8) {
                int both = 0;
                if (c < headDim) {
                    both = (keys.get(k + c * 32) & 0xffff) | (keys.get(k + c * 32 + 1) & 0xffff) << 16;
                }
                kv[(c / 16 * 4 + item % 16 / 4) * 68 + c % 16 * 4 + item % 4] = both;
            }
            context.localBarrier();
            float[] logit0 = context.mmaFragment(0f);
            float[] logit1 = context.mmaFragment(0f);
            float[] logit2 = context.mmaFragment(0f);
            float[] logit3 = context.mmaFragment(0f);
            for (int c = 0; c < chunks; c++) {
                HalfFloat[] a = context.mmaLoadA(qs, 16, c * 2048 + warp * 32);
                logit0 = context.mma(a, context.mmaLoadB(kv, 16, c * 1088), logit0, MMAShape.M16N8K16);
                logit1 = context.mma(a, context.mmaLoadB(kv, 16, c * 1088 + 272), logit1, MMAShape.M16N8K16);
                logit2 = context.mma(a, context.mmaLoadB(kv, 16, c * 1088 + 544), logit2, MMAShape.M16N8K16);
                logit3 = context.mma(a, context.mmaLoadB(kv, 16, c * 1088 + 816), logit3, MMAShape.M16N8K16);
            }
            context.mmaStore(logit0, act, warp, scratch, 32);
            context.mmaStore(logit1, act, warp, scratch + 8, 32);
            context.mmaStore(logit2, act, warp, scratch + 16, 32);
            context.mmaStore(logit3, act, warp, scratch + 24, 32);
            context.localBarrier();
            int key = attended * pageTokens + token;
            for (int j = firstToken; j < TornadoMath.min(firstToken + 16, here); j++) {
                float logit = act.get(scratch + mine * 32 + j) * scale;
                if (edit > 0) {
                    logit += act.get(bias + 2 + (key + j) / step.get(edit + 2));
                }
                max = TornadoMath.max(max, logit);
            }
        }
        shared[item] = max;
        context.localBarrier();
        max = TornadoMath.max(shared[mine * 2], shared[mine * 2 + 1]);
        context.localBarrier();
        float[] out0 = context.mmaFragment(0f);
        float[] out1 = context.mmaFragment(0f);
        float[] out2 = context.mmaFragment(0f);
        float[] out3 = context.mmaFragment(0f);
        float[] out4 = context.mmaFragment(0f);
        float[] out5 = context.mmaFragment(0f);
        float[] out6 = context.mmaFragment(0f);
        float[] out7 = context.mmaFragment(0f);
        float[] out8 = context.mmaFragment(0f);
        float[] out9 = context.mmaFragment(0f);
        float[] out10 = context.mmaFragment(0f);
        float[] out11 = context.mmaFragment(0f);
        float[] out12 = context.mmaFragment(0f);
        float[] out13 = context.mmaFragment(0f);
        float[] out14 = context.mmaFragment(0f);
        float[] out15 = context.mmaFragment(0f);
        for (int p = 0; p < pages * pageTiles; p++) {
            int attended = p / pageTiles;
            if (edit > 0) {
                attended = step.get(seen + 1 + attended);
            }
            int page = step.get(slot + 9) + sample * step.get(slot + 10) + step.get(step.get(slot + 8) + attended);
            int tile = p % pageTiles;
            int token = tile * 32;
            int here = TornadoMath.min(32, pageTokens - token);
            int k = ((page * heads + head) * pageTiles + tile) * headDim * 32 + item % 16 * 2;
            for (int c = item / 16; c < chunks * 16; c += 8) {
                int both = 0;
                if (c < headDim) {
                    both = (keys.get(k + c * 32) & 0xffff) | (keys.get(k + c * 32 + 1) & 0xffff) << 16;
                }
                kv[(c / 16 * 4 + item % 16 / 4) * 68 + c % 16 * 4 + item % 4] = both;
            }
            context.localBarrier();
            float[] logit0 = context.mmaFragment(0f);
            float[] logit1 = context.mmaFragment(0f);
            float[] logit2 = context.mmaFragment(0f);
            float[] logit3 = context.mmaFragment(0f);
            for (int c = 0; c < chunks; c++) {
                HalfFloat[] a = context.mmaLoadA(qs, 16, c * 2048 + warp * 32);
                logit0 = context.mma(a, context.mmaLoadB(kv, 16, c * 1088), logit0, MMAShape.M16N8K16);
                logit1 = context.mma(a, context.mmaLoadB(kv, 16, c * 1088 + 272), logit1, MMAShape.M16N8K16);
                logit2 = context.mma(a, context.mmaLoadB(kv, 16, c * 1088 + 544), logit2, MMAShape.M16N8K16);
                logit3 = context.mma(a, context.mmaLoadB(kv, 16, c * 1088 + 816), logit3, MMAShape.M16N8K16);
            }
            context.mmaStore(logit0, act, warp, scratch, 32);
            context.mmaStore(logit1, act, warp, scratch + 8, 32);
            context.mmaStore(logit2, act, warp, scratch + 16, 32);
            context.mmaStore(logit3, act, warp, scratch + 24, 32);
            context.localBarrier();
            int key = attended * pageTokens + token;
            int group = 0;
            int next = here;
            if (groups > 0) {
                group = (key + firstToken) / groupTokens;
                next = (group + 1) * groupTokens - key;
            }
            float mass = 0f;
            for (int turn = 0; turn < 2; turn++) {
                // One after the other where masses are kept: both items of a query add to them.
                if (firstToken == turn * 16) {
                    int low = 0;
                    for (int j = firstToken; j < firstToken + 16; j++) {
                        float weight = 0f;
                        if (j < here) {
                            float logit = act.get(scratch + mine * 32 + j) * scale;
                            if (edit > 0) {
                                logit += act.get(bias + 2 + (key + j) / step.get(edit + 2));
                            }
                            weight = TornadoMath.exp(logit - max);
                            if (groups > 0 && mine < rows) {
                                if (j == next) {
                                    act.set(masses + group, act.get(masses + group) + mass);
                                    mass = 0f;
                                    group++;
                                    next += groupTokens;
                                }
                                mass += weight;
                            }
                        }
                        sum += weight;
                        int at = turn * 528 + mine * 8 + j % 16 / 2;
                        if (j % 2 == 0) {
                            low = new HalfFloat(weight).getHalfFloatValue() & 0xffff;
                        } else {
                            weights[at] = low | (new HalfFloat(weight).getHalfFloatValue() & 0xffff) << 16;
                        }
                    }
                    if (groups > 0 && mine < rows && firstToken < here) {
                        act.set(masses + group, act.get(masses + group) + mass);
                    }
                }
                if (groups > 0) {
                    context.localBarrier();
                }
            }
            int channel = item % 64 * 2;
            int v = (((page * heads + head) * channelTiles + channel / 32) * pageTokens + token) * 32 + channel % 32;
            for (int t = item / 64; t < 32; t += 2) {
                int both = 0;
                if (t < here && channel < headDim) {
                    both = (values.get(v + t * 32) & 0xffff) | (values.get(v + t * 32 + 1) & 0xffff) << 16;
                }
                kv[(t / 16 * 16 + channel / 8) * 68 + t % 16 * 4 + item % 4] = both;
            }
            context.localBarrier();
            for (int c = 0; c < 2; c++) {
                HalfFloat[] a = context.mmaLoadA(weights, 16, c * 2112 + warp * 32);
                int b = c * 4352;
                out0 = context.mma(a, context.mmaLoadB(kv, 16, b), out0, MMAShape.M16N8K16);
                out1 = context.mma(a, context.mmaLoadB(kv, 16, b + 272), out1, MMAShape.M16N8K16);
                out2 = context.mma(a, context.mmaLoadB(kv, 16, b + 544), out2, MMAShape.M16N8K16);
                out3 = context.mma(a, context.mmaLoadB(kv, 16, b + 816), out3, MMAShape.M16N8K16);
                out4 = context.mma(a, context.mmaLoadB(kv, 16, b + 1088), out4, MMAShape.M16N8K16);
                out5 = context.mma(a, context.mmaLoadB(kv, 16, b + 1360), out5, MMAShape.M16N8K16);
                out6 = context.mma(a, context.mmaLoadB(kv, 16, b + 1632), out6, MMAShape.M16N8K16);
                out7 = context.mma(a, context.mmaLoadB(kv, 16, b + 1904), out7, MMAShape.M16N8K16);
                out8 = context.mma(a, context.mmaLoadB(kv, 16, b + 2176), out8, MMAShape.M16N8K16);
                out9 = context.mma(a, context.mmaLoadB(kv, 16, b + 2448), out9, MMAShape.M16N8K16);
                out10 = context.mma(a, context.mmaLoadB(kv, 16, b + 2720), out10, MMAShape.M16N8K16);
                out11 = context.mma(a, context.mmaLoadB(kv, 16, b + 2992), out11, MMAShape.M16N8K16);
                out12 = context.mma(a, context.mmaLoadB(kv, 16, b + 3264), out12, MMAShape.M16N8K16);
                out13 = context.mma(a, context.mmaLoadB(kv, 16, b + 3536), out13, MMAShape.M16N8K16);
                out14 = context.mma(a, context.mmaLoadB(kv, 16, b + 3808), out14, MMAShape.M16N8K16);
                out15 = context.mma(a, context.mmaLoadB(kv, 16, b + 4080), out15, MMAShape.M16N8K16);
            }
            context.localBarrier();
        }
        context.mmaStore(out0, act, warp, scratch, 128);
        context.mmaStore(out1, act, warp, scratch + 8, 128);
        context.mmaStore(out2, act, warp, scratch + 16, 128);
        context.mmaStore(out3, act, warp, scratch + 24, 128);
        context.mmaStore(out4, act, warp, scratch + 32, 128);
        context.mmaStore(out5, act, warp, scratch + 40, 128);
        context.mmaStore(out6, act, warp, scratch + 48, 128);
        context.mmaStore(out7, act, warp, scratch + 56, 128);
        context.mmaStore(out8, act, warp, scratch + 64, 128);
        context.mmaStore(out9, act, warp, scratch + 72, 128);
        context.mmaStore(out10, act, warp, scratch + 80, 128);
        context.mmaStore(out11, act, warp, scratch + 88, 128);
        context.mmaStore(out12, act, warp, scratch + 96, 128);
        context.mmaStore(out13, act, warp, scratch + 104, 128);
        context.mmaStore(out14, act, warp, scratch + 112, 128);
        context.mmaStore(out15, act, warp, scratch + 120, 128);
        shared[item] = sum;
        context.localBarrier();
        int half = step.get(more + 4);
        for (int r = 0; r < rows; r++) {
            if (item < headDim) {
                float total = shared[r * 2] + shared[r * 2 + 1];
                float value = act.get(scratch + r * 128 + item) / total * outputScale;
                act.set(step.get(slot + 5) + first + r * dim + item, value);
                if (half >= 0) {
                    int pattern = HalfKernels.rounded(step, more + 5, act, params, value);
                    halves.set(half + first + r * dim + item, (short) pattern);
                }
            }
        }
        if (firstToken == 0 && mine < rows) {
            float total = shared[item] + shared[item + 1];
            for (int g = 0; g < groups; g++) {
                act.set(masses + g, act.get(masses + g) / total);
            }
        }
        Launches.count(context, step, slot, act);
    }
}
