package wan.op;

/** Checks of shapes that operations of every backend share. */
public final class OpChecks {
    private OpChecks() {}

    /** The last extent of [R, features]. */
    public static int rowLength(String op, Tensor x) {
        if (x.shape().rank() != 2 || x.shape().dim(1) == 0) {
            throw WanException.mismatch(op, "[R, features]", x.shape(), "");
        }
        return x.shape().dim(1);
    }

    /** That a tensor has this shape. */
    public static void expect(String where, Tensor tensor, long... dims) {
        Shape expected = Shape.of(dims);
        if (!tensor.shape().equals(expected)) {
            throw WanException.mismatch(where, expected, tensor.shape(), "");
        }
    }

    /** The entries of a modulation [E, rows, dim] for this many rows of an activation. */
    public static int entries(String op, Tensor modulation, int rows, int dim, int row) {
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
}
