package wan.sampling;

import java.util.Map;
import java.util.TreeMap;
import wan.cache.CacheLayout;
import wan.model.WanConfig;
import wan.model.WanParameters;
import wan.op.Shape;
import wan.pass.Pass;

/**
 * What a run costs, counted from its plan: floating-point operations (a multiply-add is two) and bytes.
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

    /** Float32 keys and values of all frames and of the text, for every layer that runs. */
    public long cacheBytes(RunPlan plan) {
        long tokens = (long) config.textLen() * plan.numLayers();
        for (CacheLayout cache : plan.caches()) {
            int layers = cache.perLayer() ? plan.numLayers() : 1;
            tokens += ((long) cache.frames() * layers + cache.workspaceFrames()) * frameSeqLen;
        }
        return 2L * Float.BYTES * batch * tokens * config.dim();
    }

    /** Float32 activations of the largest pass: thirteen rows of dim and one of ffnDim per token live until a layer ends. */
    public long activationBytes(RunPlan plan) {
        int frames = plan.passes().stream().mapToInt(Pass::frames).max().orElse(0);
        return (long) Float.BYTES * batch * frames * frameSeqLen * (13L * config.dim() + config.ffnDim());
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

    /** Parameters of the layers that run, and of everything outside of the layers; of every expert that runs. */
    public long parameters(RunPlan plan) {
        long all = WanParameters.shapes(config).values().stream()
                .mapToLong(Shape::size)
                .sum();
        Map<Integer, Integer> layers = new TreeMap<>();
        for (Pass pass : plan.passes()) {
            layers.merge(pass.expert(), pass.numLayers(), Math::max);
        }
        return layers.values().stream()
                .mapToLong(run -> all - (config.numLayers() - run) * layerParameters())
                .sum();
    }
}
