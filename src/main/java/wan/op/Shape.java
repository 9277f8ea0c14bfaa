package wan.op;

import java.util.Arrays;

/**
 * The extents of a tensor, outermost first; {@code []} is a scalar. Prints as {@code [4680, 1536]}.
 */
public final class Shape {
    /** The most elements that every JVM gives an array. */
    private static final int MAX_ARRAY = Integer.MAX_VALUE - 8;

    private final long[] dims;

    private Shape(long[] dims) {
        this.dims = dims;
    }

    /**
     * A shape of the given extents.
     *
     * @param dims extents, outermost first, none negative
     * @throws WanException if one is negative or the element count overflows a long
     */
    public static Shape of(long... dims) {
        Shape shape = new Shape(dims.clone());
        for (long dim : dims) {
            if (dim < 0) {
                throw new WanException("shape " + shape + ": an extent is negative");
            }
        }
        try {
            long _ = shape.size();
        } catch (ArithmeticException e) {
            throw new WanException("shape " + shape + ": more elements than a long counts", e);
        }
        return shape;
    }

    /** Number of axes. */
    public int rank() {
        return dims.length;
    }

    /**
     * The extent of one axis; negative axes count from the end, -1 being the innermost.
     *
     * @throws WanException if it is beyond an int
     */
    public int dim(int axis) {
        long dim = dims[axis < 0 ? dims.length + axis : axis];
        if (dim > MAX_ARRAY) {
            throw new WanException("shape " + this + ": an extent of " + dim + " is more than a Java array holds");
        }
        return (int) dim;
    }

    /** The extents. */
    public long[] dims() {
        return dims.clone();
    }

    /** Number of elements; 1 for a scalar, 0 if any extent is 0. */
    public long size() {
        long size = 1;
        for (long dim : dims) {
            if (dim == 0) {
                return 0;
            }
        }
        for (long dim : dims) {
            size = Math.multiplyExact(size, dim);
        }
        return size;
    }

    /** The indices of an element by its place in C order, one per axis. */
    public long[] indices(long element) {
        long[] indices = new long[dims.length];
        long rest = element;
        for (int axis = dims.length - 1; axis >= 0; axis--) {
            indices[axis] = rest % dims[axis];
            rest /= dims[axis];
        }
        return indices;
    }

    /**
     * Number of elements of something that has to fit a Java array.
     *
     * @throws WanException if it does not
     */
    public int intSize() {
        long size = size();
        if (size > MAX_ARRAY) {
            throw new WanException("shape " + this + ": " + size + " elements are more than a Java array holds");
        }
        return (int) size;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Shape that && Arrays.equals(dims, that.dims);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(dims);
    }

    @Override
    public String toString() {
        return Arrays.toString(dims);
    }
}
