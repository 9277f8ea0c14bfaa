package wan.vae;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.file.TensorStore;
import wan.op.FrameOps;
import wan.op.FrameOps.Sampling;
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
    private final Chain chain;
    private @Nullable Tensor x;

    /**
     * An encoder that has seen nothing.
     *
     * @param store the weights, under Wan's or Diffusers' names; stays open as long as the encoder is used
     * @throws WanException if the file holds no VAE of Wan2.1, or only its decoder
     */
    public VaeEncoder(FrameOps ops, TensorStore store) {
        this(ops, store, null, ops.pixelsAtOnce());
    }

    VaeEncoder(FrameOps ops, TensorStore store, Chain.@Nullable Probe probe, int pixelsAtOnce) {
        this.ops = ops;
        VaeParameters parameters = VaeParameters.of(store);
        if (!parameters.has("encoder.conv1.weight")) {
            throw WanException.mismatch(store.path().toString(), "an encoder", "a decoder only", "");
        }
        List<Chain.Layer> layers = new ArrayList<>();
        layers.add(new Chain.Layer("encoder.conv1", Chain.causal(ops, parameters, "", "encoder.conv1")));
        for (int i = 0; ; i++) {
            String name = "encoder.downsamples." + i;
            if (parameters.has(name + ".residual.2.weight")) {
                layers.add(new Chain.Layer(name, new ResidualBlock(ops, parameters, name)));
            } else if (parameters.has(name + ".resample.1.weight")) {
                boolean time = parameters.has(name + ".time_conv.weight");
                layers.add(new Chain.Layer(
                        time ? name + ".resample" : name,
                        Chain.convolution(ops, parameters, name + ".resample.1", Sampling.HALVED)));
                if (time) {
                    layers.add(new Chain.Layer(name, new FrameHalving(ops, parameters, name)));
                }
            } else {
                break;
            }
        }
        layers.addAll(Chain.middle(ops, parameters, "encoder"));
        layers.add(new Chain.Layer("encoder.head", Chain.causal(ops, parameters, "encoder.head.0", "encoder.head.2")));
        layers.add(new Chain.Layer("conv1", Chain.convolution(ops, parameters, "conv1", Sampling.SAME)));
        chain = new Chain(ops, layers, probe, pixelsAtOnce);
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
        if (x == null) {
            x = ops.allocate(shape);
        } else if (!x.shape().equals(shape)) {
            throw WanException.mismatch("video frame", x.shape(), shape, "all frames of a video have one size");
        }
        ops.write(x, frame.values());
        chain.push(x, moments -> {
            Shape latent = Shape.of(
                    VaeScale.CHANNELS, moments.shape().dim(1), moments.shape().dim(2));
            float[] values = VaeScale.normalized(ops.read(moments), latent.dim(1) * latent.dim(2));
            listener.frame(new HostTensor(latent, values).requireFinite("encoded latent"));
        });
    }
}
