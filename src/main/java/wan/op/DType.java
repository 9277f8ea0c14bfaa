package wan.op;

import java.util.Locale;

/**
 * Element types of stored tensors: all those of the safetensors format, under its names.
 *
 * <p>Computation is in float32; the others are what files hold.
 */
public enum DType {
    /** One byte, 0 or 1. */
    BOOL(8),
    /** 4-bit float (e2m1), two to a byte. */
    F4(4),
    /** 6-bit float (e2m3), packed. */
    F6_E2M3(6),
    /** 6-bit float (e3m2), packed. */
    F6_E3M2(6),
    /** Unsigned byte. */
    U8(8),
    /** Signed byte. */
    I8(8),
    /** 8-bit float, 5 exponent and 2 mantissa bits. */
    F8_E5M2(8),
    /** 8-bit float, 4 exponent and 3 mantissa bits, no infinities. */
    F8_E4M3(8),
    /** 8-bit power-of-two scale. */
    F8_E8M0(8),
    /** Signed 16-bit integer. */
    I16(16),
    /** Unsigned 16-bit integer. */
    U16(16),
    /** IEEE half precision. */
    F16(16),
    /** The upper half of a float32. */
    BF16(16),
    /** Signed 32-bit integer. */
    I32(32),
    /** Unsigned 32-bit integer. */
    U32(32),
    /** IEEE single precision. */
    F32(32),
    /** Complex of two float32. */
    C64(64),
    /** IEEE double precision. */
    F64(64),
    /** Signed 64-bit integer. */
    I64(64),
    /** Unsigned 64-bit integer. */
    U64(64);

    private final int bits;

    DType(int bits) {
        this.bits = bits;
    }

    /** Bits of one element; below 8 for the packed types. */
    public int bits() {
        return bits;
    }

    /**
     * Bytes of {@code elements} elements.
     *
     * @throws ArithmeticException if that overflows a long or does not end on a whole byte
     */
    public long bytes(long elements) {
        long totalBits = Math.multiplyExact(elements, (long) bits);
        if (totalBits % 8 != 0) {
            throw new ArithmeticException(elements + " elements of " + this + " do not fill whole bytes");
        }
        return totalBits / 8;
    }

    /** The lower-case name, as options spell it: {@code bf16}. */
    public String option() {
        return name().toLowerCase(Locale.ROOT);
    }
}
