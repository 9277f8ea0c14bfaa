package wan.model;

import wan.op.Linear;
import wan.op.Tensor;

/**
 * Parameters of one attention.
 *
 * @param normQ RMS norm weight over all heads, [dim]
 * @param normK likewise
 */
record AttentionWeights(Linear q, Linear k, Linear v, Linear o, Tensor normQ, Tensor normK) {
    static AttentionWeights load(Weights weights) {
        return new AttentionWeights(
                weights.precise("q"),
                weights.precise("k"),
                weights.linear("v"),
                weights.linear("o"),
                weights.parameter("norm_q.weight"),
                weights.parameter("norm_k.weight"));
    }
}
