package wan.selftest;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import wan.op.AttentionEdit;
import wan.op.AttentionTap;
import wan.op.CachePart;
import wan.op.DType;
import wan.op.Dyn;
import wan.op.Grid;
import wan.op.KvTensor;
import wan.op.Linear;
import wan.op.Ops;
import wan.op.Quantity;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;

/** What the self-test runs: every operation, on random inputs that are the same for every backend. */
public final class SelfTestCases {
    private static final float EPS = 1e-6f;
    private static final String APPEND = "append and read";

    /** Makes the inputs, and gives what runs the operation on them. */
    interface Body {
        Supplier<Output> prepare(Ops ops);
    }

    /**
     * What one run of an operation gives.
     *
     * @param tensors its results
     * @param tap what was captured
     */
    record Output(Ops ops, List<Tensor> tensors, Collector tap) {
        /** The results, then the captures. */
        float[] values() {
            float[] all = {};
            for (Tensor tensor : tensors) {
                float[] more = ops.read(tensor);
                int before = all.length;
                all = Arrays.copyOf(all, before + more.length);
                System.arraycopy(more, 0, all, before, more.length);
            }
            return tap.after(all);
        }

        /** Waits until it has run. */
        void finish() {
            float[] _ = ops.read(ops.scratch(Shape.of(1, 1)));
        }
    }

    /**
     * One operation at one size.
     *
     * @param work floating-point operations or bytes
     * @param unit what of it per nanosecond is called
     */
    public record Case(String op, String size, double work, String unit, Body body) {
        /** Whether it multiplies matrices, or reads what was rounded for that. */
        boolean multiplies() {
            return unit.equals("GFLOP/s") || op.equals(APPEND) || rounds();
        }

        /** Whether an attention is a part of it. */
        boolean attends() {
            return unit.equals("GFLOP/s") && !op.startsWith("linear");
        }

        /** Whether it computes what a cache then rounds, perhaps to the other side of a tie. */
        boolean rounds() {
            return op.equals("normRopeAppend");
        }
    }

    private SelfTestCases() {}

    /** One small size of each. */
    static List<Case> quick() {
        List<Case> cases = new ArrayList<>();
        elements(cases, 1, new Grid(2, 2, 3), 2, 12);
        cases.removeIf(one -> one.op().equals(APPEND)); // reads in between; the attention needs what it writes
        linears(cases, 13, 48, 80, 1); // multiples of 16, which 8 bits need
        rows(cases, 6, 24, 2);
        attentions(cases, 1, 2, 7, 3, 24, 2);
        return cases;
    }

    /** Sizes that no tile divides. */
    static List<Case> odd() {
        List<Case> cases = new ArrayList<>();
        // First: these read in between, which makes a backend that records do so with what it has.
        elements(cases, 1, new Grid(1, 1, 1), 1, 2);
        elements(cases, 2, new Grid(3, 2, 3), 2, 24);
        elements(cases, 1, new Grid(2, 5, 7), 3, 128);
        int[][] linears = {{1, 7, 5, 1}, {12, 48, 33, 2}, {67, 96, 160, 1}, {130, 65, 97, 2}, {6, 33, 32, 3}};
        for (int[] size : linears) {
            linears(cases, size[0], size[1], size[2], size[3]);
        }
        int[][] rows = {{1, 7, 1}, {6, 96, 3}, {14, 255, 2}, {3, 1536, 1}};
        for (int[] size : rows) {
            rows(cases, size[0], size[1], size[2]);
        }
        int[][] attentions = {
            {1, 1, 1, 1, 2, 1}, {1, 2, 7, 3, 24, 2}, {2, 3, 33, 2, 20, 3}, {1, 2, 40, 2, 128, 1}, {2, 1, 65, 1, 34, 4}
        };
        for (int[] a : attentions) {
            attentions(cases, a[0], a[1], a[2], a[3], a[4], a[5]);
        }
        return cases;
    }

    /** The sizes of one frame of the 1.3B model at 480 x 832. */
    public static List<Case> large() {
        return frame(new Grid(1, 30, 52), 12, 128, 8960);
    }

    /** The sizes of one frame of a model, with three frames of keys. */
    public static List<Case> frame(Grid grid, int heads, int headDim, int ffnDim) {
        return frame(grid, heads, headDim, ffnDim, 3);
    }

    /** The sizes of one frame of a model. */
    static List<Case> frame(Grid grid, int heads, int headDim, int ffnDim, int keyFrames) {
        int tokens = grid.frameSeqLen();
        int dim = heads * headDim;
        List<Case> cases = new ArrayList<>();
        linears(cases, tokens, dim, dim, 1);
        cases.removeIf(one -> !one.op().equals("linear"));
        List<Case> ffn = new ArrayList<>();
        linears(ffn, tokens, dim, ffnDim, 1);
        ffn.removeIf(one -> !one.op().equals("linearGelu"));
        cases.addAll(ffn);
        rows(cases, tokens, dim, 1);
        attention(cases, 1, heads, tokens, 1, headDim, keyFrames, Set.of());
        attention(cases, 1, heads, tokens, 1, headDim, keyFrames, Set.of(Quantity.FRAME_MASS));
        elements(cases, 1, grid, heads, headDim);
        return cases;
    }

    private static void linears(List<Case> cases, int rows, int in, int out, int entries) {
        String size = "[" + rows + ", " + in + "] x [" + out + ", " + in + "]";
        double flops = 2.0 * rows * in * out;
        int usedEntries = rows % entries == 0 ? entries : 1;
        for (String op : List.of(
                "linear", "linears", "linearGelu", "linearResidual", "linearGatedResidual", "linear modulated")) {
            cases.add(new Case(op, size, flops, "GFLOP/s", ops -> {
                Inputs inputs = new Inputs(ops, op + size);
                Tensor x = inputs.tensor(rows, in);
                Tensor residual = inputs.tensor(rows, out);
                Tensor modulation = inputs.tensor(usedEntries, 3, out);
                Linear w = ops.linearWeights(inputs.view(1 / Math.sqrt(in), out, in), inputs.view(1, out));
                Linear other = ops.linearWeights(inputs.view(1 / Math.sqrt(in), out, in), inputs.view(1, out));
                Tensor table = ops.parameter(inputs.view(1, 1, 3, out));
                Tensor embedding = inputs.tensor(usedEntries, 3L * out);
                return () -> switch (op) {
                    case "linear" -> inputs.output(ops.linear(x, w));
                    case "linears" -> inputs.output(ops.linears(x, List.of(w, other, w)));
                    case "linearGelu" -> inputs.output(ops.linearGelu(x, w));
                    case "linearResidual" -> {
                        ops.linearResidual(residual, x, w);
                        yield inputs.output(residual);
                    }
                    case "linearGatedResidual" -> {
                        ops.linearGatedResidual(residual, x, w, modulation, 2);
                        yield inputs.output(residual);
                    }
                    default -> {
                        ops.linearGatedResidual(residual, x, w, ops.modulation(table, embedding), 1);
                        yield inputs.output(residual);
                    }
                };
            }));
        }
    }

    private static void rows(List<Case> cases, int rows, int dim, int entries) {
        String size = "[" + rows + ", " + dim + "]";
        double bytes = 8.0 * rows * dim;
        for (String op : List.of("rmsNorm", "layerNorm", "layerNormModulate", "modulated norm", "silu", "modulation")) {
            cases.add(new Case(op, size, bytes, "GB/s", ops -> {
                Inputs inputs = new Inputs(ops, op + size);
                Tensor x = inputs.tensor(rows, dim);
                Tensor weight = ops.parameter(inputs.view(1, dim));
                Tensor bias = ops.parameter(inputs.view(1, dim));
                Tensor table = ops.parameter(inputs.view(1, 1, 3, dim));
                Tensor modulation = inputs.tensor(entries, 3, dim);
                Tensor embedding = inputs.tensor(entries, dim);
                return () -> inputs.output(
                        switch (op) {
                            case "rmsNorm" -> ops.rmsNorm(x, weight, EPS);
                            case "layerNorm" -> ops.layerNorm(x, weight, bias, EPS);
                            case "layerNormModulate" -> ops.layerNormModulate(x, modulation, 2, 0, EPS);
                            case "modulated norm" ->
                                ops.layerNormModulate(x, ops.modulation(table, embedding), 2, 0, EPS);
                            case "silu" -> ops.silu(x);
                            default -> ops.modulation(table, x);
                        });
            }));
        }
    }

    private static void attentions(
            List<Case> cases, int batch, int heads, int pageTokens, int queryFrames, int headDim, int pages) {
        attention(cases, batch, heads, pageTokens, queryFrames, headDim, pages, Set.of());
        edited(cases, batch, heads, pageTokens, queryFrames, headDim, pages, pageTokens);
        edited(cases, batch, heads, pageTokens, queryFrames, headDim, pages, 1);
        for (Quantity quantity : Quantity.values()) {
            attention(cases, batch, heads, pageTokens, queryFrames, headDim, pages, Set.of(quantity));
        }
    }

    /** Attention with every kind of edit, and its masses. */
    private static void edited(
            List<Case> cases,
            int batch,
            int heads,
            int pageTokens,
            int queryFrames,
            int headDim,
            int pages,
            int groupTokens) {
        int groups = pages * pageTokens / groupTokens;
        AttentionEdit.Builder builder = new AttentionEdit.Builder(heads, groups, groupTokens);
        for (int head = 0; head < heads; head++) {
            builder.scaleLogits(head, 1 / (0.7f + head));
            builder.scaleOutput(head, head - 0.5f);
            for (int group = 0; group < groups; group++) {
                boolean blocked = group % 3 == head % 3 && group != groups - 1;
                builder.addBias(head, group, blocked ? Float.NEGATIVE_INFINITY : 0.3f * (group % 5 - 2));
            }
        }
        attention(
                cases,
                "edited-attention" + groupTokens,
                batch,
                heads,
                pageTokens,
                queryFrames,
                headDim,
                pages,
                Set.of(Quantity.FRAME_MASS),
                builder.build());
    }

    private static void attention(
            List<Case> cases,
            int batch,
            int heads,
            int pageTokens,
            int queryFrames,
            int headDim,
            int pages,
            Set<Quantity> wanted) {
        String op = wanted.isEmpty() ? "attention" : wanted.iterator().next().option();
        attention(cases, op, batch, heads, pageTokens, queryFrames, headDim, pages, wanted, AttentionEdit.NONE);
    }

    private static void attention(
            List<Case> cases,
            String op,
            int batch,
            int heads,
            int pageTokens,
            int queryFrames,
            int headDim,
            int pages,
            Set<Quantity> wanted,
            AttentionEdit edit) {
        int queries = pageTokens * queryFrames;
        String size =
                "[" + batch + ", " + heads + ", " + queries + ", " + headDim + "], " + pages * pageTokens + " keys";
        double flops = 4.0 * batch * heads * queries * pages * pageTokens * headDim;
        cases.add(new Case(op, size, flops, "GFLOP/s", ops -> {
            Inputs inputs = new Inputs(ops, op + size);
            Tensor q = inputs.tensor((long) batch * queries, (long) heads * headDim);
            KvTensor cache = ops.kvCache(batch, pages + 2, pageTokens, heads, headDim);
            int[] used = new int[pages];
            for (int i = 0; i < pages; i++) {
                used[i] = (pages - i) % (pages + 2); // not in order, and neither the first nor all
            }
            Dyn dyn = new Dyn("pages", pages);
            dyn.set(used);
            ops.append(
                    cache,
                    inputs.tensor((long) batch * pages * pageTokens, (long) heads * headDim),
                    inputs.tensor((long) batch * pages * pageTokens, (long) heads * headDim),
                    dyn);
            return () -> {
                Collector tap = new Collector(wanted, queries, heads > 2 ? new int[] {0, 2} : new int[] {heads - 1});
                AttentionTap chosen = wanted.isEmpty() ? AttentionTap.NONE : tap;
                Tensor y = ops.attention(q, cache, dyn, pageTokens, pageTokens, chosen, edit);
                return new Output(ops, List.of(y), tap);
            };
        }));
    }

    private static void heads(List<Case> cases, int rows, int heads, int headDim) {
        String size = "[" + rows + ", " + heads + " x " + headDim + "]";
        double bytes = 8.0 * rows * heads * headDim;
        int[] chosen = heads > 2 ? new int[] {0, 2} : new int[] {heads - 1};
        for (String op : List.of("averageHeads", "mixHeads", "gatedResidual", "modulated residual")) {
            cases.add(new Case(op, size, bytes, "GB/s", ops -> {
                Inputs inputs = new Inputs(ops, op + size);
                Tensor x = inputs.tensor(rows, (long) heads * headDim);
                Tensor y = inputs.tensor(rows, (long) heads * headDim);
                Tensor values = inputs.tensor(rows, (long) chosen.length * headDim);
                Tensor modulation = inputs.tensor(1, 3, (long) heads * headDim);
                Tensor table = ops.parameter(inputs.view(1, 1, 3, (long) heads * headDim));
                Tensor embedding = inputs.tensor(1, 3L * heads * headDim);
                return () -> {
                    switch (op) {
                        case "averageHeads" -> ops.averageHeads(x, heads, chosen, rows % 2 == 0 ? rows / 2 : rows);
                        case "mixHeads" -> ops.mixHeads(x, heads, chosen, 0.4f, values);
                        case "gatedResidual" -> ops.gatedResidual(x, y, modulation, 1);
                        default -> ops.gatedResidual(x, y, ops.modulation(table, embedding), 2);
                    }
                    return inputs.output(x);
                };
            }));
        }
    }

    private static void elements(List<Case> cases, int batch, Grid grid, int heads, int headDim) {
        heads(cases, batch * grid.tokens(), heads, headDim);
        String size = batch + " x " + grid.frames() + "x" + grid.rows() + "x" + grid.columns() + ", " + heads
                + " heads of " + headDim;
        double bytes = 8.0 * batch * grid.tokens() * heads * headDim;
        cases.add(new Case("rope", size, bytes, "GB/s", ops -> {
            Inputs inputs = new Inputs(ops, size);
            Tensor x = inputs.tensor((long) batch * grid.tokens(), (long) heads * headDim);
            Dyn positions = new Dyn("positions", grid.frames());
            positions.set(IntStream.range(5, 5 + grid.frames()).toArray());
            return () -> {
                ops.rope(x, heads, grid, positions);
                return inputs.output(x);
            };
        }));
        cases.add(new Case(APPEND, size, bytes, "GB/s", ops -> {
            Inputs inputs = new Inputs(ops, size);
            KvTensor cache = ops.kvCache(batch, grid.frames() + 1, grid.frameSeqLen(), heads, headDim);
            Tensor k = inputs.tensor((long) batch * grid.tokens(), (long) heads * headDim);
            Tensor v = inputs.tensor((long) batch * grid.tokens(), (long) heads * headDim);
            Dyn pages = new Dyn("pages", grid.frames());
            int[] used = new int[grid.frames()];
            for (int i = 0; i < used.length; i++) {
                used[i] = grid.frames() - i;
            }
            pages.set(used);
            return () -> {
                ops.append(cache, k, v, pages);
                Collector both = new Collector(Set.of(), 0, new int[0]);
                both.keep("k", ops.readPages(cache, CachePart.KEYS, used));
                both.keep("v", ops.readPages(cache, CachePart.VALUES, used));
                return new Output(ops, List.of(k), both);
            };
        }));
        cases.add(new Case("normRopeAppend", size, 3 * bytes, "GB/s", ops -> {
            Inputs inputs = new Inputs(ops, size);
            KvTensor cache = ops.kvCache(batch, grid.frames() + 1, grid.frameSeqLen(), heads, headDim);
            Tensor q = inputs.tensor((long) batch * grid.tokens(), (long) heads * headDim);
            Tensor k = inputs.tensor((long) batch * grid.tokens(), (long) heads * headDim);
            Tensor v = inputs.tensor((long) batch * grid.tokens(), (long) heads * headDim);
            Tensor normQ = ops.parameter(inputs.view(1, (long) heads * headDim));
            Tensor normK = ops.parameter(inputs.view(1, (long) heads * headDim));
            Dyn positions = new Dyn("positions", grid.frames());
            positions.set(IntStream.range(5, 5 + grid.frames()).toArray());
            Dyn all = new Dyn("all", grid.frames());
            all.set(IntStream.rangeClosed(1, grid.frames()).toArray());
            Dyn written = new Dyn("written", grid.frames());
            written.set(IntStream.rangeClosed(1, grid.frames())
                    .map(page -> page == 2 ? -1 : page)
                    .toArray());
            ops.append(cache, v, q, all); // what the page that is left out keeps
            return () -> {
                Tensor y = ops.normRopeAppend(cache, q, k, v, normQ, normK, EPS, grid, positions, written);
                Tensor keys = ops.loadPages(cache, CachePart.KEYS, all);
                Tensor values = ops.loadPages(cache, CachePart.VALUES, all);
                return new Output(ops, List.of(y, keys, values), new Collector(Set.of(), 0, new int[0]));
            };
        }));
        double latentBytes = 8.0 * batch * grid.tokens() * 64;
        cases.add(new Case("patchify", size, latentBytes, "GB/s", ops -> {
            Inputs inputs = new Inputs(ops, size);
            Tensor x = inputs.tensor(batch, grid.frames(), 16, 2L * grid.rows(), 2L * grid.columns());
            return () -> inputs.output(ops.patchify(x));
        }));
        cases.add(new Case("unpatchify", size, latentBytes, "GB/s", ops -> {
            Inputs inputs = new Inputs(ops, size);
            Tensor x = inputs.tensor((long) batch * grid.tokens(), 64);
            return () -> inputs.output(ops.unpatchify(x, grid));
        }));
    }

    /** Normal random numbers, the same for the same name. */
    private static final class Inputs {
        private final Ops ops;
        private final Random random;

        Inputs(Ops ops, String name) {
            this.ops = ops;
            this.random = new Random(name.hashCode());
        }

        private float[] floats(int count, double scale) {
            float[] values = new float[count];
            for (int i = 0; i < count; i++) {
                values[i] = (float) (random.nextGaussian() * scale);
            }
            return values;
        }

        Tensor tensor(long... dims) {
            Tensor tensor = ops.scratch(Shape.of(dims));
            ops.write(tensor, floats(tensor.shape().intSize(), 1));
            return tensor;
        }

        TensorView view(double scale, long... dims) {
            Shape shape = Shape.of(dims);
            ByteBuffer bytes = ByteBuffer.allocate(4 * shape.intSize()).order(ByteOrder.LITTLE_ENDIAN);
            bytes.asFloatBuffer().put(floats(shape.intSize(), scale));
            return new TensorView("self.test", DType.F32, shape, MemorySegment.ofBuffer(bytes));
        }

        Output output(Tensor tensor) {
            return output(List.of(tensor));
        }

        Output output(List<Tensor> tensors) {
            return new Output(ops, tensors, new Collector(Set.of(), 0, new int[0]));
        }
    }

    /** A tap that keeps what it gets; token logits come in any order. */
    static final class Collector implements AttentionTap {
        private final Set<Quantity> wanted;
        private final int queries;
        private final int[] heads;
        private final Map<String, float[]> kept = new TreeMap<>();

        Collector(Set<Quantity> wanted, int queries, int[] heads) {
            this.wanted = wanted;
            this.queries = queries;
            this.heads = heads;
        }

        synchronized void keep(String name, float[] values) {
            kept.put(name, values);
        }

        @Override
        public Set<Quantity> wanted() {
            return wanted;
        }

        @Override
        public int[] heads() {
            return heads.clone();
        }

        @Override
        public List<int[]> regions() {
            return wanted.stream().anyMatch(Quantity::ofRegions)
                    ? List.of(
                            new int[] {0},
                            IntStream.of(0, 1, 2, 5)
                                    .filter(query -> query < queries)
                                    .toArray())
                    : List.of();
        }

        @Override
        public void accept(Quantity quantity, Shape shape, float[] values) {
            keep(quantity + " " + shape, values);
        }

        @Override
        public void acceptTokens(
                Quantity quantity, int batch, int headIndex, int firstQuery, int queries, int keys, float[] tile) {
            for (int row = 0; row < queries; row++) {
                float[] logits = new float[keys];
                System.arraycopy(tile, row * keys, logits, 0, keys);
                keep(
                        String.format(Locale.ROOT, "%s %04d %04d %06d", quantity, batch, headIndex, firstQuery + row),
                        logits);
            }
        }

        /** These values, then all that was kept, by name. */
        synchronized float[] after(float[] values) {
            int count = values.length
                    + kept.values().stream().mapToInt(k -> k.length).sum();
            float[] all = new float[count];
            System.arraycopy(values, 0, all, 0, values.length);
            int at = values.length;
            for (float[] more : kept.values()) {
                System.arraycopy(more, 0, all, at, more.length);
                at += more.length;
            }
            return all;
        }
    }
}
