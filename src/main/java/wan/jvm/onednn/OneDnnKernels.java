package wan.jvm.onednn;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import wan.jvm.kernel.AttentionCall;
import wan.jvm.kernel.Closing;
import wan.jvm.kernel.ConvolutionCall;
import wan.jvm.kernel.Epilogue;
import wan.jvm.kernel.FrameMass;
import wan.jvm.kernel.HostBytes;
import wan.jvm.kernel.JvmConvolution;
import wan.jvm.kernel.JvmLinear;
import wan.jvm.kernel.Kernels;
import wan.jvm.kernel.PagedKv;
import wan.jvm.kernel.RowAffine;
import wan.jvm.kernel.Workers;
import wan.jvm.vector.Lanes;
import wan.jvm.vector.VectorKernels;
import wan.op.AttentionTap;
import wan.op.DType;
import wan.op.WanException;

/**
 * The products on oneDNN, everything else on the vector kernels.
 *
 * <p>oneDNN runs on our workers, one call on one thread: which calls there are depends on the shapes alone, so a result's bits do
 * not depend on the number of threads, and no second set of threads spins beside ours.
 */
public final class OneDnnKernels implements Kernels {
    private final OneDnn oneDnn;
    private final VectorKernels vector;
    private final OneDnnLinear linear;
    private final OneDnnAttention attention;
    private final Arena weights = Arena.ofShared();
    private final List<OneDnnKv> caches = new ArrayList<>();

    /**
     * Nothing packed yet.
     *
     * @param dtype of what is multiplied: BF16 or F32
     * @throws wan.op.UsageException if the library is not there
     */
    public OneDnnKernels(DType dtype, Workers workers) {
        oneDnn = new OneDnn(dtype, workers.threads());
        vector = new VectorKernels(workers);
        linear = new OneDnnLinear(oneDnn, workers);
        attention = new OneDnnAttention(oneDnn, workers);
    }

    @Override
    public String name() {
        return String.format(
                Locale.ROOT,
                "onednn:%s %s %s",
                oneDnn.dtype().option(),
                oneDnn.library().version(),
                oneDnn.library().isa());
    }

    @Override
    public DType productType() {
        return oneDnn.dtype();
    }

    @Override
    public PagedKv kvCache(int batch, int pages, int pageTokens, int numHeads, int headDim, DType type) {
        caches.removeIf(OneDnnKv::isReleased);
        OneDnnKv cache = new OneDnnKv(oneDnn, batch, pages, pageTokens, numHeads, headDim, Lanes.TILE);
        caches.add(cache);
        return cache;
    }

    @Override
    public MemorySegment[] pack(JvmLinear parameters) {
        return new MemorySegment[] {linear.pack(parameters, weights)};
    }

    @Override
    public long packedBytes(JvmLinear parameters) {
        return linear.bytes(parameters);
    }

    @Override
    public HostBytes scratch(int rows, JvmLinear parameters) {
        return vector.scratch(0, parameters).plus(new HostBytes(0, linear.scratchBytes(rows, parameters)));
    }

    @Override
    public HostBytes scratch(PagedKv cache, int queries, int pages, int keyGroups) {
        return attention.scratch(own(cache), queries, keyGroups);
    }

    @Override
    public void linear(float[] x, int rows, JvmLinear parameters, Epilogue epilogue, float[] y) {
        linear.run(x, rows, parameters, parameters.packed(this)[0], epilogue, y);
    }

    @Override
    public void silu(float[] x, float[] y) {
        vector.silu(x, y);
    }

    @Override
    public void rmsNorm(float[] x, float[] weight, float eps, float[] y) {
        vector.rmsNorm(x, weight, eps, y);
    }

    @Override
    public void layerNorm(float[] x, int dim, RowAffine affine, float eps, float[] y) {
        vector.layerNorm(x, dim, affine, eps, y);
    }

    @Override
    public void attention(AttentionCall call, float[] out, @Nullable FrameMass mass) {
        attention.run(call, own(call.cache()), out, mass);
    }

    private static OneDnnKv own(PagedKv cache) {
        if (cache instanceof OneDnnKv own) {
            return own;
        }
        throw WanException.mismatch("attention", "a cache of these kernels", cache, "");
    }

    @Override
    public int massTileQueries() {
        return OneDnnAttention.MASS_QUERIES;
    }

    @Override
    public void tokenLogits(AttentionCall call, AttentionTap tap) {
        vector.tokenLogits(call, tap);
    }

    @Override
    public float[] pack(JvmConvolution parameters) {
        return vector.pack(parameters);
    }

    @Override
    public void convolve(ConvolutionCall call) {
        vector.convolve(call);
    }

    @Override
    public void close() {
        List<Runnable> all = new ArrayList<>();
        caches.forEach(cache -> all.add(cache::release));
        all.addAll(List.of(linear::close, attention::close, vector::close, oneDnn::close));
        all.add(() -> {
            if (weights.scope().isAlive()) {
                weights.close();
            }
        });
        Closing.all(all);
    }
}
