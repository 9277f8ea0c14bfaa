package wan.vae;

import org.jspecify.annotations.Nullable;
import wan.op.Convolution;
import wan.op.FrameOps;
import wan.op.FrameOps.Before;
import wan.op.FrameOps.Sampling;
import wan.op.FrameOps.Sum;
import wan.op.Rows;
import wan.op.Shape;
import wan.op.Tensor;

/**
 * A convolution over the current frame and the two before it. What it remembers is what those two give to the next result and to the
 * one after it.
 */
final class CausalConvolution {
    private final FrameOps ops;
    private final Convolution weights;
    private @Nullable Tensor next;
    private @Nullable Tensor afterNext;

    CausalConvolution(FrameOps ops, VaeParameters parameters, String name) {
        this.ops = ops;
        weights = ops.convolution(parameters.get(name + ".weight"), parameters.get(name + ".bias"));
    }

    Convolution weights() {
        return weights;
    }

    /**
     * to = result, or to += result.
     *
     * @param rows that are formed; each row once for every frame
     */
    void apply(Tensor x, Before before, Tensor to, boolean add, Rows rows) {
        Tensor first = next;
        Tensor second = afterNext;
        if (first == null || second == null) {
            first = unseen(x);
            second = unseen(x);
            next = first;
            afterNext = second;
        }
        ops.convolve(
                x,
                before,
                Sampling.SAME,
                weights,
                rows,
                new Sum(2, first, to, add),
                new Sum(1, second, first, false),
                new Sum(0, null, second, false));
    }

    private Tensor unseen(Tensor x) {
        Tensor sum = ops.allocate(
                Shape.of(weights.outChannels(), x.shape().dim(1), x.shape().dim(2)));
        ops.fillWithBias(sum, weights);
        return sum;
    }
}
