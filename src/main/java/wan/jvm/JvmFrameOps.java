package wan.jvm;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;
import wan.jvm.kernel.AttentionCall;
import wan.jvm.kernel.ConvolutionCall;
import wan.jvm.kernel.JvmConvolution;
import wan.jvm.kernel.Kernels;
import wan.jvm.kernel.PagedKv;
import wan.jvm.kernel.Workers;
import wan.op.AttentionEdit;
import wan.op.Convolution;
import wan.op.FrameOps;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * Operations on frames on the JVM: every one is computed when it is called, on all threads.
 *
 * <p>For one calling thread at a time. An interrupt of that thread is seen before the next operation, which then throws
 * {@link CancellationException}. Results are the same bits for any number of threads.
 */
public final class JvmFrameOps implements FrameOps {
    private final Workers workers;
    private final Kernels kernels;

    /**
     * A backend with threads and packed parameters of its own; close it. With oneDNN's kernels, attention is oneDNN's and the
     * convolutions are the Vector API's.
     *
     * @throws wan.op.UsageException if kernels are asked for by name and are not there
     */
    public JvmFrameOps(JvmOptions options) {
        workers = new Workers(options.threads());
        kernels = JvmOps.kernels(options.kernels(), workers);
    }

    @Override
    public String backend() {
        return "jvm, " + kernels.name();
    }

    @Override
    public Tensor allocate(Shape shape) {
        if (shape.size() > Integer.MAX_VALUE - 8) {
            throw new WanException("frame " + shape + ": more elements than a Java array holds");
        }
        return new FrameTensor(shape, new float[shape.intSize()]);
    }

    @Override
    public Tensor part(Tensor whole, Shape shape) {
        FrameTensor own = FrameTensor.own("part", whole);
        if (shape.size() > own.size()) {
            throw WanException.mismatch("part", "at most " + own.size() + " values", shape, "");
        }
        return new FrameTensor(shape, own.values());
    }

    @Override
    public void write(Tensor target, float[] values) {
        FrameTensor to = FrameTensor.own("write", target);
        if (values.length != to.size()) {
            throw WanException.mismatch("write", to.size() + " values for " + to.shape(), values.length, "");
        }
        System.arraycopy(values, 0, to.values(), 0, values.length);
    }

    @Override
    public float[] read(Tensor source) {
        FrameTensor from = FrameTensor.own("read", source);
        return Arrays.copyOf(from.values(), from.size());
    }

    @Override
    public void copy(Tensor from, Tensor to) {
        FrameTensor source = FrameTensor.own("copy", from);
        FrameTensor target = FrameTensor.own("copy", to);
        expect("copy", target, source.shape());
        System.arraycopy(source.values(), 0, target.values(), 0, source.size());
    }

    @Override
    public Convolution convolution(TensorView weight, TensorView bias) {
        return new JvmConvolution(weight, bias);
    }

    @Override
    public Tensor parameter(TensorView view) {
        return new FrameTensor(view.shape(), view.toFloats());
    }

    @Override
    public void fillWithBias(Tensor target, Convolution weights) {
        FrameTensor to = FrameTensor.own("fillWithBias", target);
        float[] bias = own(weights).bias();
        int pixels = to.size() / bias.length;
        expect(
                "fillWithBias",
                to,
                Shape.of(bias.length, to.shape().dim(1), to.shape().dim(2)));
        for (int channel = 0; channel < bias.length; channel++) {
            Arrays.fill(to.values(), channel * pixels, (channel + 1) * pixels, bias[channel]);
        }
    }

    @Override
    public void convolve(Tensor x, Before before, Sampling sampling, Convolution weights, Sum... sums) {
        JvmConvolution own = own(weights);
        String op = "convolve " + own.name();
        FrameTensor from = FrameTensor.own(op, x);
        if (x.shape().rank() != 3
                || x.shape().dim(0) != own.inChannels()
                || x.shape().size() == 0) {
            throw WanException.mismatch(op, "x [" + own.inChannels() + ", rows, columns]", x.shape(), "");
        }
        int inRows = x.shape().dim(1);
        int inColumns = x.shape().dim(2);
        int rows = sampled(op, inRows, sampling);
        int columns = sampled(op, inColumns, sampling);
        Shape shape = Shape.of(own.outChannels(), rows, columns);
        List<ConvolutionCall.Sum> calls = new ArrayList<>();
        for (Sum sum : sums) {
            if (sum.kernelFrame() < 0 || sum.kernelFrame() >= own.kernelFrames()) {
                throw WanException.mismatch(op, "a frame below " + own.kernelFrames(), sum.kernelFrame(), "");
            }
            FrameTensor to = FrameTensor.own(op, sum.to());
            expect(op, to, shape);
            if (to.shares(from)) {
                throw new WanException(op + ": x and a sum are the same tensor");
            }
            float[] start = values(op, sum.start(), shape);
            calls.add(new ConvolutionCall.Sum(sum.kernelFrame(), start, to.values(), sum.add()));
        }
        float[] gamma = values(op, before.gamma(), Shape.of(own.inChannels()));
        begin(op);
        kernels.convolve(new ConvolutionCall(
                from.values(), inRows, inColumns, gamma, before.activation(), sampling, own, rows, columns, calls));
    }

    private static float @Nullable [] values(String op, @Nullable Tensor tensor, Shape shape) {
        if (tensor == null) {
            return null;
        }
        FrameTensor own = FrameTensor.own(op, tensor);
        expect(op, own, shape);
        return own.values();
    }

    private static int sampled(String op, int extent, Sampling sampling) {
        return switch (sampling) {
            case SAME -> extent;
            case DOUBLED -> Math.multiplyExact(2, extent);
            case HALVED -> {
                if (extent % 2 != 0) {
                    throw WanException.mismatch(op, "even rows and columns to halve", extent, "");
                }
                yield extent / 2;
            }
        };
    }

    @Override
    public void relu(Tensor x) {
        FrameTensor own = FrameTensor.own("relu", x);
        begin("relu");
        float[] values = own.values();
        for (int i = 0; i < own.size(); i++) {
            values[i] = Math.max(values[i], 0);
        }
    }

    @Override
    public void attention(Tensor qkv, Tensor out) {
        String op = "attention";
        FrameTensor from = FrameTensor.own(op, qkv);
        FrameTensor to = FrameTensor.own(op, out);
        int channels = to.shape().dim(0);
        expect(op, from, Shape.of(3L * channels, to.shape().dim(1), to.shape().dim(2)));
        begin(op);
        int pixels = to.size() / channels;
        float[] q = rows(from.values(), 0, channels, pixels);
        PagedKv kv = kernels.kvCache(1, 1, pixels, 1, channels);
        try {
            kv.allocate(0, 0);
            float[] k = rows(from.values(), channels * pixels, channels, pixels);
            float[] v = rows(from.values(), 2 * channels * pixels, channels, pixels);
            kv.append(0, 0, 0, k, v, 0);
            float[] mixed = new float[q.length];
            kernels.attention(new AttentionCall(q, pixels, kv, new int[] {0}, AttentionEdit.NONE), mixed, null);
            transpose(mixed, 0, pixels, channels, to.values());
        } finally {
            kv.release();
        }
    }

    /** [channels, pixels] from some index on to [pixels, channels]. */
    private float[] rows(float[] from, int at, int channels, int pixels) {
        float[] to = new float[channels * pixels];
        transpose(from, at, channels, pixels, to);
        return to;
    }

    private void transpose(float[] from, int at, int rows, int columns, float[] to) {
        workers.ranges(columns, 16, (first, end) -> {
            for (int row = 0; row < rows; row++) {
                for (int column = first; column < end; column++) {
                    to[column * rows + row] = from[at + row * columns + column];
                }
            }
        });
    }

    @Override
    public void close() {
        workers.close();
        kernels.close();
    }

    private static void begin(String op) {
        if (Thread.interrupted()) {
            throw new CancellationException(op + ": stopped by an interrupt");
        }
    }

    private static JvmConvolution own(Convolution weights) {
        if (weights instanceof JvmConvolution own) {
            return own;
        }
        throw WanException.mismatch("convolve", "parameters of the jvm backend", weights, "");
    }

    private static void expect(String where, Tensor tensor, Shape expected) {
        if (!tensor.shape().equals(expected)) {
            throw WanException.mismatch(where, expected, tensor.shape(), "");
        }
    }
}
