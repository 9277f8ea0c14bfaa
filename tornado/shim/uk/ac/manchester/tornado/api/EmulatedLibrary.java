package uk.ac.manchester.tornado.api;

import uk.ac.manchester.tornado.api.common.LibraryTaskDescriptor;
import uk.ac.manchester.tornado.api.exceptions.TornadoBailoutRuntimeException;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/** The functions of cuBLAS and cuDNN that are used, as plain loops. Only in the shim. */
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
        boolean cudnn = "nvidia/cudnn".equals(task.getLibraryName());
        if (!Emulator.passesFor("cuda")) {
            throw new TornadoRuntimeException("no provider for " + task.getLibraryName());
        }
        if (Emulator.passesFor(cudnn ? "no-cudnn" : "no-cublas")) {
            // TornadoVM's own words where the library's native part is missing.
            throw new TornadoBailoutRuntimeException("[TornadoVM] Error - Recover option disabled");
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
            case "nvidia/cudnn sdpaForward" -> sdpa(arguments);
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
        float[] left = floats(a[6], factors);
        int lda = (int) a[7];
        float[] right = floats(a[8], factors);
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
                    sum += left[transA ? i * lda + l : l * lda + i] * right[transB ? l * ldb + j : j * ldb + l];
                }
                int at = j * ldc + i;
                set(result, at, beta == 0 ? alpha * sum : alpha * sum + beta * get(result, at, sums), sums);
            }
        }
        if (Emulator.passesFor("wrong-cublas")) {
            set(result, 0, get(result, 0, sums) + 1, sums);
        }
    }

    /**
     * o = softmax(q k^T scale) v in float16, with float32 between. Arguments: q, k, v, o, b, h, sQ, sKv, d, scale, causal; q and o are [b,
     * h, sQ, d], k and v [b, h, sKv, d].
     */
    private static void sdpa(Object[] a) {
        int planes = (int) a[4] * (int) a[5];
        int queries = (int) a[6];
        int keys = (int) a[7];
        int d = (int) a[8];
        float scale = (float) a[9];
        if (d % 8 != 0 || d > 256 || (boolean) a[10]) {
            throw new TornadoRuntimeException("cuDNN SDPA plan creation failed");
        }
        float[] q = floats(a[0], Type.F16);
        float[] k = floats(a[1], Type.F16);
        float[] v = floats(a[2], Type.F16);
        float[] weights = new float[keys];
        for (int row = 0; row < planes * queries; row++) {
            int first = row / queries * keys;
            float max = Float.NEGATIVE_INFINITY;
            for (int key = 0; key < keys; key++) {
                float dot = 0;
                for (int c = 0; c < d; c++) {
                    dot += q[row * d + c] * k[(first + key) * d + c];
                }
                weights[key] = dot * scale;
                max = Math.max(max, weights[key]);
            }
            float total = 0;
            for (int key = 0; key < keys; key++) {
                weights[key] = (float) Math.exp(weights[key] - max);
                total += weights[key];
            }
            for (int c = 0; c < d; c++) {
                float sum = 0;
                for (int key = 0; key < keys; key++) {
                    sum += weights[key] * v[(first + key) * d + c];
                }
                set(a[3], row * d + c, sum / total, Type.F16);
            }
        }
        if (Emulator.passesFor("wrong-cudnn")) {
            set(a[3], 0, get(a[3], 0, Type.F16) + 1, Type.F16);
        }
    }

    private static float[] floats(Object array, Type type) {
        float[] values =
                new float[array instanceof FloatArray floats ? floats.getSize() : ((ShortArray) array).getSize()];
        for (int i = 0; i < values.length; i++) {
            values[i] = get(array, i, type);
        }
        return values;
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
