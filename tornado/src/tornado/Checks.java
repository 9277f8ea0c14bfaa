package tornado;

import wan.op.Dyn;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;

/** Checks of shapes that several operations share. */
final class Checks {
    private Checks() {}

    /** The last extent of [R, features]. */
    static int rowLength(String op, Tensor x) {
        if (x.shape().rank() != 2 || x.shape().dim(1) == 0) {
            throw WanException.mismatch(op, "[R, features]", x.shape(), "");
        }
        return x.shape().dim(1);
    }

    static void expect(String where, Tensor tensor, long... dims) {
        Shape expected = Shape.of(dims);
        if (!tensor.shape().equals(expected)) {
            throw WanException.mismatch(where, expected, tensor.shape(), "");
        }
    }

    /** The entries of a modulation [E, rows, dim] for this many rows of an activation. */
    static int entries(String op, Tensor modulation, int rows, int dim, int row) {
        Shape shape = modulation.shape();
        if (shape.rank() != 3 || shape.dim(2) != dim || shape.dim(0) == 0 || rows % shape.dim(0) != 0) {
            throw WanException.mismatch(
                    op + " modulation", "[E, rows, " + dim + "] with E a divisor of " + rows, shape, "");
        }
        if (row < 0 || row >= shape.dim(1)) {
            throw WanException.mismatch(op + " modulation", "a row below " + shape.dim(1), row, "");
        }
        return shape.dim(0);
    }

    /** The present values. */
    static int[] values(Dyn dyn) {
        int[] values = new int[dyn.count()];
        for (int i = 0; i < values.length; i++) {
            values[i] = dyn.get(i);
        }
        return values;
    }
}
