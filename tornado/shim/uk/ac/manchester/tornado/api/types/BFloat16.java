package uk.ac.manchester.tornado.api.types;

/** The upper half of a float. */
public final class BFloat16 {
    private BFloat16() {}

    /** The nearest pattern, ties to even as a device rounds. */
    public static short bf16FromFloat(float value) {
        int bits = Float.floatToRawIntBits(value);
        int nearest = (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
        return (short) (Float.isNaN(value) ? 0x7fc0 : nearest);
    }

    /** What a pattern means. */
    public static float bf16ToFloat(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }
}
