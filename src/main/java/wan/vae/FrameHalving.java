package wan.vae;

import org.jspecify.annotations.Nullable;
import wan.op.Convolution;
import wan.op.FrameOps;
import wan.op.FrameOps.Before;
import wan.op.FrameOps.Sampling;
import wan.op.FrameOps.Sum;
import wan.op.Tensor;

/**
 * One frame from every two, by a convolution over the windows (0, 1, 2), (2, 3, 4), ...; frame 0 passes as it is, too. What it
 * remembers is the sum that the present window has reached.
 */
final class FrameHalving implements Stage {
    private final FrameOps ops;
    private final Convolution weights;
    private @Nullable Tensor sum;
    private @Nullable Tensor result;
    private boolean odd;

    FrameHalving(FrameOps ops, VaeParameters parameters, String name) {
        this.ops = ops;
        weights = ops.convolution(parameters.get(name + ".time_conv.weight"), parameters.get(name + ".time_conv.bias"));
    }

    @Override
    public void push(Tensor x, Next next) {
        Tensor reached = sum;
        Tensor out = result;
        if (reached == null || out == null) {
            reached = ops.allocate(x.shape());
            sum = reached;
            result = ops.allocate(x.shape());
            convolve(x, new Sum(0, null, reached, false));
            next.accept(x);
        } else if (odd) {
            convolve(x, new Sum(2, reached, out, false), new Sum(0, null, reached, false));
            odd = false;
            next.accept(out);
        } else {
            convolve(x, new Sum(1, reached, reached, false));
            odd = true;
        }
    }

    private void convolve(Tensor x, Sum... sums) {
        ops.convolve(x, Before.NOTHING, Sampling.SAME, weights, sums);
    }
}
