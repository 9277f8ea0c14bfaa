package capture.analysis;

/**
 * The difference between two sets of values. Places that are NaN (masked) in both do not count.
 *
 * @param relativeL2 the norm of the difference over the norm of the reference; 0 where nothing differs
 * @param cosine of the angle between the two; 1 where nothing differs
 * @param psnr in decibels: 10 log10(range^2 / mean squared difference), with the range of the reference's values, largest minus smallest;
 *     infinite where nothing differs
 * @param largest the largest difference of two values
 * @param values how many were compared
 * @param unpaired how many are finite on one side only, which no number above counts
 */
public record Difference(double relativeL2, double cosine, double psnr, double largest, long values, long unpaired) {
    /** Of values that are all the same. */
    public static final Difference NONE = new Difference(0, 1, Double.POSITIVE_INFINITY, 0, 0, 0);

    /** Collects values. */
    public static final class Sums {
        private double reference;
        private double other;
        private double product;
        private double squared;
        private double largest;
        private double low = Double.POSITIVE_INFINITY;
        private double high = Double.NEGATIVE_INFINITY;
        private long values;
        private long unpaired;

        /** Adds a pair. */
        public void add(double a, double b) {
            if (!Double.isFinite(a) || !Double.isFinite(b)) {
                unpaired += Double.compare(a, b) == 0 ? 0 : 1;
                return;
            }
            reference += a * a;
            other += b * b;
            product += a * b;
            squared += (a - b) * (a - b);
            largest = Math.max(largest, Math.abs(a - b));
            low = Math.min(low, a);
            high = Math.max(high, a);
            values++;
        }

        /** Adds pairs of two arrays from an index on. */
        public void add(float[] a, float[] b, int from, int count) {
            for (int i = from; i < from + count; i++) {
                add(a[i], b[i]);
            }
        }

        /** What they come to. */
        public Difference difference() {
            if (squared == 0) {
                return new Difference(0, 1, Double.POSITIVE_INFINITY, 0, values, unpaired);
            }
            double range = high - low;
            return new Difference(
                    Math.sqrt(squared / reference),
                    product / Math.sqrt(reference * other),
                    10 * Math.log10(range * range / (squared / values)),
                    largest,
                    values,
                    unpaired);
        }
    }

    /**
     * Of two arrays.
     *
     * @param reference what the other is measured against
     */
    public static Difference of(float[] reference, float[] other) {
        if (reference.length != other.length) {
            throw new IllegalArgumentException(reference.length + " values and " + other.length);
        }
        Sums sums = new Sums();
        sums.add(reference, other, 0, reference.length);
        return sums.difference();
    }
}
