package wan.vae;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
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
 * Latents to video, in float32: {@code Decoder3d} of {@code wan/modules/vae.py}, one latent frame after the other.
 *
 * <p>The first latent frame gives one frame of the video, every other four.
 */
public final class VaeDecoder implements LatentDecoder {
    /** Rows and columns of the video for one of the latents. */
    public static final int SPACE = 8;
    /** Frames of the video for every latent frame but the first. */
    public static final int TIME = 4;

    private final FrameOps ops;
    private final VaeParameters parameters;
    private final Convolution fromLatent;
    private final Chain chain;

    /**
     * A decoder that has seen nothing.
     *
     * @param store the weights, under Wan's or Diffusers' names; stays open as long as the decoder is used
     * @throws WanException if the file holds no VAE of Wan2.1
     */
    public VaeDecoder(FrameOps ops, TensorStore store) {
        this(ops, store, Chain.Probe.NONE);
    }

    VaeDecoder(FrameOps ops, TensorStore store, Chain.Probe probe) {
        this.ops = ops;
        parameters = VaeParameters.of(store);
        fromLatent = ops.convolution(parameters.get("conv2.weight"), parameters.get("conv2.bias"));
        Memory memory = new Memory(ops);
        List<Chain.Layer> layers = new ArrayList<>();
        layers.add(new Chain.Layer("decoder.conv1", Chain.convolution(ops, parameters, "", "decoder.conv1")));
        layers.addAll(Chain.middle(ops, memory, parameters, "decoder"));
        for (int i = 0; ; i++) {
            String name = "decoder.upsamples." + i;
            if (parameters.has(name + ".residual.2.weight")) {
                layers.add(new Chain.Layer(name, new ResidualBlock(ops, memory, parameters, name)));
            } else if (parameters.has(name + ".resample.1.weight")) {
                Stage space = Chain.resampling(ops, parameters, name, Sampling.DOUBLED);
                boolean time = parameters.has(name + ".time_conv.weight");
                layers.add(new Chain.Layer(
                        name, time ? Chain.both(new FrameDoubling(ops, parameters, name), space) : space));
            } else {
                break;
            }
        }
        layers.add(new Chain.Layer(
                "decoder.head", Chain.convolution(ops, parameters, "decoder.head.0", "decoder.head.2")));
        chain = new Chain(layers, probe);
        parameters.requireWhole("decoder.upsamples.", "decoder.", "conv2.");
    }

    /** What a file is if it holds a VAE of Wan2.1, for people; otherwise empty. */
    public static Optional<String> describe(TensorStore store) {
        return VaeParameters.describe(store);
    }

    @Override
    public int latentChannels() {
        return parameters.latentChannels();
    }

    /** Frames of the video that so many latent frames give. */
    public static int frames(int latentFrames) {
        return latentFrames == 0 ? 0 : 1 + TIME * (latentFrames - 1);
    }

    @Override
    public void decode(HostTensor latent, FrameListener listener) {
        require(latent);
        Tensor z = ops.allocate(latent.shape());
        ops.write(z, VaeScale.denormalized(latent.values()));
        Tensor x = ops.allocate(Shape.of(
                fromLatent.outChannels(), latent.shape().dim(1), latent.shape().dim(2)));
        ops.convolve(z, Before.NOTHING, Sampling.SAME, fromLatent, new Sum(0, null, x, false));
        chain.push(
                x,
                frame -> listener.frame(new HostTensor(frame.shape(), ops.read(frame)).requireFinite("decoded frame")));
    }
}
