package wan.backend;

import wan.op.WanException;

/**
 * Bytes that a run needs of this machine's memory, known before any of them is allocated.
 *
 * @param heapWeights small parameters, in the Java heap
 * @param weights packed matrices, outside of it
 * @param heapCache keys and values, in the heap
 * @param cache keys and values, outside of it
 * @param heapActivations activations and what threads compute in, in the heap
 * @param activations the same outside of it
 */
public record HostMemory(
        long heapWeights, long weights, long heapCache, long cache, long heapActivations, long activations) {
    /** In the Java heap. */
    public long heap() {
        return heapWeights + heapCache + heapActivations;
    }

    /** Outside of it. */
    public long outside() {
        return weights + cache + activations;
    }

    /** What it is made of, with what a run keeps besides. */
    public String parts(long kept) {
        return Bytes.text(heap() + kept) + " of heap (keys and values " + Bytes.text(heapCache) + ", activations "
                + Bytes.text(heapActivations) + ", captures and copies " + Bytes.text(kept) + ", small parameters "
                + Bytes.text(heapWeights) + ") and " + Bytes.text(outside()) + " outside of it (weights "
                + Bytes.text(weights) + ", keys and values " + Bytes.text(cache) + ", buffers "
                + Bytes.text(activations) + ")";
    }

    /**
     * Refuses a run that cannot fit.
     *
     * @param kept bytes of captures and copies, in the heap
     * @param heapLimit what the Java heap may grow to
     * @param limit what there is for the heap and all else
     * @throws WanException with the numbers and what to change
     */
    public void check(long kept, long heapLimit, long limit) {
        boolean heapTooSmall = heap() + kept > heapLimit;
        if (heapTooSmall || heap() + kept + outside() > limit) {
            throw new WanException("memory: expected " + parts(kept) + ", got a heap of at most "
                    + Bytes.text(heapLimit) + (heapTooSmall ? "" : " and " + Bytes.text(limit) + " of memory")
                    + "; use fewer frames, a smaller frame, cache.local_attn_size or fewer captures"
                    + (heapTooSmall ? ", or a larger Java heap" : ""));
        }
    }
}
