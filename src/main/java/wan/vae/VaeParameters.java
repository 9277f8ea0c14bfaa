package wan.vae;

import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import wan.file.TensorStore;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * The parameters of a Wan2.1 VAE under the names of Wan's file ({@code decoder.upsamples.3.time_conv.weight}), whichever of the
 * two customary naming schemes the file itself uses; the scheme is told by its keys.
 *
 * @param upsamplesPerBlock layers of one of Diffusers' up blocks, its upsampler included; 0 if the names are Wan's
 */
record VaeParameters(TensorStore store, int upsamplesPerBlock) {
    private static final Pattern UPSAMPLE = Pattern.compile("decoder\\.upsamples\\.(\\d+)\\.(.*)");

    /**
     * Recognises the naming scheme.
     *
     * @throws WanException if this is no Wan2.1 VAE
     */
    static VaeParameters of(TensorStore store) {
        Set<String> present = store.names();
        VaeParameters parameters;
        if (present.contains("decoder.conv_in.weight")) {
            int residuals = 0;
            while (present.contains("decoder.up_blocks.0.resnets." + residuals + ".conv1.weight")) {
                residuals++;
            }
            parameters = new VaeParameters(store, residuals + 1);
        } else {
            parameters = new VaeParameters(store, 0);
        }
        if (!parameters.has("decoder.conv1.weight") || !parameters.has("decoder.middle.0.residual.2.weight")) {
            throw WanException.mismatch(
                    store.path().toString(),
                    "a VAE of Wan2.1 with decoder.conv1.weight (Wan) or decoder.conv_in.weight (Diffusers)",
                    present.size() + " tensors without them",
                    "Wan2.1_VAE.pth is the file");
        }
        if (parameters.shape("decoder.conv1.weight").rank() != 5) {
            throw WanException.mismatch(
                    store.path() + ": decoder.conv1.weight",
                    "a causal convolution [out, in, 3, 3, 3]",
                    parameters.shape("decoder.conv1.weight"),
                    "a VAE for pictures cannot decode videos");
        }
        if (parameters.latentChannels() != VaeScale.CHANNELS) {
            throw WanException.mismatch(
                    store.path().toString(),
                    VaeScale.CHANNELS + " latent channels, those of Wan2.1's VAE",
                    parameters.latentChannels(),
                    "the VAE of Wan2.2 5B is another one");
        }
        return parameters;
    }

    /** Scheme and sizes, for people; empty if this is no such file. */
    static Optional<String> describe(TensorStore store) {
        try {
            VaeParameters parameters = of(store);
            String scheme = parameters.upsamplesPerBlock == 0 ? "Wan2.1's" : "Diffusers'";
            return Optional.of(String.format(
                    Locale.ROOT,
                    "Wan2.1 video VAE, %s names; %s, width %d, %d latent channels",
                    scheme,
                    parameters.has("encoder.conv1.weight") ? "encoder and decoder" : "decoder only",
                    parameters.shape("decoder.head.2.weight").dim(1),
                    parameters.latentChannels()));
        } catch (WanException _) {
            return Optional.empty();
        }
    }

    /** Channels of the latents, z. */
    int latentChannels() {
        return shape("decoder.conv1.weight").dim(1);
    }

    boolean has(String name) {
        return store.names().contains(stored(name));
    }

    Shape shape(String name) {
        return store.tensor(stored(name)).shape();
    }

    TensorView get(String name) {
        return store.tensor(stored(name));
    }

    /** The scale of a norm, which files hold as [channels, 1, 1, 1] or [channels, 1, 1]. */
    TensorView gamma(String name) {
        TensorView view = get(name);
        if (view.shape().rank() < 1 || view.shape().size() != view.shape().dim(0)) {
            throw WanException.mismatch(store.path() + ": " + view.name(), "[channels, 1, 1, 1]", view.shape(), "");
        }
        return new TensorView(view.name(), view.dtype(), Shape.of(view.shape().dim(0)), view.data());
    }

    /** What the file calls a parameter. */
    private String stored(String name) {
        return upsamplesPerBlock == 0 ? name : diffusersName(name, upsamplesPerBlock);
    }

    static String diffusersName(String name, int upsamplesPerBlock) {
        if (name.startsWith("conv1.")) {
            return "quant_conv." + name.substring(6);
        }
        if (name.startsWith("conv2.")) {
            return "post_quant_conv." + name.substring(6);
        }
        String renamed = name;
        Matcher upsample = UPSAMPLE.matcher(name);
        if (upsample.matches()) {
            int layer = Integer.parseInt(upsample.group(1));
            int within = layer % upsamplesPerBlock;
            String place = within == upsamplesPerBlock - 1 ? "upsamplers.0" : "resnets." + within;
            renamed = "decoder.up_blocks." + layer / upsamplesPerBlock + "." + place + "." + upsample.group(2);
        }
        return renamed.replace("encoder.downsamples.", "encoder.down_blocks.")
                .replace(".middle.0.", ".mid_block.resnets.0.")
                .replace(".middle.1.", ".mid_block.attentions.0.")
                .replace(".middle.2.", ".mid_block.resnets.1.")
                .replace("coder.conv1.", "coder.conv_in.")
                .replace(".head.0.", ".norm_out.")
                .replace(".head.2.", ".conv_out.")
                .replace(".residual.0.", ".norm1.")
                .replace(".residual.2.", ".conv1.")
                .replace(".residual.3.", ".norm2.")
                .replace(".residual.6.", ".conv2.")
                .replace(".shortcut.", ".conv_shortcut.");
    }
}
