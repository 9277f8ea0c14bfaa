package wan.jvm.kernel;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;
import wan.op.AttentionTap;
import wan.op.DType;

/**
 * The arithmetic of the backend, over arrays whose shapes have been checked.
 *
 * <p>Results do not depend on the number of threads: each value is computed by one task, in an order that the shapes alone
 * decide.
 */
public interface Kernels extends AutoCloseable {
    /** As provenance shows it: {@code vector-512}. */
    String name();

    /** What the factors of a linear layer's products are rounded to before they are multiplied. */
    default DType productType() {
        return DType.F32;
    }

    /** The same, of attention. */
    default DType attentionType() {
        return productType();
    }

    /**
     * An empty cache, laid out as {@link #attention} reads it.
     *
     * @param type F32, F16 or BF16: what keys and values are stored as
     */
    PagedKv kvCache(int batch, int pages, int pageTokens, int numHeads, int headDim, DType type);

    /** The weights in the form that {@link #linear} reads, in one piece or some; lives until these kernels are closed. */
    MemorySegment[] pack(JvmLinear weights);

    /** Bytes of what {@link #pack(JvmLinear)} makes, outside of the heap. */
    long packedBytes(JvmLinear weights);

    /** What {@link #linear} computes in, with all threads, and keeps for the next call. */
    HostBytes scratch(int rows, JvmLinear weights);

    /**
     * What {@link #attention} computes in, with all threads, and keeps for the next call.
     *
     * @param pages attended
     * @param keyGroups of the masses, or 0 where none are wanted
     */
    HostBytes scratch(PagedKv cache, int queries, int pages, int keyGroups);

    /**
     * y = x W^T + b, then the epilogue.
     *
     * @param x [rows, in]
     * @param y [rows, out]
     */
    void linear(float[] x, int rows, JvmLinear weights, Epilogue epilogue, float[] y);

    /** y = x / (1 + e^-x). */
    void silu(float[] x, float[] y);

    /**
     * y = x / sqrt(mean(x^2) + eps) * weight, row by row.
     *
     * @param x [rows, weight.length]
     * @param y as x
     */
    void rmsNorm(float[] x, float[] weight, float eps, float[] y);

    /**
     * y = (x - mean) / sqrt(variance + eps) * scale + shift, row by row.
     *
     * @param x [rows, dim]
     * @param y as x
     */
    void layerNorm(float[] x, int dim, RowAffine affine, float eps, float[] y);

    /**
     * softmax(q k^T / sqrt(headDim)) v, with the call's edit.
     *
     * @param out as {@code call.q()}
     * @param mass where the weight of each key group goes, or null; changes no bit of {@code out}
     */
    void attention(AttentionCall call, float[] out, @Nullable FrameMass mass);

    /** How many queries this hands to {@link FrameMass} at a time. */
    int massTileQueries();

    /** Delivers every logit of the tap's heads in tiles of bounded size, as it is before or after the call's edit. */
    void tokenLogits(AttentionCall call, AttentionTap tap);

    /** The weights in the form that {@link #convolve} reads. */
    float[] pack(JvmConvolution weights);

    /** Forms the sums of one convolution. */
    void convolve(ConvolutionCall call);

    @Override
    void close();
}
