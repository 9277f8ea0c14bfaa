package wan.vae;

import java.util.ArrayList;
import java.util.List;
import wan.file.TensorStore;
import wan.op.Convolution;
import wan.op.FrameOps;
import wan.op.FrameOps.Before;
import wan.op.FrameOps.Sampling;
import wan.op.FrameOps.Sum;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;

/**
 * Video to latents, in float32: {@code Encoder3d} of {@code wan/modules/vae.py}, frame by frame.
 *
 * <p>The first frame gives a latent frame, then every fourth does; frames that do not complete four give none. An encoder is one
 * video: for another, make another.
 */
public final class VaeEncoder {
    private final FrameOps ops;
    private final Convolution toLatent;
    private final Chain chain;

    /**
     * An encoder that has seen nothing.
     *
     * @param store the weights, under Wan's or Diffusers' names; stays open as long as the encoder is used
     * @throws WanException if the file holds no VAE of Wan2.1, or only its decoder
     */
    public VaeEncoder(FrameOps ops, TensorStore store) {
        this(ops, store, Chain.Probe.NONE);
    }

    VaeEncoder(FrameOps ops, TensorStore store, Chain.Probe probe) {
        this.ops = ops;
        VaeParameters parameters = VaeParameters.of(store);
        if (!parameters.has("encoder.conv1.weight")) {
            throw WanException.mismatch(store.path().toString(), "an encoder", "a decoder only", "");
        }
        toLatent = ops.convolution(parameters.get("conv1.weight"), parameters.get("conv1.bias"));
        Memory memory = new Memory(ops);
        List<Chain.Layer> layers = new ArrayList<>();
        layers.add(new Chain.Layer("encoder.conv1", Chain.convolution(ops, parameters, "", "encoder.conv1")));
        for (int i = 0; ; i++) {
            String name = "encoder.downsamples." + i;
            if (parameters.has(name + ".residual.2.weight")) {
                layers.add(new Chain.Layer(name, new ResidualBlock(ops, memory, parameters, name)));
            } else if (parameters.has(name + ".resample.1.weight")) {
                Stage space = Chain.resampling(ops, parameters, name, Sampling.HALVED);
                boolean time = parameters.has(name + ".time_conv.weight");
                layers.add(new Chain.Layer(
                        name, time ? Chain.both(space, new FrameHalving(ops, parameters, name)) : space));
            } else {
                break;
            }
        }
        layers.addAll(Chain.middle(ops, memory, parameters, "encoder"));
        layers.add(new Chain.Layer(
                "encoder.head", Chain.convolution(ops, parameters, "encoder.head.0", "encoder.head.2")));
        chain = new Chain(layers, probe);
        parameters.requireWhole("encoder.downsamples.", "encoder.", "conv1.");
    }

    /** Latent frames that so many frames of a video give. */
    public static int latentFrames(int frames) {
        return frames == 0 ? 0 : 1 + (frames - 1) / VaeDecoder.TIME;
    }

    /**
     * Encodes the next frame.
     *
     * @param frame [3, rows, columns] with values from -1 to 1; rows and columns are multiples of 8
     * @param listener told of the latent frame [16, rows / 8, columns / 8], normalised, if this frame completes one
     */
    public void encode(HostTensor frame, FrameListener listener) {
        Shape shape = frame.shape();
        if (shape.rank() != 3
                || shape.dim(0) != 3
                || shape.size() == 0
                || shape.dim(1) % VaeDecoder.SPACE != 0
                || shape.dim(2) % VaeDecoder.SPACE != 0) {
            throw WanException.mismatch(
                    "video frame", "[3, rows, columns], both multiples of " + VaeDecoder.SPACE, shape, "");
        }
        Tensor x = ops.allocate(shape);
        ops.write(x, frame.values());
        chain.push(x, h -> {
            Shape latent =
                    Shape.of(VaeScale.CHANNELS, h.shape().dim(1), h.shape().dim(2));
            Tensor moments = ops.allocate(
                    Shape.of(toLatent.outChannels(), h.shape().dim(1), h.shape().dim(2)));
            ops.convolve(h, Before.NOTHING, Sampling.SAME, toLatent, new Sum(0, null, moments, false));
            float[] values = VaeScale.normalized(ops.read(moments), latent.dim(1) * latent.dim(2));
            listener.frame(new HostTensor(latent, values).requireFinite("encoded latent"));
        });
    }
}
