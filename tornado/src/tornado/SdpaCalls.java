package tornado;

import java.util.ArrayList;
import java.util.List;
import wan.op.DType;

/** Calls that make an attention of a library, over pages as they are stored. */
final class SdpaCalls {
    /** Above, our own attention keeps the masses on its way. */
    private static final int MOST_MASS_CALLS = 4;

    private SdpaCalls() {}

    /** Whether an attention is a library's: where the device has one for the type and the head, and its arrays can be as long. */
    static boolean byLibrary(DeviceTarget target, DeviceCache kv, int queries) {
        LibraryCall largest =
                new LibraryCall.Sdpa(kv.batch(), kv.numHeads(), kv.headDim(), kv.pageTokens(), kv.pages(), kv.pages());
        return target.cudnn()
                && SdpaOperands.supports(kv.headDim())
                && largest.fits(queries, target.arrayElements(DType.F16));
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
     * One attention.
     *
     * @param queries of one sample
     * @param pages which are attended, in order
     * @param rounding what {@link HalfKernels#pattern} needs for queries
     */
    static List<Call> library(
            DeviceTensor q, DeviceTensor out, DeviceCache kv, int queries, int[] pages, int[] rounding) {
        int[] slot = slot(q, out, kv, queries, pages);
        List<Call.Table> tables = tables(pages, rounding);
        int keys = keyElements(kv, pages);
        int rows = queryElements(kv, queries);
        PagePool pool = kv.pool();
        return List.of(
                Call.elements(Kernel.STAGE_QUERIES, null, rows, tables, slot),
                Call.elements(Kernel.STAGE_KEYS, pool.keys(), keys, tables, slot),
                Call.elements(Kernel.STAGE_VALUES, pool.values(), keys, tables, slot),
                new Call(Kernel.SDPA, null, null, slot, List.of(), 0, 0),
                Call.elements(Kernel.FINISH_ATTENTION, null, rows, tables, slot));
    }

    /**
     * What follows {@link #library} where masses are wanted, in the same graph: an attention over values that are 1 where a key is in a
     * group and 0 elsewhere, whose result is the masses.
     *
     * @param masses where they go, [B, N, Lq, K]
     */
    static List<Call> masses(
            DeviceTensor q,
            DeviceTensor masses,
            DeviceCache kv,
            int queries,
            int[] pages,
            int keyGroupTokens,
            int[] rounding) {
        int groups = masses.shape().dim(3);
        List<Call.Table> tables = tables(pages, rounding);
        List<Call> calls = new ArrayList<>();
        for (int call = 0; call < massCalls(kv, groups); call++) {
            int[] slot = slot(q, masses, kv, queries, pages);
            slot[SdpaKernels.GROUP_TOKENS] = keyGroupTokens;
            slot[SdpaKernels.FIRST_GROUP] = call * kv.headDim();
            slot[SdpaKernels.GROUPS] = groups;
            calls.add(Call.elements(Kernel.STAGE_GROUPS, null, keyElements(kv, pages), tables, slot));
            calls.add(new Call(Kernel.SDPA, null, null, slot, List.of(), 0, 0));
            calls.add(Call.elements(Kernel.FINISH_MASSES, null, queryElements(kv, queries), tables, slot));
        }
        return calls;
    }

    private static int[] slot(DeviceTensor q, DeviceTensor out, DeviceCache kv, int queries, int[] pages) {
        return new int[] {
            queries,
            kv.batch(),
            kv.numHeads(),
            kv.headDim(),
            q.offset(),
            out.offset(),
            kv.pageTokens(),
            pages.length,
            0,
            kv.first(),
            kv.pages(),
            0,
            0,
            0,
            kv.pages(),
            0
        };
    }

    private static List<Call.Table> tables(int[] pages, int[] rounding) {
        return List.of(new Call.Table(8, pages), new Call.Table(13, rounding));
    }

    private static int keyElements(DeviceCache kv, int[] pages) {
        return Math.multiplyExact(kv.batch() * kv.numHeads() * kv.headDim(), pages.length * kv.pageTokens());
    }

    private static int queryElements(DeviceCache kv, int queries) {
        return Math.multiplyExact(kv.batch() * kv.numHeads() * kv.headDim(), queries);
    }
}
