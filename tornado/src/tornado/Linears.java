package tornado;

import java.util.List;

/** Calls of the matmul kernels. */
final class Linears {
    private Linears() {}

    /**
     * One matmul; {@link LinearKernels} has the slot.
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
