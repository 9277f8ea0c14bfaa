package wan.jvm;

import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import wan.op.AttentionEdit;
import wan.op.AttentionTap;
import wan.op.Convolution;
import wan.op.DType;
import wan.op.Dyn;
import wan.op.FrameOps;
import wan.op.KvTensor;
import wan.op.Linear;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;

/**
 * Kernels against the scalar ones at odd sizes, with tolerances that grow with the length of the sums. Kernels that round what
 * they multiply get numbers that stay as they are. Has a main method, because each vector width needs a JVM of its own.
 */
public final class KernelTwins implements AutoCloseable {
    /** Around every multiple of a lane count, a tile and a panel, and beyond a block. */
    private static final int[] SIZES = {
        1, 2, 3, 4, 5, 7, 8, 12, 13, 14, 15, 16, 17, 25, 26, 31, 32, 33, 48, 63, 64, 65, 79, 130, 131, 263, 265, 533
    };

    private static final double EPS = 1.2e-7;

    /** The sizes to try. */
    public static IntStream sizes() {
        return IntStream.of(SIZES);
    }

    /** Half the distance between neighbouring bfloat16 numbers, over their size. */
    private static final double BFLOAT16_EPS = 0x1p-8;

    private final JvmOps scalar = new JvmOps(new JvmOptions(2, JvmOptions.Kind.SCALAR));
    private final JvmOps twin;
    private final JvmOptions.Kind kind;
    private final Random random = new Random(3);

    public KernelTwins(JvmOptions.Kind kernels) {
        kind = kernels;
        twin = new JvmOps(new JvmOptions(2, kernels));
    }

    /** Runs everything; argument: the kernels' expected name. */
    public static void main(String[] args) {
        try (KernelTwins twins = new KernelTwins(JvmOptions.Kind.VECTOR)) {
            if (!twins.twin.kernels().equals(args[0])) {
                throw new AssertionError("expected " + args[0] + ", got " + twins.twin.kernels());
            }
            for (int size : SIZES) {
                twins.linear(size);
                twins.rows(size);
                twins.attention(size);
                twins.convolution(size);
            }
            twins.specialNumbers();
        }
    }

    @Override
    public void close() {
        scalar.close();
        twin.close();
    }

    private float[] random(int count) {
        return Tensors.random(random, count, twin.attentionType() == DType.BF16);
    }

    /** All four epilogues, with sizes of which one is odd in a way of its own. */
    public void linear(int size) {
        linear(size, 19, 45, 0);
        linear(23, size, 33, 1);
        linear(9, 37, size, 2);
        linear(Math.min(size, 40), size, size, 0);
    }

    /** Deep enough for several super-blocks of inputs, and enough rows for several tasks. */
    public void deepLinear() {
        linear(150, 3200, 70, 0);
        linear(31, 3200, 33, 1);
    }

    /** More rows and output features than one product of oneDNN takes. */
    public void wideLinear() {
        linear(230, 40, 1050, 0);
        linear(500, 33, 600, 1);
    }

    private void linear(int rows, int in, int out, int type) {
        float[] w = random(in * out);
        long[] dims = {out, in};
        TensorView weight = switch (type) {
            case 0 -> Tensors.bf16("w", w, dims);
            case 1 -> Tensors.f32("w", w, dims);
            default -> Tensors.f16("w", w, dims);
        };
        TensorView bias = Tensors.f32("b", random(out), out);
        float[] x = random(rows * in);
        float[] y = random(rows * out);
        float[] modulation = random(rows * 2 * out); // an entry per row: tiles span entries
        double tolerance = 2 * EPS * in + 4e-6;
        Run run = ops -> {
            Linear linear = ops.linearWeights(weight, bias);
            Tensor input = tensor(ops, x, rows, in);
            Tensor added = tensor(ops, y, rows, out);
            Tensor gated = tensor(ops, y, rows, out);
            ops.linearResidual(added, input, linear);
            ops.linearGatedResidual(gated, input, linear, tensor(ops, modulation, rows, 2, out), 1);
            return new Tensor[] {ops.linear(input, linear), ops.linearGelu(input, linear), added, gated};
        };
        compare("linear %d x %d -> %d".formatted(rows, in, out), run, tolerance);
    }

    /** NaN, infinities, the largest and the smallest. */
    public void specialNumbers() {
        // A row of bytes has no room for others beside a number that is not an ordinary one.
        double tolerance = switch (twin.productType()) {
            case I8 -> Double.POSITIVE_INFINITY;
            case BF16 -> 0.05;
            default -> 1e-4;
        };
        List<String> wrong = SpecialNumbers.check(scalar, twin, tolerance);
        if (!wrong.isEmpty()) {
            throw new AssertionError(wrong.size() + " wrong:\n" + String.join("\n", wrong));
        }
    }

    /** Norms and SiLU. */
    public void rows(int size) {
        rows(3, size);
        rows(size, 21);
    }

    private void rows(int rows, int dim) {
        float[] x = random(rows * dim);
        float[] w = random(dim);
        float[] b = random(dim);
        float[] m = random(rows * 3 * dim);
        Run run = ops -> {
            Tensor input = tensor(ops, x, rows, dim);
            Tensor weight = tensor(ops, w, dim);
            return new Tensor[] {
                ops.silu(input),
                ops.rmsNorm(input, weight, 1e-6f),
                ops.layerNorm(input, weight, tensor(ops, b, dim), 1e-6f),
                ops.layerNormModulate(input, tensor(ops, m, rows, 3, dim), 0, 2, 1e-6f)
            };
        };
        // A row of one element has no variance: its deviation, a rounding error, is divided by sqrt(eps).
        compare("rows %d x %d".formatted(rows, dim), run, dim == 1 ? 1e-3 : 1e-5);
    }

    /** Queries, keys and channels odd in turn; everything that a tap can ask for. */
    public void attention(int size) {
        attention(size, 17, 20);
        attention(19, size, 24);
        attention(11, 29, size);
        attention(Math.min(size, 70), Math.min(size, 70), 128);
    }

    /** Keys of two parts, each with a softmax of its own. */
    public void attentionInParts() {
        attention(33, 1100, 16);
    }

    private void attention(int queries, int pageTokens, int headDim) {
        attention(queries, pageTokens, headDim, AttentionEdit.NONE);
        attention(queries, pageTokens, headDim, edit(pageTokens, pageTokens));
        attention(queries, pageTokens, headDim, edit(pageTokens, 1));
    }

    /** Factors, biases, a blocked page or key, and a silent head: of two heads and two pages. */
    private AttentionEdit edit(int pageTokens, int groupTokens) {
        int groups = 2 * pageTokens / groupTokens;
        AttentionEdit.Builder edit = new AttentionEdit.Builder(2, groups, groupTokens);
        edit.scaleLogits(1, 1.4f);
        edit.scaleOutput(1, 0.7f);
        for (int group = 0; group < groups; group++) {
            edit.addBias(1, group, (float) random.nextGaussian());
            if (group % 3 == 0 && group < groups - 1) {
                edit.addBias(1, group, Float.NEGATIVE_INFINITY);
            }
        }
        edit.scaleOutput(0, 0);
        return edit.build();
    }

    private void attention(int queries, int pageTokens, int headDim, AttentionEdit edit) {
        int heads = 2;
        int dim = heads * headDim;
        float[] q = random(queries * dim);
        float[] k = random(2 * pageTokens * dim);
        float[] v = random(2 * pageTokens * dim);
        Run run = ops -> {
            KvTensor cache = ops.kvCache(1, 2, pageTokens, heads, headDim);
            Dyn pages = new Dyn("pages", 2);
            pages.set(1, 0);
            ops.append(cache, tensor(ops, k, 2L * pageTokens, dim), tensor(ops, v, 2L * pageTokens, dim), pages);
            Tensor input = tensor(ops, q, queries, dim);
            RecordingTap tap = new RecordingTap(new int[] {1}, Quantity.TOKEN_LOGITS, Quantity.FRAME_MASS);
            Tensor plain = ops.attention(input, cache, pages, queries, pageTokens, AttentionTap.NONE, edit);
            Tensor watched = ops.attention(input, cache, pages, queries, pageTokens, tap, edit);
            float[] logits = tap.tokenLogits(1, queries, 2 * pageTokens);
            return new Tensor[] {
                plain, watched, tensor(ops, logits, logits.length), tensor(ops, tap.values(Quantity.FRAME_MASS), 2)
            };
        };
        double logitError = 4 * EPS * (4 + Math.sqrt(headDim));
        // The weights are rounded before they meet the values, and their sum is not.
        double rounding = 0;
        for (float value : v) {
            rounding = twin.productType() == DType.BF16 ? Math.max(rounding, BFLOAT16_EPS * Math.abs(value)) : 0;
        }
        compare(
                "attention %d x 2 * %d, %d, edit %s".formatted(queries, pageTokens, headDim, edit),
                run,
                6 * logitError + rounding,
                6 * logitError);
    }

    /** Kernels of one and three frames, all samplings, norms and activations; sizes odd in turn. */
    public void convolution(int size) {
        int some = Math.min(size, 65);
        convolution(some, 5, 6, 7, 3, 3, FrameOps.Sampling.SAME);
        convolution(5, some, 3, 4, 1, 3, FrameOps.Sampling.SAME);
        convolution(3, 4, 5, some, 3, 1, FrameOps.Sampling.SAME);
        convolution(4, 3, some, 9, 1, 3, FrameOps.Sampling.DOUBLED);
        convolution(3, 15, 2 * some, 6, 1, 3, FrameOps.Sampling.HALVED);
        convolution(2, 3, 4, 2 * some, 1, 3, FrameOps.Sampling.HALVED);
    }

    /** Deep enough for several blocks of terms, and larger than a task. */
    public void deepConvolution() {
        convolution(130, 30, 9, 70, 3, 3, FrameOps.Sampling.SAME);
    }

    private void convolution(
            int in, int out, int rows, int columns, int frames, int kernel, FrameOps.Sampling sampling) {
        TensorView weight =
                Tensors.f32("w", random(out * in * frames * kernel * kernel), out, in, frames, kernel, kernel);
        TensorView bias = Tensors.f32("b", random(out), out);
        TensorView gamma = Tensors.f32("gamma", random(in), in);
        float[] x = random(in * rows * columns);
        int outRows = sampled(rows, sampling);
        int outColumns = sampled(columns, sampling);
        Shape shape = Shape.of(out, outRows, outColumns);
        float[] first = random(shape.intSize());
        float[] second = random(shape.intSize());
        float[][][] results = new float[2][][];
        JvmOptions.Kind[] kinds = {JvmOptions.Kind.SCALAR, kind};
        for (int i = 0; i < kinds.length; i++) {
            try (FrameOps ops = new JvmFrameOps(new JvmOptions(2, kinds[i]))) {
                Tensor input = frame(ops, x, Shape.of(in, rows, columns));
                Tensor a = frame(ops, first, shape);
                Tensor b = frame(ops, second, shape);
                Tensor c = ops.allocate(shape);
                Convolution weights = ops.convolution(weight, bias);
                int last = frames - 1;
                ops.convolve(
                        input,
                        new FrameOps.Before(ops.parameter(gamma), FrameOps.Activation.SILU),
                        sampling,
                        weights,
                        new FrameOps.Sum(last, a, c, false),
                        new FrameOps.Sum(0, b, a, false),
                        new FrameOps.Sum(0, null, b, true));
                Tensor relu = ops.allocate(shape);
                FrameOps.Before before = new FrameOps.Before(null, FrameOps.Activation.RELU);
                ops.convolve(input, before, sampling, weights, new FrameOps.Sum(last, null, relu, false));
                results[i] = new float[][] {ops.read(a), ops.read(b), ops.read(c), ops.read(relu)};
            }
        }
        double tolerance = 4e-6 + 2 * EPS * in * kernel * kernel;
        String what = "convolution %s of %d x %d x %d, kernel %d x %d, %s"
                .formatted(shape, in, rows, columns, frames, kernel, sampling);
        for (int i = 0; i < results[0].length; i++) {
            for (int j = 0; j < results[0][i].length; j++) {
                float right = results[0][i][j];
                float left = results[1][i][j];
                if (!(Math.abs(left - right) <= tolerance * Math.max(1, Math.abs(right)))) {
                    throw new AssertionError("%s, result %d[%d]: expected %s, got %s, tolerance %s"
                            .formatted(what, i, j, right, left, tolerance));
                }
            }
        }
    }

    private static int sampled(int extent, FrameOps.Sampling sampling) {
        return switch (sampling) {
            case SAME -> extent;
            case DOUBLED -> 2 * extent;
            case HALVED -> extent / 2;
        };
    }

    private static Tensor frame(FrameOps ops, float[] values, Shape shape) {
        Tensor tensor = ops.allocate(shape);
        ops.write(tensor, values);
        return tensor;
    }

    /** The same computation on one backend. */
    private interface Run {
        Tensor[] on(JvmOps ops);
    }

    private void compare(String what, Run run, double tolerance) {
        compare(what, run, tolerance, tolerance);
    }

    /** @param firstTolerance of the first two results */
    private void compare(String what, Run run, double firstTolerance, double otherTolerance) {
        try (Scope _ = scalar.scope();
                Scope _ = twin.scope()) {
            Tensor[] expected = run.on(scalar);
            Tensor[] got = run.on(twin);
            for (int i = 0; i < expected.length; i++) {
                float[] right = scalar.read(expected[i]);
                float[] left = twin.read(got[i]);
                double tolerance = i < 2 ? firstTolerance : otherTolerance;
                for (int j = 0; j < right.length; j++) {
                    double allowed = tolerance * Math.max(1, Math.abs(right[j]));
                    if (!(Math.abs(left[j] - right[j]) <= allowed)) {
                        throw new AssertionError("%s, result %d[%d]: expected %s, got %s, tolerance %s"
                                .formatted(what, i, j, right[j], left[j], allowed));
                    }
                }
            }
        }
    }

    public static Tensor tensor(JvmOps ops, float[] values, long... dims) {
        Tensor tensor = ops.scratch(Shape.of(dims));
        ops.write(tensor, values);
        return tensor;
    }
}
