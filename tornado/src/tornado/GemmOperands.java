package tornado;

import uk.ac.manchester.tornado.api.common.Access;
import uk.ac.manchester.tornado.api.common.LibraryTaskDescriptor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * One matmul of cuBLAS: y [rows, out] = x [rows, in] w [in, out], float32.
 *
 * <p>TornadoVM hands a library the beginning of whole arrays and the numbers of the time of recording (5.2.0,
 * {@code TornadoVMInterpreter.executeLibraryLaunch}). So the operands lie in arrays of their own, which all matmuls share, and
 * {@code rows} is the most there may be: rows beyond those of the pass hold what was there before, and nobody reads their sums.
 *
 * @param rows the most rows
 */
record GemmOperands(FloatArray x, FloatArray w, FloatArray y, int rows, int in, int out) {
    /** The name under which TornadoVM knows the library; its own class for it is only in SDKs with the CUDA backend. */
    private static final String LIBRARY = "nvidia/cublas";

    /** {@code cublasOperation_t}: as it is stored. */
    private static final int AS_STORED = 0;

    /**
     * The call. cuBLAS counts by columns: our rows are its columns, so it multiplies w, seen as [out, in], with x, seen as [in,
     * rows].
     */
    static LibraryTaskDescriptor sgemm(GemmOperands of) {
        Object[] parameters = {
            AS_STORED, AS_STORED, of.out, of.rows, of.in, 1f, of.w, of.out, of.x, of.in, 0f, of.y, of.out
        };
        Access[] access = new Access[parameters.length];
        for (int i = 0; i < access.length; i++) {
            access[i] = parameters[i] == of.y ? Access.WRITE_ONLY : Access.READ_ONLY;
        }
        return new LibraryTaskDescriptor()
                .withLibrary(LIBRARY)
                .withFunction("cublasSgemm")
                .withParameters(parameters)
                .withAccess(access);
    }
}
