package wan.vae;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import wan.file.TensorStore;
import wan.op.FrameOps;
import wan.op.FrameOps.Sampling;
import wan.op.HostTensor;
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
    private final Chain chain;
    private @Nullable Tensor z;

    /**
     * A decoder that has seen nothing.
     *
     * @param store the weights, under Wan's or Diffusers' names; stays open as long as the decoder is used
     * @throws WanException if the file holds no VAE of Wan2.1
     */
    public VaeDecoder(FrameOps ops, TensorStore store) {
        this(ops, store, null, ops.pixelsAtOnce());
    }

    VaeDecoder(FrameOps ops, TensorStore store, Chain.@Nullable Probe probe, int pixelsAtOnce) {
        this.ops = ops;
        parameters = VaeParameters.of(store);
        List<Chain.Layer> layers = new ArrayList<>();
        layers.add(new Chain.Layer("conv2", Chain.convolution(ops, parameters, "conv2", Sampling.SAME)));
        layers.add(new Chain.Layer("decoder.conv1", Chain.causal(ops, parameters, "", "decoder.conv1")));
        layers.addAll(Chain.middle(ops, parameters, "decoder"));
        for (int i = 0; ; i++) {
            String name = "decoder.upsamples." + i;
            if (parameters.has(name + ".residual.2.weight")) {
                layers.add(new Chain.Layer(name, new ResidualBlock(ops, parameters, name)));
            } else if (parameters.has(name + ".resample.1.weight")) {
                if (parameters.has(name + ".time_conv.weight")) {
                    FrameDoubling doubling = new FrameDoubling(ops, parameters, name);
                    layers.add(new Chain.Layer(name + ".twice", doubling));
                    layers.add(new Chain.Layer(name + ".time_conv", doubling.result()));
                }
                layers.add(new Chain.Layer(
                        name, Chain.convolution(ops, parameters, name + ".resample.1", Sampling.DOUBLED)));
            } else {
                break;
            }
        }
        layers.add(new Chain.Layer("decoder.head", Chain.causal(ops, parameters, "decoder.head.0", "decoder.head.2")));
        chain = new Chain(ops, layers, probe, pixelsAtOnce);
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
        if (z == null) {
            z = ops.allocate(latent.shape());
        } else if (!z.shape().equals(latent.shape())) {
            throw WanException.mismatch("latents", z.shape(), latent.shape(), "all frames of a video have one size");
        }
        ops.write(z, VaeScale.denormalized(latent.values()));
        chain.push(
                z,
                frame -> listener.frame(new HostTensor(frame.shape(), ops.read(frame)).requireFinite("decoded frame")));
    }
}
