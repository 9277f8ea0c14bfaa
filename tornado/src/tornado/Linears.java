package tornado;

import java.util.List;

/** Calls that make a matmul. */
final class Linears {
    /** Below, inputs are not rounded: a row per frame, as the time embedding has. */
    private static final int LIBRARY_ROWS = 4;

    /** Of the features of layers that cublasLt multiplies in 8 bits. */
    private static final int EIGHT_BIT_MULTIPLE = 16;

    /** Below, most of a tile of tensor cores is empty. */
    private static final int TENSOR_ROWS = 16;

    private Linears() {}

    /** Whether a linear layer runs on tensor cores, by our own kernel. */
    static boolean byTensorCores(DeviceTarget target, int rows) {
        return target.tensorLinears() && rows >= TENSOR_ROWS;
    }

    private static int tensorTiles(int rows, int out) {
        return Math.ceilDiv(rows, TensorLinearKernels.ROWS) * Math.ceilDiv(out, TensorLinearKernels.COLUMNS);
    }

    /** Floats of activations that {@link #tensor} needs for its sums. */
    static long tensorSums(int rows, int out) {
        return (long) tensorTiles(rows, out) * TensorLinearKernels.SUMS;
    }

    /** One more matmul of the same launch: where its weights are, in vectors of 16, its result and its bias. */
    record Part(int weight, int y, int bias) {}

    private static final int[] ONE_PART = {1};

    private static Call call(
            Kernel kernel, Store store, List<Part> more, int[] slot, int tiles, int items, int... behind) {
        int count = 1 + 3 * more.size();
        int[] parts = count + behind.length == 1 ? ONE_PART : new int[count + behind.length];
        System.arraycopy(behind, 0, parts, count, behind.length);
        parts[0] = 1 + more.size();
        for (int i = 0; i < more.size(); i++) {
            parts[3 * i + 1] = more.get(i).weight();
            parts[3 * i + 2] = more.get(i).y();
            parts[3 * i + 3] = more.get(i).bias();
        }
        return new Call(kernel, store, null, slot, List.of(new Call.Table(14, parts)), parts[0] * tiles, items);
    }

    /**
     * Linear layers on tensor cores.
     *
     * @param weights packed weights, in bfloat16 or 8 bits
     * @param byteTable where the values of 8-bit patterns are among the parameters; 0 if weights are none
     * @param more what else is made of the same input
     * @param slot as {@link TensorLinearKernels} has it
     */
    static Call tensor(Store weights, int byteTable, List<Part> more, int... slot) {
        int tiles = tensorTiles(slot[0], slot[2]);
        return call(Kernel.LINEAR_TENSOR, weights, more, slot, tiles, TensorLinearKernels.ITEMS, byteTable);
    }

    /** Whether a linear layer is a library's. */
    static boolean byLibrary(DeviceTarget target, int rows, DeviceLinear weights) {
        return target.cublas()
                && rows >= LIBRARY_ROWS
                && (!target.quantisesInputs()
                        || (weights.inFeatures() % EIGHT_BIT_MULTIPLE == 0
                                && weights.outFeatures() % EIGHT_BIT_MULTIPLE == 0));
    }

    /** Whether a linear layer of so many rows takes its input in 16 bits: whatever makes the input may leave it so. */
    static boolean roundsInputs(DeviceTarget target, int rows) {
        return target.roundsInputs() && rows >= LIBRARY_ROWS;
    }

    /** Whether it takes its input in 8 bits, with a scale for each row. */
    static boolean quantisesInputs(DeviceTarget target, int rows, int in) {
        return target.quantisesInputs() && rows >= LIBRARY_ROWS && in % EIGHT_BIT_MULTIPLE == 0;
    }

    /**
     * A linear layer by a library.
     *
     * @param weights plain weights
     * @param slot as {@link CublasProvider} has it
     */
    static Call library(Store weights, int... slot) {
        return new Call(Kernel.MATMUL, weights, null, slot, List.of(), 0, 0);
    }

    /**
     * A linear layer of few rows, or of features that a library does not multiply.
     *
     * @param weights plain weights
     * @param slot as {@link FewRowsKernels} has it
     */
    static Call few(DeviceTarget target, Store weights, int... slot) {
        Kernel kernel = switch (weights.dtype()) {
            case F32 -> Kernel.LINEAR_FEW;
            case F8_E4M3 -> Kernel.LINEAR_FEW_BYTES;
            default -> Kernel.LINEAR_FEW_HALF;
        };
        List<Call.Table> parts = List.of(new Call.Table(14, ONE_PART));
        return new Call(kernel, weights, null, slot, parts, Math.multiplyExact(slot[0], slot[2]), target.rowItems());
    }

    /**
     * Matmuls of our own kernels.
     *
     * @param store packed weights, or keys, in float32
     * @param more what else is made of the same input
     * @param slot as {@link LinearKernels} has it, with room for argument 14
     */
    static Call call(DeviceTarget target, Store store, List<Part> more, int... slot) {
        int rows = slot[0];
        int out = slot[2];
        if (target.kernels() == DeviceTarget.Kernels.VECTOR) {
            int tiles = Math.ceilDiv(rows, LinearKernels.ROWS) * Math.ceilDiv(out, LinearKernels.PANEL);
            return call(Kernel.LINEAR_VECTOR, store, more, slot, tiles, 1);
        }
        int tiles = Math.ceilDiv(rows, LinearKernels.SHARED_ROWS) * Math.ceilDiv(out, LinearKernels.SHARED_COLUMNS);
        return call(Kernel.LINEAR_SHARED, store, more, slot, tiles, LinearKernels.SHARED_ITEMS);
    }
}
