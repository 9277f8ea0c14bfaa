package tornado;

import java.util.Arrays;
import java.util.List;
import wan.op.DType;
import wan.op.Shape;

/** Calls that make an attention of cuDNN, of queries and pages where they are. */
final class SdpaCalls {
    /** Above, our own attention keeps the masses on its way. */
    private static final int MOST_MASS_CALLS = 4;

    private static final int LARGEST_HEAD = 256;

    /** cuDNN's heads, and the columns of masses, are multiples of it. */
    private static final int CHANNELS = 8;

    private final DeviceTarget target;
    private final Recorder recorder;
    private final ScratchStack scratch;
    private final HalfCalls halves;

    SdpaCalls(DeviceTarget target, Recorder recorder, ScratchStack scratch, HalfCalls halves) {
        this.target = target;
        this.recorder = recorder;
        this.scratch = scratch;
        this.halves = halves;
    }

    /** Whether keys and values of such heads are stored for cuDNN: where it is used, and has the attention. */
    static boolean suits(DeviceTarget target, int headDim) {
        return target.cudnn() && headDim % CHANNELS == 0 && headDim <= LARGEST_HEAD;
    }

    /** Calls of the library that masses of so many key groups take: each has a column of the result for a group. */
    private static int massCalls(DeviceCache kv, int keyGroups) {
        return Math.ceilDiv(keyGroups, kv.headDim());
    }

    /** Whether the masses of so many key groups are the library's too: it costs an attention for each headDim of them. */
    static boolean massesByLibrary(DeviceCache kv, int keyGroups) {
        return massCalls(kv, keyGroups) <= MOST_MASS_CALLS;
    }

    /**
     * What one attention works on. The order of keys is free: pages that lie side by side are read as they lie, whatever their order;
     * others by a table of blocks.
     *
     * @param queries of one sample
     * @param place of the queries in the array of halves
     * @param first the first row of keys in the pool
     * @param order for each page, as it is read, which one it is of those attended to
     * @param block rows of a block, or 0
     * @param table lengths and blocks, as {@link CudnnAttention.Places} has them
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Operands(DeviceCache kv, int queries, int place, int first, int[] order, int block, int[] table) {
        private int keys() {
            return order.length * kv.pageTokens();
        }

        private Call call(int out, DType type, int groups, int columns) {
            int[] slot = {
                queries,
                kv.batch(),
                kv.numHeads(),
                kv.headDim(),
                place,
                out,
                CudnnAttention.type(type),
                first,
                keys(),
                kv.pages() * kv.pageTokens(),
                block,
                0,
                groups,
                columns
            };
            List<Call.Table> tables = block == 0 ? List.of() : List.of(new Call.Table(11, table));
            return new Call(Kernel.SDPA, kv.pool().keys(), kv.pool().values(), slot, tables, 0, 0);
        }
    }

    /**
     * Finds the queries in float16, or rounds them.
     *
     * @param queries of one sample
     * @param pages which are attended to, in order
     */
    Operands operands(DeviceTensor q, DeviceCache kv, int queries, int[] pages) {
        int place = inHalves(q);
        int lowest = Arrays.stream(pages).min().orElseThrow();
        int[] order = new int[pages.length];
        Arrays.fill(order, -1);
        boolean sideBySide = true;
        for (int i = 0; i < pages.length; i++) {
            int at = pages[i] - lowest;
            sideBySide &= at < order.length && order[at] < 0;
            if (sideBySide) {
                order[at] = i;
            }
        }
        if (sideBySide) {
            return new Operands(kv, queries, place, (kv.first() + lowest) * kv.pageTokens(), order, 0, new int[0]);
        }
        Arrays.setAll(order, i -> i);
        int block = Math.min(Integer.lowestOneBit(kv.pageTokens()), CudnnAttention.LARGEST_BLOCK);
        int[] table = table(kv, queries, pages, block);
        return new Operands(kv, queries, place, kv.first() * kv.pageTokens(), order, block, table);
    }

    private static int[] table(DeviceCache kv, int queries, int[] pages, int block) {
        int ofPage = kv.pageTokens() / block;
        int blocks = pages.length * ofPage;
        int[] table = new int[kv.batch() * (2 + blocks)];
        for (int sample = 0; sample < kv.batch(); sample++) {
            table[sample] = queries;
            table[kv.batch() + sample] = blocks * block;
            for (int i = 0; i < blocks; i++) {
                int page = sample * kv.pages() + pages[i / ofPage];
                table[2 * kv.batch() + sample * blocks + i] = page * ofPage + i % ofPage;
            }
        }
        return table;
    }

    private int inHalves(DeviceTensor q) {
        String what = "queries" + recorder.afterLayer();
        DType dtype = target.storage().cache();
        Recorder.Rounded before = recorder.rounded();
        if (before != null && before.from() == q.offset() && before.dtype() == dtype) {
            halves.name(before.number(), what);
            return before.to();
        }
        int to = scratch.takeHalves(q.shape());
        int items = q.shape().intSize();
        List<Call.Table> tables = List.of(new Call.Table(3, halves.roundingQueries(what)));
        recorder.add(recorder.elements(Kernel.ROUND_ROWS, null, null, items, tables, q.offset(), to, 0));
        return to;
    }

    /** The attention, in float32. */
    void attend(Operands of, DeviceTensor out) {
        recorder.add(of.call(out.offset(), DType.F32, -1, of.kv().headDim()));
    }

    /** Whether a linear layer takes its input as cuDNN can leave the result: not in float32 only. */
    boolean leavesHalves(int rows) {
        DType weights = target.storage().weights();
        return Linears.roundsInputs(target, rows) && (weights == DType.F16 || weights == DType.BF16);
    }

    /**
     * The attention, as the linear layer behind it takes its input: in 16 bits, and in float32 for whatever else wants it.
     *
     * @param out room for floats
     */
    DeviceHalf attendInHalves(Operands of, DeviceTensor out) {
        int place = scratch.takeHalves(out.shape());
        recorder.add(of.call(place, target.storage().weights(), -1, of.kv().headDim()));
        return new DeviceHalf(out, place, 0, () -> attend(of, out));
    }

    /**
     * The masses: an attention over values that are 1 where a key is in a group and 0 elsewhere has them as its result.
     *
     * @param masses where they go, [B, N, Lq, K]
     */
    void masses(Operands of, DeviceTensor masses, int keyGroupTokens) {
        DeviceCache kv = of.kv();
        int groups = masses.shape().dim(3);
        int rows = kv.batch() * kv.numHeads() * of.queries();
        for (int call = 0; call < massCalls(kv, groups); call++) {
            int first = call * kv.headDim();
            int columns = Math.ceilDiv(Math.min(kv.headDim(), groups - first), CHANNELS) * CHANNELS;
            Shape values = Shape.of(kv.batch(), of.keys(), columns);
            int place = scratch.takeHalves(values);
            recorder.add(recorder.elements(
                    Kernel.KEY_GROUPS,
                    null,
                    null,
                    values.intSize(),
                    List.of(new Call.Table(7, of.order())),
                    place,
                    of.keys(),
                    columns,
                    kv.pageTokens(),
                    keyGroupTokens,
                    first,
                    0));
            scratch.lend((long) rows * columns, room -> {
                recorder.add(of.call(room, DType.F32, place, columns));
                int items = Math.multiplyExact(rows, columns);
                recorder.addElements(Kernel.GATHER_MASSES, items, room, masses.offset(), columns, first, groups);
            });
        }
    }
}
