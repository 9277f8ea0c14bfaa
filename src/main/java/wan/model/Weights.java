package wan.model;

import java.util.Map;
import wan.op.Linear;
import wan.op.Ops;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;
import wan.op.WanException;
import wan.op.WeightSource;

/**
 * Parameters of a model by name alone: their shapes are those that {@link WanParameters} declares.
 *
 * @param prefix of all names that are asked for
 */
record Weights(Map<String, Shape> shapes, WeightSource source, Ops ops, String prefix) {
    Weights(WanConfig config, WeightSource source, Ops ops) {
        this(WanParameters.shapes(config), source, ops, "");
    }

    /** The parameters of a part, {@code blocks.3.}. */
    Weights in(String part) {
        return new Weights(shapes, source, ops, prefix + part);
    }

    /** A small parameter, as the backend keeps it. */
    Tensor parameter(String name) {
        return ops.parameter(view(name));
    }

    /** A linear layer: {@code name.weight} [out, in] and {@code name.bias} [out]. */
    Linear linear(String name) {
        return ops.linearWeights(view(name + ".weight"), view(name + ".bias"));
    }

    /** The same, of a layer whose error all others would inherit or captured logits would show. */
    Linear precise(String name) {
        return ops.preciseLinearWeights(view(name + ".weight"), view(name + ".bias"));
    }

    /** A parameter's bytes. */
    TensorView view(String name) {
        Shape shape = shapes.get(prefix + name);
        if (shape == null) {
            throw new WanException("model: no parameter " + prefix + name + " is declared");
        }
        return source.get(prefix + name, shape);
    }
}
