package wan.op;

import org.jspecify.annotations.Nullable;

/**
 * The operations that the video autoencoders are written in. A tensor is one frame, [channels, rows, columns].
 *
 * <p>One frame at a time, because a causal convolution needs no more: of y(t) = b + W0 x(t-2) + W1 x(t-1) + W2 x(t), the terms
 * of frames that have been seen are kept as sums, and each frame adds its three terms to three of them. Since every sum grows in
 * the order of time, its bits do not depend on how frames come in. The sums take the memory that the two last inputs would.
 *
 * <p>Every implementation is held to {@code wan.jvm.scalar.ScalarConvolution}.
 */
public interface FrameOps extends AutoCloseable {
    /** How frames are sampled before they are convolved, and with which margin of zeros. */
    enum Sampling {
        /** As they are; zeros around, so that the size stays. */
        SAME,
        /** Each pixel repeated 2 x 2; zeros around. The size doubles. */
        DOUBLED,
        /** Every second window in both directions; zeros below and at the right only. The size halves. */
        HALVED
    }

    /** What is done to each value before it is convolved, after the norm. */
    enum Activation {
        /** Nothing. */
        NONE,
        /** v / (1 + e^-v). */
        SILU,
        /** max(v, 0). */
        RELU
    }

    /**
     * What happens to a frame before it is convolved.
     *
     * @param gamma [channels], or null for no norm; with it, each pixel's channels x become x / max(|x|, 1e-12) * sqrt(channels)
     *     * gamma
     */
    record Before(@Nullable Tensor gamma, Activation activation) {
        /** Nothing happens. */
        public static final Before NOTHING = new Before(null, Activation.NONE);
    }

    /**
     * One of the sums that a convolution forms: {@code to = start + W[kernelFrame] x}, or {@code to += ...}.
     *
     * @param kernelFrame which frame of the kernel
     * @param start what the sum starts with, or null for the bias
     * @param to where it goes; may be the start of this or of another sum
     * @param add whether the sum is added to what is there
     */
    record Sum(int kernelFrame, @Nullable Tensor start, Tensor to, boolean add) {}

    /** The backend's name, as provenance and messages show it. */
    String backend();

    /** A tensor of zeros; it lives until this is closed, and its memory as long. */
    Tensor allocate(Shape shape);

    /**
     * A frame of which only the rows written last are there, for what is computed in bands of rows. {@link #convolve} and
     * {@link #copy} take one.
     *
     * @param shape of the whole frame
     * @param kept rows that are there at once; row r takes the place of row r - kept
     */
    Tensor allocateBand(Shape shape, int kept);

    /** So many pixels of a result give each thread something to do. */
    int pixelsAtOnce();

    /**
     * Copies host values into a tensor.
     *
     * @param values exactly {@code target.shape().size()} values in C order
     */
    void write(Tensor target, float[] values);

    /** Copies a tensor's values to the host: a new array in C order. */
    float[] read(Tensor source);

    /** Copies rows of a tensor of the same shape. */
    void copy(Tensor from, Tensor to, Rows rows);

    /**
     * The parameters of a convolution.
     *
     * @param weight [out, in, frames, rows, columns] or [out, in, rows, columns]; rows and columns odd
     * @param bias [out]
     */
    Convolution convolution(TensorView weight, TensorView bias);

    /** A parameter that is used as it is: the scale of a norm. */
    Tensor parameter(TensorView view);

    /**
     * Writes the bias to every pixel: the sum of a causal convolution that has seen nothing but zeros.
     *
     * @param target [out, rows, columns]
     */
    void fillWithBias(Tensor target, Convolution weights);

    /** Convolves one frame, all rows of it. */
    default void convolve(Tensor x, Before before, Sampling sampling, Convolution weights, Sum... sums) {
        convolve(x, before, sampling, weights, Rows.of(sums[0].to().shape()), sums);
    }

    /**
     * Convolves one frame with some of the kernel's frames. All starts of a value are read before it is written.
     *
     * @param x [in, rows, columns]
     * @param rows of the result that are formed
     * @param sums what to form, each [out, rows, columns] of the sampled size; none of them is x
     */
    void convolve(Tensor x, Before before, Sampling sampling, Convolution weights, Rows rows, Sum... sums);

    /**
     * In place: max(v, 0).
     *
     * @param x any shape
     */
    void relu(Tensor x);

    /**
     * out = softmax(q k^T / sqrt(channels)) v over the pixels of one frame, one head.
     *
     * @param qkv [3 channels, rows, columns]: q, k, v
     * @param out [channels, rows, columns]
     */
    void attention(Tensor qkv, Tensor out);

    @Override
    void close();
}
