package wan.op;

/**
 * The parameters of a convolution, in whatever form the backend computes with.
 *
 * <p>Made by {@link FrameOps#convolution}.
 */
public interface Convolution {
    /** Channels of what is convolved. */
    int inChannels();

    /** Channels of the result. */
    int outChannels();

    /** Frames that the kernel spans: 3 for a causal one, 1 for one within a picture. */
    int kernelFrames();

    /** Rows that it spans. */
    int kernelRows();
}
