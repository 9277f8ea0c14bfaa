package wan.weights;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import wan.file.Messages;
import wan.file.StrictJson;
import wan.model.WanConfig;
import wan.op.FormatException;
import wan.op.WanException;

/** The {@code config.json} beside a Wan2.1 checkpoint, the original one or that of Diffusers. Keys that do not matter here are ignored. */
public final class ConfigJson {
    private static final JsonMapper MAPPER = new JsonMapper();
    private static final int MAX_FILE_BYTES = 1 << 20;
    private static final int MAX_WIDTH = 1 << 20;
    private static final int MAX_LAYERS = 10_000;

    /** Whether a picture's tokens are attended shows in the tensors, not here. */
    private static final List<String> MODEL_TYPES = List.of("t2v", "i2v", "flf2v", "ti2v");

    private ConfigJson() {}

    /**
     * The sliding window that a causal model was trained with.
     *
     * @param localAttnSize latent frames, sink and current frame block included
     * @param sinkSize first frames that are always attended
     */
    public record Window(int localAttnSize, int sinkSize) {}

    /**
     * The window in a configuration; empty if it names none.
     *
     * @throws WanException if it cannot be read, or the window is none
     */
    static Optional<Window> window(Path file) {
        Messages.requireFile(file);
        try {
            if (Files.size(file) > MAX_FILE_BYTES) {
                return Optional.empty(); // read() says what is wrong
            }
            JsonNode root = StrictJson.tree(file, Files.readAllBytes(file));
            JsonNode size = root.path("local_attn_size");
            JsonNode sink = root.path("sink_size");
            boolean none = size.isMissingNode() || size.isNull() || (size.isInt() && size.intValue() == -1);
            if (none) {
                return Optional.empty(); // without a window nothing is evicted, and a sink changes nothing
            }
            return Optional.of(new Window(
                    size(file, root, "local_attn_size", 0, MAX_WIDTH),
                    sink.isMissingNode() || sink.isNull() || (sink.isInt() && sink.intValue() == 0)
                            ? 0
                            : size(file, root, "sink_size", 0, MAX_WIDTH)));
        } catch (IOException e) {
            throw Messages.io(file, "cannot read", e);
        }
    }

    /**
     * Reads a file.
     *
     * @throws WanException if it cannot be read, or describes a model that this one is not
     */
    public static WanConfig read(Path file) {
        Messages.requireFile(file);
        try {
            if (Files.size(file) > MAX_FILE_BYTES) {
                throw new FormatException(file, "over " + MAX_FILE_BYTES + " bytes; not a model configuration");
            }
            return parse(file, Files.readAllBytes(file));
        } catch (IOException e) {
            throw Messages.io(file, "cannot read", e);
        }
    }

    /**
     * Reads the text of one.
     *
     * @param where for messages
     * @param json UTF-8
     */
    public static WanConfig parse(Object where, byte[] json) {
        JsonNode root = StrictJson.tree(where, json);
        if (!root.isObject()) {
            throw new FormatException(where, "not a model configuration: expected a JSON object");
        }
        if (!root.has("dim") && root.path("model_config").isObject()) {
            root = root.get("model_config"); // a recorded run's
        }
        boolean diffusers = root.has("num_attention_heads");
        if (diffusers) {
            requireSupportedByDiffusers(where, root);
        } else {
            requireSupported(where, root);
        }
        JsonNode eps = root.path("eps");
        if (!eps.isMissingNode() && !eps.isNumber()) {
            throw new FormatException(where, "eps: expected a number, got " + Messages.shown(eps.toString()));
        }
        try {
            if (diffusers) {
                return diffusers(where, root, (float) eps.asDouble(1e-6));
            }
            return new WanConfig(
                    size(where, root, "dim", 0, MAX_WIDTH),
                    size(where, root, "ffn_dim", 0, MAX_WIDTH),
                    size(where, root, "freq_dim", 256, MAX_WIDTH),
                    size(where, root, "in_dim", 16, MAX_WIDTH),
                    size(where, root, "out_dim", 16, MAX_WIDTH),
                    size(where, root, "num_heads", 0, MAX_WIDTH),
                    size(where, root, "num_layers", 0, MAX_LAYERS),
                    size(where, root, "text_dim", 4096, MAX_WIDTH),
                    size(where, root, "text_len", 512, MAX_WIDTH),
                    (float) eps.asDouble(1e-6));
        } catch (FormatException e) {
            throw e;
        } catch (WanException e) {
            throw new FormatException(where, String.valueOf(e.getMessage()), e);
        }
    }

    /** The keys of Diffusers' {@code WanTransformer3DModel}, whose defaults are those of the 14B model. */
    private static WanConfig diffusers(Object where, JsonNode root, float eps) {
        int heads = size(where, root, "num_attention_heads", 0, MAX_WIDTH);
        int inChannels = size(where, root, "in_channels", 16, MAX_WIDTH);
        return new WanConfig(
                Math.multiplyExact(heads, size(where, root, "attention_head_dim", 128, MAX_WIDTH / heads)),
                size(where, root, "ffn_dim", 13824, MAX_WIDTH),
                size(where, root, "freq_dim", 256, MAX_WIDTH),
                inChannels,
                size(where, root, "out_channels", inChannels, MAX_WIDTH),
                heads,
                size(where, root, "num_layers", 40, MAX_LAYERS),
                size(where, root, "text_dim", 4096, MAX_WIDTH),
                // Not a key there: the pipeline pads prompts to this length.
                size(where, root, "text_len", 512, MAX_WIDTH),
                eps);
    }

    private static void requireSupportedByDiffusers(Object where, JsonNode root) {
        requireValue(where, root, "patch_size", "[1,2,2]");
        requireValue(where, root, "qk_norm", "\"rms_norm_across_heads\"");
        requireValue(where, root, "cross_attn_norm", "true");
    }

    /** What the reference can be configured to and this model cannot. */
    private static void requireSupported(Object where, JsonNode root) {
        String modelType = root.path("model_type").asString("t2v");
        if (!MODEL_TYPES.contains(modelType)) {
            throw new FormatException(
                    where,
                    "model_type " + Messages.shown(modelType) + " is not supported, only "
                            + String.join(", ", MODEL_TYPES));
        }
        requireValue(where, root, "patch_size", "[1,2,2]");
        requireValue(where, root, "qk_norm", "true");
        requireValue(where, root, "cross_attn_norm", "true");
        requireValue(where, root, "window_size", "[-1,-1]");
    }

    private static void requireValue(Object where, JsonNode root, String key, String only) {
        JsonNode value = root.path(key);
        if (!value.isMissingNode() && !value.toString().equals(only)) {
            throw new FormatException(
                    where, key + " " + Messages.shown(value.toString()) + " is not supported, only " + only);
        }
    }

    private static int size(Object where, JsonNode root, String key, int byDefault, int most) {
        JsonNode value = root.path(key);
        if (value.isMissingNode() && byDefault > 0) {
            return byDefault;
        }
        if (value.isMissingNode()) {
            throw new FormatException(where, "has no " + key + "; a model configuration?");
        }
        if (!value.isInt() || value.intValue() < 1 || value.intValue() > most) {
            throw new FormatException(
                    where,
                    key + ": expected a whole number from 1 to " + most + ", got " + Messages.shown(value.toString()));
        }
        return value.intValue();
    }

    /** A configuration as Wan2.1 ships it, UTF-8. */
    public static byte[] write(WanConfig config) {
        ObjectNode root = MAPPER.createObjectNode()
                .put("_class_name", "WanModel")
                .put("model_type", config.imageDim() > 0 ? "i2v" : "t2v")
                .put("dim", config.dim())
                .put("ffn_dim", config.ffnDim())
                .put("freq_dim", config.freqDim())
                .put("in_dim", config.inDim())
                .put("out_dim", config.outDim())
                .put("num_heads", config.numHeads())
                .put("num_layers", config.numLayers())
                .put("text_dim", config.textDim())
                .put("text_len", config.textLen())
                .put("eps", config.eps());
        return (root.toPrettyString() + "\n").getBytes(StandardCharsets.UTF_8);
    }
}
