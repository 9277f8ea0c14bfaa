package uk.ac.manchester.tornado.api.types.arrays;

import java.lang.foreign.MemorySegment;

/** An array that kernels can use. The real one lies outside the heap. */
public final class IntArray {
    private final int[] values;

    /** All zeros. */
    public IntArray(int numberOfElements) {
        values = new int[numberOfElements];
    }

    /** Sets an element. */
    public void set(int index, int value) {
        values[index] = value;
    }

    /** An element. */
    public int get(int index) {
        return values[index];
    }

    /** How many elements. */
    public int getSize() {
        return values.length;
    }

    /** The bytes. */
    public MemorySegment getSegment() {
        return MemorySegment.ofArray(values);
    }
}
