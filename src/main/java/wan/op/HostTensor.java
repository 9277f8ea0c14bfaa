package wan.op;

/**
 * Float32 values in a Java array with their shape, for inputs and outputs of a run.
 *
 * <p>The array is not copied; callers must not change it after passing it on.
 */
public final class HostTensor {
    private final Shape shape;
    private final float[] values;

    /**
     * Wraps an array.
     *
     * @param values C order
     * @throws WanException if there are not {@code shape.size()} values
     */
    public HostTensor(Shape shape, float[] values) {
        if (values.length != shape.size()) {
            throw WanException.mismatch("tensor " + shape, shape.size() + " values", values.length, "");
        }
        this.shape = shape;
        this.values = values;
    }

    /** All zeros. */
    public static HostTensor zeros(Shape shape) {
        return new HostTensor(shape, new float[shape.intSize()]);
    }

    /**
     * This tensor, once it is clear that every value is finite.
     *
     * @param what it is, for the message
     * @throws NonFiniteException if one is not
     */
    public HostTensor requireFinite(String what) {
        NonFiniteException.check(what, shape, values);
        return this;
    }

    /** Extents, outermost first. */
    public Shape shape() {
        return shape;
    }

    /** The values themselves, not a copy. */
    public float[] values() {
        return values;
    }

    /**
     * Copies a range of axis 1, the frames of latents [B, F, C, H, W].
     *
     * @return [B, count, ...]
     */
    public HostTensor frames(int first, int count) {
        long[] dims = shape.dims();
        dims[1] = count;
        HostTensor out = zeros(Shape.of(dims));
        int frameValues = values.length / (shape.dim(0) * shape.dim(1));
        for (int b = 0; b < shape.dim(0); b++) {
            System.arraycopy(
                    values,
                    (b * shape.dim(1) + first) * frameValues,
                    out.values,
                    b * count * frameValues,
                    count * frameValues);
        }
        return out;
    }

    /**
     * Overwrites a range of axis 1; the inverse of {@link #frames}.
     *
     * @param source [B, count, ...], copied to frames first ... first + count - 1
     */
    public void setFrames(int first, HostTensor source) {
        int count = source.shape.dim(1);
        int frameValues = values.length / (shape.dim(0) * shape.dim(1));
        for (int b = 0; b < shape.dim(0); b++) {
            System.arraycopy(
                    source.values,
                    b * count * frameValues,
                    values,
                    (b * shape.dim(1) + first) * frameValues,
                    count * frameValues);
        }
    }
}
