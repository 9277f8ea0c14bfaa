package wan.op;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;

/** Passes every operation on and notes its name and the shape of its result, in order; can hand the results to a test as well. */
public final class TracingOps implements Ops {
    private final Ops ops;
    private final List<String> trace = new ArrayList<>();
    private BiConsumer<String, Tensor> results = (op, result) -> {};

    public TracingOps(Ops ops) {
        this.ops = ops;
    }

    public List<String> trace() {
        return trace;
    }

    /** Called with each operation and its result; for those in place, with what they add before gate and residual. */
    public void onResult(BiConsumer<String, Tensor> consumer) {
        results = consumer;
    }

    private Tensor note(String op, Tensor result) {
        trace.add(op + result.shape());
        results.accept(op, result);
        return result;
    }

    @Override
    public String backend() {
        return ops.backend();
    }

    @Override
    public Scope scope() {
        return ops.scope();
    }

    @Override
    public Tensor scratch(Shape shape) {
        return note("scratch", ops.scratch(shape));
    }

    @Override
    public void write(Tensor target, float[] values) {
        trace.add("write" + target.shape());
        ops.write(target, values);
    }

    @Override
    public float[] read(Tensor source) {
        trace.add("read" + source.shape());
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
    public Tensor linear(Tensor x, Linear weights) {
        return note("linear", ops.linear(x, weights));
    }

    @Override
    public Tensor linearGelu(Tensor x, Linear weights) {
        return note("linearGelu", ops.linearGelu(x, weights));
    }

    @Override
    public void linearResidual(Tensor residual, Tensor x, Linear weights) {
        trace.add("linearResidual" + residual.shape());
        results.accept("linearResidual", ops.linear(x, weights));
        ops.linearResidual(residual, x, weights);
    }

    @Override
    public void linearGatedResidual(Tensor residual, Tensor x, Linear weights, Tensor modulation, int gateRow) {
        trace.add("linearGatedResidual" + residual.shape());
        results.accept("linearGatedResidual", ops.linear(x, weights));
        ops.linearGatedResidual(residual, x, weights, modulation, gateRow);
    }

    @Override
    public Tensor silu(Tensor x) {
        return note("silu", ops.silu(x));
    }

    @Override
    public Tensor rmsNorm(Tensor x, Tensor weight, float eps) {
        return note("rmsNorm", ops.rmsNorm(x, weight, eps));
    }

    @Override
    public Tensor layerNorm(Tensor x, Tensor weight, Tensor bias, float eps) {
        return note("layerNorm", ops.layerNorm(x, weight, bias, eps));
    }

    @Override
    public Tensor layerNormModulate(Tensor x, Tensor modulation, int shiftRow, int scaleRow, float eps) {
        return note("layerNormModulate", ops.layerNormModulate(x, modulation, shiftRow, scaleRow, eps));
    }

    @Override
    public Tensor modulation(Tensor table, Tensor embedding) {
        return note("modulation", ops.modulation(table, embedding));
    }

    @Override
    public void rope(Tensor x, int numHeads, Grid grid, Dyn startFrame) {
        ops.rope(x, numHeads, grid, startFrame);
        note("rope", x);
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
        trace.add("append" + k.shape());
        ops.append(cache, k, v, pages);
    }

    @Override
    public float[] read(KvTensor cache, int which, int[] pages) {
        return ops.read(cache, which, pages);
    }

    @Override
    public Tensor attention(
            Tensor q, KvTensor cache, Dyn pages, int queryGroupTokens, int keyGroupTokens, AttentionTap tap) {
        return note("attention", ops.attention(q, cache, pages, queryGroupTokens, keyGroupTokens, tap));
    }

    @Override
    public Tensor patchify(Tensor latents) {
        return note("patchify", ops.patchify(latents));
    }

    @Override
    public Tensor unpatchify(Tensor patches, Grid grid) {
        return note("unpatchify", ops.unpatchify(patches, grid));
    }

    @Override
    public void close() {
        ops.close();
    }
}
