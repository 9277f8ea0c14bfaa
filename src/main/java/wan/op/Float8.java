package wan.op;

/**
 * The 8-bit float type E4M3 without infinities ({@link DType#F8_E4M3}): what a pattern means, the pattern nearest to a value, and how a
 * row of numbers is stored in it with one scale.
 */
public final class Float8 {
    /** The largest value. */
    public static final float MAX = 448;

    private static final int NAN = 0x7f;

    private Float8() {}

    /** A pattern's value. */
    public static float widen(byte pattern) {
        int exponent = (pattern >> 3) & 0xf;
        int mantissa = pattern & 7;
        float magnitude;
        if ((pattern & NAN) == NAN) {
            magnitude = Float.NaN;
        } else if (exponent == 0) {
            magnitude = Math.scalb((float) mantissa, -9);
        } else {
            magnitude = Math.scalb(8f + mantissa, exponent - 10);
        }
        return pattern < 0 ? -magnitude : magnitude;
    }

    /** The nearest pattern, ties to even; what is beyond {@link #MAX} becomes that, and NaN stays NaN. */
    public static byte narrow(float value) {
        int sign = Float.floatToRawIntBits(value) < 0 ? 0x80 : 0;
        if (Float.isNaN(value)) {
            return (byte) (sign | NAN);
        }
        float size = Math.min(Math.abs(value), MAX);
        // Below 2^-6 patterns are 2^-9 apart, above that an eighth of the power of two.
        int exponent = Math.max(-6, Math.getExponent(size));
        int eighths = (int) Math.rint(Math.scalb(size, 3 - exponent));
        return (byte) (sign | (eighths + 8 * (exponent + 6)));
    }

    /** What a row is divided by before it is narrowed, so that its largest finite number becomes {@link #MAX}; 1 if it has only zeros. */
    public static float scale(float[] values, int from, int count) {
        float largest = 0;
        for (int i = from; i < from + count; i++) {
            float size = Math.abs(values[i]);
            if (size < Float.POSITIVE_INFINITY) {
                largest = Math.max(largest, size);
            }
        }
        float scale = largest / MAX;
        return scale < Float.MIN_NORMAL ? 1 : scale;
    }

    /** Rounds each of {@code rows} equal rows as it would be stored, with its scale. */
    public static void roundRows(float[] values, int rows) {
        int length = values.length / rows;
        for (int row = 0; row < rows; row++) {
            float scale = scale(values, row * length, length);
            for (int i = row * length; i < (row + 1) * length; i++) {
                values[i] = widen(narrow(values[i] / scale)) * scale;
            }
        }
    }
}
