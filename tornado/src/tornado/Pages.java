package tornado;

/**
 * Pages of keys and values as kernels read them: in float32, or as they are stored.
 *
 * @param keys pages of keys, in the layout of {@link CacheKernels}
 * @param values pages of values
 * @param first the store's number of the first sample's first page
 * @param perSample pages from one sample to the next
 * @param numbers which pages of a sample, in order
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record Pages(Store keys, Store values, int first, int perSample, int[] numbers) {}
