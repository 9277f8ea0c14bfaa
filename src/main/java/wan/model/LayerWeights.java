package wan.model;

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
 */
record LayerWeights(
        Tensor modulation,
        AttentionWeights selfAttn,
        Tensor norm3Weight,
        Tensor norm3Bias,
        AttentionWeights crossAttn,
        Linear ffn0,
        Linear ffn2) {
    static LayerWeights load(Ops ops, WeightSource weights, int layer, WanConfig config) {
        String prefix = "blocks." + layer + ".";
        int dim = config.dim();
        return new LayerWeights(
                ops.parameter(weights.get(prefix + "modulation", Shape.of(1, 6, dim))),
                AttentionWeights.load(ops, weights, prefix + "self_attn.", dim),
                ops.parameter(weights.get(prefix + "norm3.weight", Shape.of(dim))),
                ops.parameter(weights.get(prefix + "norm3.bias", Shape.of(dim))),
                AttentionWeights.load(ops, weights, prefix + "cross_attn.", dim),
                Weights.linear(ops, weights, prefix + "ffn.0", dim, config.ffnDim()),
                Weights.linear(ops, weights, prefix + "ffn.2", config.ffnDim(), dim));
    }
}
