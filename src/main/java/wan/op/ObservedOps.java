package wan.op;

import java.util.function.Supplier;

/**
 * Forwards every operation to another backend, through one method that subclasses implement to trace, time or count. A
 * composite operation is seen and run as its parts.
 */
public abstract class ObservedOps implements Ops {
    private final Ops ops;

    /** Observes a backend; closing this closes it. */
    protected ObservedOps(Ops ops) {
        this.ops = ops;
    }

    /** The backend that computes. */
    protected final Ops observed() {
        return ops;
    }

    /**
     * Called for every operation on tensors; must run the call once.
     *
     * @param op the method's name
     * @param flops floating-point operations of its matrix products, a multiply-add being two; 0 if it has none
     * @param call runs it; gives the result, or the tensor that was updated in place
     */
    protected abstract Tensor observe(String op, double flops, Supplier<Tensor> call);

    /** Of one matrix product. */
    protected static double flops(Tensor x, Linear weights) {
        return 2.0 * x.shape().size() * weights.outFeatures();
    }

    @Override
    public String backend() {
        return ops.backend();
    }

    @Override
    public DType productType() {
        return ops.productType();
    }

    @Override
    public DType attentionType() {
        return ops.attentionType();
    }

    @Override
    public String deviceTime() {
        return ops.deviceTime();
    }

    @Override
    public Scope scope() {
        return ops.scope();
    }

    @Override
    public Tensor scratch(Shape shape) {
        return ops.scratch(shape);
    }

    @Override
    public void write(Tensor target, float[] values) {
        Tensor _ = observe("write", 0, () -> {
            ops.write(target, values);
            return target;
        });
    }

    @Override
    public float[] read(Tensor source) {
        return ops.read(source);
    }

    @Override
    public Tensor parameter(TensorView view) {
        return ops.parameter(view);
    }

    @Override
    public Linear linearWeights(TensorView weight, TensorView bias) {
        return ops.linearWeights(weight, bias);
    }

    @Override
    public Linear preciseLinearWeights(TensorView weight, TensorView bias) {
        return ops.preciseLinearWeights(weight, bias);
    }

    @Override
    public Tensor linear(Tensor x, Linear weights) {
        return observe("linear", flops(x, weights), () -> ops.linear(x, weights));
    }

    @Override
    public Tensor linearGelu(Tensor x, Linear weights) {
        return observe("linearGelu", flops(x, weights), () -> ops.linearGelu(x, weights));
    }

    @Override
    public void linearResidual(Tensor residual, Tensor x, Linear weights) {
        Tensor _ = observe("linearResidual", flops(x, weights), () -> {
            ops.linearResidual(residual, x, weights);
            return residual;
        });
    }

    @Override
    public void linearGatedResidual(Tensor residual, Tensor x, Linear weights, Tensor modulation, int gateRow) {
        Tensor _ = observe("linearGatedResidual", flops(x, weights), () -> {
            ops.linearGatedResidual(residual, x, weights, modulation, gateRow);
            return residual;
        });
    }

    @Override
    public Tensor silu(Tensor x) {
        return observe("silu", 0, () -> ops.silu(x));
    }

    @Override
    public Tensor rmsNorm(Tensor x, Tensor weight, float eps) {
        return observe("rmsNorm", 0, () -> ops.rmsNorm(x, weight, eps));
    }

    @Override
    public Tensor layerNorm(Tensor x, Tensor weight, Tensor bias, float eps) {
        return observe("layerNorm", 0, () -> ops.layerNorm(x, weight, bias, eps));
    }

    @Override
    public Tensor layerNormModulate(Tensor x, Tensor modulation, int shiftRow, int scaleRow, float eps) {
        return observe("layerNormModulate", 0, () -> ops.layerNormModulate(x, modulation, shiftRow, scaleRow, eps));
    }

    @Override
    public Tensor modulation(Tensor table, Tensor embedding) {
        return observe("modulation", 0, () -> ops.modulation(table, embedding));
    }

    @Override
    public void rope(Tensor x, int numHeads, Grid grid, Dyn positions) {
        Tensor _ = observe("rope", 0, () -> {
            ops.rope(x, numHeads, grid, positions);
            return x;
        });
    }

    @Override
    public KvTensor kvCache(int batch, int pages, int pageTokens, int numHeads, int headDim) {
        return ops.kvCache(batch, pages, pageTokens, numHeads, headDim);
    }

    @Override
    public void release(KvTensor cache) {
        ops.release(cache);
    }

    @Override
    public void append(KvTensor cache, Tensor k, Tensor v, Dyn pages) {
        Tensor _ = observe("append", 0, () -> {
            ops.append(cache, k, v, pages);
            return k;
        });
    }

    @Override
    public Tensor loadPages(KvTensor cache, CachePart part, Dyn pages) {
        return observe("loadPages", 0, () -> ops.loadPages(cache, part, pages));
    }

    @Override
    public void discard(KvTensor cache, int[] heads, int[] pages) {
        ops.discard(cache, heads, pages);
    }

    @Override
    public float[] readPages(KvTensor cache, CachePart part, int[] pages) {
        return ops.readPages(cache, part, pages);
    }

    @Override
    public Tensor attention(
            Tensor q,
            KvTensor cache,
            Dyn pages,
            int queryGroupTokens,
            int keyGroupTokens,
            AttentionTap tap,
            AttentionEdit edit) {
        double keys = (double) pages.count() * cache.pageTokens();
        return observe(
                "attention",
                4 * keys * q.shape().size(),
                () -> ops.attention(q, cache, pages, queryGroupTokens, keyGroupTokens, tap, edit));
    }

    @Override
    public void averageHeads(Tensor x, int numHeads, int[] heads, int groupTokens) {
        Tensor _ = observe("averageHeads", 0, () -> {
            ops.averageHeads(x, numHeads, heads, groupTokens);
            return x;
        });
    }

    @Override
    public void mixHeads(Tensor x, int numHeads, int[] heads, float keep, Tensor values) {
        Tensor _ = observe("mixHeads", 0, () -> {
            ops.mixHeads(x, numHeads, heads, keep, values);
            return x;
        });
    }

    @Override
    public void gatedResidual(Tensor residual, Tensor y, Tensor modulation, int gateRow) {
        Tensor _ = observe("gatedResidual", 0, () -> {
            ops.gatedResidual(residual, y, modulation, gateRow);
            return residual;
        });
    }

    @Override
    public Tensor patchify(Tensor latents) {
        return observe("patchify", 0, () -> ops.patchify(latents));
    }

    @Override
    public Tensor unpatchify(Tensor patches, Grid grid) {
        return observe("unpatchify", 0, () -> ops.unpatchify(patches, grid));
    }

    @Override
    public void close() {
        ops.close();
    }
}
