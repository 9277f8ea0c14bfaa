package tornado;

import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.op.CachePart;
import wan.op.Dyn;
import wan.op.Grid;
import wan.op.KvTensor;
import wan.op.OpChecks;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;

/** Keys and values into pages and out of them. */
final class CacheCalls {
    private static final int[] NOTHING = {};

    private final DeviceTarget target;
    private final Recorder recorder;
    private final Parameters parameters;
    private final ScratchStack scratch;
    private final HalfCalls halves;
    private final RowCalls rows;

    CacheCalls(
            DeviceTarget target,
            Recorder recorder,
            Parameters parameters,
            ScratchStack scratch,
            HalfCalls halves,
            RowCalls rows) {
        this.target = target;
        this.recorder = recorder;
        this.parameters = parameters;
        this.scratch = scratch;
        this.halves = halves;
        this.rows = rows;
    }

    KvTensor create(int batch, int pages, int pageTokens, int numHeads, int headDim) {
        if (target.kernels() != DeviceTarget.Kernels.VECTOR && headDim > AttentionKernels.SHARED_HEAD_DIM) {
            throw WanException.mismatch(
                    "attention", "heads of at most " + AttentionKernels.SHARED_HEAD_DIM + " channels", headDim, "");
        }
        return recorder.cache(new PagePool.Geometry(pageTokens, numHeads, headDim), batch, pages);
    }

    /** Checks what goes into pages, and notes that they are written. Returns their numbers. */
    private static int[] written(String op, DeviceCache kv, Tensor k, Tensor v, Dyn pages) {
        int dim = kv.numHeads() * kv.headDim();
        int[] numbers = Present.values(pages);
        long rows = (long) kv.batch() * numbers.length * kv.pageTokens();
        OpChecks.expect(op + " k", k, rows, dim);
        OpChecks.expect(op + " v", v, rows, dim);
        for (int page : numbers) {
            if (page >= 0) {
                kv.write(op, page);
            }
        }
        return numbers;
    }

    void append(KvTensor cache, Tensor k, Tensor v, Dyn pages) {
        String op = "append";
        DeviceCache kv = Operands.cache(op, cache);
        int[] numbers = written(op, kv, k, v, pages);
        DeviceTensor keys = Operands.activation(op, k);
        DeviceTensor values = Operands.activation(op, v);
        Operands.begin(op);
        int entries = kv.batch() * numbers.length;
        if (entries > 0) {
            PagePool.Geometry page = kv.pool().geometry();
            if (kv.pool().isRows()) {
                appendRows(kv, keys, numbers, kv.pool().keys(), "keys");
                appendRows(kv, values, numbers, kv.pool().values(), "values");
                return;
            }
            boolean half = target.convertsHalf();
            int[] places = Arrays.stream(numbers)
                    .map(number -> number < 0 ? CacheKernels.LEFT_OUT : number)
                    .toArray();
            Pages to = half ? halves.stored(kv, places) : halves.writable(kv, places);
            recorder.add(call(
                    half ? Kernel.APPEND_HALF_KEYS : Kernel.APPEND_KEYS,
                    to.keys(),
                    entries * page.keyElements(),
                    keys.offset(),
                    kv,
                    to,
                    half ? halves.narrowingCache("keys" + recorder.afterLayer()) : NOTHING));
            recorder.add(call(
                    half ? Kernel.APPEND_HALF_VALUES : Kernel.APPEND_VALUES,
                    to.values(),
                    entries * page.valueElements(),
                    values.offset(),
                    kv,
                    to,
                    half ? halves.narrowingCache("values" + recorder.afterLayer()) : NOTHING));
            if (!half) {
                halves.written(kv, numbers, recorder.afterLayer());
            }
        }
    }

    /** Into pages that a library reads. */
    private void appendRows(DeviceCache kv, DeviceTensor from, int[] numbers, Store to, String what) {
        int[] pages = kv.inPool(numbers);
        recorder.add(recorder.elements(
                Kernel.APPEND_ROWS,
                to,
                null,
                Math.multiplyExact(pages.length, kv.pool().geometry().rowElements()),
                List.of(
                        new Call.Table(2, pages),
                        new Call.Table(4, halves.narrowingCache(what + recorder.afterLayer()))),
                from.offset(),
                0,
                kv.pool().geometry().rowElements(),
                0));
    }

    /**
     * All at once: {@link wan.op.Ops#normRopeAppend}.
     *
     * @return the queries; null where it takes several kernels: pages are not written as they are stored, or are no frames
     */
    @Nullable
    Tensor normRopeAppend(
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
        String op = "normRopeAppend";
        DeviceCache kv = Operands.cache(op, cache);
        boolean rowsOfHalves = kv.pool().isRows();
        boolean half = rowsOfHalves || target.convertsHalf();
        boolean frames = kv.pageTokens() == grid.frameSeqLen() && pages.count() == grid.frames();
        if (!frames || !(half || kv.pool().isWide())) {
            return null;
        }
        int[] numbers = written(op, kv, k, v, pages);
        RowCalls.Angles angles = rows.angles(op, q, kv.numHeads(), grid, positions);
        int dim = kv.numHeads() * kv.headDim();
        OpChecks.expect(op + " q", q, k.shape().dim(0), dim);
        OpChecks.expect(op + " normQ", normQ, dim);
        OpChecks.expect(op + " normK", normK, dim);
        DeviceTensor queries = Operands.activation(op, q);
        int[] slot = {
            q.shape().dim(0),
            dim,
            queries.offset(),
            Operands.activation(op, k).offset(),
            Operands.activation(op, v).offset(),
            parameters.constant(eps),
            Operands.parameter(op, normQ).offset(),
            Operands.parameter(op, normK).offset(),
            kv.numHeads(),
            grid.frameSeqLen(),
            grid.columns(),
            grid.frames(),
            0,
            0,
            angles.frames(),
            angles.grid()
        };
        Operands.begin(op);
        if (slot[0] > 0) {
            int[] inPool = kv.inPool(numbers);
            int[] places = Arrays.copyOf(positions.values(), numbers.length + inPool.length);
            System.arraycopy(inPool, 0, places, numbers.length, inPool.length);
            Pages to = halves.stored(kv, numbers);
            int[] rounding = half ? rounding() : NOTHING;
            Call.Table positionsAndPages = new Call.Table(12, places);
            if (rowsOfHalves) {
                int place = scratch.takeHalves(q.shape());
                int[] ofQueries = halves.narrowingCache("queries" + recorder.afterLayer());
                int count = rounding.length;
                rounding = Arrays.copyOf(rounding, count + ofQueries.length + 1);
                System.arraycopy(ofQueries, 0, rounding, count, ofQueries.length);
                rounding[count + ofQueries.length] = place;
                List<Call.Table> tables = List.of(positionsAndPages, new Call.Table(13, rounding));
                recorder.addRounding(
                        new Call(
                                Kernel.NORM_ROPE_APPEND_ROWS,
                                to.keys(),
                                to.values(),
                                slot,
                                tables,
                                slot[0],
                                target.rowItems()),
                        new Recorder.Rounded(
                                queries.offset(), place, target.storage().cache(), 0, ofQueries[2]));
                return queries;
            }
            recorder.add(new Call(
                    half ? Kernel.NORM_ROPE_APPEND_HALF : Kernel.NORM_ROPE_APPEND,
                    to.keys(),
                    to.values(),
                    slot,
                    List.of(positionsAndPages, new Call.Table(13, rounding)),
                    slot[0],
                    target.rowItems()));
        }
        return queries;
    }

    /** Of keys, then of values. */
    private int[] rounding() {
        int[] keys = halves.narrowingCache("keys" + recorder.afterLayer());
        int[] values = halves.narrowingCache("values" + recorder.afterLayer());
        int[] both = Arrays.copyOf(keys, keys.length + values.length);
        System.arraycopy(values, 0, both, keys.length, values.length);
        return both;
    }

    Tensor load(KvTensor cache, CachePart part, Dyn pages) {
        DeviceCache kv = Operands.cache("loadPages", cache);
        int[] numbers = Present.values(pages);
        return load("loadPages", kv, part, numbers);
    }

    /**
     * Pages into scratch.
     *
     * @return [batch * n * pageTokens, heads * headDim]
     */
    DeviceTensor load(String op, DeviceCache kv, CachePart part, int[] numbers) {
        for (int page : numbers) {
            kv.require(op, page);
        }
        DeviceTensor out = scratch.take(
                Shape.of((long) kv.batch() * numbers.length * kv.pageTokens(), (long) kv.numHeads() * kv.headDim()));
        Operands.begin(op);
        if (numbers.length > 0) {
            Kernel kernel = part == CachePart.KEYS ? Kernel.READ_KEYS : Kernel.READ_VALUES;
            recorder.cut();
            Pages from = part == CachePart.KEYS ? halves.readableKeys(kv, numbers) : halves.readable(kv, numbers);
            Store store = part == CachePart.KEYS ? from.keys() : from.values();
            recorder.add(call(kernel, store, out.shape().intSize(), out.offset(), kv, from));
        }
        return out;
    }

    private Call call(Kernel kernel, Store store, int items, int at, DeviceCache kv, Pages pages, int... more) {
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
}
