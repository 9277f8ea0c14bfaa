package wan.jvm;

import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import wan.backend.HostMemory;
import wan.backend.Storage;
import wan.jvm.kernel.AttentionCall;
import wan.jvm.kernel.Closing;
import wan.jvm.kernel.Epilogue;
import wan.jvm.kernel.JvmLinear;
import wan.jvm.kernel.Kernels;
import wan.jvm.kernel.PagedKv;
import wan.jvm.kernel.RowAffine;
import wan.jvm.kernel.Workers;
import wan.jvm.onednn.OneDnnKernels;
import wan.jvm.scalar.ScalarKernels;
import wan.jvm.vector.VectorKernels;
import wan.op.AttentionEdit;
import wan.op.AttentionShapes;
import wan.op.AttentionTap;
import wan.op.CachePart;
import wan.op.DType;
import wan.op.Dyn;
import wan.op.Grid;
import wan.op.HeadShapes;
import wan.op.KvTensor;
import wan.op.Linear;
import wan.op.OpChecks;
import wan.op.Ops;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;
import wan.op.UsageException;
import wan.op.WanException;

/**
 * The JVM backend: every operation is computed when it is called, on all threads, and is done when the call returns.
 *
 * <p>For one calling thread at a time. An interrupt of that thread is seen before the next operation, which then throws
 * {@link CancellationException}. Results are the same bits for any number of threads.
 */
public final class JvmOps implements Ops {
    private static final System.Logger LOG = System.getLogger(JvmOps.class.getName());
    private static final float[] NOTHING = {};

    private final Workers workers;
    private final Kernels kernels;
    private final DType cacheType;
    private final ScratchPool pool;
    /** Where memory is only counted: nothing is allocated or computed. */
    private final @Nullable MemoryCount count;

    /**
     * A backend with threads and packed parameters of its own; close it.
     *
     * @throws UsageException if kernels are asked for by name and this Java has no Vector API, or oneDNN is not there
     */
    public JvmOps(JvmOptions options) {
        this(options, false);
    }

    private JvmOps(JvmOptions options, boolean counting) {
        workers = new Workers(options.threads());
        try {
            kernels = kernels(options.kernels(), workers);
        } catch (Throwable e) {
            workers.close();
            throw e;
        }
        cacheType = options.cache();
        count = counting ? new MemoryCount(kernels) : null;
        pool = new ScratchPool(this::array, floats -> {
            if (count != null) {
                count.activation(-floats);
            }
        });
    }

    /**
     * What a run would allocate.
     *
     * @param rehearsal goes through the run with a backend that only counts; what it reads are zeros
     */
    static HostMemory memory(JvmOptions options, Consumer<Ops> rehearsal) {
        try (JvmOps ops = new JvmOps(options, true)) {
            rehearsal.accept(ops);
            return Objects.requireNonNull(ops.count).memory();
        }
    }

    @Override
    public boolean rehearses() {
        return count != null;
    }

    private float[] array(int floats) {
        if (count == null) {
            return new float[floats];
        }
        count.activation(floats);
        return NOTHING;
    }

    static Kernels kernels(JvmOptions.Kind kind, Workers workers) {
        if (kind == JvmOptions.Kind.SCALAR) {
            return new ScalarKernels(workers);
        }
        if (ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent()) {
            return switch (kind) {
                case ONEDNN_BF16 -> new OneDnnKernels(DType.BF16, workers);
                case ONEDNN_F32 -> new OneDnnKernels(DType.F32, workers);
                case ONEDNN_INT8 -> new OneDnnKernels(DType.I8, workers);
                default -> new VectorKernels(workers);
            };
        }
        String problem =
                "the module jdk.incubator.vector is not there; start Java with --add-modules jdk.incubator.vector";
        if (kind != JvmOptions.Kind.AUTO) {
            throw new UsageException("kernels " + kind.option() + ": " + problem);
        }
        LOG.log(System.Logger.Level.WARNING, "scalar kernels, which are slow: {0}", problem);
        return new ScalarKernels(workers);
    }

    @Override
    public String backend() {
        return "jvm, " + kernels.name() + new Storage(DType.F32, cacheType).suffix();
    }

    /** Which kernels compute: {@code vector-512}, {@code scalar}. */
    public String kernels() {
        return kernels.name();
    }

    /** F32; BF16 with {@link JvmOptions.Kind#ONEDNN_BF16}; I8, with a scale for each row, with {@link JvmOptions.Kind#ONEDNN_INT8}. */
    @Override
    public DType productType() {
        return kernels.productType();
    }

    @Override
    public DType attentionType() {
        return kernels.attentionType();
    }

    @Override
    public Scope scope() {
        return pool.scope();
    }

    @Override
    public Tensor scratch(Shape shape) {
        return pool.take(shape, "scratch");
    }

    @Override
    public void write(Tensor target, float[] values) {
        float[] to = values("write", target);
        int size = target.shape().intSize();
        if (values.length != size) {
            throw WanException.mismatch("write", size + " values for " + target.shape(), values.length, "");
        }
        if (count == null) {
            System.arraycopy(values, 0, to, 0, size);
        }
    }

    @Override
    public float[] read(Tensor source) {
        float[] values = values("read", source);
        return count == null ? values.clone() : new float[source.shape().intSize()];
    }

    @Override
    public Tensor parameter(TensorView view) {
        if (count != null) {
            count.parameter(view.shape().size());
            return new HeapTensor(view.shape(), NOTHING);
        }
        return new HeapTensor(view.shape(), view.toFloats());
    }

    @Override
    public Linear linearWeights(TensorView weight, TensorView bias) {
        return linearWeights(weight, bias, false);
    }

    @Override
    public Linear preciseLinearWeights(TensorView weight, TensorView bias) {
        return linearWeights(weight, bias, true);
    }

    private Linear linearWeights(TensorView weight, TensorView bias, boolean precise) {
        if (count != null) {
            count.parameter(bias.shape().size());
        }
        return new JvmLinear(weight, bias, precise);
    }

    @Override
    public Tensor linear(Tensor x, Linear weights) {
        return linear("linear", x, weights, Epilogue.STORE);
    }

    @Override
    public Tensor linearGelu(Tensor x, Linear weights) {
        return linear("linearGelu", x, weights, Epilogue.GELU);
    }

    private Tensor linear(String op, Tensor x, Linear weights, Epilogue epilogue) {
        JvmLinear w = own(op, x, weights);
        HeapTensor y = pool.take(Shape.of(x.shape().dim(0), w.outFeatures()), op);
        linearInto(op, x, w, epilogue, y);
        return y;
    }

    @Override
    public void linearResidual(Tensor residual, Tensor x, Linear weights) {
        JvmLinear w = own("linearResidual", x, weights);
        linearInto("linearResidual", x, w, Epilogue.ADD, residual);
    }

    @Override
    public void linearGatedResidual(Tensor residual, Tensor x, Linear weights, Tensor modulation, int gateRow) {
        String op = "linearGatedResidual";
        JvmLinear w = own(op, x, weights);
        int entries = OpChecks.entries(op, modulation, x.shape().dim(0), w.outFeatures(), gateRow);
        Epilogue gated = new Epilogue(
                Epilogue.Kind.ADD_GATED,
                values(op, modulation),
                gateRow * w.outFeatures(),
                modulation.shape().dim(1) * w.outFeatures(),
                Math.max(1, x.shape().dim(0) / entries));
        linearInto(op, x, w, gated, residual);
    }

    /** The parameters as this backend's own, once x fits them. */
    private static JvmLinear own(String op, Tensor x, Linear weights) {
        if (!(weights instanceof JvmLinear own)) {
            throw WanException.mismatch(op, "parameters of the jvm backend", weights, "");
        }
        if (x.shape().rank() != 2 || x.shape().dim(1) != own.inFeatures()) {
            throw WanException.mismatch(op + " " + own.name(), "x [R, " + own.inFeatures() + "]", x.shape(), "");
        }
        return own;
    }

    private void linearInto(String op, Tensor x, JvmLinear weights, Epilogue epilogue, Tensor y) {
        int rows = x.shape().dim(0);
        OpChecks.expect(op + " " + weights.name(), y, rows, weights.outFeatures());
        float[] from = values(op, x);
        float[] to = values(op, y);
        if (x.equals(y)) {
            throw new WanException(op + " " + weights.name() + ": x and the residual are the same tensor");
        }
        if (count != null) {
            count.linear(rows, weights);
        }
        compute(op, () -> kernels.linear(from, rows, weights, epilogue, to));
    }

    @Override
    public Tensor silu(Tensor x) {
        float[] from = values("silu", x);
        HeapTensor y = pool.take(x.shape(), "silu");
        compute("silu", () -> kernels.silu(from, y.values("silu")));
        return y;
    }

    @Override
    public Tensor rmsNorm(Tensor x, Tensor weight, float eps) {
        int dim = OpChecks.rowLength("rmsNorm", x);
        OpChecks.expect("rmsNorm weight", weight, dim);
        float[] from = values("rmsNorm", x);
        float[] w = values("rmsNorm", weight);
        HeapTensor y = pool.take(x.shape(), "rmsNorm");
        compute("rmsNorm", () -> kernels.rmsNorm(from, w, eps, y.values("rmsNorm")));
        return y;
    }

    @Override
    public Tensor layerNorm(Tensor x, Tensor weight, Tensor bias, float eps) {
        String op = "layerNorm";
        int dim = OpChecks.rowLength(op, x);
        OpChecks.expect(op + " weight", weight, dim);
        OpChecks.expect(op + " bias", bias, dim);
        int rows = Math.max(1, x.shape().dim(0));
        return layerNorm(op, x, new RowAffine(values(op, weight), 0, 0, values(op, bias), 0, 0, rows), eps);
    }

    @Override
    public Tensor layerNormModulate(Tensor x, Tensor modulation, int shiftRow, int scaleRow, float eps) {
        String op = "layerNormModulate";
        int dim = OpChecks.rowLength(op, x);
        OpChecks.entries(op, modulation, x.shape().dim(0), dim, shiftRow);
        int entries = OpChecks.entries(op, modulation, x.shape().dim(0), dim, scaleRow);
        float[] m = values(op, modulation);
        int rowsPerEntry = Math.max(1, x.shape().dim(0) / entries);
        int stride = modulation.shape().dim(1) * dim;
        return layerNorm(op, x, new RowAffine(m, scaleRow * dim, 1, m, shiftRow * dim, stride, rowsPerEntry), eps);
    }

    private Tensor layerNorm(String op, Tensor x, RowAffine affine, float eps) {
        float[] from = values(op, x);
        HeapTensor y = pool.take(x.shape(), op);
        compute(op, () -> kernels.layerNorm(from, x.shape().dim(1), affine, eps, y.values(op)));
        return y;
    }

    @Override
    public Tensor modulation(Tensor table, Tensor embedding) {
        String op = "modulation";
        if (table.shape().rank() != 3 || table.shape().dim(0) != 1) {
            throw WanException.mismatch(op + " table", "[1, rows, dim]", table.shape(), "");
        }
        int rows = table.shape().dim(1);
        int dim = table.shape().dim(2);
        int width = OpChecks.rowLength(op, embedding);
        if (width != rows * dim && width != dim) {
            throw WanException.mismatch(
                    op, "embedding [E, " + rows * dim + "] or [E, " + dim + "]", embedding.shape(), "");
        }
        int entries = embedding.shape().dim(0);
        float[] base = values(op, table);
        float[] added = values(op, embedding);
        HeapTensor out = pool.take(Shape.of(entries, rows, dim), op);
        float[] to = out.values(op);
        compute(op, () -> {
            for (int entry = 0; entry < entries; entry++) {
                for (int i = 0; i < rows * dim; i++) {
                    to[entry * rows * dim + i] = base[i] + added[entry * width + i % width];
                }
            }
        });
        return out;
    }

    @Override
    public void rope(Tensor x, int numHeads, Grid grid, Dyn positions) {
        int dim = OpChecks.rowLength("rope", x);
        if (numHeads < 1 || dim % (2 * numHeads) != 0) {
            throw WanException.mismatch("rope", "rows of " + numHeads + " heads of even size", x.shape(), "");
        }
        int rows = x.shape().dim(0);
        if (grid.tokens() < 1 || rows % grid.tokens() != 0) {
            throw WanException.mismatch("rope", "a multiple of " + grid.tokens() + " rows for " + grid, x.shape(), "");
        }
        if (positions.count() != grid.frames()) {
            throw WanException.mismatch("rope", "a position for each frame of " + grid, positions, "");
        }
        float[] values = values("rope", x);
        compute("rope", () -> {
            Rope rope = new Rope(grid, dim / numHeads, positions.values());
            workers.ranges(rows, 32, (from, to) -> rope.apply(values, numHeads, from, to));
        });
    }

    @Override
    public KvTensor kvCache(int batch, int pages, int pageTokens, int numHeads, int headDim) {
        return kernels.kvCache(batch, pages, pageTokens, numHeads, headDim, cacheType);
    }

    @Override
    public void release(KvTensor cache) {
        PagedKv kv = own("release", cache);
        kv.release();
        if (count != null) {
            count.release(kv);
        }
    }

    @Override
    public void append(KvTensor cache, Tensor k, Tensor v, Dyn pages) {
        PagedKv kv = own("append", cache);
        long rows = (long) kv.batch() * pages.count() * kv.pageTokens();
        OpChecks.expect("append k", k, rows, (long) kv.numHeads() * kv.headDim());
        OpChecks.expect("append v", v, rows, (long) kv.numHeads() * kv.headDim());
        float[] keys = values("append", k);
        float[] values = values("append", v);
        int slots = kv.batch() * pages.count();
        for (int i = 0; count != null && i < pages.count(); i++) {
            if (pages.get(i) >= 0) {
                count.append(kv, pages.get(i));
            }
        }
        compute("append", () -> {
            for (int slot = 0; slot < slots; slot++) {
                if (pages.get(slot % pages.count()) >= 0) {
                    kv.allocate(slot / pages.count(), pages.get(slot % pages.count()));
                }
            }
            workers.run(slots * kv.numHeads(), (task, _) -> {
                int slot = task / kv.numHeads();
                int sample = slot / pages.count();
                int page = pages.get(slot % pages.count());
                if (page >= 0) {
                    kv.append(sample, page, task % kv.numHeads(), keys, values, slot * kv.pageTokens());
                }
            });
        });
    }

    @Override
    public Tensor loadPages(KvTensor cache, CachePart part, Dyn pages) {
        PagedKv kv = own("loadPages", cache);
        HeapTensor rows = pool.take(
                Shape.of((long) kv.batch() * pages.count() * kv.pageTokens(), (long) kv.numHeads() * kv.headDim()),
                "loadPages");
        float[] out = rows.values("loadPages");
        compute(
                "loadPages",
                () -> workers.run(
                        kv.batch() * pages.count(),
                        (slot, _) -> kv.read(
                                part,
                                slot / pages.count(),
                                pages.get(slot % pages.count()),
                                out,
                                slot * kv.pageTokens())));
        return rows;
    }

    @Override
    public void discard(KvTensor cache, int[] heads, int[] pages) {
        PagedKv kv = own("discard", cache);
        for (int sample = 0; sample < kv.batch(); sample++) {
            for (int page : pages) {
                for (int head : heads) {
                    kv.discard(sample, page, head);
                    if (count != null) {
                        count.discard(kv, sample, page, head);
                    }
                }
            }
        }
    }

    @Override
    public float[] readPages(KvTensor cache, CachePart part, int[] pages) {
        PagedKv kv = own("readPages", cache);
        Shape shape = Shape.of(kv.batch(), (long) pages.length * kv.pageTokens(), kv.numHeads(), kv.headDim());
        float[] out = new float[shape.intSize()];
        for (int sample = 0; count == null && sample < kv.batch(); sample++) {
            for (int i = 0; i < pages.length; i++) {
                kv.read(part, sample, pages[i], out, (sample * pages.length + i) * kv.pageTokens());
            }
        }
        return out;
    }

    @Override
    public Tensor attention(
            Tensor q,
            KvTensor cache,
            Dyn pages,
            int queryGroupTokens,
            int keyGroupTokens,
            AttentionTap tap,
            AttentionEdit edit) {
        String op = "attention";
        PagedKv kv = own(op, cache);
        int queries = AttentionShapes.queries(q.shape(), kv, queryGroupTokens, keyGroupTokens);
        float[] from = values(op, q);
        HeapTensor out = pool.take(q.shape(), op);
        Set<Quantity> wanted = tap.wanted();
        if (count != null) {
            boolean masses = wanted.stream().anyMatch(Quantity::inAttention);
            count.attention(kv, queries, pages.count(), masses ? pages.count() * kv.pageTokens() / keyGroupTokens : 0);
            return out;
        }
        int[] attended = attended(kv, pages);
        edit.check(kv, attended.length, queries / queryGroupTokens);
        compute(op, () -> {
            AttentionCall call = new AttentionCall(from, queries, kv, attended, edit);
            new TappedAttention(kernels, workers, queryGroupTokens, keyGroupTokens).run(call, out.values(op), tap);
        });
        return out;
    }

    /** The pages of a call, each of which must have been written. */
    private static int[] attended(PagedKv kv, Dyn pages) {
        if (pages.count() == 0) {
            throw WanException.mismatch("attention", "at least one page", pages, "");
        }
        int[] attended = new int[pages.count()];
        for (int i = 0; i < attended.length; i++) {
            attended[i] = pages.get(i);
            for (int sample = 0; sample < kv.batch(); sample++) {
                kv.requireWritten(sample, attended[i]);
            }
        }
        return attended;
    }

    @Override
    public void averageHeads(Tensor x, int numHeads, int[] heads, int groupTokens) {
        String op = "averageHeads";
        int dim = OpChecks.rowLength(op, x);
        HeadShapes.check(op, x.shape(), numHeads, heads);
        int rows = x.shape().dim(0);
        if (groupTokens < 1 || rows % groupTokens != 0) {
            throw WanException.mismatch(op, "rows in groups of " + groupTokens, x.shape(), "");
        }
        float[] values = values(op, x);
        int headDim = dim / numHeads;
        compute(
                op,
                () -> workers.run(rows / groupTokens * heads.length, (task, _) -> {
                    int first = task / heads.length * groupTokens;
                    int column = heads[task % heads.length] * headDim;
                    for (int channel = column; channel < column + headDim; channel++) {
                        double sum = 0;
                        for (int row = first; row < first + groupTokens; row++) {
                            sum += values[row * dim + channel];
                        }
                        for (int row = first; row < first + groupTokens; row++) {
                            values[row * dim + channel] = (float) (sum / groupTokens);
                        }
                    }
                }));
    }

    @Override
    public void mixHeads(Tensor x, int numHeads, int[] heads, float keep, Tensor values) {
        String op = "mixHeads";
        int dim = OpChecks.rowLength(op, x);
        HeadShapes.check(op, x.shape(), numHeads, heads);
        int headDim = dim / numHeads;
        int rows = x.shape().dim(0);
        OpChecks.expect(op + " values", values, rows, (long) heads.length * headDim);
        float[] to = values(op, x);
        float[] from = values(op, values);
        compute(op, () -> {
            for (int row = 0; row < rows; row++) {
                for (int i = 0; i < heads.length; i++) {
                    int at = row * dim + heads[i] * headDim;
                    int source = (row * heads.length + i) * headDim;
                    for (int channel = 0; channel < headDim; channel++) {
                        float kept = keep == 0 ? 0 : keep * to[at + channel];
                        to[at + channel] = kept + from[source + channel];
                    }
                }
            }
        });
    }

    @Override
    public void gatedResidual(Tensor residual, Tensor y, Tensor modulation, int gateRow) {
        String op = "gatedResidual";
        int dim = OpChecks.rowLength(op, residual);
        int rows = residual.shape().dim(0);
        OpChecks.expect(op, y, rows, dim);
        int rowsPerEntry = Math.max(1, rows / OpChecks.entries(op, modulation, rows, dim, gateRow));
        int stride = modulation.shape().dim(1) * dim;
        float[] to = values(op, residual);
        float[] from = values(op, y);
        float[] m = values(op, modulation);
        compute(op, () -> {
            for (int i = 0; i < rows * dim; i++) {
                to[i] += from[i] * m[i / dim / rowsPerEntry * stride + gateRow * dim + i % dim];
            }
        });
    }

    @Override
    public Tensor patchify(Tensor latents) {
        Shape shape = latents.shape();
        if (shape.rank() != 5 || shape.dim(3) % 2 != 0 || shape.dim(4) % 2 != 0) {
            throw WanException.mismatch("patchify", "[batch, frames, channels, even, even]", shape, "");
        }
        Patches patches = new Patches(shape.dim(0), shape.dim(1), shape.dim(2), shape.dim(3) / 2, shape.dim(4) / 2);
        float[] from = values("patchify", latents);
        HeapTensor out = pool.take(patches.patchShape(), "patchify");
        compute("patchify", () -> patches.cut(from, out.values("patchify")));
        return out;
    }

    @Override
    public Tensor unpatchify(Tensor patches, Grid grid) {
        int width = OpChecks.rowLength("unpatchify", patches);
        int rows = patches.shape().dim(0);
        if (width % 4 != 0 || grid.tokens() < 1 || rows % grid.tokens() != 0) {
            throw WanException.mismatch(
                    "unpatchify", "[batch * " + grid.tokens() + ", 4 channels]", patches.shape(), "");
        }
        Patches layout = new Patches(rows / grid.tokens(), grid.frames(), width / 4, grid.rows(), grid.columns());
        float[] from = values("unpatchify", patches);
        HeapTensor out = pool.take(layout.latentShape(), "unpatchify");
        compute("unpatchify", () -> layout.join(from, out.values("unpatchify")));
        return out;
    }

    @Override
    public void close() {
        Closing.all(List.of(workers::close, kernels::close));
    }

    /** The one place where a pass can be stopped, and where memory is only counted computes nothing. */
    private void compute(String op, Runnable arithmetic) {
        if (Thread.interrupted()) {
            throw new CancellationException(op + ": stopped by an interrupt");
        }
        if (count == null) {
            arithmetic.run();
        }
    }

    private static float[] values(String op, Tensor tensor) {
        if (tensor instanceof HeapTensor own) {
            return own.values(op);
        }
        throw WanException.mismatch(op, "a tensor of the jvm backend", tensor, "");
    }

    private static PagedKv own(String op, KvTensor cache) {
        if (cache instanceof PagedKv own) {
            return own;
        }
        throw WanException.mismatch(op, "a cache of the jvm backend", cache, "");
    }
}
