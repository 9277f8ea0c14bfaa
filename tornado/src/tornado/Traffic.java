package tornado;

/**
 * What batches ask of a device, counted from what was recorded, so that a rehearsal of a large model has it too.
 *
 * @param executions of graphs
 * @param launches of kernels of ours
 * @param libraryCalls of cuBLAS and cuDNN
 * @param waits for the device, each with one transfer from it; where TornadoVM runs no graph ahead, every execution is another
 * @param copiedBytes read and written on the device only to bring operands into the form that a library or a kernel takes, and back
 */
public record Traffic(long executions, long launches, long libraryCalls, long waits, long copiedBytes) {
    static final Traffic NONE = new Traffic(0, 0, 0, 0, 0);

    /** One graph and launch before all segments, one after them, and one more launch in each. */
    static Traffic of(Batch batch) {
        long segments = batch.segments().size();
        long calls = 0;
        long libraryCalls = 0;
        long copied = 0;
        for (Segment segment : batch.segments()) {
            calls += segment.calls().size();
            for (Call call : segment.calls()) {
                libraryCalls += call.kernel().isLibrary() ? 1 : 0;
                copied += copied(call);
            }
        }
        return new Traffic(segments + 2, calls - libraryCalls + segments + 2, libraryCalls, 1, copied);
    }

    Traffic plus(Traffic other) {
        return new Traffic(
                executions + other.executions,
                launches + other.launches,
                libraryCalls + other.libraryCalls,
                waits + other.waits,
                copiedBytes + other.copiedBytes);
    }

    /** What came after {@code before}. */
    public Traffic since(Traffic before) {
        return new Traffic(
                executions - before.executions,
                launches - before.launches,
                libraryCalls - before.libraryCalls,
                waits - before.waits,
                copiedBytes - before.copiedBytes);
    }

    /** Whole groups of elements, by what one element takes: bytes read and bytes written. */
    private static long copied(Call call) {
        long elements = (long) call.groups() * call.groupItems();
        return elements
                * switch (call.kernel()) {
                    case KEY_GROUPS -> 2;
                    case GATHER_MASSES -> 4 + 4;
                    case WIDEN_WEIGHTS, WIDEN_PAGES, WIDEN_KEYS, WIDEN_VALUES -> 2 + 4;
                    case WIDEN_BYTES -> 1 + 4;
                    case NARROW_PAGES, ROUND_ROWS -> 4 + 2;
                    default -> 0;
                };
    }
}
