package tornado;

import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;

/**
 * A place among the activations or the parameters.
 *
 * @param owner the scope it dies with
 * @param parameter among the parameters, which kernels only read
 * @param offset in floats
 */
record DeviceTensor(Shape shape, ScratchStack.Level owner, boolean parameter, int offset) implements Tensor {
    /** Some neighbouring rows of [R, features], where they are. */
    DeviceTensor rows(int first, int count) {
        int features = shape.dim(1);
        return new DeviceTensor(Shape.of(count, features), owner, parameter, offset + first * features);
    }

    /** Checks that it is still alive. */
    DeviceTensor alive(String op) {
        if (owner.closed()) {
            throw new WanException(op + ": a tensor " + shape + " is used after its scope was closed");
        }
        return this;
    }
}
