package wan.jvm;

import java.util.Arrays;
import java.util.Set;
import wan.jvm.kernel.AttentionCall;
import wan.jvm.kernel.PagedKv;
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
        workers.run(planes, (plane, _) -> {
            int sample = plane / heads.length;
            int head = heads[plane % heads.length];
            double[] meanQueries = frame.length + key.length > 0 ? meanQueries(sample, head) : new double[0];
            double[] meanKeys = frame.length + query.length > 0 ? meanKeys(sample, head) : new double[0];
            if (frame.length > 0) {
                frameLogits(meanQueries, meanKeys, frame, plane * queryGroups * keyGroups);
            }
            if (key.length > 0) {
                keyLogits(sample, head, meanQueries, key, plane * queryGroups * call.keys());
            }
            if (query.length > 0) {
                queryLogits(sample, head, meanKeys, query, plane * call.queries() * keyGroups);
            }
        });
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

    /** [queryGroups, headDim], the scale of the logits included. */
    private double[] meanQueries(int sample, int head) {
        int headDim = cache.headDim();
        double[] means = new double[queryGroups * headDim];
        for (int query = 0; query < call.queries(); query++) {
            int from = call.index(sample, query, head);
            int to = query / queryGroupTokens * headDim;
            for (int channel = 0; channel < headDim; channel++) {
                means[to + channel] += call.q()[from + channel];
            }
        }
        for (int i = 0; i < means.length; i++) {
            means[i] *= call.scale() / queryGroupTokens;
        }
        return means;
    }

    /** [keyGroups, headDim]. */
    private double[] meanKeys(int sample, int head) {
        int headDim = cache.headDim();
        int tile = cache.tile();
        double[] means = new double[keyGroups * headDim];
        double[] lanes = new double[headDim * tile];
        for (int key = 0; key < call.keys(); ) {
            int token = key % cache.pageTokens();
            int count = tileKeys(key);
            int page = call.pages()[key / cache.pageTokens()];
            if (!cache.holds(sample, page, head)) {
                Arrays.fill(lanes, Double.NaN); // not attended
                key += count;
                if (key % keyGroupTokens == 0) {
                    int to = (key / keyGroupTokens - 1) * headDim;
                    Arrays.fill(means, to, to + headDim, Double.NaN);
                    Arrays.fill(lanes, 0);
                }
                continue;
            }
            float[] keys = cache.keys(sample, page, head);
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
            key += count;
            if (key % keyGroupTokens == 0) {
                int to = (key / keyGroupTokens - 1) * headDim;
                for (int i = 0; i < lanes.length; i++) {
                    means[to + i / tile] += lanes[i] / keyGroupTokens;
                }
                Arrays.fill(lanes, 0);
            }
        }
        return means;
    }

    /** One loop over neighbours, which C2 turns into vectors: this is most of what a frame-logit capture costs. */
    private static void addTile(float[] keys, int at, double[] lanes) {
        for (int i = 0; i < lanes.length; i++) {
            lanes[i] += keys[at + i];
        }
    }

    /** How many keys from this one on lie side by side in one group. */
    private int tileKeys(int key) {
        int token = key % cache.pageTokens();
        int toTileEnd = cache.tile() - token % cache.tile();
        int toGroupEnd = keyGroupTokens - key % keyGroupTokens;
        return Math.min(toTileEnd, toGroupEnd); // groups end at page ends
    }

    private void frameLogits(double[] meanQueries, double[] meanKeys, float[] out, int to) {
        int headDim = cache.headDim();
        for (int group = 0; group < queryGroups; group++) {
            for (int keyGroup = 0; keyGroup < keyGroups; keyGroup++) {
                double sum = 0;
                for (int channel = 0; channel < headDim; channel++) {
                    sum += meanQueries[group * headDim + channel] * meanKeys[keyGroup * headDim + channel];
                }
                out[to + group * keyGroups + keyGroup] = (float) sum;
            }
        }
    }

    private void keyLogits(int sample, int head, double[] meanQueries, float[] out, int to) {
        int headDim = cache.headDim();
        int tile = cache.tile();
        double[] sums = new double[tile];
        for (int key = 0; key < call.keys(); key += tileKeys(key)) {
            int count = tileKeys(key);
            int page = call.pages()[key / cache.pageTokens()];
            if (!cache.holds(sample, page, head)) {
                for (int group = 0; group < queryGroups; group++) {
                    int at = to + group * call.keys() + key;
                    Arrays.fill(out, at, at + count, Float.NaN);
                }
                continue;
            }
            float[] keys = cache.keys(sample, page, head);
            int at = cache.keyIndex(key % cache.pageTokens());
            for (int group = 0; group < queryGroups; group++) {
                Arrays.fill(sums, 0);
                for (int channel = 0; channel < headDim; channel++) {
                    double mean = meanQueries[group * headDim + channel];
                    for (int i = 0; i < count; i++) {
                        sums[i] += mean * keys[at + channel * tile + i];
                    }
                }
                for (int i = 0; i < count; i++) {
                    out[to + group * call.keys() + key + i] = (float) sums[i];
                }
            }
        }
    }

    private void queryLogits(int sample, int head, double[] meanKeys, float[] out, int to) {
        int headDim = cache.headDim();
        for (int query = 0; query < call.queries(); query++) {
            int from = call.index(sample, query, head);
            for (int keyGroup = 0; keyGroup < keyGroups; keyGroup++) {
                double sum = 0;
                for (int channel = 0; channel < headDim; channel++) {
                    sum += call.q()[from + channel] * meanKeys[keyGroup * headDim + channel];
                }
                out[to + query * keyGroups + keyGroup] = (float) (sum * call.scale());
            }
        }
    }
}
