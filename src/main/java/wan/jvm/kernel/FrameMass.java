package wan.jvm.kernel;

import java.util.Arrays;
import wan.op.AttentionTap;
import wan.op.Quantity;
import wan.op.Shape;

/**
 * Gathers {@link Quantity#FRAME_MASS} and {@link Quantity#QUERY_MASS} while the attention kernel runs.
 *
 * <p>Kernels hand in the weights of a few queries at a time, from several threads; each hand-in is summed over its queries at
 * once and kept apart, and the sums are added up in the order of the queries, so that the result is deterministic.
 */
public final class FrameMass {
    private final AttentionCall call;
    private final int queryGroupTokens;
    private final int keyGroupTokens;
    private final int[] heads;
    private final int tileQueries;
    private final int tiles;
    private final double[][] partial;
    private final boolean ofFrames;
    /** [B, N, Lq, K], or empty. */
    private final float[] ofQueries;

    /**
     * Nothing gathered yet.
     *
     * @param tap what is wanted of which heads
     * @param tileQueries queries per hand-in; the last one of a sample may have fewer
     */
    public FrameMass(AttentionCall call, int queryGroupTokens, int keyGroupTokens, AttentionTap tap, int tileQueries) {
        this.call = call;
        this.queryGroupTokens = queryGroupTokens;
        this.keyGroupTokens = keyGroupTokens;
        this.heads = tap.heads();
        this.tileQueries = tileQueries;
        this.tiles = Math.ceilDiv(call.queries(), tileQueries);
        this.partial = new double[call.cache().batch() * heads.length * tiles][];
        this.ofFrames = tap.wanted().contains(Quantity.FRAME_MASS);
        long perQuery = (long) call.cache().batch() * heads.length * call.queries() * keyGroups();
        this.ofQueries = new float[tap.wanted().contains(Quantity.QUERY_MASS) ? Math.toIntExact(perQuery) : 0];
    }

    /** Tokens of a key group. */
    public int keyGroupTokens() {
        return keyGroupTokens;
    }

    /** Key groups, K. */
    public int keyGroups() {
        return call.keys() / keyGroupTokens;
    }

    /** Whether this head is watched. */
    public boolean wants(int head) {
        return Arrays.binarySearch(heads, head) >= 0;
    }

    /**
     * Takes the weights of one tile of queries.
     *
     * @param firstQuery a multiple of the tile's size
     * @param queries valid queries
     * @param mass [K, stride]: what each query gives to each key group
     */
    public void add(int sample, int head, int firstQuery, int queries, float[] mass, int stride) {
        int keyGroups = keyGroups();
        int plane = sample * heads.length + Arrays.binarySearch(heads, head);
        if (ofQueries.length > 0) {
            int to = (plane * call.queries() + firstQuery) * keyGroups;
            for (int i = 0; i < queries * keyGroups; i++) {
                ofQueries[to + i] = mass[i % keyGroups * stride + i / keyGroups];
            }
        }
        if (!ofFrames) {
            return;
        }
        int firstGroup = firstQuery / queryGroupTokens;
        int groups = (firstQuery + queries - 1) / queryGroupTokens - firstGroup + 1;
        double[] sums = new double[groups * keyGroups];
        for (int keyGroup = 0; keyGroup < keyGroups; keyGroup++) {
            for (int query = 0; query < queries; query++) {
                int group = (firstQuery + query) / queryGroupTokens - firstGroup;
                sums[group * keyGroups + keyGroup] += mass[keyGroup * stride + query];
            }
        }
        partial[plane * tiles + firstQuery / tileQueries] = sums;
    }

    /** Hands everything to the tap: frame masses, added up, [B, N, f, K], and those of queries [B, N, Lq, K]. */
    public void deliver(AttentionTap tap) {
        if (ofQueries.length > 0) {
            Shape shape = Shape.of(call.cache().batch(), heads.length, call.queries(), keyGroups());
            tap.accept(Quantity.QUERY_MASS, shape, ofQueries);
        }
        if (ofFrames) {
            deliverFrames(tap);
        }
    }

    private void deliverFrames(AttentionTap tap) {
        int keyGroups = keyGroups();
        int queryGroups = call.queries() / queryGroupTokens;
        int planes = call.cache().batch() * heads.length;
        float[] out = new float[Math.toIntExact((long) planes * queryGroups * keyGroups)];
        double[] sums = new double[queryGroups * keyGroups];
        for (int plane = 0; plane < planes; plane++) {
            Arrays.fill(sums, 0);
            for (int tile = 0; tile < tiles; tile++) {
                double[] part = partial[plane * tiles + tile];
                int from = tile * tileQueries / queryGroupTokens * keyGroups;
                for (int i = 0; i < part.length; i++) {
                    sums[from + i] += part[i];
                }
            }
            for (int i = 0; i < sums.length; i++) {
                out[plane * sums.length + i] = (float) (sums[i] / queryGroupTokens);
            }
        }
        tap.accept(Quantity.FRAME_MASS, Shape.of(call.cache().batch(), heads.length, queryGroups, keyGroups), out);
    }
}
