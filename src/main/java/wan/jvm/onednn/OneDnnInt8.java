package wan.jvm.onednn;

import static wan.jvm.vector.Lanes.FLOAT;
import static wan.jvm.vector.Lanes.INT;
import static wan.jvm.vector.Lanes.ORDER;
import static wan.jvm.vector.Lanes.WIDTH;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;
import wan.jvm.vector.VectorMath;

/** Rows of numbers as signed bytes with a scale: number = byte * scale, the largest of a row being 127 or -127 scales. */
final class OneDnnInt8 {
    /** So many products of bytes have a sum of 32 bits, with the 128 that oneDNN adds to one factor of each. */
    static final int MOST_INPUTS = 1 << 16;

    private static final float LARGEST = 127;
    /** Numbers this small count as zeros if the whole row is: a scale has to have a reciprocal. */
    private static final float SMALLEST = 0x1p-100f;
    /** 1.5 * 2^23: adding it leaves the nearest integer, to even in a tie, in the low bits. */
    private static final float ROUND = 12_582_912;

    private static final int SIZE = 0x7fffffff;
    /** As many bytes as a vector has floats; a vector of four has none, so it rounds one by one. */
    private static final VectorSpecies<Byte> BYTE =
            ByteVector.SPECIES_64.withShape(VectorShape.forBitSize(Math.max(64, FLOAT.vectorBitSize() / 4)));

    private OneDnnInt8() {}

    /**
     * Stores a row of bytes.
     *
     * @return its scale: not finite if one of the numbers is not, and then all that is computed from the row is NaN
     */
    static float store(float[] from, int at, int count, MemorySegment to, long offset) {
        float scale = Math.max(largest(from, at, count), SMALLEST) / LARGEST;
        float inverse = 1 / scale;
        int whole = WIDTH == BYTE.length() ? FLOAT.loopBound(count) : 0;
        for (int i = 0; i < whole; i += WIDTH) {
            FloatVector.fromArray(FLOAT, from, at + i)
                    .mul(inverse)
                    .add(ROUND)
                    .reinterpretAsInts()
                    .convertShape(VectorOperators.I2B, BYTE, 0)
                    .reinterpretAsBytes()
                    .intoMemorySegment(to, offset + i, ORDER);
        }
        for (int i = whole; i < count; i++) {
            to.set(ValueLayout.JAVA_BYTE, offset + i, (byte) Float.floatToRawIntBits(from[at + i] * inverse + ROUND));
        }
        return scale;
    }

    /** The largest size. Sizes have the order of their bits, NaN above all. */
    private static float largest(float[] from, int at, int count) {
        IntVector most = IntVector.zero(INT);
        int whole = FLOAT.loopBound(count);
        for (int i = 0; i < whole; i += WIDTH) {
            most = most.max(FloatVector.fromArray(FLOAT, from, at + i)
                    .reinterpretAsInts()
                    .and(SIZE));
        }
        int largest = most.reduceLanes(VectorOperators.MAX);
        for (int i = whole; i < count; i++) {
            largest = Math.max(largest, Float.floatToRawIntBits(from[at + i]) & SIZE);
        }
        return Float.intBitsToFloat(largest);
    }

    /**
     * Sums become numbers where they are, in whole vectors.
     *
     * @param scale of the row
     * @param features scales and biases of the output features, from {@code scales} and {@code biases} on
     */
    static void scale(
            MemorySegment sums, long at, int count, float scale, MemorySegment features, long scales, long biases) {
        for (int i = 0; i < count; i += WIDTH) {
            FloatVector factors = FloatVector.fromMemorySegment(FLOAT, features, scales + 4L * i, ORDER)
                    .mul(scale);
            FloatVector bias = FloatVector.fromMemorySegment(FLOAT, features, biases + 4L * i, ORDER);
            ((FloatVector) IntVector.fromMemorySegment(INT, sums, at + 4L * i, ORDER)
                            .convert(VectorOperators.I2F, 0))
                    .fma(factors, bias)
                    .intoMemorySegment(sums, at + 4L * i, ORDER);
        }
    }

    /** GELU of a row, where it is, in whole vectors. */
    static void gelu(MemorySegment row, long at, int count) {
        for (int i = 0; i < count; i += WIDTH) {
            VectorMath.gelu(FloatVector.fromMemorySegment(FLOAT, row, at + 4L * i, ORDER))
                    .intoMemorySegment(row, at + 4L * i, ORDER);
        }
    }
}
