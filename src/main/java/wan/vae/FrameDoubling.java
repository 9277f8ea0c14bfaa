package wan.vae;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.op.Convolution;
import wan.op.FrameOps;
import wan.op.FrameOps.Before;
import wan.op.FrameOps.Sampling;
import wan.op.FrameOps.Sum;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;

/**
 * Two frames from every frame but the first, which passes as it is and is not part of what is remembered: a convolution over the
 * present and the two frames before it, whose lower half of channels is the first result and whose upper half the second.
 *
 * <p>Remembers inputs, not sums, because here they are half as many.
 */
final class FrameDoubling implements Stage {
    private static final int KERNEL_FRAMES = 3;

    private final FrameOps ops;
    private final List<Convolution> halves;
    /** The frames before the present one, oldest first; at most two. */
    private final Deque<Tensor> history = new ArrayDeque<>();

    private @Nullable Tensor result;
    private boolean started;

    FrameDoubling(FrameOps ops, VaeParameters parameters, String name) {
        this.ops = ops;
        TensorView weight = parameters.get(name + ".time_conv.weight");
        TensorView bias = parameters.get(name + ".time_conv.bias");
        halves = List.of(
                ops.convolution(half(weight, 0), half(bias, 0)), ops.convolution(half(weight, 1), half(bias, 1)));
    }

    /** Half of the output channels. */
    private static TensorView half(TensorView view, int which) {
        long[] dims = view.shape().dims();
        dims[0] /= 2;
        long bytes = view.dtype().bytes(Shape.of(dims).size());
        return new TensorView(
                view.name(), view.dtype(), Shape.of(dims), view.data().asSlice(which * bytes, bytes));
    }

    @Override
    public void push(Tensor x, Next next) {
        if (!started) {
            started = true;
            next.accept(x);
            return;
        }
        if (result == null) {
            result = ops.allocate(x.shape());
        }
        for (Convolution half : halves) {
            apply(half, x, result);
            next.accept(result);
        }
        Tensor kept = history.size() == KERNEL_FRAMES - 1 ? history.removeFirst() : ops.allocate(x.shape());
        ops.copy(x, kept);
        history.addLast(kept);
    }

    /** Frames that are missing are zeros, which change no sum. */
    private void apply(Convolution weights, Tensor x, Tensor to) {
        Tensor start = null;
        int kernelFrame = KERNEL_FRAMES - 1 - history.size();
        for (Iterator<Tensor> past = history.iterator(); past.hasNext(); kernelFrame++) {
            ops.convolve(past.next(), Before.NOTHING, Sampling.SAME, weights, new Sum(kernelFrame, start, to, false));
            start = to;
        }
        ops.convolve(x, Before.NOTHING, Sampling.SAME, weights, new Sum(kernelFrame, start, to, false));
    }
}
