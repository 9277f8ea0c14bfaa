package wan.model;

import wan.op.Linear;
import wan.op.Ops;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WeightSource;

/**
 * Parameters of one attention.
 *
 * @param normQ RMS norm weight over all heads, [dim]
 * @param normK likewise
 */
record AttentionWeights(Linear q, Linear k, Linear v, Linear o, Tensor normQ, Tensor normK) {
    static AttentionWeights load(Ops ops, WeightSource weights, String prefix, int dim) {
        return new AttentionWeights(
                Weights.linear(ops, weights, prefix + "q", dim, dim),
                Weights.linear(ops, weights, prefix + "k", dim, dim),
                Weights.linear(ops, weights, prefix + "v", dim, dim),
                Weights.linear(ops, weights, prefix + "o", dim, dim),
                ops.parameter(weights.get(prefix + "norm_q.weight", Shape.of(dim))),
                ops.parameter(weights.get(prefix + "norm_k.weight", Shape.of(dim))));
    }
}
