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
import wan.op.Rows;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;

/**
 * Two frames from every frame but the first, which passes as it is and is not part of what is remembered: a convolution over the
 * present and the two frames before it, whose lower half of channels is the first result and whose upper half the second.
 *
 * <p>Remembers inputs, not sums, because here they are half as many. Hands on its own input, twice, for {@link #result} to make what follows.
 */
final class FrameDoubling implements Stage {
    private static final int KERNEL_FRAMES = 3;

    private final FrameOps ops;
    private final List<Convolution> halves;
    /** The frames before the present one, oldest first; at most two. */
    private final Deque<Tensor> history = new ArrayDeque<>();

    private boolean started;
    /** Whose turn it is; null where the frame passes as it is. */
    private @Nullable Convolution turn;

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
        for (Convolution half : halves) {
            turn = half;
            next.accept(x);
        }
        Tensor kept = history.size() == KERNEL_FRAMES - 1 ? history.removeFirst() : ops.allocate(x.shape());
        ops.copy(x, kept, Rows.of(x.shape()));
        history.addLast(kept);
    }

    /** The layer that has to be next: makes of a frame, each time that it comes, what it is this time. */
    RowLayer result() {
        return (plan, x) -> plan.convolved(x, halves.getFirst(), Sampling.SAME, this::apply);
    }

    /** Frames that are missing are zeros, which change no sum. */
    private void apply(Tensor x, Tensor to, Rows rows) {
        Convolution weights = turn;
        if (weights == null) {
            ops.copy(x, to, rows);
            return;
        }
        Tensor start = null;
        int kernelFrame = KERNEL_FRAMES - 1 - history.size();
        for (Iterator<Tensor> past = history.iterator(); past.hasNext(); kernelFrame++) {
            convolve(past.next(), weights, rows, new Sum(kernelFrame, start, to, false));
            start = to;
        }
        convolve(x, weights, rows, new Sum(kernelFrame, start, to, false));
    }

    private void convolve(Tensor x, Convolution weights, Rows rows, Sum sum) {
        ops.convolve(x, Before.NOTHING, Sampling.SAME, weights, rows, sum);
    }
}
