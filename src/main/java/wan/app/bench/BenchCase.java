package wan.app.bench;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.Set;
import java.util.function.LongUnaryOperator;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import wan.app.command.BenchCommand;
import wan.op.AttentionEdit;
import wan.op.AttentionTap;
import wan.op.DType;
import wan.op.Dyn;
import wan.op.Grid;
import wan.op.KvTensor;
import wan.op.Linear;
import wan.op.Ops;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;

/**
 * One operation at one size, for {@link BenchCommand}.
 *
 * @param op a name, the operation's first
 * @param shape for the reader
 * @param flops floating-point operations of one run that count, 0 where memory is what counts
 * @param bytes least memory traffic of one run: every operand once
 * @param prepare makes the operands
 */
public record BenchCase(String op, String shape, double flops, double bytes, Supplier<Prepared> prepare) {
    private static final float EPS = 1e-6f;

    /** Attention in which every second head keeps little. */
    public static final String HALF_THE_HEADS = "attention+half-sink1-recent1";

    /** Sizes of a model. */
    record Sizes(int frameSeqLen, int dim, int ffnDim, int numHeads) {}

    /**
     * An operation with its operands.
     *
     * @param operands the scope that they lie in
     * @param caches released in the end
     * @param body runs in a scope of its own, again and again
     * @param counted the nanoseconds that a run counts for, of those that it took
     */
    public record Prepared(Ops ops, Scope operands, List<KvTensor> caches, Runnable body, LongUnaryOperator counted)
            implements AutoCloseable {
        public Prepared(Ops ops, Scope operands, List<KvTensor> caches, Runnable body) {
            this(ops, operands, caches, body, LongUnaryOperator.identity());
        }

        /** Runs once, and says how many nanoseconds that counts for. */
        long run() {
            long start = System.nanoTime();
            try (Scope _ = ops.scope()) {
                body.run();
            }
            return counted.applyAsLong(System.nanoTime() - start);
        }

        @Override
        public void close() {
            operands.close();
            caches.forEach(ops::release);
        }
    }

    /** Everything that works on rows: linear layers, norms, rotary embedding. */
    static List<BenchCase> rows(Ops ops, Sizes sizes, int frames) {
        int rows = frames * sizes.frameSeqLen();
        int dim = sizes.dim();
        int ffn = sizes.ffnDim();
        double floats = 4.0 * rows * dim;
        Grid grid = new Grid(frames, 1, sizes.frameSeqLen());
        return List.of(
                linear(ops, DType.BF16, rows, dim, dim, false),
                linear(ops, DType.BF16, rows, dim, ffn, true),
                linear(ops, DType.BF16, rows, ffn, dim, false),
                linear(ops, DType.F32, rows, dim, dim, false),
                linear(ops, DType.F32, rows, dim, ffn, true),
                linear(ops, DType.F32, rows, ffn, dim, false),
                new BenchCase("rmsNorm", rows + " x " + dim, 0, 2 * floats, () -> {
                    Scope operands = ops.scope();
                    Tensor x = random(ops, rows, dim);
                    Tensor weight = random(ops, dim);
                    return new Prepared(ops, operands, List.of(), () -> ops.rmsNorm(x, weight, EPS));
                }),
                new BenchCase("layerNormModulate", rows + " x " + dim, 0, 2 * floats, () -> {
                    Scope operands = ops.scope();
                    Tensor x = random(ops, rows, dim);
                    Tensor m = random(ops, frames, 6, dim);
                    return new Prepared(ops, operands, List.of(), () -> ops.layerNormModulate(x, m, 0, 1, EPS));
                }),
                new BenchCase("rope", rows + " x " + dim, 0, 2 * floats, () -> {
                    Scope operands = ops.scope();
                    Tensor x = random(ops, rows, dim);
                    Dyn positions = dyn(IntStream.range(1, 1 + frames).toArray());
                    return new Prepared(ops, operands, List.of(), () -> ops.rope(x, sizes.numHeads(), grid, positions));
                }));
    }

    private static BenchCase linear(Ops ops, DType dtype, int rows, int in, int out, boolean gelu) {
        double bytes = 4.0 * rows * ((double) in + out) + dtype.bytes((long) in * out);
        String op = (gelu ? "linearGelu " : "linear ") + dtype.option();
        return new BenchCase(
                op, String.format(Locale.ROOT, "%d x %d -> %d", rows, in, out), 2.0 * rows * in * out, bytes, () -> {
                    Scope operands = ops.scope();
                    Tensor x = random(ops, rows, in);
                    Linear weights = ops.linearWeights(stored(dtype, out, in), stored(DType.F32, out));
                    return new Prepared(ops, operands, List.of(), () -> {
                        Tensor _ = gelu ? ops.linearGelu(x, weights) : ops.linear(x, weights);
                    });
                });
    }

    /** Self-attention, plain and watched. */
    static List<BenchCase> attention(Ops ops, Sizes sizes, int frames, int keyFrames) {
        List<BenchCase> cases = new ArrayList<>(List.of(
                attention(ops, sizes, frames, keyFrames, "attention", Set.of()),
                attention(ops, sizes, frames, keyFrames, "attention+frame-logits", Set.of(Quantity.FRAME_LOGITS)),
                attention(ops, sizes, frames, keyFrames, "attention+frame-mass", Set.of(Quantity.FRAME_MASS))));
        if (keyFrames > frames + 2) {
            cases.add(halfTheHeads(ops, sizes, frames, keyFrames));
        }
        return cases;
    }

    /**
     * Every second head keeps and attends to the first frame, the one before the pass's and the pass's own; the others
     * all of them.
     */
    private static BenchCase halfTheHeads(Ops ops, Sizes sizes, int frames, int keyFrames) {
        int s = sizes.frameSeqLen();
        int dim = sizes.dim();
        int heads = sizes.numHeads();
        int kept = frames + 2;
        double mean = (double) (heads / 2 * kept + (heads - heads / 2) * keyFrames) / heads;
        String shape = frames * s + " x " + keyFrames * s + " or " + kept * s;
        double flops = 4.0 * frames * s * mean * s * dim;
        double bytes = 4.0 * dim * s * (2.0 * frames + 2.0 * mean);
        return new BenchCase(HALF_THE_HEADS, shape, flops, bytes, () -> {
            KvTensor cache = filledCache(ops, keyFrames, s, heads, dim / heads);
            int[] hidden = IntStream.range(1, keyFrames - frames - 1).toArray();
            int[] some = IntStream.range(0, heads).filter(head -> head % 2 == 1).toArray();
            AttentionEdit.Builder edit = new AttentionEdit.Builder(heads, keyFrames, s);
            for (int head : some) {
                for (int page : hidden) {
                    edit.addBias(head, page, Float.NEGATIVE_INFINITY);
                }
            }
            AttentionEdit seen = edit.build();
            ops.discard(cache, some, hidden);
            Scope operands = ops.scope();
            Tensor q = random(ops, (long) frames * s, dim);
            Dyn pages = dyn(IntStream.range(0, keyFrames).toArray());
            return new Prepared(
                    ops, operands, List.of(cache), () -> ops.attention(q, cache, pages, s, s, AttentionTap.NONE, seen));
        });
    }

    private static BenchCase attention(
            Ops ops, Sizes sizes, int frames, int keyFrames, String op, Set<Quantity> wanted) {
        int s = sizes.frameSeqLen();
        int dim = sizes.dim();
        int heads = sizes.numHeads();
        double pairs = (double) frames * s * keyFrames * s;
        double bytes = 4.0 * dim * s * (2.0 * frames + 2.0 * keyFrames);
        String shape = String.format(Locale.ROOT, "%d x %d, %d heads", frames * s, keyFrames * s, heads);
        return new BenchCase(op, shape, 4 * pairs * dim, bytes, () -> {
            KvTensor cache = filledCache(ops, keyFrames, s, heads, dim / heads);
            Scope operands = ops.scope();
            Tensor q = random(ops, (long) frames * s, dim);
            Dyn pages = dyn(IntStream.range(0, keyFrames).toArray());
            AttentionTap tap = new Listener(wanted, heads);
            return new Prepared(ops, operands, List.of(cache), () -> ops.attention(q, cache, pages, s, s, tap));
        });
    }

    /** A cache with random keys and values in every page. */
    static KvTensor filledCache(Ops ops, int pages, int pageTokens, int heads, int headDim) {
        KvTensor cache = ops.kvCache(1, pages, pageTokens, heads, headDim);
        long dim = (long) heads * headDim;
        for (int page = 0; page < pages; page++) {
            try (Scope _ = ops.scope()) {
                ops.append(cache, random(ops, pageTokens, dim), random(ops, pageTokens, dim), dyn(page));
            }
        }
        return cache;
    }

    /** Asks, and forgets the answer. */
    record Listener(Set<Quantity> wanted, int allHeads) implements AttentionTap {
        @Override
        public int[] heads() {
            int[] heads = new int[allHeads];
            for (int i = 0; i < heads.length; i++) {
                heads[i] = i;
            }
            return heads;
        }

        @Override
        public void accept(Quantity quantity, Shape shape, float[] values) {}

        @Override
        public void acceptTokens(
                Quantity quantity, int batch, int headIndex, int firstQuery, int queries, int keys, float[] tile) {}
    }

    static Dyn dyn(int... values) {
        Dyn dyn = new Dyn("bench", values.length);
        dyn.set(values);
        return dyn;
    }

    static Tensor random(Ops ops, long... dims) {
        Tensor tensor = ops.scratch(Shape.of(dims));
        Random random = new Random(1);
        float[] values = new float[tensor.shape().intSize()];
        for (int i = 0; i < values.length; i++) {
            values[i] = 2 * random.nextFloat() - 1;
        }
        ops.write(tensor, values);
        return tensor;
    }

    /** Made-up parameters, on the heap. */
    private static TensorView stored(DType dtype, long... dims) {
        Shape shape = Shape.of(dims);
        Random random = new Random(2);
        float[] floats = new float[dtype == DType.F32 ? shape.intSize() : 0];
        short[] halves = new short[dtype == DType.BF16 ? shape.intSize() : 0];
        for (int i = 0; i < shape.intSize(); i++) {
            float value = (2 * random.nextFloat() - 1) / 16;
            if (dtype == DType.F32) {
                floats[i] = value;
            } else {
                halves[i] = (short) (Float.floatToRawIntBits(value) >> 16);
            }
        }
        MemorySegment data = dtype == DType.F32 ? MemorySegment.ofArray(floats) : MemorySegment.ofArray(halves);
        return new TensorView("bench", dtype, shape, data);
    }
}
