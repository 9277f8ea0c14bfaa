package tornado;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CancellationException;
import wan.backend.MemoryPlan;
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
import wan.op.QueryGroupTap;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;
import wan.op.UsageException;
import wan.op.WanException;

/**
 * The TornadoVM backend: each operation becomes calls of kernels, which are recorded into task graphs once and replayed from then on.
 *
 * <p>The host runs the model's code in every pass, which costs microseconds: it fills the slots. What runs on the device is decided by
 * the kernels and their arrays alone, so layers, passes, frame blocks and sessions share graphs. Results of taps arrive when the graph
 * before the attention has run: at once, or, in a pass that is being recorded, when its outermost scope closes.
 *
 * <p>For one calling thread at a time; an interrupt is seen before the next operation.
 */
public final class TornadoOps implements Ops {
    private static final System.Logger LOG = System.getLogger("wan.tornado");

    private static final int[] NOTHING = {};

    private final DeviceTarget target;
    private final boolean rehearsal;
    private final Parameters parameters = new Parameters();
    private final ScratchStack scratch = new ScratchStack();
    private final Recorder recorder;
    private final HalfCalls halves;
    private String lastLinear = "";

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

    /** What the factors of a linear layer's products are rounded to: tensor cores and libraries take the inputs as they take the weights. */
    @Override
    public DType productType() {
        return target.cublas() || target.tensorLinears() ? target.storage().weights() : DType.F32;
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
                } else {
                    halves.ask();
                }
                recorder.drain();
                halves.judge();
            } else {
                recorder.cut();
            }
        });
    }

    /** A scope within one operation: its graphs do not end with it. */
    Scope lent() {
        return scratch.open(outermost -> {
            if (outermost) {
                recorder.drain();
            }
        });
    }

    @Override
    public Tensor scratch(Shape shape) {
        return scratch.take(shape);
    }

    @Override
    public void write(Tensor target, float[] values) {
        DeviceTensor to = activation("write", target);
        if (values.length != to.shape().size()) {
            throw WanException.mismatch("write", to.shape().size() + " values for " + to.shape(), values.length, "");
        }
        begin("write");
        recorder.upload(to, values);
    }

    @Override
    public float[] read(Tensor source) {
        DeviceTensor from = activation("read", source);
        begin("read");
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
        DeviceLinear linear = new DeviceLinear(weight, out, parameters.add(bias.toFloats()));
        recorder.register(linear);
        return linear;
    }

    @Override
    public Tensor linear(Tensor x, Linear weights) {
        return linear("linear", x, weights, LinearKernels.BIAS);
    }

    @Override
    public Tensor linearGelu(Tensor x, Linear weights) {
        return linear("linearGelu", x, weights, LinearKernels.GELU);
    }

    private Tensor linear(String op, Tensor x, Linear weights, int mode) {
        DeviceLinear w = own(op, x, weights);
        DeviceTensor y = scratch.take(Shape.of(x.shape().dim(0), w.outFeatures()));
        linearInto(op, x, w, y, mode, 0, 0, 1);
        return y;
    }

    @Override
    public void linearResidual(Tensor residual, Tensor x, Linear weights) {
        linearInto("linearResidual", x, own("linearResidual", x, weights), residual, LinearKernels.ADD, 0, 0, 1);
    }

    @Override
    public void linearGatedResidual(Tensor residual, Tensor x, Linear weights, Tensor modulation, int gateRow) {
        String op = "linearGatedResidual";
        DeviceLinear w = own(op, x, weights);
        int rows = x.shape().dim(0);
        int entries = OpChecks.entries(op, modulation, rows, w.outFeatures(), gateRow);
        int gate = activation(op, modulation).offset() + gateRow * w.outFeatures();
        int stride = modulation.shape().dim(1) * w.outFeatures();
        linearInto(op, x, w, residual, LinearKernels.ADD_GATED, gate, stride, Math.max(1, rows / entries));
    }

    private static DeviceLinear own(String op, Tensor x, Linear weights) {
        if (!(weights instanceof DeviceLinear own)) {
            throw WanException.mismatch(op, "parameters of the tornado backend", weights, "");
        }
        if (x.shape().rank() != 2 || x.shape().dim(1) != own.inFeatures()) {
            throw WanException.mismatch(op + " " + own.name(), "x [R, " + own.inFeatures() + "]", x.shape(), "");
        }
        return own;
    }

    private void linearInto(
            String op, Tensor x, DeviceLinear w, Tensor y, int mode, int gate, int gateStride, int rowsPerEntry) {
        int rows = x.shape().dim(0);
        OpChecks.expect(op + " " + w.name(), y, rows, w.outFeatures());
        DeviceTensor from = activation(op, x);
        DeviceTensor to = activation(op, y);
        if (from.equals(to)) {
            throw new WanException(op + " " + w.name() + ": x and the residual are the same tensor");
        }
        begin(op);
        recorder.place(w);
        lastLinear = " after " + w.layer();
        recorder.in(w.layer());
        if (rows > 0) {
            boolean wide = target.storage().weights() == DType.F32;
            boolean library = Linears.byLibrary(target, rows, w);
            boolean tensor = Linears.byTensorCores(target, rows);
            Store weights = wide || library || tensor ? w.shard() : halves.widen(w);
            int[] slot = {
                rows,
                w.inFeatures(),
                w.outFeatures(),
                from.offset(),
                w.inFeatures(),
                to.offset(),
                w.outFeatures(),
                weights == w.shard() ? w.vector() : 0,
                mode,
                0,
                w.bias(),
                gate,
                gateStride,
                rowsPerEntry,
                0,
                0
            };
            if (tensor) {
                scratch.lend(Linears.tensorSums(rows, w.outFeatures()), sums -> {
                    slot[15] = sums;
                    recorder.add(Linears.tensor(weights, slot));
                });
            } else if (!library) {
                recorder.add(Linears.call(target, weights, slot));
            } else {
                recorder.addTogether(Linears.library(weights, wide ? new int[0] : halves.roundingInputs(w), slot));
            }
        }
    }

    @Override
    public Tensor silu(Tensor x) {
        DeviceTensor from = activation("silu", x);
        DeviceTensor y = scratch.take(x.shape());
        begin("silu");
        elements(Kernel.SILU, y.shape().intSize(), from.offset(), y.offset());
        return y;
    }

    @Override
    public Tensor rmsNorm(Tensor x, Tensor weight, float eps) {
        String op = "rmsNorm";
        int dim = OpChecks.rowLength(op, x);
        OpChecks.expect(op + " weight", weight, dim);
        return rows(op, Kernel.RMS_NORM, x, eps, parameter(op, weight).offset());
    }

    @Override
    public Tensor layerNorm(Tensor x, Tensor weight, Tensor bias, float eps) {
        String op = "layerNorm";
        int dim = OpChecks.rowLength(op, x);
        OpChecks.expect(op + " weight", weight, dim);
        OpChecks.expect(op + " bias", bias, dim);
        return rows(
                op,
                Kernel.LAYER_NORM,
                x,
                eps,
                parameter(op, weight).offset(),
                parameter(op, bias).offset());
    }

    @Override
    public Tensor layerNormModulate(Tensor x, Tensor modulation, int shiftRow, int scaleRow, float eps) {
        String op = "layerNormModulate";
        int dim = OpChecks.rowLength(op, x);
        int rows = x.shape().dim(0);
        int entries = OpChecks.entries(op, modulation, rows, dim, shiftRow);
        int _ = OpChecks.entries(op, modulation, rows, dim, scaleRow);
        int m = activation(op, modulation).offset();
        int entryValues = modulation.shape().dim(1) * dim;
        return rows(
                op,
                Kernel.LAYER_NORM_MODULATE,
                x,
                eps,
                m + scaleRow * dim,
                m + shiftRow * dim,
                entryValues,
                Math.max(1, rows / entries));
    }

    /** A kernel with one group per row. */
    private Tensor rows(String op, Kernel kernel, Tensor x, float eps, int... more) {
        DeviceTensor from = activation(op, x);
        DeviceTensor y = scratch.take(x.shape());
        begin(op);
        int rows = x.shape().dim(0);
        int[] slot = new int[5 + more.length];
        slot[0] = rows;
        slot[1] = x.shape().dim(1);
        slot[2] = from.offset();
        slot[3] = y.offset();
        slot[4] = parameters.constant(eps);
        System.arraycopy(more, 0, slot, 5, more.length);
        if (rows > 0) {
            recorder.add(new Call(kernel, null, null, slot, List.of(), rows, target.rowItems()));
        }
        return y;
    }

    @Override
    public Tensor modulation(Tensor table, Tensor embedding) {
        String op = "modulation";
        int width = OpChecks.rowLength(op, embedding);
        if (table.shape().rank() != 3 || table.shape().dim(0) != 1) {
            throw WanException.mismatch(op + " table", "[1, rows, dim]", table.shape(), "");
        }
        int rows = table.shape().dim(1);
        int dim = table.shape().dim(2);
        if (width != rows * dim && width != dim) {
            throw WanException.mismatch(
                    op, "embedding [E, " + rows * dim + "] or [E, " + dim + "]", embedding.shape(), "");
        }
        DeviceTensor base = parameter(op, table);
        DeviceTensor added = activation(op, embedding);
        DeviceTensor y = scratch.take(Shape.of(embedding.shape().dim(0), rows, dim));
        begin(op);
        elements(Kernel.MODULATION, y.shape().intSize(), y.offset(), base.offset(), rows * dim, added.offset(), width);
        return y;
    }

    @Override
    public void rope(Tensor x, int numHeads, Grid grid, Dyn positions) {
        String op = "rope";
        int dim = OpChecks.rowLength(op, x);
        int rows = x.shape().dim(0);
        if (numHeads < 1 || dim % (2 * numHeads) != 0) {
            throw WanException.mismatch(op, "rows of " + numHeads + " heads of even size", x.shape(), "");
        }
        if (grid.tokens() < 1 || rows % grid.tokens() != 0) {
            throw WanException.mismatch(op, "a multiple of " + grid.tokens() + " rows for " + grid, x.shape(), "");
        }
        int[] frames = positions.values();
        if (frames.length != grid.frames() || Arrays.stream(frames).anyMatch(frame -> frame < 0)) {
            throw WanException.mismatch(op, "a position from 0 for each frame of " + grid, positions, "");
        }
        DeviceTensor at = activation(op, x);
        begin(op);
        recorder.sawFrames(grid.frames());
        int pairs = dim / numHeads / 2;
        int third = pairs / 3;
        if (rows == 0) {
            return;
        }
        int last = Arrays.stream(frames).max().orElse(0);
        recorder.add(recorder.elements(
                Kernel.ROPE,
                null,
                null,
                rows * numHeads * pairs,
                List.of(new Call.Table(7, frames)),
                at.offset(),
                numHeads,
                pairs,
                grid.tokens(),
                grid.rows(),
                grid.columns(),
                0,
                parameters.ropeTable(pairs - 2 * third, last + 1),
                parameters.ropeTable(third, Math.max(grid.rows(), grid.columns()))));
    }

    @Override
    public KvTensor kvCache(int batch, int pages, int pageTokens, int numHeads, int headDim) {
        if (target.kernels() != DeviceTarget.Kernels.VECTOR && headDim > AttentionKernels.SHARED_HEAD_DIM) {
            throw WanException.mismatch(
                    "attention", "heads of at most " + AttentionKernels.SHARED_HEAD_DIM + " channels", headDim, "");
        }
        return recorder.cache(new PagePool.Geometry(pageTokens, numHeads, headDim), batch, pages);
    }

    @Override
    public void release(KvTensor cache) {
        recorder.drain();
        own("release", cache).release();
    }

    @Override
    public void append(KvTensor cache, Tensor k, Tensor v, Dyn pages) {
        String op = "append";
        DeviceCache kv = own(op, cache);
        int dim = kv.numHeads() * kv.headDim();
        int[] numbers = Present.values(pages);
        int entries = kv.batch() * numbers.length;
        OpChecks.expect(op + " k", k, (long) entries * kv.pageTokens(), dim);
        OpChecks.expect(op + " v", v, (long) entries * kv.pageTokens(), dim);
        for (int page : numbers) {
            if (page >= 0) {
                kv.write(op, page);
            }
        }
        DeviceTensor keys = activation(op, k);
        DeviceTensor values = activation(op, v);
        begin(op);
        if (entries > 0) {
            PagePool.Geometry page = kv.pool().geometry();
            boolean half = target.convertsHalf();
            int[] places = Arrays.stream(numbers)
                    .map(number -> number < 0 ? CacheKernels.LEFT_OUT : number)
                    .toArray();
            Pages to = half ? halves.stored(kv, places) : halves.writable(kv, places);
            recorder.add(cacheCall(
                    half ? Kernel.APPEND_HALF_KEYS : Kernel.APPEND_KEYS,
                    to.keys(),
                    entries * page.keyElements(),
                    keys.offset(),
                    kv,
                    to,
                    half ? halves.narrowingCache("keys" + lastLinear) : NOTHING));
            recorder.add(cacheCall(
                    half ? Kernel.APPEND_HALF_VALUES : Kernel.APPEND_VALUES,
                    to.values(),
                    entries * page.valueElements(),
                    values.offset(),
                    kv,
                    to,
                    half ? halves.narrowingCache("values" + lastLinear) : NOTHING));
            if (!half) {
                halves.written(kv, numbers, lastLinear);
            }
        }
    }

    @Override
    public Tensor loadPages(KvTensor cache, CachePart part, Dyn pages) {
        String op = "loadPages";
        DeviceCache kv = own(op, cache);
        int[] numbers = Present.values(pages);
        for (int page : numbers) {
            kv.require(op, page);
        }
        DeviceTensor out = scratch.take(
                Shape.of((long) kv.batch() * numbers.length * kv.pageTokens(), (long) kv.numHeads() * kv.headDim()));
        begin(op);
        if (numbers.length > 0) {
            Kernel kernel = part == CachePart.KEYS ? Kernel.READ_KEYS : Kernel.READ_VALUES;
            recorder.cut();
            Pages from = halves.readable(kv, numbers);
            Store store = part == CachePart.KEYS ? from.keys() : from.values();
            recorder.add(cacheCall(kernel, store, out.shape().intSize(), out.offset(), kv, from));
        }
        return out;
    }

    private Call cacheCall(Kernel kernel, Store store, int items, int at, DeviceCache kv, Pages pages, int... more) {
        int[] arguments = {
            at,
            kv.batch(),
            pages.numbers().length,
            0,
            pages.first(),
            pages.perSample(),
            kv.pageTokens(),
            kv.numHeads(),
            kv.headDim()
        };
        int[] all = Arrays.copyOf(arguments, arguments.length + more.length);
        System.arraycopy(more, 0, all, arguments.length, more.length);
        return recorder.elements(kernel, store, null, items, List.of(new Call.Table(4, pages.numbers())), all);
    }

    /**
     * Frees nothing: a page is one range of a pool's array, with all heads in it, and recorded graphs hold that array. Pages that no head
     * keeps are used again all the same, since a policy's schedule gives their numbers to new frames.
     */
    @Override
    public void discard(KvTensor cache, int[] heads, int[] pages) {
        DeviceCache kv = own("discard", cache);
        for (int page : pages) {
            kv.require("discard", page);
        }
    }

    @Override
    public float[] readPages(KvTensor cache, CachePart part, int[] pages) {
        String op = "readPages";
        DeviceCache kv = own(op, cache);
        for (int page : pages) {
            kv.require(op, page);
        }
        Shape shape = Shape.of(kv.batch(), (long) pages.length * kv.pageTokens(), kv.numHeads(), kv.headDim());
        if (shape.size() == 0) {
            return new float[0];
        }
        try (Scope _ = scope()) {
            DeviceTensor out = scratch.take(shape);
            Kernel kernel = part == CachePart.KEYS ? Kernel.READ_KEYS : Kernel.READ_VALUES;
            recorder.cut();
            Pages from = halves.readable(kv, pages);
            Store store = part == CachePart.KEYS ? from.keys() : from.values();
            recorder.add(cacheCall(kernel, store, shape.intSize(), out.offset(), kv, from));
            return read(out);
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
        String op = "attention";
        DeviceCache kv = own(op, cache);
        int queries = AttentionShapes.queries(q.shape(), kv, queryGroupTokens, keyGroupTokens);
        int[] attended = Present.values(pages);
        if (attended.length == 0) {
            throw WanException.mismatch(op, "at least one page", pages, "");
        }
        for (int page : attended) {
            kv.require(op, page);
        }
        edit.check(kv, attended.length, queries / queryGroupTokens);
        DeviceTensor from = activation(op, q);
        DeviceTensor out = scratch.take(q.shape());
        begin(op);
        int groups = edit.byQueryGroup().size();
        if (groups == 0) {
            attend(from, out, kv, attended, queries, queryGroupTokens, keyGroupTokens, tap, edit);
            return out;
        }
        if (kv.batch() > 1) {
            throw new UsageException(
                    "cache policy: expected one sample where the frames of a block see different keys on"
                            + " this device, got " + kv.batch() + "; run them one by one, or on the JVM");
        }
        QueryGroupTap gathering = new QueryGroupTap(tap, groups, queryGroupTokens);
        for (int group = 0; group < groups; group++) {
            attend(
                    from.rows(group * queryGroupTokens, queryGroupTokens),
                    out.rows(group * queryGroupTokens, queryGroupTokens),
                    kv,
                    attended,
                    queryGroupTokens,
                    queryGroupTokens,
                    keyGroupTokens,
                    gathering.part(group),
                    edit.byQueryGroup().get(group));
        }
        return out;
    }

    private void attend(
            DeviceTensor from,
            DeviceTensor out,
            DeviceCache kv,
            int[] attended,
            int queries,
            int queryGroupTokens,
            int keyGroupTokens,
            AttentionTap tap,
            AttentionEdit edit) {
        boolean library = edit.isNone() && SdpaCalls.byLibrary(target, kv, queries); // a library's cannot be changed
        if (library && tap.wanted().isEmpty()) {
            sdpa(from, out, kv, queries, attended);
            return;
        }
        boolean tensor = !library && target.tensorAttention();
        Pages stored = halves.stored(kv, attended);
        boolean masses = tap.wanted().stream().anyMatch(Quantity::inAttention);
        boolean ownKernel =
                library && masses && !SdpaCalls.massesByLibrary(kv, attended.length * kv.pageTokens() / keyGroupTokens);
        boolean onlyMasses = tap.wanted().stream().allMatch(Quantity::inAttention);
        Pages readable = onlyMasses && (tensor || (library && !ownKernel)) ? stored : halves.readable(kv, attended);
        int scale = parameters.constant((float) (1 / Math.sqrt(kv.headDim())));
        DeviceTensor changes = edit.isNone() ? from : upload(AttentionOperands.numbers(edit, kv.numHeads()));
        AttentionOperands call = new AttentionOperands(
                target,
                from,
                kv,
                tensor ? stored : readable,
                queries,
                scale,
                edit,
                changes,
                tensor ? halves.narrowingCache("queries" + lastLinear) : NOTHING);
        if (tap.wanted().isEmpty()) {
            call.record(out, recorder, scratch);
            return;
        }
        CaptureCalls captures =
                new CaptureCalls(this, recorder, target, call, readable, queryGroupTokens, keyGroupTokens, tap);
        captures.record();
        if (!captures.wantsMass()) {
            if (library) {
                sdpa(from, out, kv, queries, attended);
            } else {
                call.record(out, recorder, scratch);
            }
        } else if (library && !ownKernel) {
            captures.masses(to ->
                    recorder.addTogether(libraryWithMasses(from, out, to, kv, queries, attended, keyGroupTokens)));
        } else {
            captures.masses(to -> call.record(out, to, keyGroupTokens, recorder, scratch));
            if (library) {
                // Replaces the output of the kernel that keeps masses: a capture changes nothing of what follows.
                sdpa(from, out, kv, queries, attended);
            }
        }
    }

    private DeviceTensor upload(float[] values) {
        DeviceTensor to = scratch.take(Shape.of(values.length));
        recorder.upload(to, values);
        return to;
    }

    @Override
    public void averageHeads(Tensor x, int numHeads, int[] heads, int groupTokens) {
        String op = "averageHeads";
        HeadShapes.check(op, x.shape(), numHeads, heads);
        int rows = x.shape().dim(0);
        int dim = OpChecks.rowLength(op, x);
        if (groupTokens < 1 || rows % groupTokens != 0) {
            throw WanException.mismatch(op, "rows in groups of " + groupTokens, x.shape(), "");
        }
        DeviceTensor at = activation(op, x);
        begin(op);
        int headDim = dim / numHeads;
        int items = rows / groupTokens * heads.length * headDim;
        if (items > 0) {
            recorder.add(recorder.elements(
                    Kernel.AVERAGE_HEADS,
                    null,
                    null,
                    items,
                    List.of(new Call.Table(6, heads.clone())),
                    at.offset(),
                    dim,
                    headDim,
                    heads.length,
                    groupTokens,
                    0));
        }
    }

    @Override
    public void mixHeads(Tensor x, int numHeads, int[] heads, float keep, Tensor values) {
        String op = "mixHeads";
        HeadShapes.check(op, x.shape(), numHeads, heads);
        int dim = OpChecks.rowLength(op, x);
        int headDim = dim / numHeads;
        OpChecks.expect(op + " values", values, x.shape().dim(0), (long) heads.length * headDim);
        DeviceTensor at = activation(op, x);
        DeviceTensor from = activation(op, values);
        begin(op);
        if (from.shape().size() > 0) {
            DeviceTensor kept =
                    upload(new float[] {keep}); // a number of this step, which no table of constants should keep
            recorder.add(recorder.elements(
                    Kernel.MIX_HEADS,
                    null,
                    null,
                    from.shape().intSize(),
                    List.of(new Call.Table(7, heads.clone())),
                    at.offset(),
                    from.offset(),
                    dim,
                    headDim,
                    heads.length,
                    kept.offset(),
                    0));
        }
    }

    @Override
    public void gatedResidual(Tensor residual, Tensor y, Tensor modulation, int gateRow) {
        String op = "gatedResidual";
        int dim = OpChecks.rowLength(op, residual);
        int rows = residual.shape().dim(0);
        OpChecks.expect(op, y, rows, dim);
        int entries = OpChecks.entries(op, modulation, rows, dim, gateRow);
        DeviceTensor to = activation(op, residual);
        DeviceTensor from = activation(op, y);
        int gate = activation(op, modulation).offset() + gateRow * dim;
        begin(op);
        elements(
                Kernel.GATED_RESIDUAL,
                rows * dim,
                to.offset(),
                from.offset(),
                dim,
                gate,
                modulation.shape().dim(1) * dim,
                Math.max(1, rows / entries));
    }

    /** In a graph of its own: it is compiled for every number of pages. */
    private void sdpa(DeviceTensor q, DeviceTensor out, DeviceCache kv, int queries, int[] pages) {
        recorder.cut();
        recorder.addTogether(SdpaCalls.library(q, out, kv, queries, pages, halves.roundingQueries(lastLinear)));
        recorder.cut();
    }

    private List<Call> libraryWithMasses(
            DeviceTensor q,
            DeviceTensor out,
            DeviceTensor masses,
            DeviceCache kv,
            int queries,
            int[] pages,
            int keyGroupTokens) {
        int[] rounding = halves.roundingQueries(lastLinear);
        List<Call> calls = new ArrayList<>(SdpaCalls.library(q, out, kv, queries, pages, rounding));
        calls.addAll(SdpaCalls.masses(q, masses, kv, queries, pages, keyGroupTokens, rounding));
        return calls;
    }

    @Override
    public Tensor patchify(Tensor latents) {
        Shape shape = latents.shape();
        if (shape.rank() != 5 || shape.dim(3) % 2 != 0 || shape.dim(4) % 2 != 0) {
            throw WanException.mismatch("patchify", "[batch, frames, channels, even, even]", shape, "");
        }
        int rows = shape.dim(3) / 2;
        int columns = shape.dim(4) / 2;
        DeviceTensor from = activation("patchify", latents);
        DeviceTensor y = scratch.take(Shape.of((long) shape.dim(0) * shape.dim(1) * rows * columns, 4L * shape.dim(2)));
        begin("patchify");
        elements(Kernel.PATCHIFY, y.shape().intSize(), from.offset(), y.offset(), shape.dim(2), rows, columns);
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
        DeviceTensor from = activation("unpatchify", patches);
        DeviceTensor y = scratch.take(
                Shape.of(count / grid.tokens(), grid.frames(), width / 4, 2L * grid.rows(), 2L * grid.columns()));
        begin("unpatchify");
        elements(
                Kernel.UNPATCHIFY,
                y.shape().intSize(),
                from.offset(),
                y.offset(),
                width / 4,
                grid.rows(),
                grid.columns());
        return y;
    }

    private void elements(Kernel kernel, int items, int... arguments) {
        if (items > 0) {
            recorder.add(recorder.elements(kernel, null, items, arguments));
        }
    }

    @Override
    public void close() {
        if (counters().programs() > 0) {
            LOG.log(System.Logger.Level.INFO, "device {0}: {1}", target.name(), counters());
        }
        recorder.close();
    }

    /** The one place where a pass can be stopped. */
    private static void begin(String op) {
        if (Thread.interrupted()) {
            throw new CancellationException(op + ": stopped by an interrupt");
        }
    }

    private static DeviceTensor own(String op, Tensor tensor) {
        if (tensor instanceof DeviceTensor own) {
            return own.alive(op);
        }
        throw WanException.mismatch(op, "a tensor of the tornado backend", tensor, "");
    }

    private static DeviceTensor activation(String op, Tensor tensor) {
        DeviceTensor own = own(op, tensor);
        if (own.parameter()) {
            throw WanException.mismatch(op, "an activation " + own.shape(), "a parameter", "write it to scratch first");
        }
        return own;
    }

    private static DeviceTensor parameter(String op, Tensor tensor) {
        DeviceTensor own = own(op, tensor);
        if (!own.parameter()) {
            throw WanException.mismatch(op, "a parameter " + own.shape(), "an activation", "make it with parameter()");
        }
        return own;
    }

    private static DeviceCache own(String op, KvTensor cache) {
        if (cache instanceof DeviceCache own) {
            return own;
        }
        throw WanException.mismatch(op, "a cache of the tornado backend", cache, "");
    }
}
