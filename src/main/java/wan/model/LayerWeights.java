package wan.model;

import org.jspecify.annotations.Nullable;
import wan.op.Linear;
import wan.op.Tensor;

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

    /**
     * Takes a layer's parameters.
     *
     * @param weights of this layer
     * @param picture whether the model takes one
     */
    static LayerWeights load(Weights weights, boolean picture) {
        return new LayerWeights(
                weights.parameter("modulation"),
                AttentionWeights.load(weights.in("self_attn.")),
                weights.parameter("norm3.weight"),
                weights.parameter("norm3.bias"),
                AttentionWeights.load(weights.in("cross_attn.")),
                picture ? image(weights.in("cross_attn.")) : null,
                weights.linear("ffn.0"),
                weights.linear("ffn.2"));
    }

    private static ImageKeys image(Weights weights) {
        return new ImageKeys(weights.precise("k_img"), weights.linear("v_img"), weights.parameter("norm_k_img.weight"));
    }
}
