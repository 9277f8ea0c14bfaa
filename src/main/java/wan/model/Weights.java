package wan.model;

import wan.op.Linear;
import wan.op.Ops;
import wan.op.Shape;
import wan.op.WeightSource;

/** How parameters are named: every linear layer is {@code name.weight} [out, in] and {@code name.bias} [out]. */
final class Weights {
    private Weights() {}

    static Linear linear(Ops ops, WeightSource weights, String name, int in, int out) {
        return ops.linearWeights(
                weights.get(name + ".weight", Shape.of(out, in)), weights.get(name + ".bias", Shape.of(out)));
    }
}
