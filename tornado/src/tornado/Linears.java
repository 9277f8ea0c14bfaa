package tornado;

import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.op.DType;

/** Calls that make a matmul. */
final class Linears {
    /** Rows of one per frame, as the time embedding has, are not worth the copies around a library's call. */
    private static final int LIBRARY_ROWS = 4;

    private Linears() {}

    /**
     * One linear layer, by a library where the device has one and the matmul is large enough; {@link LinearKernels} has the slot.
     *
     * @param weights packed weights
     */
    static List<Call> layer(DeviceTarget target, Store weights, int... slot) {
        int rows = slot[0];
        int in = slot[1];
        int out = slot[2];
        long largest = Math.max((long) rows * Math.max(in, out), (long) in * out);
        if (!target.libraries() || rows < LIBRARY_ROWS || largest > target.arrayElements(DType.F32)) {
            return List.of(call(target, weights, slot));
        }
        return List.of(
                elements(Kernel.STAGE_ROWS, null, rows * in, slot),
                elements(Kernel.STAGE_WEIGHTS, weights, in * out, slot),
                new Call(Kernel.SGEMM, null, null, slot, List.of(), 0, 0),
                elements(Kernel.FINISH_ROWS, null, rows * out, slot));
    }

    private static Call elements(Kernel kernel, @Nullable Store store, int items, int[] slot) {
        int groupItems = DeviceTarget.ELEMENT_ITEMS;
        return new Call(kernel, store, null, slot, List.of(), Math.ceilDiv(items, groupItems), groupItems);
    }

    /**
     * One matmul of our own kernels.
     *
     * @param store packed weights, or keys, in float32
     */
    static Call call(DeviceTarget target, Store store, int... slot) {
        int rows = slot[0];
        int out = slot[2];
        if (target.kernels() == DeviceTarget.Kernels.VECTOR) {
            int tiles = Math.ceilDiv(rows, LinearKernels.ROWS) * Math.ceilDiv(out, LinearKernels.PANEL);
            return new Call(Kernel.LINEAR_VECTOR, store, null, slot, List.of(), tiles, 1);
        }
        int tile = LinearKernels.SHARED_TILE;
        int tiles = Math.ceilDiv(rows, tile) * Math.ceilDiv(out, tile);
        return new Call(Kernel.LINEAR_SHARED, store, null, slot, List.of(), tiles, LinearKernels.SHARED_ITEMS);
    }
}
