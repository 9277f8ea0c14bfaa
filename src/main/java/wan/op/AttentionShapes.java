package wan.op;

/** Checks the arguments of {@link Ops#attention} for every backend. */
public final class AttentionShapes {
    private AttentionShapes() {}

    /**
     * Checks the arguments of a call.
     *
     * @param q expected to be [batch * Lq, numHeads * headDim]
     * @param cache what is attended
     * @return the queries of one sample, Lq
     * @throws WanException if a shape or a group does not fit
     */
    public static int queries(Shape q, KvTensor cache, int queryGroupTokens, int keyGroupTokens) {
        String op = "attention";
        int dim = cache.numHeads() * cache.headDim();
        if (q.rank() != 2 || q.dim(1) != dim || q.dim(0) % cache.batch() != 0) {
            throw WanException.mismatch(op, "q [" + cache.batch() + " * Lq, " + dim + "]", q, "");
        }
        int queries = q.dim(0) / cache.batch();
        if (queryGroupTokens < 1 || queries % queryGroupTokens != 0) {
            throw WanException.mismatch(op, "Lq a multiple of " + queryGroupTokens, queries, "");
        }
        if (keyGroupTokens < 1 || cache.pageTokens() % keyGroupTokens != 0) {
            throw WanException.mismatch(op, "a key group that divides " + cache.pageTokens(), keyGroupTokens, "");
        }
        return queries;
    }
}
