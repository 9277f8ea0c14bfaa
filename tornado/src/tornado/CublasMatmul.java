package tornado;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import wan.op.DType;

/**
 * One matmul of cublasLt with its epilogue, described once and run on any addresses: y [rows, out] = x [rows, in] W^T + bias, over W [out,
 * in], with sums in float32. Factors of 8 bits have a scale for each row of x and of W, which it multiplies the sums by.
 *
 * <p>cuBLAS counts by columns: our rows are its columns, so it multiplies the transposed of W, which it sees as [in, out], with x, which
 * it sees as [in, rows].
 */
final class CublasMatmul implements AutoCloseable {
    /**
     * What it multiplies.
     *
     * @param factors of x and W
     * @param result of y, and of the bias if the factors have not 8 bits: then that is in bfloat16
     * @param gelu whether GELU follows the bias, by its approximation with tanh
     * @param adds whether y is added to
     */
    record Shape(DType factors, DType result, int rows, int in, int out, boolean gelu, boolean adds) {
        @Override
        public String toString() {
            return "[" + rows + ", " + in + "] by [" + out + ", " + in + "] in " + factors.option();
        }
    }

    /** Where everything is on the device; the scales are 0 where there are none. */
    record Places(
            long x,
            long rowScales,
            long weights,
            long channelScales,
            long bias,
            long y,
            long workspace,
            long workspaceBytes,
            long stream) {}

    private static final int COMPUTE_F32 = 68;
    private static final int TRANSPOSED = 1;
    private static final int AS_STORED = 0;

    /** {@code cublasLtMatmulDescAttributes_t}. */
    private static final int TRANS_A = 3;

    private static final int TRANS_B = 4;
    private static final int EPILOGUE = 7;
    private static final int BIAS_POINTER = 8;
    private static final int A_SCALE_POINTER = 17;
    private static final int B_SCALE_POINTER = 18;
    private static final int BIAS_DATA_TYPE = 26;
    private static final int A_SCALE_MODE = 31;
    private static final int B_SCALE_MODE = 32;

    /** A float32 for each row of A^T or column of B. */
    private static final int OUTER_VECTOR = 3;

    /** The first that has it. */
    private static final long LOWEST_VERSION_OF_8_BITS = 120_900;

    private static final int BIAS = 4;
    private static final int GELU_AND_BIAS = 36;

    /** {@code cublasLtMatmulPreferenceAttributes_t}: of A, then of B, C and D. */
    private static final int MIN_ALIGNMENT_A = 5;

    private static final int MAX_WORKSPACE = 1;

    /** TornadoVM's arrays begin behind a header of 16 bytes, and all that is multiplied begins at a multiple of 16 in them. */
    private static final int ALIGNMENT = 16;

    /** {@code cublasLtMatmulHeuristicResult_t} begins with the algorithm. */
    private static final int RESULT_BYTES = 96;

    private final CublasLt library;
    private final MemorySegment handle;
    private final Shape shape;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment alpha;
    private final MemorySegment beta;
    private final MemorySegment pointer;
    private final MemorySegment descriptor;
    private final MemorySegment weights;
    private final MemorySegment x;
    private final MemorySegment y;
    private final MemorySegment algorithm;

    /**
     * Asks for the best algorithm.
     *
     * @param places of a first call, which show how addresses are aligned
     */
    CublasMatmul(CublasLt library, MemorySegment handle, Shape shape, Places places) {
        this.library = library;
        this.handle = handle;
        this.shape = shape;
        if (isBytes() && library.version() < LOWEST_VERSION_OF_8_BITS) {
            throw new LibraryException("cuBLAS: expected version 12.9 or newer for "
                    + shape.factors().option() + ", got " + library.version());
        }
        alpha = arena.allocateFrom(JAVA_FLOAT, 1f);
        beta = arena.allocateFrom(JAVA_FLOAT, shape.adds() ? 1f : 0f);
        pointer = arena.allocate(JAVA_LONG);
        descriptor = library.create(what(), "cublasLtMatmulDescCreate", COMPUTE_F32, type(DType.F32));
        set(TRANS_A, TRANSPOSED);
        set(TRANS_B, AS_STORED);
        set(EPILOGUE, shape.gelu() ? GELU_AND_BIAS : BIAS);
        if (isBytes()) {
            set(BIAS_DATA_TYPE, type(DType.BF16));
            set(A_SCALE_MODE, OUTER_VECTOR);
            set(B_SCALE_MODE, OUTER_VECTOR);
        }
        setPlaces(places);
        weights = layout(shape.factors(), shape.in(), shape.out());
        x = layout(shape.factors(), shape.in(), shape.rows());
        y = layout(shape.result(), shape.out(), shape.rows());
        algorithm = algorithm(places);
    }

    private boolean isBytes() {
        return shape.factors() == DType.F8_E4M3;
    }

    private String what() {
        return shape.toString();
    }

    /** {@code cudaDataType_t}. */
    static int type(DType dtype) {
        return switch (dtype) {
            case F16 -> 2;
            case BF16 -> 14;
            case F8_E4M3 -> 28;
            default -> 0;
        };
    }

    /** The other way round. */
    static DType dtype(int type) {
        return switch (type) {
            case 2 -> DType.F16;
            case 14 -> DType.BF16;
            case 28 -> DType.F8_E4M3;
            default -> DType.F32;
        };
    }

    private void set(int attribute, int value) {
        MemorySegment there = arena.allocateFrom(JAVA_INT, value);
        library.check(what(), "cublasLtMatmulDescSetAttribute", descriptor, attribute, there, 4L);
    }

    private void set(int attribute, long address) {
        pointer.set(JAVA_LONG, 0, address);
        library.check(what(), "cublasLtMatmulDescSetAttribute", descriptor, attribute, pointer, 8L);
    }

    private void setPlaces(Places places) {
        set(BIAS_POINTER, places.bias());
        if (isBytes()) {
            set(A_SCALE_POINTER, places.channelScales());
            set(B_SCALE_POINTER, places.rowScales());
        }
    }

    private MemorySegment layout(DType dtype, long rows, long columns) {
        return library.create(what(), "cublasLtMatrixLayoutCreate", type(dtype), rows, columns, rows);
    }

    private MemorySegment algorithm(Places places) {
        MemorySegment preference = library.create(what(), "cublasLtMatmulPreferenceCreate");
        try {
            MemorySegment bytes = arena.allocateFrom(JAVA_LONG, places.workspaceBytes());
            library.check(what(), "cublasLtMatmulPreferenceSetAttribute", preference, MAX_WORKSPACE, bytes, 8L);
            MemorySegment alignment = arena.allocateFrom(JAVA_INT, ALIGNMENT);
            for (int matrix = 0; matrix < 4; matrix++) {
                library.check(
                        what(),
                        "cublasLtMatmulPreferenceSetAttribute",
                        preference,
                        MIN_ALIGNMENT_A + matrix,
                        alignment,
                        4L);
            }
            MemorySegment result = arena.allocate(RESULT_BYTES, 8);
            MemorySegment found = arena.allocate(JAVA_INT);
            library.check(
                    what() + (isBytes() ? ", which needs a GPU of compute capability 9.0 as the H100 is" : ""),
                    "cublasLtMatmulAlgoGetHeuristic",
                    handle,
                    descriptor,
                    weights,
                    x,
                    y,
                    y,
                    preference,
                    1,
                    result,
                    found);
            if (found.get(JAVA_INT, 0) == 0) {
                throw new LibraryException("cuBLAS: expected an algorithm for " + what() + ", got none");
            }
            return result;
        } finally {
            library.check(what(), "cublasLtMatmulPreferenceDestroy", preference);
        }
    }

    /** Queues it. */
    void run(Places places) {
        setPlaces(places);
        MemorySegment result = MemorySegment.ofAddress(places.y());
        library.check(
                what(),
                "cublasLtMatmul",
                handle,
                descriptor,
                alpha,
                MemorySegment.ofAddress(places.weights()),
                weights,
                MemorySegment.ofAddress(places.x()),
                x,
                beta,
                result,
                y,
                result,
                y,
                algorithm,
                MemorySegment.ofAddress(places.workspace()),
                places.workspaceBytes(),
                MemorySegment.ofAddress(places.stream()));
    }

    @Override
    public void close() {
        for (MemorySegment layout : new MemorySegment[] {y, x, weights}) {
            library.check(what(), "cublasLtMatrixLayoutDestroy", layout);
        }
        library.check(what(), "cublasLtMatmulDescDestroy", descriptor);
        arena.close();
    }
}
