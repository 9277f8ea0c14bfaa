package wan.session;

/** Rounding to bfloat16, the working precision of the reference. */
final class BFloat16 {
    private BFloat16() {}

    /** The nearest bfloat16 to a finite number, ties to even, widened to float again. */
    static float round(float value) {
        int bits = Float.floatToRawIntBits(value);
        return Float.intBitsToFloat((bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000);
    }
}
