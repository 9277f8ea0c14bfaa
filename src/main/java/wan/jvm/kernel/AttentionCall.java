package wan.jvm.kernel;

import wan.op.AttentionEdit;

/**
 * One attention of all samples and heads.
 *
 * @param q [batch * queries, numHeads * headDim]
 * @param queries queries per sample, Lq
 * @param cache keys and values
 * @param pages pages to attend to, in order; all of them written
 * @param edit what is changed; it fits
 */
@SuppressWarnings("ArrayRecordComponent") // arguments under one name, never compared
public record AttentionCall(float[] q, int queries, PagedKv cache, int[] pages, AttentionEdit edit) {
    /** Keys per sample, Lk. */
    public int keys() {
        return Math.multiplyExact(pages.length, cache.pageTokens());
    }

    /** Indices into {@link #pages} of those that a head sees. */
    public int[] seen(int head) {
        return edit.seen(head, pages.length, cache.pageTokens());
    }

    /** numHeads * headDim. */
    int dim() {
        return cache.numHeads() * cache.headDim();
    }

    /** Index of the first channel of one head of a query. */
    public int index(int sample, int query, int head) {
        return (sample * queries + query) * dim() + head * cache.headDim();
    }

    /** What a product of query and key is multiplied with. */
    public double scale() {
        return 1 / Math.sqrt(cache.headDim());
    }
}
