package tornado;

/**
 * What segments ask of a device, counted from what was recorded, so that a rehearsal of a large model has it too.
 *
 * @param executions of graphs: TornadoVM waits for the device at the end of each
 * @param launches of kernels of ours
 * @param libraryCalls of cuBLAS and cuDNN
 * @param sends executions that also send values, besides the numbers of their calls
 * @param fetches executions that fetch values
 * @param copiedBytes read and written on the device only to bring operands into the form that a library or a kernel takes, and back
 */
public record Traffic(long executions, long launches, long libraryCalls, long sends, long fetches, long copiedBytes) {
    static final Traffic NONE = new Traffic(0, 0, 0, 0, 0, 0);

    static Traffic of(Segment segment) {
        long libraryCalls = segment.calls().stream()
                .filter(call -> call.kernel().isLibrary())
                .count();
        return new Traffic(
                1,
                segment.calls().size() - libraryCalls,
                libraryCalls,
                segment.uploads().isEmpty() ? 0 : 1,
                segment.downloadFloats() > 0 ? 1 : 0,
                segment.calls().stream().mapToLong(Traffic::copied).sum());
    }

    Traffic plus(Traffic other) {
        return new Traffic(
                executions + other.executions,
                launches + other.launches,
                libraryCalls + other.libraryCalls,
                sends + other.sends,
                fetches + other.fetches,
                copiedBytes + other.copiedBytes);
    }

    /** What came after {@code before}. */
    public Traffic since(Traffic before) {
        return new Traffic(
                executions - before.executions,
                launches - before.launches,
                libraryCalls - before.libraryCalls,
                sends - before.sends,
                fetches - before.fetches,
                copiedBytes - before.copiedBytes);
    }

    /** Whole groups of elements, by what one element takes: bytes read and bytes written. */
    private static long copied(Call call) {
        long elements = (long) call.groups() * call.groupItems();
        return elements
                * switch (call.kernel()) {
                    case STAGE_ROWS, STAGE_WEIGHTS, FINISH_ROWS -> 4 + 4;
                    case STAGE_HALF_ROWS, STAGE_QUERIES -> 4 + 2;
                    case STAGE_HALF_WEIGHTS, STAGE_KEYS, STAGE_VALUES -> 2 + 2;
                    case FINISH_HALF_ROWS, FINISH_ATTENTION, FINISH_MASSES -> 2 + 4;
                    case STAGE_GROUPS -> 2;
                    case WIDEN_WEIGHTS, WIDEN_PAGES -> 2 + 4;
                    case NARROW_PAGES -> 4 + 2;
                    default -> 0;
                };
    }
}
