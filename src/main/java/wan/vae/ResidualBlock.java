package wan.vae;

import org.jspecify.annotations.Nullable;
import wan.op.Convolution;
import wan.op.FrameOps;
import wan.op.FrameOps.Activation;
import wan.op.FrameOps.Before;
import wan.op.FrameOps.Sampling;
import wan.op.FrameOps.Sum;
import wan.op.Shape;
import wan.op.Tensor;

/** x + conv(silu(norm(conv(silu(norm(x)))))), or with a convolution of x where the width changes. */
final class ResidualBlock implements Stage {
    private final FrameOps ops;
    private final Memory memory;
    private final Before before1;
    private final CausalConvolution conv1;
    private final Before before2;
    private final CausalConvolution conv2;
    private final @Nullable Convolution shortcut;
    private @Nullable Tensor widened;

    ResidualBlock(FrameOps ops, Memory memory, VaeParameters parameters, String name) {
        this.ops = ops;
        this.memory = memory;
        before1 = new Before(ops.parameter(parameters.gamma(name + ".residual.0.gamma")), Activation.SILU);
        conv1 = new CausalConvolution(ops, parameters, name + ".residual.2");
        before2 = new Before(ops.parameter(parameters.gamma(name + ".residual.3.gamma")), Activation.SILU);
        conv2 = new CausalConvolution(ops, parameters, name + ".residual.6");
        shortcut = parameters.has(name + ".shortcut.weight")
                ? ops.convolution(parameters.get(name + ".shortcut.weight"), parameters.get(name + ".shortcut.bias"))
                : null;
    }

    @Override
    public void push(Tensor x, Next next) {
        Shape shape = Shape.of(conv1.outChannels(), x.shape().dim(1), x.shape().dim(2));
        Tensor residual = x;
        if (shortcut != null) {
            if (widened == null) {
                widened = ops.allocate(shape);
            }
            residual = widened;
            ops.convolve(x, Before.NOTHING, Sampling.SAME, shortcut, new Sum(0, null, residual, false));
        }
        Tensor h = memory.work(shape);
        conv1.apply(x, before1, h, false);
        conv2.apply(h, before2, residual, true);
        next.accept(residual);
    }
}
