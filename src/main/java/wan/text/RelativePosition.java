package wan.text;

/**
 * T5's relative position buckets: exact for short distances, wider and wider for longer ones, one set for keys behind the query
 * and one for keys in front of it.
 */
final class RelativePosition {
    /** Buckets of both directions. */
    static final int BUCKETS = 32;

    /**
     * Smallest distances of the buckets 8 to 15. They are where the reference's float32 logarithm crosses whole numbers, so
     * that no logarithm has to agree to the last bit.
     */
    private static final int[] LOWER_BOUNDS = {8, 12, 16, 23, 32, 46, 64, 91};

    private RelativePosition() {}

    /** The bucket of a key at position {@code query + delta}. */
    static int bucket(int delta) {
        int distance = Math.abs(delta);
        int bucket = distance;
        if (distance >= LOWER_BOUNDS[0]) {
            bucket = LOWER_BOUNDS[0] - 1;
            for (int bound : LOWER_BOUNDS) {
                bucket += distance >= bound ? 1 : 0;
            }
        }
        return delta > 0 ? bucket + BUCKETS / 2 : bucket;
    }
}
