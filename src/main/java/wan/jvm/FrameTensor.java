package wan.jvm;

import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;

/**
 * A frame on the heap.
 *
 * @param values at least {@code shape.size()}; more where it is a part of a larger tensor
 */
@SuppressWarnings("ArrayRecordComponent") // a handle, never compared by value
record FrameTensor(Shape shape, float[] values) implements Tensor {
    static FrameTensor own(String op, Tensor tensor) {
        if (tensor instanceof FrameTensor own) {
            return own;
        }
        throw WanException.mismatch(op, "a tensor of the jvm backend", tensor, "");
    }

    int size() {
        return shape.intSize();
    }

    /** Whether both lie in the same memory. */
    @SuppressWarnings("ReferenceEquality") // it is what is asked
    boolean shares(FrameTensor other) {
        return values == other.values;
    }

    @Override
    public boolean equals(Object other) {
        return this == other;
    }

    @Override
    public int hashCode() {
        return System.identityHashCode(this);
    }

    @Override
    public String toString() {
        return "jvm frame " + shape;
    }
}
