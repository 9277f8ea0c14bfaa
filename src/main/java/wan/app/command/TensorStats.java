package wan.app.command;

import org.jspecify.annotations.Nullable;
import wan.op.DType;
import wan.op.Shape;
import wan.op.TensorView;

/**
 * Statistics of a tensor's values; NaNs are counted and otherwise ignored.
 *
 * @param min infinite if there is no value
 * @param max likewise
 * @param mean NaN if there is no value
 * @param std of the population; NaN if there is no value
 * @param nans how many
 */
record TensorStats(double min, double max, double mean, double std, long nans) {
    private static final long CHUNK_ELEMENTS = 1 << 20;

    /** Reads a tensor of any size piece by piece; null for types whose elements are no plain numbers. */
    static @Nullable TensorStats of(TensorView view) {
        switch (view.dtype()) {
            case F4, F6_E2M3, F6_E3M2, F8_E8M0, C64 -> {
                return null;
            }
            default -> {}
        }
        double min = Double.POSITIVE_INFINITY;
        double max = Double.NEGATIVE_INFINITY;
        double mean = 0;
        double squares = 0;
        long count = 0;
        long size = view.shape().size();
        for (long first = 0; first < size; first += CHUNK_ELEMENTS) {
            for (double value : chunk(view, first, Math.min(CHUNK_ELEMENTS, size - first))) {
                if (!Double.isNaN(value)) {
                    count++;
                    min = Math.min(min, value);
                    max = Math.max(max, value);
                    // Welford: stable whatever the mean.
                    double delta = value - mean;
                    mean += delta / count;
                    squares += delta * (value - mean);
                }
            }
        }
        return new TensorStats(min, max, count == 0 ? Double.NaN : mean, Math.sqrt(squares / count), size - count);
    }

    private static double[] chunk(TensorView view, long first, long count) {
        DType dtype = view.dtype();
        return new TensorView(
                        view.name(),
                        dtype,
                        Shape.of(count),
                        view.data().asSlice(dtype.bytes(first), dtype.bytes(count)))
                .toDoubles();
    }
}
