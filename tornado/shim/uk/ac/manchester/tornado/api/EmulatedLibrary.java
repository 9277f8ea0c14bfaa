package uk.ac.manchester.tornado.api;

import uk.ac.manchester.tornado.api.common.LibraryTaskDescriptor;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/** The functions of cuBLAS that are used, as plain loops. Only in the shim. */
final class EmulatedLibrary {
    /** {@code cudaDataType_t}: 16 bits are patterns in an array of shorts. */
    private enum Type {
        F32,
        F16,
        BF16
    }

    private EmulatedLibrary() {}

    /** Calls a function on arrays of the device. */
    static void call(LibraryTaskDescriptor task, Object[] arguments) {
        if (!Emulator.passesFor("cuda") || Emulator.passesFor("no-cublas")) {
            throw new TornadoRuntimeException("no provider for " + task.getLibraryName());
        }
        if (task.getAccess().length != arguments.length) {
            throw new TornadoRuntimeException(
                    task.getAccess().length + " accesses for " + arguments.length + " parameters");
        }
        String function = task.getLibraryName() + " " + task.getFunctionName();
        switch (function) {
            case "nvidia/cublas cublasSgemm" -> gemm(arguments, Type.F32, Type.F32);
            case "nvidia/cublas cublasGemmExFP16FP32" -> gemm(arguments, Type.F16, Type.F32);
            case "nvidia/cublas cublasGemmExBF16" -> gemm(arguments, Type.BF16, Type.BF16);
            default -> throw new TornadoRuntimeException("no function " + function);
        }
    }

    /**
     * C = alpha op(A) op(B) + beta C by columns. Arguments: transa, transb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc; op(A) is [m, k],
     * op(B) [k, n].
     *
     * @param factors of A and B
     * @param sums of C
     */
    private static void gemm(Object[] a, Type factors, Type sums) {
        boolean transA = (int) a[0] != 0;
        boolean transB = (int) a[1] != 0;
        int m = (int) a[2];
        int n = (int) a[3];
        int k = (int) a[4];
        float alpha = (float) a[5];
        Object left = a[6];
        int lda = (int) a[7];
        Object right = a[8];
        int ldb = (int) a[9];
        float beta = (float) a[10];
        Object result = a[11];
        int ldc = (int) a[12];
        if (lda < (transA ? k : m) || ldb < (transB ? n : k) || ldc < m) {
            throw new TornadoRuntimeException("CUBLAS_STATUS_INVALID_VALUE");
        }
        for (int j = 0; j < n; j++) {
            for (int i = 0; i < m; i++) {
                float sum = 0;
                for (int l = 0; l < k; l++) {
                    sum += get(left, transA ? i * lda + l : l * lda + i, factors)
                            * get(right, transB ? l * ldb + j : j * ldb + l, factors);
                }
                int at = j * ldc + i;
                set(result, at, beta == 0 ? alpha * sum : alpha * sum + beta * get(result, at, sums), sums);
            }
        }
        if (Emulator.passesFor("wrong-cublas")) {
            set(result, 0, get(result, 0, sums) + 1, sums);
        }
    }

    private static float get(Object array, int at, Type type) {
        return switch (type) {
            case F32 -> ((FloatArray) array).get(at);
            case F16 -> Float.float16ToFloat(((ShortArray) array).get(at));
            case BF16 -> Float.intBitsToFloat(((ShortArray) array).get(at) << 16);
        };
    }

    private static void set(Object array, int at, float value, Type type) {
        switch (type) {
            case F32 -> ((FloatArray) array).set(at, value);
            case F16 -> ((ShortArray) array).set(at, Float.floatToFloat16(value));
            case BF16 -> {
                int bits = Float.floatToRawIntBits(value);
                int roundedUp = bits + 0x7fff + ((bits >>> 16) & 1); // ties to even
                ((ShortArray) array).set(at, (short) ((Float.isNaN(value) ? bits | 0x400000 : roundedUp) >>> 16));
            }
        }
    }
}
