package wan.jvm;

import org.jspecify.annotations.Nullable;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;

/** A tensor of this backend: exactly {@code shape.size()} floats on the heap, until its scope is closed; none where memory is only counted. */
final class HeapTensor implements Tensor {
    private final Shape shape;
    private float @Nullable [] values;

    HeapTensor(Shape shape, float[] values) {
        this.shape = shape;
        this.values = values;
    }

    @Override
    public Shape shape() {
        return shape;
    }

    /** The values, or an error that names the operation if the scope is gone. */
    float[] values(String op) {
        float[] present = values;
        if (present == null) {
            throw new WanException(op + ": a tensor " + shape + " is used after its scope was closed");
        }
        return present;
    }

    /** Takes the values away: the tensor is dead. */
    float[] surrender() {
        float[] present = values("scope");
        values = null;
        return present;
    }

    @Override
    public String toString() {
        return "jvm tensor " + shape;
    }
}
