package wan.sampling;

import wan.model.WanConfig;
import wan.model.WanParameters;
import wan.op.Shape;
import wan.pass.Pass;

/**
 * What a run costs, counted from its plan in floating-point operations: a multiply-add is two.
 *
 * @param config sizes of the model
 * @param batch samples
 * @param frameSeqLen tokens of a frame, S
 */
public record RunCost(WanConfig config, int batch, int frameSeqLen) {
    /** Operations of one layer in one pass: the products of every token with the layer's matrices, and two attentions. */
    public double layerFlops(Pass pass) {
        double queries = (double) batch * pass.frames() * frameSeqLen;
        double keys = (double) pass.placement().keys() * frameSeqLen;
        double dim = config.dim();
        double linear = queries * matrixElements();
        double attention = 2 * queries * dim * (keys + config.textLen());
        return 2 * (linear + attention);
    }

    /** Operations of one pass; embeddings and head, below a thousandth of it, are not counted. */
    public double flops(Pass pass) {
        return pass.numLayers() * layerFlops(pass);
    }

    /** Operations of a whole run. */
    public double flops(RunPlan plan) {
        return plan.passes().stream().mapToDouble(this::flops).sum();
    }

    /** Elements of the matrices that every token of a pass is multiplied with in a layer. */
    private long matrixElements() {
        return WanParameters.layer(config).entrySet().stream()
                .filter(parameter -> parameter.getValue().rank() == 2 && !WanParameters.isOfContext(parameter.getKey()))
                .mapToLong(parameter -> parameter.getValue().size())
                .sum();
    }

    /** Parameters of one layer. */
    public long layerParameters() {
        return WanParameters.layer(config).values().stream()
                .mapToLong(Shape::size)
                .sum();
    }
}
