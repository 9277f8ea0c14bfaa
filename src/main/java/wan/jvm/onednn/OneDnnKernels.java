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
import wan.op.UsageException;
import wan.op.WanException;

/**
 * The products on oneDNN, everything else on the vector kernels.
 *
 * <p>oneDNN runs on our workers, one call on one thread: which calls there are depends on the shapes alone, so a result's bits do
 * not depend on the number of threads, and no second set of threads spins beside ours.
 */
public final class OneDnnKernels implements Kernels {
    /** What attention and precise layers multiply with. */
    private final OneDnn oneDnn;
    /** What the other linear layers multiply with: the same, unless int8 was asked for. */
    private final OneDnn products;

    private final VectorKernels vector;
    private final OneDnnLinear precise;
    private final OneDnnLinear linear;
    private final OneDnnAttention attention;
    private final Arena weights = Arena.ofShared();
    private final List<OneDnnKv> caches = new ArrayList<>();

    /**
     * Nothing packed yet.
     *
     * @param dtype of what is multiplied: BF16 or F32; with I8, linear layers that are not precise, and the rest in BF16 where the
     *     processor has it
     * @throws wan.op.UsageException if the library is not there, or the processor sums int8 in 16 bits
     */
    public OneDnnKernels(DType dtype, Workers workers) {
        OneDnnLibrary library = OneDnnLibrary.get();
        boolean wanted = dtype == DType.I8;
        if (wanted && !library.hasInt8()) {
            throw new UsageException("kernels onednn:int8: expected a processor with AVX512_VNNI, AVX_VNNI or AMX, got "
                    + library.isa() + ", where oneDNN's sums of int8 products saturate; onednn:f32 has no such sums");
        }
        DType rest = library.hasBfloat16() ? DType.BF16 : DType.F32;
        oneDnn = new OneDnn(wanted ? rest : dtype, workers.threads());
        products = wanted ? new OneDnn(dtype, workers.threads()) : oneDnn;
        vector = new VectorKernels(workers);
        precise = new OneDnnLinear(oneDnn, workers);
        linear = wanted ? new OneDnnLinear(products, workers) : precise;
        attention = new OneDnnAttention(oneDnn, workers);
    }

    @Override
    public String name() {
        return String.format(
                Locale.ROOT,
                productType() == DType.I8 ? "onednn:int8 %s %s, attention %s" : "onednn:%3$s %1$s %2$s",
                oneDnn.library().version(),
                oneDnn.library().isa(),
                oneDnn.dtype().option());
    }

    @Override
    public DType productType() {
        return products.dtype();
    }

    @Override
    public DType attentionType() {
        return oneDnn.dtype();
    }

    private OneDnnLinear of(JvmLinear parameters) {
        return parameters.isPrecise() || parameters.inFeatures() > OneDnnInt8.MOST_INPUTS ? precise : linear;
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
        return new MemorySegment[] {of(parameters).pack(parameters, weights)};
    }

    @Override
    public long packedBytes(JvmLinear parameters) {
        return of(parameters).bytes(parameters);
    }

    @Override
    public HostBytes scratch(int rows, JvmLinear parameters) {
        return vector.scratch(0, parameters)
                .plus(new HostBytes(0, of(parameters).scratchBytes(rows, parameters)));
    }

    @Override
    public HostBytes scratch(PagedKv cache, int queries, int pages, int keyGroups) {
        return attention.scratch(own(cache), queries, keyGroups);
    }

    @Override
    public void linear(float[] x, int rows, JvmLinear parameters, Epilogue epilogue, float[] y) {
        of(parameters).run(x, rows, parameters, parameters.packed(this)[0], epilogue, y);
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
        all.addAll(List.of(
                linear::close, precise::close, attention::close, vector::close, products::close, oneDnn::close));
        all.add(() -> {
            if (weights.scope().isAlive()) {
                weights.close();
            }
        });
        Closing.all(all);
    }
}
