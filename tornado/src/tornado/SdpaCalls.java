package tornado;

import java.util.List;
import wan.op.DType;

/** Calls that make an attention of a library, over pages as they are stored. */
final class SdpaCalls {
    private SdpaCalls() {}

    /** Whether an attention is a library's: where the device has one for the type and the head, and its arrays can be as long. */
    static boolean byLibrary(DeviceTarget target, DeviceCache kv, int queries) {
        LibraryCall largest =
                new LibraryCall.Sdpa(kv.batch(), kv.numHeads(), kv.headDim(), kv.pageTokens(), kv.pages(), kv.pages());
        return target.cudnn()
                && SdpaOperands.supports(kv.headDim())
                && largest.fits(queries, target.arrayElements(DType.F16));
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
        int[] slot = {
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
            kv.pages()
        };
        List<Call.Table> tables = List.of(new Call.Table(8, pages), new Call.Table(13, rounding));
        int token = kv.batch() * kv.numHeads() * kv.headDim();
        int keys = Math.multiplyExact(token, pages.length * kv.pageTokens());
        int rows = Math.multiplyExact(token, queries);
        PagePool pool = kv.pool();
        return List.of(
                Call.elements(Kernel.STAGE_QUERIES, null, rows, tables, slot),
                Call.elements(Kernel.STAGE_KEYS, pool.keys(), keys, tables, slot),
                Call.elements(Kernel.STAGE_VALUES, pool.values(), keys, tables, slot),
                new Call(Kernel.SDPA, null, null, slot, List.of(), 0, 0),
                Call.elements(Kernel.FINISH_ATTENTION, null, rows, tables, slot));
    }
}
