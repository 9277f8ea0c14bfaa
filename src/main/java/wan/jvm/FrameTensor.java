package wan.jvm;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import wan.jvm.kernel.Frame;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;

/**
 * A frame outside of the heap, where it takes what it needs and nothing more.
 *
 * @param kept how many of its rows there are at once
 * @param values in native order
 */
record FrameTensor(Shape shape, int kept, MemorySegment values) implements Tensor {
    /** A frame of zeros with all its rows. */
    static FrameTensor zeros(Arena arena, Shape shape) {
        return zeros(arena, shape, shape.rank() == 3 ? shape.dim(1) : 1);
    }

    /** A frame of zeros of which some rows are kept. */
    static FrameTensor zeros(Arena arena, Shape shape, int kept) {
        long rows = shape.rank() == 3 ? shape.dim(1) : 1;
        long bytes = Math.multiplyExact(shape.size() / Math.max(1, rows) * kept, Float.BYTES);
        return new FrameTensor(shape, kept, arena.allocate(bytes, 64));
    }

    static FrameTensor own(String op, Tensor tensor) {
        if (tensor instanceof FrameTensor own) {
            return own;
        }
        throw WanException.mismatch(op, "a tensor of the jvm backend", tensor, "");
    }

    /** One with all its rows. */
    static FrameTensor whole(String op, Tensor tensor) {
        FrameTensor own = own(op, tensor);
        if (own.values.byteSize() != Float.BYTES * own.shape.size()) {
            throw WanException.mismatch(op, "a frame with all its rows", own.kept + " of them", "");
        }
        return own;
    }

    int size() {
        return shape.intSize();
    }

    Frame frame() {
        return new Frame(values, shape.dim(1), kept, shape.dim(2));
    }

    float[] toArray() {
        return values.toArray(ValueLayout.JAVA_FLOAT);
    }

    /** Whether both lie in the same memory. */
    boolean shares(FrameTensor other) {
        return values.address() == other.values.address();
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
