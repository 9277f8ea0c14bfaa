package wan.vae;

import java.util.List;
import wan.op.FrameOps;
import wan.op.FrameOps.Activation;
import wan.op.FrameOps.Before;
import wan.op.FrameOps.Sampling;
import wan.op.Shape;
import wan.op.Tensor;

/** Layers one behind the other. A frame goes through all of them before the next one starts. */
final class Chain {
    /** Told what each layer gives, for tests. */
    @FunctionalInterface
    interface Probe {
        /** Hears nothing. */
        Probe NONE = (_, _) -> {};

        void saw(String layer, Tensor frame);
    }

    /** A layer and its name in the file. */
    record Layer(String name, Stage stage) {}

    private final List<Layer> layers;
    private final Probe probe;

    Chain(List<Layer> layers, Probe probe) {
        this.layers = List.copyOf(layers);
        this.probe = probe;
    }

    void push(Tensor x, Stage.Next end) {
        push(0, x, end);
    }

    private void push(int index, Tensor x, Stage.Next end) {
        if (index == layers.size()) {
            end.accept(x);
            return;
        }
        Layer layer = layers.get(index);
        layer.stage().push(x, frame -> {
            probe.saw(layer.name(), frame);
            push(index + 1, frame, end);
        });
    }

    /** A causal convolution as a layer, after a norm and SiLU if there is one. */
    static Stage convolution(FrameOps ops, VaeParameters parameters, String norm, String name) {
        CausalConvolution convolution = new CausalConvolution(ops, parameters, name);
        Before before = norm.isEmpty()
                ? Before.NOTHING
                : new Before(ops.parameter(parameters.gamma(norm + ".gamma")), Activation.SILU);
        return new Stage() {
            private Tensor result = ops.allocate(Shape.of(0));

            @Override
            public void push(Tensor x, Next next) {
                Shape shape = Shape.of(
                        convolution.outChannels(), x.shape().dim(1), x.shape().dim(2));
                if (!result.shape().equals(shape)) {
                    result = ops.allocate(shape);
                }
                convolution.apply(x, before, result, false);
                next.accept(result);
            }
        };
    }

    /** The three layers in the middle of encoder and decoder. */
    static List<Layer> middle(FrameOps ops, Memory memory, VaeParameters parameters, String part) {
        return List.of(
                new Layer(part + ".middle.0", new ResidualBlock(ops, memory, parameters, part + ".middle.0")),
                new Layer(part + ".middle.1", new AttentionBlock(ops, memory, parameters, part + ".middle.1")),
                new Layer(part + ".middle", new ResidualBlock(ops, memory, parameters, part + ".middle.2")));
    }

    /** Doubling or halving in time and space; either may be missing. */
    static Stage both(Stage first, Stage second) {
        return (x, next) -> first.push(x, frame -> second.push(frame, next));
    }

    /** Sampling of a layer, {@code resample.1}. */
    static Stage resampling(FrameOps ops, VaeParameters parameters, String name, Sampling sampling) {
        return new Resampling(ops, parameters, name, sampling);
    }
}
