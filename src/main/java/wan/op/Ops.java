package wan.op;

import java.util.List;

/**
 * The operations that the model is written in. A backend executes each call at once or records it.
 *
 * <p>Activations are rows: [R, features] with R = batch x tokens, batch slowest, tokens in {@link Grid} order. Modulation
 * tensors are [E, rows, dim] with one entry per sample and frame, batch slowest; R must be a multiple of E, and row r of an
 * activation belongs to entry r / (R / E). Results are new scratch of the innermost open {@link Scope} unless a method says
 * that it works in place. Wrong shapes throw {@link WanException} with the name of the operation, expected and got.
 *
 * <p>Semantics, to the last epsilon, are those of the reference's {@code wan/modules/model.py} and {@code causal_model.py}.
 * Every backend is held to {@code wan.jvm.scalar.ScalarKernels}.
 */
public interface Ops extends AutoCloseable {
    /** The backend's name, as provenance and messages show it: {@code jvm}. */
    String backend();

    /** The type to which the operands of linear layers are rounded; sums are float32 or better. */
    default DType productType() {
        return DType.F32;
    }

    /** The type to which the operands of attention are rounded. */
    default DType attentionType() {
        return DType.F32;
    }

    /** What the device did and how long it took, in one line, for a device on which calls only queue work; otherwise empty. */
    default String deviceTime() {
        return "";
    }

    /** Whether nothing is computed and only the needs of a run are counted; reading then gives zeros. */
    default boolean rehearses() {
        return false;
    }

    /** Opens a scope; close it with try-with-resources. */
    Scope scope();

    /** Scratch of the given shape; contents undefined. */
    Tensor scratch(Shape shape);

    /**
     * Copies host values into a tensor.
     *
     * @param values exactly {@code target.shape().size()} values in C order
     */
    void write(Tensor target, float[] values);

    /** Copies a tensor's values to the host: a new array in C order. */
    float[] read(Tensor source);

    /**
     * A parameter that is used directly: norm weights, modulation tables.
     *
     * @param view any numeric dtype; widened to float32
     */
    Tensor parameter(TensorView view);

    /**
     * Parameters of a linear layer. May return at once and pack or upload on first use; the views stay valid for as long as
     * the backend.
     *
     * @param weight [out, in], or more axes than two with the product of all but the first being in (a convolution whose
     *     kernel is its stride)
     * @param bias [out]
     */
    Linear linearWeights(TensorView weight, TensorView bias);

    /**
     * {@link #linearWeights} of a layer that a backend does not multiply in 8 bits if it does others: embeddings and the head, which
     * take little time and on which all depends, and the projections to queries and keys, because logits are captured.
     */
    default Linear preciseLinearWeights(TensorView weight, TensorView bias) {
        return linearWeights(weight, bias);
    }

    /**
     * y = x W^T + b.
     *
     * @param x [R, in]
     * @return [R, out]
     */
    Tensor linear(Tensor x, Linear weights);

    /**
     * {@link #linear} of one input by several layers: queries, keys and values.
     *
     * @param x [R, in]
     * @return [R, out] of each
     */
    default List<Tensor> linears(Tensor x, List<Linear> weights) {
        return weights.stream().map(one -> linear(x, one)).toList();
    }

    /**
     * y = gelu(x W^T + b) with the tanh form of GELU, 0.5 v (1 + tanh(sqrt(2/pi) (v + 0.044715 v^3))).
     *
     * @param x [R, in]
     * @return [R, out]
     */
    Tensor linearGelu(Tensor x, Linear weights);

    /**
     * In place: residual += x W^T + b.
     *
     * @param residual [R, out]
     * @param x [R, in]
     */
    void linearResidual(Tensor residual, Tensor x, Linear weights);

    /**
     * In place: residual += (x W^T + b) * modulation[entry of the row, gateRow].
     *
     * @param residual [R, out]
     * @param x [R, in]
     * @param modulation [E, rows, out]
     * @param gateRow which of the rows is the gate
     */
    void linearGatedResidual(Tensor residual, Tensor x, Linear weights, Tensor modulation, int gateRow);

    /**
     * SiLU, v / (1 + e^-v), of every element.
     *
     * @return the shape of x
     */
    Tensor silu(Tensor x);

    /**
     * x / sqrt(mean(x^2) + eps) * weight over each whole row.
     *
     * @param x [R, dim]
     * @param weight [dim]
     */
    Tensor rmsNorm(Tensor x, Tensor weight, float eps);

    /**
     * (x - mean) / sqrt(biased variance + eps) * weight + bias over each row.
     *
     * @param x [R, dim]
     * @param weight [dim]
     * @param bias [dim]
     */
    Tensor layerNorm(Tensor x, Tensor weight, Tensor bias, float eps);

    /**
     * LN(x) * (1 + modulation[entry, scaleRow]) + modulation[entry, shiftRow], LN without parameters.
     *
     * @param x [R, dim]
     * @param modulation [E, rows, dim]
     */
    Tensor layerNormModulate(Tensor x, Tensor modulation, int shiftRow, int scaleRow, float eps);

    /**
     * A layer's modulation table plus the time embedding of each entry. The embedding must stay as it is while the result is used: a
     * backend may add when it multiplies.
     *
     * @param table [1, rows, dim]
     * @param embedding [E, rows * dim], or [E, dim], which is then added to every row
     * @return [E, rows, dim]
     */
    Tensor modulation(Tensor table, Tensor embedding);

    /**
     * In place: three-axis rotary position embedding of every head, adjacent channels (2i, 2i+1) as complex numbers. With c =
     * headDim / 2 pairs, the last c / 3 turn with the column, the c / 3 before them with the row, the others, first, with
     * the frame's time position; an axis of n pairs has angles position * 10000^(-j/n).
     *
     * @param x [batch * grid.tokens(), numHeads * headDim]
     * @param positions the time position of each of the grid's frames, from 0; mostly its absolute number
     */
    void rope(Tensor x, int numHeads, Grid grid, Dyn positions);

    /** An empty key and value cache; it lives as long as the backend or until {@link #release}. */
    KvTensor kvCache(int batch, int pages, int pageTokens, int numHeads, int headDim);

    /** Frees a cache before the backend is closed. */
    void release(KvTensor cache);

    /**
     * Writes keys and values of whole pages.
     *
     * @param k [batch * n * pageTokens, numHeads * headDim]; the n pages of each sample go where {@code pages} says
     * @param v as k
     * @param pages n page numbers; -1 leaves one out
     */
    void append(KvTensor cache, Tensor k, Tensor v, Dyn pages);

    /**
     * What self-attention does before it attends: {@link #rmsNorm} of queries and keys, {@link #rope} of both, {@link
     * #append} of keys and values. A backend may do it all at once.
     *
     * @param cache of pages of a frame each
     * @param q [batch * grid.tokens(), numHeads * headDim]; afterwards undefined, as k is
     * @param k as q
     * @param v as q
     * @param normQ weight of the queries' norm, [numHeads * headDim]
     * @param normK likewise of the keys'
     * @param positions as {@link #rope} has them
     * @param pages one of each frame of the grid, as {@link #append} has them
     * @return the queries
     */
    default Tensor normRopeAppend(
            KvTensor cache,
            Tensor q,
            Tensor k,
            Tensor v,
            Tensor normQ,
            Tensor normK,
            float eps,
            Grid grid,
            Dyn positions,
            Dyn pages) {
        Tensor queries = rmsNorm(q, normQ, eps);
        Tensor keys = rmsNorm(k, normK, eps);
        rope(queries, cache.numHeads(), grid, positions);
        rope(keys, cache.numHeads(), grid, positions);
        append(cache, keys, v, pages);
        return queries;
    }

    /**
     * Copies keys or values of pages into scratch; what {@link #append} takes.
     *
     * @param pages n page numbers
     * @return [batch * n * pageTokens, numHeads * headDim]
     */
    Tensor loadPages(KvTensor cache, CachePart part, Dyn pages);

    /**
     * Declares that some heads no longer need the content of some pages; writing a page gives it to all heads again. A backend
     * frees what it can: those heads must not attend to these pages, and {@link #loadPages} may give zeros.
     *
     * @param heads ascending
     */
    void discard(KvTensor cache, int[] heads, int[] pages);

    /**
     * Copies keys or values of a cache to the host.
     *
     * @param pages the pages to read, in order
     * @return [batch, pages * pageTokens, numHeads, headDim] in C order
     */
    float[] readPages(KvTensor cache, CachePart part, int[] pages);

    /**
     * softmax(q k^T / sqrt(headDim)) v over the keys of the named pages; no mask.
     *
     * @param q [batch * Lq, numHeads * headDim]
     * @param pages the pages to attend to, in order
     * @param queryGroupTokens tokens of a query group (a frame), for what is captured
     * @param keyGroupTokens tokens of a key group; divides pageTokens
     * @param tap what to capture; {@link AttentionTap#NONE} for nothing
     * @param edit what to change; {@link AttentionEdit#NONE} for nothing
     * @return [batch * Lq, numHeads * headDim]
     */
    Tensor attention(
            Tensor q,
            KvTensor cache,
            Dyn pages,
            int queryGroupTokens,
            int keyGroupTokens,
            AttentionTap tap,
            AttentionEdit edit);

    /** Attention without an edit. */
    default Tensor attention(
            Tensor q, KvTensor cache, Dyn pages, int queryGroupTokens, int keyGroupTokens, AttentionTap tap) {
        return attention(q, cache, pages, queryGroupTokens, keyGroupTokens, tap, AttentionEdit.NONE);
    }

    /**
     * In place: each head's rows become the mean of the rows of their group.
     *
     * @param x [R, numHeads * headDim]
     * @param heads which heads, ascending
     * @param groupTokens neighbouring rows of a group; divides R
     */
    void averageHeads(Tensor x, int numHeads, int[] heads, int groupTokens);

    /**
     * In place: x = keep * x + values in the named heads. With keep 0, the old value does not matter, even if it is NaN.
     *
     * @param x [R, numHeads * headDim]
     * @param heads which heads, ascending
     * @param values [R, heads.length * headDim]
     */
    void mixHeads(Tensor x, int numHeads, int[] heads, float keep, Tensor values);

    /**
     * In place: residual += y * modulation[entry of the row, gateRow], as {@link #linearGatedResidual} does with the output of
     * a linear layer.
     *
     * @param residual [R, dim]
     * @param y [R, dim]
     * @param modulation [E, rows, dim]
     * @param gateRow which of the rows is the gate
     */
    void gatedResidual(Tensor residual, Tensor y, Tensor modulation, int gateRow);

    /**
     * Cuts latents into 1 x 2 x 2 patches; the values of a patch are ordered channel (slowest), row, column.
     *
     * @param latents [batch, frames, channels, 2 rows, 2 columns]
     * @return [batch * tokens, 4 channels]
     */
    Tensor patchify(Tensor latents);

    /**
     * Puts patches together again; here the values of a patch are ordered row, column, channel (fastest).
     *
     * @param patches [batch * grid.tokens(), 4 channels]
     * @return [batch, frames, channels, 2 rows, 2 columns]
     */
    Tensor unpatchify(Tensor patches, Grid grid);

    @Override
    void close();
}
