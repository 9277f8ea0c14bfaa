package wan.jvm.onednn;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import wan.op.DType;

/** The products of oneDNN that one backend uses: made on the first use of a shape, and kept until it is closed. */
final class OneDnn implements AutoCloseable {
    /** Rows for which oneDNN chooses the layout of weights; other numbers of rows take it as it is. */
    private static final int TYPICAL_ROWS = 224;

    /**
     * How oneDNN wants the right operand [k, n] of a product.
     *
     * @param matrix oneDNN's description of it
     * @param bytes its size
     */
    record Layout(int k, int n, MemorySegment matrix, long bytes) {}

    /**
     * Between a layout and a plain matrix.
     *
     * @param type of the plain matrix
     * @param in whether the layout is what is written
     */
    private record Copy(Layout layout, DType type, int kStride, int nStride, boolean in) {}

    private final OneDnnLibrary library = OneDnnLibrary.get();
    private final OneDnnObjects objects = new OneDnnObjects(library, Arena.ofShared());
    private final DType dtype;
    private final int threads;
    private final Map<Long, Layout> layouts = new HashMap<>(); // guarded by this
    private final Map<OneDnnMatmul.Spec, OneDnnMatmul> matmuls = new HashMap<>(); // guarded by this
    private final Map<Copy, OneDnnReorder> reorders = new HashMap<>(); // guarded by this

    /**
     * Nothing made yet.
     *
     * @param dtype of what is multiplied: BF16, F32 or I8
     * @param threads how many workers there are
     * @throws wan.op.UsageException if the library is not there
     */
    OneDnn(DType dtype, int threads) {
        this.dtype = dtype;
        this.threads = threads;
    }

    OneDnnLibrary library() {
        return library;
    }

    /** Of what is multiplied. */
    DType dtype() {
        return dtype;
    }

    /** How the right operand of a product is to be packed. */
    synchronized Layout layout(int k, int n) {
        return layouts.computeIfAbsent(((long) k << 32) | n, _ -> {
            MemorySegment x = objects.matrix(dtype, TYPICAL_ROWS, k, k, 1);
            MemorySegment y = objects.matrix(OneDnnMatmul.sums(dtype), TYPICAL_ROWS, n, n, 1);
            MemorySegment any = objects.anyMatrix(dtype, k, n);
            MemorySegment chosen = objects.weights(objects.matmul(x, any, MemorySegment.NULL, y, objects.attributes()));
            return new Layout(k, n, chosen, objects.bytes(chosen));
        });
    }

    /**
     * The product of that shape.
     *
     * @param m rows of x
     * @param k columns of x
     * @param n columns of y
     * @param xStride elements from row to row of x
     * @param yStride elements from row to row of y
     */
    synchronized OneDnnMatmul matmul(int m, int k, int n, int xStride, int yStride, OneDnnMatmul.PostOp postOp) {
        return matmuls.computeIfAbsent(
                new OneDnnMatmul.Spec(dtype, m, k, n, xStride, yStride, postOp),
                spec -> new OneDnnMatmul(objects, spec, layout(k, n).matrix, threads));
    }

    /**
     * Brings a right operand into its layout and type. From any thread.
     *
     * @param from native; element (i, j) of [k, n] is number i * kStride + j * nStride
     * @param to native, {@link Layout#bytes} large
     */
    void pack(MemorySegment from, DType fromType, int kStride, int nStride, Layout layout, MemorySegment to) {
        reorder(new Copy(layout, fromType, kStride, nStride, true)).run(from, to);
    }

    /** The other way, to float32: [k, n] in C order. From any thread. */
    void unpack(MemorySegment from, Layout layout, MemorySegment to) {
        reorder(new Copy(layout, DType.F32, layout.n, 1, false)).run(from, to);
    }

    private synchronized OneDnnReorder reorder(Copy copy) {
        return reorders.computeIfAbsent(copy, _ -> {
            MemorySegment plain = objects.matrix(copy.type, copy.layout.k, copy.layout.n, copy.kStride, copy.nStride);
            MemorySegment packed = copy.layout.matrix;
            return copy.in ? new OneDnnReorder(objects, plain, packed) : new OneDnnReorder(objects, packed, plain);
        });
    }

    @Override
    public synchronized void close() {
        objects.close();
    }
}
