package wan.jvm;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;
import wan.jvm.kernel.AttentionCall;
import wan.jvm.kernel.ConvolutionCall;
import wan.jvm.kernel.Frame;
import wan.jvm.kernel.JvmConvolution;
import wan.jvm.kernel.Kernels;
import wan.jvm.kernel.PagedKv;
import wan.jvm.kernel.Workers;
import wan.op.AttentionEdit;
import wan.op.Convolution;
import wan.op.DType;
import wan.op.FrameOps;
import wan.op.Rows;
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
    /** Tasks of a call for each thread, so that none waits long for the last one. */
    private static final int TASKS_AT_ONCE = 8;

    private static final int TASK_PIXELS = 128;
    private static final int QKV = 3;

    private final Workers workers;
    private final Kernels kernels;
    private final Arena arena = Arena.ofShared();
    /** Used again, since they are large. */
    private final float[][] qkvRows = new float[QKV][0];

    private @Nullable PagedKv kvPage;

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
        return FrameTensor.zeros(arena, shape);
    }

    @Override
    public Tensor allocateBand(Shape shape, int kept) {
        return FrameTensor.zeros(arena, shape, kept);
    }

    @Override
    public int pixelsAtOnce() {
        return workers.threads() * TASKS_AT_ONCE * TASK_PIXELS;
    }

    @Override
    public void write(Tensor target, float[] values) {
        FrameTensor to = FrameTensor.whole("write", target);
        if (values.length != to.size()) {
            throw WanException.mismatch("write", to.size() + " values for " + to.shape(), values.length, "");
        }
        MemorySegment.copy(values, 0, to.values(), ValueLayout.JAVA_FLOAT, 0, values.length);
    }

    @Override
    public float[] read(Tensor source) {
        return FrameTensor.whole("read", source).toArray();
    }

    @Override
    public void copy(Tensor from, Tensor to, Rows rows) {
        Frame source = FrameTensor.own("copy", from).frame();
        Frame target = FrameTensor.own("copy", to).frame();
        expect("copy", to, from.shape());
        long bytes = (long) Float.BYTES * source.columns();
        for (int channel = 0; channel < from.shape().dim(0); channel++) {
            for (int row = rows.first(); row < rows.end(); row++) {
                MemorySegment.copy(
                        source.values(), source.at(channel, row), target.values(), target.at(channel, row), bytes);
            }
        }
    }

    @Override
    public Convolution convolution(TensorView weight, TensorView bias) {
        return new JvmConvolution(weight, bias);
    }

    @Override
    public Tensor parameter(TensorView view) {
        FrameTensor parameter = FrameTensor.zeros(arena, view.shape());
        write(parameter, view.toFloats());
        return parameter;
    }

    @Override
    public void fillWithBias(Tensor target, Convolution weights) {
        FrameTensor to = FrameTensor.whole("fillWithBias", target);
        float[] bias = own(weights).bias();
        long pixels = to.shape().size() / bias.length;
        expect(
                "fillWithBias",
                to,
                Shape.of(bias.length, to.shape().dim(1), to.shape().dim(2)));
        for (int channel = 0; channel < bias.length; channel++) {
            for (long i = channel * pixels; i < (channel + 1) * pixels; i++) {
                to.values().setAtIndex(ValueLayout.JAVA_FLOAT, i, bias[channel]);
            }
        }
    }

    @Override
    public void convolve(Tensor x, Before before, Sampling sampling, Convolution weights, Rows rows, Sum... sums) {
        JvmConvolution own = own(weights);
        String op = "convolve " + own.name();
        FrameTensor from = FrameTensor.own(op, x);
        if (x.shape().rank() != 3
                || x.shape().dim(0) != own.inChannels()
                || x.shape().size() == 0) {
            throw WanException.mismatch(op, "x [" + own.inChannels() + ", rows, columns]", x.shape(), "");
        }
        int columns = sampled(op, x.shape().dim(2), sampling);
        Shape shape = Shape.of(own.outChannels(), sampled(op, x.shape().dim(1), sampling), columns);
        if (rows.first() < 0 || rows.end() > shape.dim(1)) {
            throw WanException.mismatch(op, "rows of " + shape, rows, "");
        }
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
            FrameTensor start = given(op, sum.start(), shape);
            calls.add(new ConvolutionCall.Sum(
                    sum.kernelFrame(), start == null ? null : start.frame(), to.frame(), sum.add()));
        }
        FrameTensor gamma = given(op, before.gamma(), Shape.of(own.inChannels()));
        begin(op);
        kernels.convolve(new ConvolutionCall(
                from.frame(),
                gamma == null ? null : gamma.toArray(),
                before.activation(),
                sampling,
                own,
                rows,
                columns,
                calls));
    }

    private static @Nullable FrameTensor given(String op, @Nullable Tensor tensor, Shape shape) {
        if (tensor == null) {
            return null;
        }
        FrameTensor own = FrameTensor.own(op, tensor);
        expect(op, own, shape);
        return own;
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
        FrameTensor own = FrameTensor.whole("relu", x);
        begin("relu");
        MemorySegment values = own.values();
        for (long i = 0; i < own.shape().size(); i++) {
            values.setAtIndex(ValueLayout.JAVA_FLOAT, i, Math.max(values.getAtIndex(ValueLayout.JAVA_FLOAT, i), 0));
        }
    }

    @Override
    public void attention(Tensor qkv, Tensor out) {
        String op = "attention";
        FrameTensor from = FrameTensor.whole(op, qkv);
        FrameTensor to = FrameTensor.whole(op, out);
        int channels = to.shape().dim(0);
        expect(op, from, Shape.of(3L * channels, to.shape().dim(1), to.shape().dim(2)));
        begin(op);
        int pixels = to.size() / channels;
        float[] q = rows(0, from.values(), channels, pixels);
        float[] k = rows(1, from.values(), channels, pixels);
        float[] v = rows(2, from.values(), channels, pixels);
        PagedKv kv = kv(pixels, channels);
        kv.append(0, 0, 0, k, v, 0);
        float[] mixed = k; // which has been copied
        kernels.attention(new AttentionCall(q, pixels, kv, new int[] {0}, AttentionEdit.NONE), mixed, null);
        workers.ranges(channels, 1, (first, end) -> {
            for (int channel = first; channel < end; channel++) {
                for (int pixel = 0; pixel < pixels; pixel++) {
                    to.values()
                            .setAtIndex(
                                    ValueLayout.JAVA_FLOAT,
                                    (long) channel * pixels + pixel,
                                    mixed[pixel * channels + channel]);
                }
            }
        });
    }

    /** Room for the keys and values of a frame. */
    private PagedKv kv(int pixels, int channels) {
        PagedKv present = kvPage;
        if (present == null || present.pageTokens() != pixels || present.headDim() != channels) {
            if (present != null) {
                present.release();
            }
            present = kernels.kvCache(1, 1, pixels, 1, channels, DType.F32);
            kvPage = present;
            present.allocate(0, 0);
        }
        return present;
    }

    /** Queries, keys or values of [3 channels, pixels] as [pixels, channels]; good until they are asked for again. */
    private float[] rows(int which, MemorySegment from, int channels, int pixels) {
        if (qkvRows[which].length != channels * pixels) {
            qkvRows[which] = new float[channels * pixels];
        }
        float[] to = qkvRows[which];
        workers.ranges(pixels, 16, (first, end) -> {
            for (int channel = 0; channel < channels; channel++) {
                long at = (long) (which * channels + channel) * pixels;
                for (int pixel = first; pixel < end; pixel++) {
                    to[pixel * channels + channel] = from.getAtIndex(ValueLayout.JAVA_FLOAT, at + pixel);
                }
            }
        });
        return to;
    }

    @Override
    public void close() {
        if (kvPage != null) {
            kvPage.release();
        }
        workers.close();
        kernels.close();
        if (arena.scope().isAlive()) {
            arena.close();
        }
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
