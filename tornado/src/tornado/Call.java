package tornado;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One launch of a kernel.
 *
 * @param first the store it works on besides the activations, if any
 * @param second a second one
 * @param arguments its slot, as the kernel's Javadoc lists it
 * @param tables longer lists of integers; each one's place goes into the slot
 * @param groups work groups
 * @param groupItems items of a group
 */
@SuppressWarnings("ArrayRecordComponent") // never compared: only its shape is
record Call(
        Kernel kernel,
        @Nullable Store first,
        @Nullable Store second,
        int[] arguments,
        List<Table> tables,
        int groups,
        int groupItems) {
    /** Integers of a slot. */
    static final int SLOT = 16;

    /** A list of integers and the argument that says where it is. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Table(int argument, int[] values) {}

    /** What decides which compiled code runs: everything else is in the slot. */
    record Shape(
            Kernel kernel,
            @Nullable Store first,
            @Nullable Store second,
            @Nullable Gemm gemm) {}

    /** The matmul that a library is called for. Its numbers are recorded: the slot's do not reach a library. */
    record Gemm(int in, int out) {}

    Shape shape() {
        return new Shape(kernel, first, second, gemm());
    }

    /** The matmul of a library that this is a part of. */
    @Nullable
    Gemm gemm() {
        return switch (kernel) {
            case STAGE_ROWS, STAGE_WEIGHTS, STAGE_HALF_ROWS, STAGE_HALF_WEIGHTS, GEMM, FINISH_ROWS, FINISH_HALF_ROWS ->
                new Gemm(arguments[1], arguments[2]);
            default -> null;
        };
    }
}
