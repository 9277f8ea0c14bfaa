package wan.vae;

import org.jspecify.annotations.Nullable;
import wan.op.Convolution;
import wan.op.FrameOps;
import wan.op.FrameOps.Activation;
import wan.op.FrameOps.Before;
import wan.op.FrameOps.Sampling;
import wan.op.FrameOps.Sum;

/** x + conv(silu(norm(conv(silu(norm(x)))))), or with a convolution of x where the width changes. */
final class ResidualBlock implements RowLayer {
    private final FrameOps ops;
    private final Before before1;
    private final CausalConvolution conv1;
    private final Before before2;
    private final CausalConvolution conv2;
    private final @Nullable Convolution shortcut;

    ResidualBlock(FrameOps ops, VaeParameters parameters, String name) {
        this.ops = ops;
        before1 = new Before(ops.parameter(parameters.gamma(name + ".residual.0.gamma")), Activation.SILU);
        conv1 = new CausalConvolution(ops, parameters, name + ".residual.2");
        before2 = new Before(ops.parameter(parameters.gamma(name + ".residual.3.gamma")), Activation.SILU);
        conv2 = new CausalConvolution(ops, parameters, name + ".residual.6");
        shortcut = parameters.has(name + ".shortcut.weight")
                ? ops.convolution(parameters.get(name + ".shortcut.weight"), parameters.get(name + ".shortcut.bias"))
                : null;
    }

    @Override
    public BandPlan.Frame plan(BandPlan plan, BandPlan.Frame x) {
        Convolution widening = shortcut;
        BandPlan.Frame residual = widening == null
                ? x
                : plan.convolved(
                        x,
                        widening,
                        Sampling.SAME,
                        (from, to, rows) -> ops.convolve(
                                from, Before.NOTHING, Sampling.SAME, widening, rows, new Sum(0, null, to, false)));
        BandPlan.Frame h = plan.convolved(
                x, conv1.weights(), Sampling.SAME, (from, to, rows) -> conv1.apply(from, before1, to, false, rows));
        return plan.added(h, conv2.weights(), residual, (from, to, rows) -> conv2.apply(from, before2, to, true, rows));
    }
}
