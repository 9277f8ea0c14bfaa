package tornado;

import java.util.List;
import uk.ac.manchester.tornado.api.common.LibraryTaskDescriptor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import wan.op.DType;

/**
 * One matmul of cuBLAS: y [rows, out] = x [rows, in] w [in, out], summed in float32. {@code rows} is the most there may be: rows beyond
 * those of the pass hold what was there before, and nobody reads their sums.
 *
 * @param arrays x, w and y
 * @param factors F32, or F16 or BF16, which tensor cores multiply
 * @param rows the most rows
 */
record GemmOperands(List<Object> arrays, DType factors, int rows, int in, int out) implements LibraryOperands {
    /** {@code cublasOperation_t}: as it is stored. */
    private static final int AS_STORED = 0;

    /** Which of the parameters the function writes. */
    private static final int RESULT = 11;

    /** The type of y: the function for bfloat16 has no other. */
    static DType sums(DType factors) {
        return factors == DType.BF16 ? DType.BF16 : DType.F32;
    }

    FloatArray x() {
        return (FloatArray) arrays.get(0);
    }

    ShortArray halfX() {
        return (ShortArray) arrays.get(0);
    }

    FloatArray w() {
        return (FloatArray) arrays.get(1);
    }

    ShortArray halfW() {
        return (ShortArray) arrays.get(1);
    }

    FloatArray y() {
        return (FloatArray) arrays.get(2);
    }

    ShortArray halfY() {
        return (ShortArray) arrays.get(2);
    }

    /**
     * The call. cuBLAS counts by columns: our rows are its columns, so it multiplies w, seen as [out, in], with x, seen as [in,
     * rows].
     */
    static LibraryTaskDescriptor gemm(GemmOperands of) {
        String function = switch (of.factors) {
            case F16 -> "cublasGemmExFP16FP32";
            case BF16 -> "cublasGemmExBF16";
            default -> "cublasSgemm";
        };
        Object x = of.arrays.get(0);
        Object w = of.arrays.get(1);
        Object y = of.arrays.get(2);
        return LibraryOperands.call(
                Library.CUBLAS,
                function,
                RESULT,
                AS_STORED,
                AS_STORED,
                of.out,
                of.rows,
                of.in,
                1f,
                w,
                of.out,
                x,
                of.in,
                0f,
                y,
                of.out);
    }
}
