package wan.model;

import org.jspecify.annotations.Nullable;
import wan.op.Linear;
import wan.op.Ops;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WeightSource;

/**
 * Parameters of one transformer layer, {@code blocks.N} in a checkpoint.
 *
 * @param modulation [1, 6, dim]: shift, scale, gate of self-attention, then of the feed-forward network
 * @param norm3Weight of the norm before cross-attention, [dim]
 * @param norm3Bias likewise
 * @param image keys and values of a picture's tokens; null for a model that takes none
 */
record LayerWeights(
        Tensor modulation,
        AttentionWeights selfAttn,
        Tensor norm3Weight,
        Tensor norm3Bias,
        AttentionWeights crossAttn,
        @Nullable ImageKeys image,
        Linear ffn0,
        Linear ffn2) {
    /**
     * What gives keys and values of a picture's tokens.
     *
     * @param normK RMS norm weight over all heads, [dim]
     */
    record ImageKeys(Linear k, Linear v, Tensor normK) {}

    static LayerWeights load(Ops ops, WeightSource weights, int layer, WanConfig config) {
        String prefix = "blocks." + layer + ".";
        int dim = config.dim();
        return new LayerWeights(
                ops.parameter(weights.get(prefix + "modulation", Shape.of(1, 6, dim))),
                AttentionWeights.load(ops, weights, prefix + "self_attn.", dim),
                ops.parameter(weights.get(prefix + "norm3.weight", Shape.of(dim))),
                ops.parameter(weights.get(prefix + "norm3.bias", Shape.of(dim))),
                AttentionWeights.load(ops, weights, prefix + "cross_attn.", dim),
                config.imageDim() == 0 ? null : image(ops, weights, prefix + "cross_attn.", dim),
                Weights.linear(ops, weights, prefix + "ffn.0", dim, config.ffnDim()),
                Weights.linear(ops, weights, prefix + "ffn.2", config.ffnDim(), dim));
    }

    private static ImageKeys image(Ops ops, WeightSource weights, String prefix, int dim) {
        return new ImageKeys(
                Weights.linear(ops, weights, prefix + "k_img", dim, dim),
                Weights.linear(ops, weights, prefix + "v_img", dim, dim),
                ops.parameter(weights.get(prefix + "norm_k_img.weight", Shape.of(dim))));
    }
}
