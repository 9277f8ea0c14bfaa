package uk.ac.manchester.tornado.api;

import java.util.Objects;
import uk.ac.manchester.tornado.api.common.LibraryTaskDescriptor;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** The functions of cuBLAS that are used, as plain loops. Only in the shim. */
final class EmulatedLibrary {
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
        if (!Objects.equals(function, "nvidia/cublas cublasSgemm")) {
            throw new TornadoRuntimeException("no function " + function);
        }
        sgemm(arguments);
    }

    /**
     * C = alpha op(A) op(B) + beta C by columns. Arguments: transa, transb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc; op(A) is [m, k],
     * op(B) [k, n].
     */
    private static void sgemm(Object[] a) {
        boolean transA = (int) a[0] != 0;
        boolean transB = (int) a[1] != 0;
        int m = (int) a[2];
        int n = (int) a[3];
        int k = (int) a[4];
        float alpha = (float) a[5];
        FloatArray left = (FloatArray) a[6];
        int lda = (int) a[7];
        FloatArray right = (FloatArray) a[8];
        int ldb = (int) a[9];
        float beta = (float) a[10];
        FloatArray result = (FloatArray) a[11];
        int ldc = (int) a[12];
        if (lda < (transA ? k : m) || ldb < (transB ? n : k) || ldc < m) {
            throw new TornadoRuntimeException("CUBLAS_STATUS_INVALID_VALUE");
        }
        for (int j = 0; j < n; j++) {
            for (int i = 0; i < m; i++) {
                float sum = 0;
                for (int l = 0; l < k; l++) {
                    sum += left.get(transA ? i * lda + l : l * lda + i) * right.get(transB ? l * ldb + j : j * ldb + l);
                }
                int at = j * ldc + i;
                result.set(at, beta == 0 ? alpha * sum : alpha * sum + beta * result.get(at));
            }
        }
        if (Emulator.passesFor("wrong-cublas")) {
            result.set(0, result.get(0) + 1);
        }
    }
}
