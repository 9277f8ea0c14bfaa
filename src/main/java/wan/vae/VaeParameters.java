package wan.vae;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import wan.file.Contents;
import wan.file.Messages;
import wan.file.TensorStore;
import wan.file.Zeros;
import wan.op.FormatException;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * The parameters of a Wan2.1 VAE under the names of Wan's file ({@code decoder.upsamples.3.time_conv.weight}), whichever of the
 * two customary naming schemes the file itself uses and whatever stands before the names; the scheme is told by its keys.
 *
 * @param prefix what stands before them
 * @param upsamplesPerBlock layers of one of Diffusers' up blocks, its upsampler included; 0 if the names are Wan's
 * @param used the stored names of those that were asked for
 */
record VaeParameters(TensorStore store, String prefix, int upsamplesPerBlock, Set<String> used) {
    static final int MOST_LISTED = 8;
    /** Of different resolution. */
    private static final int STAGES = 4;

    private static final Pattern UPSAMPLE = Pattern.compile("decoder\\.upsamples\\.(\\d+)\\.(.*)");

    /**
     * Recognises the naming scheme.
     *
     * @throws WanException if this is no Wan2.1 VAE
     */
    static VaeParameters of(TensorStore store) {
        Set<String> present = store.names();
        String wan = prefix(present, "decoder.conv1.weight");
        String diffusers = prefix(present, "decoder.conv_in.weight");
        VaeParameters parameters = new VaeParameters(store, wan == null ? "" : wan, 0, new HashSet<>());
        if (diffusers != null) {
            int residuals = 0;
            while (present.contains(diffusers + "decoder.up_blocks.0.resnets." + residuals + ".conv1.weight")) {
                residuals++;
            }
            parameters = new VaeParameters(store, diffusers, residuals + 1, new HashSet<>());
        }
        if (!parameters.has("decoder.conv1.weight") || !parameters.has("decoder.middle.0.residual.2.weight")) {
            throw WanException.mismatch(
                    store.path().toString(),
                    "a VAE of Wan2.1 with decoder.conv1.weight (Wan) or decoder.conv_in.weight (Diffusers)",
                    present.size() + " tensors without them"
                            + Contents.of(present).itIs(),
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

    private static @Nullable String prefix(Set<String> names, String suffix) {
        return names.stream()
                .filter(name -> name.endsWith(suffix))
                .map(name -> name.substring(0, name.length() - suffix.length()))
                .filter(before -> before.isEmpty() || before.endsWith(".") || before.endsWith("/"))
                .findFirst()
                .orElse(null);
    }

    /**
     * Refuses a file of which layers are missing: then others are left over, or the stages are not alike.
     *
     * @param stages what the layers' names begin with, before their number
     * @param parts what all names that have to be used begin with
     * @throws FormatException with the names of what is left over or missing
     */
    void requireWhole(String stages, String... parts) {
        List<String> left = store.names().stream()
                .filter(name -> name.startsWith(prefix)
                        && !used.contains(name)
                        && Arrays.stream(parts).anyMatch(part -> name.startsWith(prefix + diffusersPart(part))))
                .toList();
        if (!left.isEmpty()) {
            throw new FormatException(
                    store.path(),
                    "the tensors are not those of a VAE of Wan2.1: " + left.size()
                            + " belong to no layer, since one before"
                            + " them is missing or they are of another model: "
                            + Messages.listed(left, MOST_LISTED));
        }
        Zeros.refuse(store, used, Set.of());
        List<Integer> residuals = new ArrayList<>(List.of(0));
        for (int i = 0; has(stages + i + ".residual.2.weight") || has(stages + i + ".resample.1.weight"); i++) {
            if (has(stages + i + ".residual.2.weight")) {
                residuals.addLast(residuals.removeLast() + 1);
            } else {
                residuals.addLast(0);
            }
        }
        if (residuals.size() != STAGES || residuals.stream().distinct().count() != 1) {
            throw WanException.mismatch(
                    store.path() + ": " + stages + "*",
                    STAGES + " stages of as many residual blocks each",
                    residuals.toString(),
                    "layers are missing");
        }
    }

    private String diffusersPart(String part) {
        return upsamplesPerBlock == 0 || !part.startsWith("conv")
                ? part
                : part.equals("conv1.") ? "quant_conv." : "post_quant_conv.";
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
        used.add(stored(name));
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
        return prefix + (upsamplesPerBlock == 0 ? name : diffusersName(name, upsamplesPerBlock));
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
