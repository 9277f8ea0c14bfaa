package wan.vae;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.op.Convolution;
import wan.op.FrameOps;
import wan.op.FrameOps.Activation;
import wan.op.FrameOps.Before;
import wan.op.FrameOps.Sampling;
import wan.op.FrameOps.Sum;
import wan.op.Tensor;

/** Layers one behind the other. A frame goes through all of them before the next one starts. */
final class Chain {
    /** Told what each layer gives, for tests; then every layer is computed on its own. */
    @FunctionalInterface
    interface Probe {
        void saw(String layer, Tensor frame);
    }

    /** A layer and its name in the file. */
    record Layer(String name, Part part) {}

    private record Link(String name, Stage stage) {}

    private final List<Link> links = new ArrayList<>();
    private final @Nullable Probe probe;

    /**
     * Layers in this order.
     *
     * @param probe listens, if it is not null
     * @param pixels of a frame that are computed at once, at least
     */
    Chain(FrameOps ops, List<Layer> layers, @Nullable Probe probe, int pixels) {
        this.probe = probe;
        List<RowLayer> together = new ArrayList<>();
        for (int i = 0; i < layers.size(); i++) {
            Layer layer = layers.get(i);
            switch (layer.part()) {
                case Stage stage -> links.add(new Link(layer.name(), stage));
                case RowLayer rows -> {
                    together.add(rows);
                    boolean goesOn = i + 1 < layers.size() && layers.get(i + 1).part() instanceof RowLayer;
                    if (!goesOn || probe != null) {
                        links.add(new Link(layer.name(), new RowLayers(ops, together, pixels)));
                        together.clear();
                    }
                }
            }
        }
    }

    void push(Tensor x, Stage.Next end) {
        push(0, x, end);
    }

    private void push(int index, Tensor x, Stage.Next end) {
        if (index == links.size()) {
            end.accept(x);
            return;
        }
        Link link = links.get(index);
        link.stage().push(x, frame -> {
            if (probe != null) {
                probe.saw(link.name(), frame);
            }
            push(index + 1, frame, end);
        });
    }

    /** A causal convolution as a layer, after a norm and SiLU if there is one. */
    static RowLayer causal(FrameOps ops, VaeParameters parameters, String norm, String name) {
        CausalConvolution convolution = new CausalConvolution(ops, parameters, name);
        Before before = norm.isEmpty()
                ? Before.NOTHING
                : new Before(ops.parameter(parameters.gamma(norm + ".gamma")), Activation.SILU);
        return (plan, x) -> plan.convolved(
                x,
                convolution.weights(),
                Sampling.SAME,
                (from, to, rows) -> convolution.apply(from, before, to, false, rows));
    }

    /** A convolution of single frames as a layer: between latents and what the other layers see, or to another size. */
    static RowLayer convolution(FrameOps ops, VaeParameters parameters, String name, Sampling sampling) {
        Convolution weights = ops.convolution(parameters.get(name + ".weight"), parameters.get(name + ".bias"));
        return (plan, x) -> plan.convolved(
                x,
                weights,
                sampling,
                (from, to, rows) ->
                        ops.convolve(from, Before.NOTHING, sampling, weights, rows, new Sum(0, null, to, false)));
    }

    /** The three layers in the middle of encoder and decoder. */
    static List<Layer> middle(FrameOps ops, VaeParameters parameters, String part) {
        return List.of(
                new Layer(part + ".middle.0", new ResidualBlock(ops, parameters, part + ".middle.0")),
                new Layer(part + ".middle.1", new AttentionBlock(ops, parameters, part + ".middle.1")),
                new Layer(part + ".middle", new ResidualBlock(ops, parameters, part + ".middle.2")));
    }
}
