package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.collections.VectorFloat16;
import uk.ac.manchester.tornado.api.types.vectors.Float16;

/**
 * softmax(q k^T / sqrt(headDim)) v over pages, in one pass over the keys (Dao et al., FlashAttention; Milakov and Gimelshein,
 * online softmax).
 *
 * <p>Slot: queries per sample, batch, heads, headDim, q, out, pageTokens, pages, page table, first page of the cache, pages per
 * sample, scale; masses, tokens of a key group, key groups; edit table. {@link CacheKernels} has the layout of a page.
 *
 * <p>The edit table, 0 for none, has: where the edit's numbers are, groups of keys, tokens of a group, and per head how many of the attended
 * pages it sees and which. The numbers, per head: factor of the logits, factor of the output, the bias of each group. A head walks
 * over the pages that it sees, so what is blocked costs nothing.
 *
 * <p>Masses, [B, N, Lq, K], are the sums of a query's weights over each group of keys. They accumulate as the sum of all weights
 * does, so they need no logits in memory; without key groups there are none, at the cost of a branch for every 32 keys. A kernel
 * of its own would be a copy: a body that two kernels call with a constant is beyond TornadoVM's limit for inlining (5.2.0), and
 * without that limit it did not compile either.
 */
final class AttentionKernels {
    /** Queries of an item's tile in {@link #attentionVector}. */
    static final int ROWS = 6;
    /** Queries of a group's tile in {@link #attentionShared}. */
    static final int SHARED_ROWS = 32;
    /** Items of a group of {@link #attentionShared}. */
    static final int SHARED_ITEMS = 64;
    /** The largest head that {@link #attentionShared} has room for. */
    static final int SHARED_HEAD_DIM = 128;

    private static final float LOWEST = -3e38f;

    private AttentionKernels() {}

    /**
     * For processors: an item takes 6 queries of one head through all keys, 32 at a time; scores and outputs are tiles of
     * two vectors a row, as in {@link LinearKernels#linearVector}.
     */
    static void attentionVector(
            KernelContext context,
            IntArray step,
            int slot,
            FloatArray act,
            FloatArray params,
            VectorFloat16 keys,
            VectorFloat16 values) {
        int queries = step.get(slot);
        int heads = step.get(slot + 2);
        int headDim = step.get(slot + 3);
        int pageTokens = step.get(slot + 6);
        int tiles = (queries + 5) / 6;
        int query = context.globalIdx % tiles * 6;
        int head = context.globalIdx / tiles % heads;
        int sample = context.globalIdx / (tiles * heads);
        if (sample < step.get(slot + 1)) {
            int dim = heads * headDim;
            int first = sample * queries * dim + head * headDim;
            int last = step.get(slot + 4) + first + (queries - 1) * dim;
            int q0 = step.get(slot + 4) + first + query * dim;
            int q1 = TornadoMath.min(q0 + dim, last);
            int q2 = TornadoMath.min(q1 + dim, last);
            int q3 = TornadoMath.min(q2 + dim, last);
            int q4 = TornadoMath.min(q3 + dim, last);
            int q5 = TornadoMath.min(q4 + dim, last);
            int o = step.get(slot + 5) + first + query * dim;
            float scale = params.get(step.get(slot + 11));
            int pageTiles = (pageTokens + 31) / 32;
            int channelTiles = (headDim + 31) / 32;
            float[] tile = new float[192];
            float[] weight = new float[192];
            float[] max = new float[6];
            float[] sum = new float[6];
            float[] keep = new float[6];
            for (int i = 0; i < 6; i++) {
                max[i] = LOWEST;
                sum[i] = 0f;
            }
            int pages = step.get(slot + 7);
            int edit = step.get(slot + 15);
            int seen = 0;
            int bias = 0;
            float outputScale = 1f;
            if (edit > 0) {
                seen = edit + 3 + head * (pages + 1);
                pages = step.get(seen);
                bias = step.get(edit) + head * (step.get(edit + 1) + 2);
                scale *= act.get(bias);
                outputScale = act.get(bias + 1);
            }
            int groups = step.get(slot + 14);
            int groupTokens = step.get(slot + 13);
            int masses = step.get(slot + 12) + ((sample * heads + head) * queries + query) * groups;
            for (int g = 0; g < TornadoMath.min(6, queries - query) * groups; g++) {
                act.set(masses + g, 0f);
            }
            for (int p = 0; p < pages * pageTiles; p++) {
                int attended = p / pageTiles;
                if (edit > 0) {
                    attended = step.get(seen + 1 + attended);
                }
                int page = step.get(slot + 9) + sample * step.get(slot + 10) + step.get(step.get(slot + 8) + attended);
                int token = p % pageTiles * 32;
                int here = TornadoMath.min(32, pageTokens - token);
                int k = ((page * heads + head) * pageTiles + p % pageTiles) * headDim * 2;
                Float16 left0 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                Float16 right0 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                Float16 left1 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                Float16 right1 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                Float16 left2 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                Float16 right2 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                Float16 left3 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                Float16 right3 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                Float16 left4 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                Float16 right4 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                Float16 left5 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                Float16 right5 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                for (int c = 0; c < headDim; c++) {
                    Float16 k0 = keys.get(k + 2 * c);
                    Float16 k1 = keys.get(k + 2 * c + 1);
                    float v0 = act.get(q0 + c);
                    float v1 = act.get(q1 + c);
                    float v2 = act.get(q2 + c);
                    float v3 = act.get(q3 + c);
                    float v4 = act.get(q4 + c);
                    float v5 = act.get(q5 + c);
                    left0 = Float16.add(left0, Float16.mult(k0, v0));
                    right0 = Float16.add(right0, Float16.mult(k1, v0));
                    left1 = Float16.add(left1, Float16.mult(k0, v1));
                    right1 = Float16.add(right1, Float16.mult(k1, v1));
                    left2 = Float16.add(left2, Float16.mult(k0, v2));
                    right2 = Float16.add(right2, Float16.mult(k1, v2));
                    left3 = Float16.add(left3, Float16.mult(k0, v3));
                    right3 = Float16.add(right3, Float16.mult(k1, v3));
                    left4 = Float16.add(left4, Float16.mult(k0, v4));
                    right4 = Float16.add(right4, Float16.mult(k1, v4));
                    left5 = Float16.add(left5, Float16.mult(k0, v5));
                    right5 = Float16.add(right5, Float16.mult(k1, v5));
                }
                LinearKernels.spread(weight, 0, left0);
                LinearKernels.spread(weight, 16, right0);
                LinearKernels.spread(weight, 32, left1);
                LinearKernels.spread(weight, 48, right1);
                LinearKernels.spread(weight, 64, left2);
                LinearKernels.spread(weight, 80, right2);
                LinearKernels.spread(weight, 96, left3);
                LinearKernels.spread(weight, 112, right3);
                LinearKernels.spread(weight, 128, left4);
                LinearKernels.spread(weight, 144, right4);
                LinearKernels.spread(weight, 160, left5);
                LinearKernels.spread(weight, 176, right5);
                for (int i = 0; i < 192; i++) {
                    weight[i] = weight[i] * scale;
                }
                if (edit > 0) {
                    for (int j = 0; j < here; j++) {
                        float added = act.get(bias + 2 + (attended * pageTokens + token + j) / step.get(edit + 2));
                        for (int i = 0; i < 6; i++) {
                            weight[i * 32 + j] += added;
                        }
                    }
                }
                for (int i = 0; i < 6; i++) {
                    float newMax = max[i];
                    for (int j = 0; j < here; j++) {
                        newMax = TornadoMath.max(newMax, weight[i * 32 + j]);
                    }
                    float total = 0f;
                    for (int j = 0; j < here; j++) {
                        float e = TornadoMath.exp(weight[i * 32 + j] - newMax);
                        weight[i * 32 + j] = e;
                        total += e;
                    }
                    keep[i] = TornadoMath.exp(max[i] - newMax);
                    sum[i] = sum[i] * keep[i] + total;
                    max[i] = newMax;
                }
                if (groups > 0) {
                    int key = attended * pageTokens + token;
                    int group = key / groupTokens;
                    for (int i = 0; i < TornadoMath.min(6, queries - query); i++) {
                        int at = masses + i * groups;
                        if (keep[i] < 1f) {
                            for (int g = 0; g <= group; g++) {
                                act.set(at + g, act.get(at + g) * keep[i]);
                            }
                        }
                        int g = group;
                        int end = (group + 1) * groupTokens - key;
                        float part = 0f;
                        for (int j = 0; j < here; j++) {
                            if (j == end) {
                                act.set(at + g, act.get(at + g) + part);
                                part = 0f;
                                g++;
                                end += groupTokens;
                            }
                            part += weight[i * 32 + j];
                        }
                        act.set(at + g, act.get(at + g) + part);
                    }
                }
                for (int channels = 0; channels < channelTiles; channels++) {
                    int v = ((page * heads + head) * channelTiles + channels) * pageTokens * 2 + token * 2;
                    Float16 sumLeft0 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                    Float16 sumRight0 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                    Float16 sumLeft1 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                    Float16 sumRight1 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                    Float16 sumLeft2 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                    Float16 sumRight2 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                    Float16 sumLeft3 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                    Float16 sumRight3 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                    Float16 sumLeft4 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                    Float16 sumRight4 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                    Float16 sumLeft5 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                    Float16 sumRight5 = new Float16(0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f, 0f);
                    for (int j = 0; j < here; j++) {
                        Float16 w0 = values.get(v + 2 * j);
                        Float16 w1 = values.get(v + 2 * j + 1);
                        sumLeft0 = Float16.add(sumLeft0, Float16.mult(w0, weight[0 + j]));
                        sumRight0 = Float16.add(sumRight0, Float16.mult(w1, weight[0 + j]));
                        sumLeft1 = Float16.add(sumLeft1, Float16.mult(w0, weight[32 + j]));
                        sumRight1 = Float16.add(sumRight1, Float16.mult(w1, weight[32 + j]));
                        sumLeft2 = Float16.add(sumLeft2, Float16.mult(w0, weight[64 + j]));
                        sumRight2 = Float16.add(sumRight2, Float16.mult(w1, weight[64 + j]));
                        sumLeft3 = Float16.add(sumLeft3, Float16.mult(w0, weight[96 + j]));
                        sumRight3 = Float16.add(sumRight3, Float16.mult(w1, weight[96 + j]));
                        sumLeft4 = Float16.add(sumLeft4, Float16.mult(w0, weight[128 + j]));
                        sumRight4 = Float16.add(sumRight4, Float16.mult(w1, weight[128 + j]));
                        sumLeft5 = Float16.add(sumLeft5, Float16.mult(w0, weight[160 + j]));
                        sumRight5 = Float16.add(sumRight5, Float16.mult(w1, weight[160 + j]));
                    }
                    LinearKernels.spread(tile, 0, sumLeft0);
                    LinearKernels.spread(tile, 16, sumRight0);
                    LinearKernels.spread(tile, 32, sumLeft1);
                    LinearKernels.spread(tile, 48, sumRight1);
                    LinearKernels.spread(tile, 64, sumLeft2);
                    LinearKernels.spread(tile, 80, sumRight2);
                    LinearKernels.spread(tile, 96, sumLeft3);
                    LinearKernels.spread(tile, 112, sumRight3);
                    LinearKernels.spread(tile, 128, sumLeft4);
                    LinearKernels.spread(tile, 144, sumRight4);
                    LinearKernels.spread(tile, 160, sumLeft5);
                    LinearKernels.spread(tile, 176, sumRight5);
                    for (int i = 0; i < 6; i++) {
                        if (query + i < queries) {
                            for (int j = 0; j < TornadoMath.min(32, headDim - channels * 32); j++) {
                                int at = o + i * dim + channels * 32 + j;
                                float before = 0f;
                                if (p > 0) {
                                    before = act.get(at) * keep[i];
                                }
                                act.set(at, before + tile[i * 32 + j]);
                            }
                        }
                    }
                }
            }
            for (int i = 0; i < 6; i++) {
                if (query + i < queries) {
                    float factor = 1f / sum[i];
                    for (int c = 0; c < headDim; c++) {
                        act.set(o + i * dim + c, act.get(o + i * dim + c) * factor * outputScale);
                    }
                    for (int g = 0; g < groups; g++) {
                        act.set(masses + i * groups + g, act.get(masses + i * groups + g) * factor);
                    }
                }
            }
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * For graphics processors: a group of 64 items takes 32 queries of one head through all keys, 32 at a time, with queries, keys,
     * values and weights in local memory. Each item makes 4 x 4 of the scores, exponentials of half a query's, and 8 queries x 8
     * channels of the output in registers, as {@link LinearKernels#linearShared} does.
     */
    static void attentionShared(
            KernelContext context,
            IntArray step,
            int slot,
            FloatArray act,
            FloatArray params,
            VectorFloat16 keys,
            VectorFloat16 values) {
        int queries = step.get(slot);
        int heads = step.get(slot + 2);
        int headDim = step.get(slot + 3);
        int pageTokens = step.get(slot + 6);
        float[] qs = context.allocateFloatLocalArray(4096); // [channel][query]
        float[] kv = context.allocateFloatLocalArray(4096); // keys [channel][token], then values [token][128 channels]
        float[] weights = context.allocateFloatLocalArray(1056); // [token][query], 33 apart
        float[] factor = context.allocateFloatLocalArray(32); // of a query
        float[] half = context.allocateFloatLocalArray(32);
        float[] scores = new float[16];
        float[] sums = new float[64];
        int item = context.localIdx;
        int tiles = (queries + 31) / 32;
        int query = context.groupIdx % tiles * 32;
        int head = context.groupIdx / tiles % heads;
        int sample = context.groupIdx / (tiles * heads);
        int dim = heads * headDim;
        int first = (sample * queries + query) * dim + head * headDim;
        int rows = TornadoMath.min(32, queries - query);
        for (int e = item; e < 32 * headDim; e += 64) {
            int r = TornadoMath.min(e / headDim, rows - 1);
            qs[e % headDim * 32 + e / headDim] = act.get(step.get(slot + 4) + first + r * dim + e % headDim);
        }
        for (int i = 0; i < 64; i++) {
            sums[i] = 0f;
        }
        int myKey = item % 8; // of the scores, and every eighth from there
        int scoreQuery = item / 8 * 4;
        int myQuery = item % 32; // of the exponentials
        int firstToken = item / 32 * 16;
        int myChannel = item % 16; // of the output, and every sixteenth from there
        int outQuery = item / 16 * 8;
        float scale = params.get(step.get(slot + 11));
        float max = LOWEST;
        float sum = 0f;
        int pageTiles = (pageTokens + 31) / 32;
        int channelTiles = (headDim + 31) / 32;
        int pages = step.get(slot + 7);
        int edit = step.get(slot + 15);
        int seen = 0;
        int bias = 0;
        float outputScale = 1f;
        if (edit > 0) {
            seen = edit + 3 + head * (pages + 1);
            pages = step.get(seen);
            bias = step.get(edit) + head * (step.get(edit + 1) + 2);
            scale *= act.get(bias);
            outputScale = act.get(bias + 1);
        }
        int groupTokens = step.get(slot + 13);
        int masses = step.get(slot + 12);
        int groups = 0; // of this item: the first of the two that share a query keeps the masses
        if (firstToken == 0 && myQuery < rows) {
            groups = step.get(slot + 14);
        }
        masses += ((sample * heads + head) * queries + query + myQuery) * groups;
        for (int g = 0; g < groups; g++) {
            act.set(masses + g, 0f);
        }
        for (int p = 0; p < pages * pageTiles; p++) {
            int attended = p / pageTiles;
            if (edit > 0) {
                attended = step.get(seen + 1 + attended);
            }
            int page = step.get(slot + 9) + sample * step.get(slot + 10) + step.get(step.get(slot + 8) + attended);
            int token = p % pageTiles * 32;
            int here = TornadoMath.min(32, pageTokens - token);
            int k = ((page * heads + head) * pageTiles + p % pageTiles) * headDim * 32;
            for (int e = item; e < 32 * headDim; e += 64) {
                kv[e] = keys.getArray().get(k + e);
            }
            context.localBarrier();
            for (int i = 0; i < 16; i++) {
                scores[i] = 0f;
            }
            for (int c = 0; c < headDim; c++) {
                for (int i = 0; i < 4; i++) {
                    float value = qs[c * 32 + scoreQuery + i];
                    for (int j = 0; j < 4; j++) {
                        scores[i * 4 + j] += value * kv[c * 32 + j * 8 + myKey];
                    }
                }
            }
            for (int j = 0; j < 4; j++) {
                float added = 0f;
                if (edit > 0 && j * 8 + myKey < here) {
                    added = act.get(bias + 2 + (attended * pageTokens + token + j * 8 + myKey) / step.get(edit + 2));
                }
                for (int i = 0; i < 4; i++) {
                    weights[(j * 8 + myKey) * 33 + scoreQuery + i] = scores[i * 4 + j] * scale + added;
                }
            }
            context.localBarrier();
            float newMax = max;
            for (int j = 0; j < here; j++) {
                newMax = TornadoMath.max(newMax, weights[j * 33 + myQuery]);
            }
            float keep = TornadoMath.exp(max - newMax);
            max = newMax;
            for (int e = item; e < here * 128; e += 64) {
                int c = e % 128;
                if (c < headDim) {
                    int v = ((page * heads + head) * channelTiles + c / 32) * pageTokens * 32;
                    kv[e] = values.getArray().get(v + (token + e / 128) * 32 + c % 32);
                }
            }
            context.localBarrier();
            float part = 0f;
            int end = TornadoMath.min(here, firstToken + 16);
            for (int j = firstToken; j < end; j++) {
                float e = TornadoMath.exp(weights[j * 33 + myQuery] - newMax);
                weights[j * 33 + myQuery] = e;
                part += e;
            }
            sum = sum * keep + part;
            if (firstToken == 0) {
                factor[myQuery] = keep;
            }
            context.localBarrier();
            for (int i = 0; i < 8; i++) {
                for (int j = 0; j < 8; j++) {
                    sums[i * 8 + j] = sums[i * 8 + j] * factor[outQuery + i];
                }
            }
            for (int t = 0; t < here; t++) {
                for (int i = 0; i < 8; i++) {
                    float weight = weights[t * 33 + outQuery + i];
                    for (int j = 0; j < 8; j++) {
                        sums[i * 8 + j] += weight * kv[t * 128 + j * 16 + myChannel];
                    }
                }
            }
            if (groups > 0) {
                int key = attended * pageTokens + token;
                int group = key / groupTokens;
                if (keep < 1f) {
                    for (int g = 0; g <= group; g++) {
                        act.set(masses + g, act.get(masses + g) * keep);
                    }
                }
                int next = (group + 1) * groupTokens - key;
                float mass = 0f;
                for (int j = 0; j < here; j++) {
                    if (j == next) {
                        act.set(masses + group, act.get(masses + group) + mass);
                        mass = 0f;
                        group++;
                        next += groupTokens;
                    }
                    mass += weights[j * 33 + myQuery];
                }
                act.set(masses + group, act.get(masses + group) + mass);
            }
            context.localBarrier();
        }
        if (firstToken == 0) {
            factor[myQuery] = sum;
        } else {
            half[myQuery] = sum;
        }
        context.localBarrier();
        for (int i = 0; i < 8; i++) {
            if (outQuery + i < rows) {
                float total = factor[outQuery + i] + half[outQuery + i];
                for (int j = 0; j < 8; j++) {
                    if (j * 16 + myChannel < headDim) {
                        int at = first + (outQuery + i) * dim + j * 16 + myChannel;
                        act.set(step.get(slot + 5) + at, sums[i * 8 + j] / total * outputScale);
                    }
                }
            }
        }
        if (groups > 0) {
            float total = factor[myQuery] + half[myQuery];
            for (int g = 0; g < groups; g++) {
                act.set(masses + g, act.get(masses + g) / total);
            }
        }
        Launches.count(context, step, slot, act);
    }
}
