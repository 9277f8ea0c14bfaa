package uk.ac.manchester.tornado.api.types.arrays;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/** An array that kernels can use. The real one lies outside the heap. */
public final class FloatArray {
    private final float[] values;

    /** All zeros. */
    public FloatArray(int numberOfElements) {
        values = new float[numberOfElements];
    }

    /** Sets an element. */
    public void set(int index, float value) {
        values[index] = value;
    }

    /** An element. */
    public float get(int index) {
        return values[index];
    }

    /** How many elements. */
    public int getSize() {
        return values.length;
    }

    /** Sets every element. */
    public void init(float value) {
        Arrays.fill(values, value);
    }

    /** The bytes. */
    public MemorySegment getSegment() {
        return MemorySegment.ofArray(values);
    }
}
