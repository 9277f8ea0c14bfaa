package wan.op;

/** The 16-bit float types: what a pattern means, and the pattern nearest to a value. */
public enum HalfFormat {
    /** IEEE half precision. */
    F16(10),
    /** The upper half of a float32. */
    BF16(7);

    private final int mantissaBits;

    HalfFormat(int mantissaBits) {
        this.mantissaBits = mantissaBits;
    }

    /** Of an element type of the same name; the others have none. */
    public static HalfFormat of(DType dtype) {
        return valueOf(dtype.name());
    }

    /** Bits after the exponent's. */
    public int mantissaBits() {
        return mantissaBits;
    }

    /** The exponent bits of infinity. */
    public int infinity() {
        return (1 << (15 - mantissaBits)) - 1;
    }

    /** The largest finite value. */
    public float max() {
        return widen((short) ((infinity() << mantissaBits) - 1));
    }

    /** The least value that is rounded to infinity. */
    public float limit() {
        float max = max();
        return max + (max - widen((short) ((infinity() << mantissaBits) - 2))) / 2;
    }

    /** A pattern's value. */
    public float widen(short pattern) {
        return this == F16 ? Float.float16ToFloat(pattern) : Float.intBitsToFloat(pattern << 16);
    }

    /** The nearest value that a pattern has, ties to even; NaN stays NaN. */
    public float round(float value) {
        return widen(narrow(value));
    }

    /** The nearest pattern, ties to even; NaN stays NaN. */
    public short narrow(float value) {
        if (this == F16) {
            return Float.floatToFloat16(value);
        }
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short) ((bits >>> 16) | 0x40);
        }
        return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
    }
}
