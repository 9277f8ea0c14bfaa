package wan.jvm.kernel;

import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.op.FrameOps.Activation;
import wan.op.FrameOps.Sampling;
import wan.op.Rows;

/**
 * One convolution of one frame.
 *
 * @param gamma the norm's scale for each input channel, or null for no norm
 * @param rows of the result that are formed
 * @param columns of the result
 */
@SuppressWarnings("ArrayRecordComponent") // arguments under one name, never compared
public record ConvolutionCall(
        Frame x,
        float @Nullable [] gamma,
        Activation activation,
        Sampling sampling,
        JvmConvolution weights,
        Rows rows,
        int columns,
        List<Sum> sums) {
    /** The smallest length that a norm divides by. */
    public static final double SMALLEST_LENGTH = 1e-12;

    /** See {@link wan.op.FrameOps.Sum}. */
    public record Sum(int kernelFrame, @Nullable Frame start, Frame to, boolean add) {}

    /** Rows of zeros above the frame. */
    public int marginRows() {
        return sampling == Sampling.HALVED ? 0 : weights.kernelRows() / 2;
    }

    /** Columns of zeros left of the frame. */
    public int marginColumns() {
        return sampling == Sampling.HALVED ? 0 : weights.kernelColumns() / 2;
    }

    /** Pixels of the sampled frame from one result to the next. */
    public int step() {
        return sampling == Sampling.HALVED ? 2 : 1;
    }

    /** Binary digits that a position in the sampled frame loses to become one of the stored frame. */
    public int shift() {
        return sampling == Sampling.DOUBLED ? 1 : 0;
    }
}
