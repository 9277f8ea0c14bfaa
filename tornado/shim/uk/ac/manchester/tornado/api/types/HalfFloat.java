package uk.ac.manchester.tornado.api.types;

/** A float of 16 bits. */
public class HalfFloat {
    private final short bits;

    /** The nearest to a float. */
    public HalfFloat(float halfFloat) {
        this(Float.floatToFloat16(halfFloat));
    }

    /** A pattern. */
    public HalfFloat(short halfFloat) {
        bits = halfFloat;
    }

    /** The pattern. */
    public short getHalfFloatValue() {
        return bits;
    }
}
