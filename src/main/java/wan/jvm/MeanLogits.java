package wan.jvm;

import java.util.Arrays;
import java.util.Set;
import wan.jvm.kernel.AttentionCall;
import wan.jvm.kernel.PagedKv;
import wan.jvm.kernel.TaskPlan;
import wan.jvm.kernel.Workers;
import wan.op.AttentionTap;
import wan.op.Quantity;
import wan.op.Shape;

/**
 * The logit captures that need no logits: the mean of q_i . k_j over i and j is the product of the means.
 *
 * <p>One mean vector per group and head, summed in double, then small products: O(L d) work in place of O(L^2 d), and no
 * token matrix. Works on the cache as the kernels keep it, whichever these are.
 */
final class MeanLogits {
    /** What is computed here. */
    static final Set<Quantity> QUANTITIES = Set.of(Quantity.FRAME_LOGITS, Quantity.KEY_LOGITS, Quantity.QUERY_LOGITS);

    /** Tokens that are summed at once, about. */
    private static final int CHUNK_TOKENS = 192;

    private final AttentionCall call;
    private final PagedKv cache;
    private final int queryGroupTokens;
    private final int queryGroups;
    private final int keyGroupTokens;
    private final int keyGroups;

    MeanLogits(AttentionCall call, int queryGroupTokens, int keyGroupTokens) {
        this.call = call;
        this.cache = call.cache();
        this.queryGroupTokens = queryGroupTokens;
        this.queryGroups = call.queries() / queryGroupTokens;
        this.keyGroupTokens = keyGroupTokens;
        this.keyGroups = call.keys() / keyGroupTokens;
    }

    /** Computes what the tap wants of {@link #QUANTITIES}. */
    void deliver(AttentionTap tap, Workers workers) {
        Set<Quantity> wanted = tap.wanted();
        int[] heads = tap.heads();
        int planes = cache.batch() * heads.length;
        float[] frame = array(wanted.contains(Quantity.FRAME_LOGITS), planes, queryGroups, keyGroups);
        float[] key = array(wanted.contains(Quantity.KEY_LOGITS), planes, queryGroups, call.keys());
        float[] query = array(wanted.contains(Quantity.QUERY_LOGITS), planes, call.queries(), keyGroups);
        double[] meanQueries = frame.length + key.length > 0
                ? means(workers, planes * queryGroups, queryGroupTokens, call.scale(), (row, from, count, sums, to) -> {
                    int plane = row / queryGroups;
                    int firstQuery = row % queryGroups * queryGroupTokens + from;
                    sumQueries(plane / heads.length, heads[plane % heads.length], firstQuery, count, sums, to);
                })
                : new double[0];
        double[] meanKeys = frame.length + query.length > 0
                ? means(workers, planes * keyGroups, keyGroupTokens, 1, (row, from, count, sums, to) -> {
                    int plane = row / keyGroups;
                    int first = row % keyGroups * keyGroupTokens + from;
                    sumKeys(plane / heads.length, heads[plane % heads.length], first, count, sums, to);
                })
                : new double[0];
        if (frame.length > 0) {
            workers.ranges(planes * queryGroups, 1, (from, to) -> {
                for (int row = from; row < to; row++) {
                    frameLogits(meanQueries, row, meanKeys, frame);
                }
            });
        }
        if (key.length > 0) {
            int pages = call.pages().length;
            int tiles = Math.ceilDiv(cache.pageTokens(), cache.tile());
            workers.run(
                    TaskPlan.even(planes * pages, tiles, tiles, workers.threads()),
                    (i, from, to, _) -> keyLogits(i / pages, heads, i % pages, from, to, meanQueries, key));
        }
        if (query.length > 0) {
            workers.run(
                    TaskPlan.even(planes, call.queries(), call.queries(), workers.threads()),
                    (plane, from, to, _) -> queryLogits(plane, heads, from, to, meanKeys, query));
        }
        deliver(tap, Quantity.FRAME_LOGITS, heads.length, queryGroups, keyGroups, frame);
        deliver(tap, Quantity.KEY_LOGITS, heads.length, queryGroups, call.keys(), key);
        deliver(tap, Quantity.QUERY_LOGITS, heads.length, call.queries(), keyGroups, query);
    }

    private static float[] array(boolean wanted, int planes, int rows, int columns) {
        return new float[wanted ? Math.toIntExact((long) planes * rows * columns) : 0];
    }

    private void deliver(AttentionTap tap, Quantity quantity, int heads, int rows, int columns, float[] values) {
        if (values.length > 0) {
            tap.accept(quantity, Shape.of(cache.batch(), heads, rows, columns), values);
        }
    }

    /** Adds up some tokens of a group. */
    private interface Sum {
        /**
         * Adds.
         *
         * @param row group of a head of a sample
         * @param from the first token, within the group
         * @param to index of the sum's first channel
         */
        void of(int row, int from, int count, double[] sums, int to);
    }

    /**
     * [rows, headDim]: what groups of tokens sum to, times a factor over their number. Groups are summed in chunks, so that few of them
     * keep many threads busy.
     */
    private double[] means(Workers workers, int rows, int tokens, double factor, Sum sum) {
        int headDim = cache.headDim();
        int chunkTokens = Math.ceilDiv(CHUNK_TOKENS, cache.tile()) * cache.tile();
        int chunks = Math.ceilDiv(tokens, chunkTokens);
        double[] sums = new double[Math.multiplyExact(rows * chunks, headDim)];
        workers.run(TaskPlan.even(rows, chunks, chunks, workers.threads()), (row, from, to, _) -> {
            for (int chunk = from; chunk < to; chunk++) {
                int first = chunk * chunkTokens;
                sum.of(row, first, Math.min(chunkTokens, tokens - first), sums, (row * chunks + chunk) * headDim);
            }
        });
        double[] means = new double[rows * headDim];
        workers.ranges(rows, 64, (from, to) -> {
            for (int i = from * headDim; i < to * headDim; i++) {
                int at = i / headDim * chunks * headDim + i % headDim;
                for (int chunk = 0; chunk < chunks; chunk++) {
                    means[i] += sums[at + chunk * headDim];
                }
                means[i] *= factor / tokens;
            }
        });
        return means;
    }

    private void sumQueries(int sample, int head, int firstQuery, int count, double[] sums, int to) {
        for (int query = firstQuery; query < firstQuery + count; query++) {
            int from = call.index(sample, query, head);
            for (int channel = 0; channel < cache.headDim(); channel++) {
                sums[to + channel] += call.q()[from + channel];
            }
        }
    }

    private void sumKeys(int sample, int head, int firstKey, int keyCount, double[] sums, int to) {
        int headDim = cache.headDim();
        int tile = cache.tile();
        int page = call.pages()[firstKey / cache.pageTokens()]; // groups lie within pages
        if (!cache.holds(sample, page, head)) {
            Arrays.fill(sums, to, to + headDim, Double.NaN); // not attended
            return;
        }
        float[] room = new float[cache.roomFloats()];
        float[] keys = cache.keys(sample, page, head, firstKey % cache.pageTokens(), keyCount, room);
        double[] lanes = new double[headDim * tile];
        int end = firstKey % cache.pageTokens() + keyCount;
        int count;
        for (int token = firstKey % cache.pageTokens(); token < end; token += count) {
            count = Math.min(tile - token % tile, end - token);
            int at = cache.keyIndex(token);
            if (token % tile == 0 && (count == tile || token + count == cache.pageTokens())) {
                addTile(keys, at, lanes); // beyond a page's last key a tile holds zeros
            } else {
                for (int channel = 0; channel < headDim; channel++) {
                    for (int i = 0; i < count; i++) {
                        lanes[channel * tile + i] += keys[at + channel * tile + i];
                    }
                }
            }
        }
        for (int i = 0; i < lanes.length; i++) {
            sums[to + i / tile] += lanes[i];
        }
    }

    /** One loop over neighbours, which C2 turns into vectors: this is most of what a frame-logit capture costs. */
    private static void addTile(float[] keys, int at, double[] lanes) {
        for (int i = 0; i < lanes.length; i++) {
            lanes[i] += keys[at + i];
        }
    }

    /** One group of queries of a head with all groups of its keys. */
    private void frameLogits(double[] meanQueries, int row, double[] meanKeys, float[] out) {
        int headDim = cache.headDim();
        int firstKeyGroup = row / queryGroups * keyGroups;
        for (int keyGroup = 0; keyGroup < keyGroups; keyGroup++) {
            double sum = 0;
            for (int channel = 0; channel < headDim; channel++) {
                sum += meanQueries[row * headDim + channel] * meanKeys[(firstKeyGroup + keyGroup) * headDim + channel];
            }
            out[row * keyGroups + keyGroup] = (float) sum;
        }
    }

    /** Some tiles of a page. */
    private void keyLogits(
            int plane, int[] heads, int pageIndex, int fromTile, int endTile, double[] meanQueries, float[] out) {
        int headDim = cache.headDim();
        int tile = cache.tile();
        int sample = plane / heads.length;
        int head = heads[plane % heads.length];
        int page = call.pages()[pageIndex];
        boolean held = cache.holds(sample, page, head);
        int firstKey = fromTile * tile;
        int keyCount = Math.min(cache.pageTokens(), endTile * tile) - firstKey;
        float[] room = new float[cache.roomFloats()];
        float[] keys = held ? cache.keys(sample, page, head, firstKey, keyCount, room) : room;
        double[] sums = new double[tile];
        for (int token = firstKey; token < firstKey + keyCount; token += tile) {
            int count = Math.min(tile, cache.pageTokens() - token);
            int at = cache.keyIndex(token);
            for (int group = plane * queryGroups; group < (plane + 1) * queryGroups; group++) {
                int to = group * call.keys() + pageIndex * cache.pageTokens() + token;
                if (!held) {
                    Arrays.fill(out, to, to + count, Float.NaN);
                    continue;
                }
                Arrays.fill(sums, 0);
                for (int channel = 0; channel < headDim; channel++) {
                    double mean = meanQueries[group * headDim + channel];
                    for (int i = 0; i < count; i++) {
                        sums[i] += mean * keys[at + channel * tile + i];
                    }
                }
                for (int i = 0; i < count; i++) {
                    out[to + i] = (float) sums[i];
                }
            }
        }
    }

    private void queryLogits(int plane, int[] heads, int fromQuery, int endQuery, double[] meanKeys, float[] out) {
        int headDim = cache.headDim();
        for (int query = fromQuery; query < endQuery; query++) {
            int from = call.index(plane / heads.length, query, heads[plane % heads.length]);
            for (int keyGroup = 0; keyGroup < keyGroups; keyGroup++) {
                double sum = 0;
                for (int channel = 0; channel < headDim; channel++) {
                    sum += call.q()[from + channel] * meanKeys[(plane * keyGroups + keyGroup) * headDim + channel];
                }
                out[(plane * call.queries() + query) * keyGroups + keyGroup] = (float) (sum * call.scale());
            }
        }
    }
}
