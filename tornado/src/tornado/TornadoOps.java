package tornado;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import wan.backend.MemoryPlan;
import wan.op.AttentionEdit;
import wan.op.AttentionTap;
import wan.op.CachePart;
import wan.op.DType;
import wan.op.Dyn;
import wan.op.Grid;
import wan.op.KvTensor;
import wan.op.Linear;
import wan.op.OpChecks;
import wan.op.Ops;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * The TornadoVM backend: each operation becomes calls of kernels, which are recorded into task graphs once and replayed from then on.
 *
 * <p>The host runs the model's code in every pass, which costs microseconds: it fills the slots. What runs on the device is decided by
 * the kernels and their arrays alone, so layers, passes, frame blocks and sessions share graphs. What a pass asks for runs as one {@link Batch}
 * when its outermost scope closes or a result is read; results of taps arrive then.
 *
 * <p>For one calling thread at a time; an interrupt is seen before the next operation.
 */
public final class TornadoOps implements Ops {
    private static final System.Logger LOG = System.getLogger("wan.tornado");

    private final DeviceTarget target;
    private final boolean rehearsal;
    private final Parameters parameters = new Parameters();
    private final ScratchStack scratch = new ScratchStack();
    private final Recorder recorder;
    private final HalfCalls halves;
    private final LinearCalls linears;
    private final RowCalls rows;
    private final CacheCalls caches;
    private final AttentionCalls attentions;
    private final EditCalls edits;

    /**
     * A backend on a device.
     *
     * @param rehearsal whether to run nothing and only note what a run would need; then everything reads as zeros
     */
    TornadoOps(DeviceTarget target, boolean rehearsal) {
        this.target = target;
        this.rehearsal = rehearsal;
        this.recorder = new Recorder(target, parameters, scratch, rehearsal);
        this.halves = new HalfCalls(recorder, parameters, scratch, target.storage());
        this.linears = new LinearCalls(target, recorder, scratch, halves);
        this.rows = new RowCalls(target, recorder, parameters, scratch, halves);
        this.caches = new CacheCalls(target, recorder, parameters, scratch, halves, rows);
        this.attentions = new AttentionCalls(target, recorder, parameters, scratch, halves);
        this.edits = new EditCalls(recorder);
    }

    /** As the other, of a run whose passes were rehearsed. */
    TornadoOps(DeviceTarget target, Forecast forecast) {
        this(target, false);
        recorder.expect(forecast);
    }

    @Override
    public String backend() {
        String products =
                productType() == DType.F32 ? "" : ", products " + productType().option();
        String attention = attentionType() == DType.F32
                ? ""
                : ", attention " + attentionType().option();
        return target.description() + target.storage().suffix() + products + attention;
    }

    /** What recording and running has cost so far. */
    public Counters counters() {
        return recorder.counters();
    }

    @Override
    public String deviceTime() {
        return counters().toString();
    }

    /** What is a library's, where its sizes allow that. */
    public Set<Library> libraries() {
        return target.libraries();
    }

    /** Why a library is missing that the device and its types could have, or empty. */
    String problem(Library library) {
        boolean types = library != Library.CUDNN || target.storage().cache() == DType.F16;
        boolean could = target.callsLibraries() && types;
        return could && !libraries().contains(library) ? library.problem() : "";
    }

    /** What the factors of a linear layer's products are rounded to: libraries take the inputs as the weights, tensor cores in bfloat16. */
    @Override
    public DType productType() {
        if (target.tensorLinears()) {
            return DType.BF16;
        }
        return target.cublas() ? target.storage().weights() : DType.F32;
    }

    /** What the queries and the result of an attention are rounded to: as the keys are, where it is a library's or runs on tensor cores. */
    @Override
    public DType attentionType() {
        return target.cudnn() || target.tensorAttention() ? target.storage().cache() : DType.F32;
    }

    /** What is needed by all that has been rehearsed, or for what has been run. */
    public MemoryPlan memoryPlan() {
        return rehearsal ? recorder.rehearsedPlan() : recorder.presentPlan();
    }

    /** What a rehearsal has noted, for {@link TornadoDevices#open(String, TornadoDevices.Settings, Forecast)}. */
    public Forecast forecast() {
        return recorder.forecast();
    }

    @Override
    public boolean rehearses() {
        return rehearsal;
    }

    @Override
    public Scope scope() {
        // The model opens one for each layer: where its graphs begin and end.
        recorder.cut();
        return scratch.open(outermost -> {
            if (outermost) {
                if (recorder.hasFailed()) {
                    halves.forget(); // nothing to see where nothing has run
                }
                recorder.drain();
                halves.judge();
            } else {
                recorder.cut();
            }
        });
    }

    @Override
    public Tensor scratch(Shape shape) {
        return scratch.take(shape);
    }

    @Override
    public void write(Tensor target, float[] values) {
        DeviceTensor to = Operands.activation("write", target);
        if (values.length != to.shape().size()) {
            throw WanException.mismatch("write", to.shape().size() + " values for " + to.shape(), values.length, "");
        }
        Operands.begin("write");
        recorder.upload(to, values);
    }

    @Override
    public float[] read(Tensor source) {
        DeviceTensor from = Operands.activation("read", source);
        Operands.begin("read");
        float[][] result = {rehearsal ? new float[from.shape().intSize()] : null};
        recorder.fetch(from, values -> result[0] = values);
        recorder.drain();
        return result[0];
    }

    @Override
    public Tensor parameter(TensorView view) {
        return new DeviceTensor(view.shape(), scratch.root(), true, parameters.add(view.toFloats()));
    }

    @Override
    public Linear linearWeights(TensorView weight, TensorView bias) {
        int out = bias.shape().rank() == 1 ? bias.shape().dim(0) : -1;
        float[] values = bias.toFloats();
        if (target.storage().weights() == DType.F8_E4M3) {
            float[] scales = DeviceLinear.scales(weight.toFloats(), Math.max(1, out));
            values = Arrays.copyOf(values, values.length + scales.length);
            System.arraycopy(scales, 0, values, values.length - scales.length, scales.length);
        }
        DeviceLinear linear = new DeviceLinear(weight, bias, out, parameters.addAligned(values));
        recorder.register(linear);
        return linear;
    }

    @Override
    public Tensor linear(Tensor x, Linear weights) {
        return linears.linear("linear", x, weights, LinearKernels.BIAS);
    }

    @Override
    public List<Tensor> linears(Tensor x, List<Linear> weights) {
        return linears.linears(x, weights);
    }

    @Override
    public Tensor linearGelu(Tensor x, Linear weights) {
        return linears.linear("linearGelu", x, weights, LinearKernels.GELU);
    }

    @Override
    public void linearResidual(Tensor residual, Tensor x, Linear weights) {
        linears.residual("linearResidual", residual, x, weights);
    }

    @Override
    public void linearGatedResidual(Tensor residual, Tensor x, Linear weights, Tensor modulation, int gateRow) {
        linears.gatedResidual("linearGatedResidual", residual, x, weights, modulation, gateRow);
    }

    @Override
    public Tensor silu(Tensor x) {
        DeviceTensor from = Operands.activation("silu", x);
        DeviceTensor y = scratch.take(x.shape());
        Operands.begin("silu");
        recorder.addElements(Kernel.SILU, y.shape().intSize(), from.offset(), y.offset());
        return y;
    }

    @Override
    public Tensor rmsNorm(Tensor x, Tensor weight, float eps) {
        return rows.rmsNorm(x, weight, eps);
    }

    @Override
    public Tensor layerNorm(Tensor x, Tensor weight, Tensor bias, float eps) {
        return rows.layerNorm(x, weight, bias, eps);
    }

    @Override
    public Tensor layerNormModulate(Tensor x, Tensor modulation, int shiftRow, int scaleRow, float eps) {
        return rows.layerNormModulate(x, modulation, shiftRow, scaleRow, eps);
    }

    @Override
    public Tensor modulation(Tensor table, Tensor embedding) {
        return rows.modulation(table, embedding);
    }

    @Override
    public void rope(Tensor x, int numHeads, Grid grid, Dyn positions) {
        rows.rope(x, numHeads, grid, positions);
    }

    @Override
    public KvTensor kvCache(int batch, int pages, int pageTokens, int numHeads, int headDim) {
        return caches.create(batch, pages, pageTokens, numHeads, headDim);
    }

    @Override
    public void release(KvTensor cache) {
        recorder.drain();
        Operands.cache("release", cache).release();
    }

    @Override
    public void append(KvTensor cache, Tensor k, Tensor v, Dyn pages) {
        caches.append(cache, k, v, pages);
    }

    @Override
    public Tensor normRopeAppend(
            KvTensor cache,
            Tensor q,
            Tensor k,
            Tensor v,
            Tensor normQ,
            Tensor normK,
            float eps,
            Grid grid,
            Dyn positions,
            Dyn pages) {
        Tensor queries = caches.normRopeAppend(cache, q, k, v, normQ, normK, eps, grid, positions, pages);
        return queries != null
                ? queries
                : Ops.super.normRopeAppend(cache, q, k, v, normQ, normK, eps, grid, positions, pages);
    }

    @Override
    public Tensor loadPages(KvTensor cache, CachePart part, Dyn pages) {
        return caches.load(cache, part, pages);
    }

    /**
     * Frees nothing: a page is one range of a pool's array, with all heads in it, and recorded graphs hold that array. Pages that no head
     * keeps are used again all the same, since a policy's schedule gives their numbers to new frames.
     */
    @Override
    public void discard(KvTensor cache, int[] heads, int[] pages) {
        DeviceCache kv = Operands.cache("discard", cache);
        for (int page : pages) {
            kv.require("discard", page);
        }
    }

    @Override
    public float[] readPages(KvTensor cache, CachePart part, int[] pages) {
        String op = "readPages";
        DeviceCache kv = Operands.cache(op, cache);
        Shape shape = Shape.of(kv.batch(), (long) pages.length * kv.pageTokens(), kv.numHeads(), kv.headDim());
        if (shape.size() == 0) {
            return new float[0];
        }
        try (Scope _ = scope()) {
            return read(caches.load(op, kv, part, pages));
        }
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
        return attentions.attention(q, cache, pages, queryGroupTokens, keyGroupTokens, tap, edit);
    }

    @Override
    public void averageHeads(Tensor x, int numHeads, int[] heads, int groupTokens) {
        edits.averageHeads(x, numHeads, heads, groupTokens);
    }

    @Override
    public void mixHeads(Tensor x, int numHeads, int[] heads, float keep, Tensor values) {
        edits.mixHeads(x, numHeads, heads, keep, values);
    }

    @Override
    public void gatedResidual(Tensor residual, Tensor y, Tensor modulation, int gateRow) {
        edits.gatedResidual(residual, y, modulation, gateRow);
    }

    @Override
    public Tensor patchify(Tensor latents) {
        Shape shape = latents.shape();
        if (shape.rank() != 5 || shape.dim(3) % 2 != 0 || shape.dim(4) % 2 != 0) {
            throw WanException.mismatch("patchify", "[batch, frames, channels, even, even]", shape, "");
        }
        int rows = shape.dim(3) / 2;
        int columns = shape.dim(4) / 2;
        DeviceTensor from = Operands.activation("patchify", latents);
        DeviceTensor y = scratch.take(Shape.of((long) shape.dim(0) * shape.dim(1) * rows * columns, 4L * shape.dim(2)));
        Operands.begin("patchify");
        recorder.addElements(
                Kernel.PATCHIFY, y.shape().intSize(), from.offset(), y.offset(), shape.dim(2), rows, columns);
        return y;
    }

    @Override
    public Tensor unpatchify(Tensor patches, Grid grid) {
        int width = OpChecks.rowLength("unpatchify", patches);
        int count = patches.shape().dim(0);
        if (width % 4 != 0 || grid.tokens() < 1 || count % grid.tokens() != 0) {
            throw WanException.mismatch(
                    "unpatchify", "[batch * " + grid.tokens() + ", 4 channels]", patches.shape(), "");
        }
        DeviceTensor from = Operands.activation("unpatchify", patches);
        DeviceTensor y = scratch.take(
                Shape.of(count / grid.tokens(), grid.frames(), width / 4, 2L * grid.rows(), 2L * grid.columns()));
        Operands.begin("unpatchify");
        recorder.addElements(
                Kernel.UNPATCHIFY,
                y.shape().intSize(),
                from.offset(),
                y.offset(),
                width / 4,
                grid.rows(),
                grid.columns());
        return y;
    }

    @Override
    public void close() {
        if (counters().programs() > 0) {
            LOG.log(System.Logger.Level.INFO, "device {0}: {1}", target.name(), counters());
        }
        recorder.close();
    }
}
