package wan.vae;

import org.jspecify.annotations.Nullable;
import wan.op.Convolution;
import wan.op.FrameOps;
import wan.op.FrameOps.Before;
import wan.op.FrameOps.Sampling;
import wan.op.FrameOps.Sum;
import wan.op.Shape;
import wan.op.Tensor;

/** Twice or half the rows and columns of a frame. */
final class Resampling implements Stage {
    private final FrameOps ops;
    private final Sampling sampling;
    private final Convolution weights;
    private @Nullable Tensor result;

    Resampling(FrameOps ops, VaeParameters parameters, String name, Sampling sampling) {
        this.ops = ops;
        this.sampling = sampling;
        weights =
                ops.convolution(parameters.get(name + ".resample.1.weight"), parameters.get(name + ".resample.1.bias"));
    }

    @Override
    public void push(Tensor x, Next next) {
        if (result == null) {
            result = ops.allocate(Shape.of(
                    weights.outChannels(),
                    resampled(x.shape().dim(1)),
                    resampled(x.shape().dim(2))));
        }
        ops.convolve(x, Before.NOTHING, sampling, weights, new Sum(0, null, result, false));
        next.accept(result);
    }

    private long resampled(int extent) {
        return sampling == Sampling.DOUBLED ? 2L * extent : extent / 2;
    }
}
