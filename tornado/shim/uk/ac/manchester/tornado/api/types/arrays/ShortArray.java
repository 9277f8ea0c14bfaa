package uk.ac.manchester.tornado.api.types.arrays;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/** An array that kernels can use. The real one lies outside the heap. */
public final class ShortArray {
    private final short[] values;

    /** All zeros. */
    public ShortArray(int numberOfElements) {
        values = new short[numberOfElements];
    }

    /** Sets an element. */
    public void set(int index, short value) {
        values[index] = value;
    }

    /** An element. */
    public short get(int index) {
        return values[index];
    }

    /** How many elements. */
    public int getSize() {
        return values.length;
    }

    /** Sets every element. */
    public void init(short value) {
        Arrays.fill(values, value);
    }

    /** The bytes. */
    public MemorySegment getSegment() {
        return MemorySegment.ofArray(values);
    }
}
