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
    /** Checks that it is still alive. */
    DeviceTensor alive(String op) {
        if (owner.closed()) {
            throw new WanException(op + ": a tensor " + shape + " is used after its scope was closed");
        }
        return this;
    }
}
