package wan.op;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * A stored tensor in place: a name, an element type, a shape, and little-endian C-order bytes, usually memory-mapped.
 *
 * <p>Valid as long as the arena of whoever handed it out is open. The data need not be aligned.
 *
 * @param name as in the file, for example {@code blocks.3.ffn.0.weight}
 * @param dtype element type of the stored bytes
 * @param shape extents, outermost first
 * @param data exactly {@code dtype.bytes(shape.size())} bytes
 */
public record TensorView(String name, DType dtype, Shape shape, MemorySegment data) {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfDouble DOUBLE =
            ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** Checks that the bytes are as many as type and shape say. */
    public TensorView {
        if (data.byteSize() != dtype.bytes(shape.size())) {
            throw WanException.mismatch(
                    name, dtype.bytes(shape.size()) + " bytes for " + dtype + " " + shape, data.byteSize(), "");
        }
    }

    /** Lets the pages of a mapped file go that were read; they are read again where they are needed. */
    public void unload() {
        if (data.isMapped()) {
            data.unload();
        }
    }

    /**
     * All elements as float32; integers and doubles are rounded to the nearest.
     *
     * @return a new array of {@code shape.size()} values in C order
     * @throws WanException for packed, complex and scale types, and over 2^31 elements
     */
    public float[] toFloats() {
        return floats(0, intSize());
    }

    /**
     * Some elements as float32, as {@link #toFloats} gives them.
     *
     * @param from index of the first one in C order
     * @param count how many
     */
    public float[] floats(long from, int count) {
        float[] out = new float[count];
        if (dtype == DType.F32) {
            MemorySegment.copy(data, FLOAT, from * Float.BYTES, out, 0, count);
            return out;
        }
        for (int i = 0; i < count; i++) {
            out[i] = dtype == DType.I64 ? (float) data.get(LONG, 8 * (from + i)) : (float) doubleAt(from + i);
        }
        return out;
    }

    /**
     * All elements as double, exact but for 64-bit integers beyond 2^53.
     *
     * @return a new array of {@code shape.size()} values in C order
     * @throws WanException for packed, complex and scale types, and over 2^31 elements
     */
    public double[] toDoubles() {
        double[] out = new double[intSize()];
        for (int i = 0; i < out.length; i++) {
            out[i] = doubleAt(i);
        }
        return out;
    }

    private int intSize() {
        if (shape.size() > Integer.MAX_VALUE - 8) {
            throw new WanException(name + ": " + shape + " has more elements than a Java array holds");
        }
        return shape.intSize();
    }

    private double doubleAt(long i) {
        return switch (dtype) {
            case F64 -> data.get(DOUBLE, 8 * i);
            case F32 -> data.get(FLOAT, 4 * i);
            case BF16 -> Float.intBitsToFloat(data.get(SHORT, 2 * i) << 16);
            case F16 -> Float.float16ToFloat(data.get(SHORT, 2 * i));
            case F8_E5M2 -> Float.float16ToFloat((short) (data.get(ValueLayout.JAVA_BYTE, i) << 8));
            case F8_E4M3 -> Float8.widen(data.get(ValueLayout.JAVA_BYTE, i));
            case BOOL, I8 -> data.get(ValueLayout.JAVA_BYTE, i);
            case U8 -> data.get(ValueLayout.JAVA_BYTE, i) & 0xff;
            case I16 -> data.get(SHORT, 2 * i);
            case U16 -> data.get(SHORT, 2 * i) & 0xffff;
            case I32 -> data.get(INT, 4 * i);
            case U32 -> data.get(INT, 4 * i) & 0xffff_ffffL;
            case I64 -> data.get(LONG, 8 * i);
            case U64 -> unsigned(data.get(LONG, 8 * i));
            case F4, F6_E2M3, F6_E3M2, F8_E8M0, C64 ->
                throw new WanException(name + ": " + dtype + " elements have no plain numeric value here");
        };
    }

    private static double unsigned(long value) {
        return value >= 0 ? value : ((value >>> 1) | (value & 1)) * 2.0;
    }
}
