package tornado;

import java.util.List;

/**
 * What one attention works on; {@link AttentionKernels} has the slot.
 *
 * @param queries of one sample
 * @param scale where 1 / sqrt(headDim) stands among the parameters
 */
record AttentionCall(DeviceTarget target, DeviceTensor q, DeviceCache kv, Pages pages, int queries, int scale) {
    /** The attention alone. */
    Call call(DeviceTensor out) {
        return call(out, 0, 1, 0);
    }

    /**
     * The attention that also keeps masses.
     *
     * @param masses [B, N, Lq, K]
     */
    Call call(DeviceTensor out, DeviceTensor masses, int keyGroupTokens) {
        return call(out, masses.offset(), keyGroupTokens, masses.shape().dim(3));
    }

    private Call call(DeviceTensor out, int masses, int keyGroupTokens, int keyGroups) {
        boolean vector = target.kernels() == DeviceTarget.Kernels.VECTOR;
        int tileRows = vector ? AttentionKernels.ROWS : AttentionKernels.SHARED_ROWS;
        return new Call(
                vector ? Kernel.ATTENTION_VECTOR : Kernel.ATTENTION_SHARED,
                pages.keys(),
                pages.values(),
                new int[] {
                    queries,
                    kv.batch(),
                    kv.numHeads(),
                    kv.headDim(),
                    q.offset(),
                    out.offset(),
                    kv.pageTokens(),
                    pages.numbers().length,
                    0,
                    pages.first(),
                    pages.perSample(),
                    scale,
                    masses,
                    keyGroupTokens,
                    keyGroups
                },
                List.of(new Call.Table(8, pages.numbers())),
                kv.batch() * kv.numHeads() * Math.ceilDiv(queries, tileRows),
                vector ? 1 : AttentionKernels.SHARED_ITEMS);
    }
}
