package capture.analysis;

import capture.ResultSchema;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import wan.file.Messages;
import wan.file.StrictJson;
import wan.op.FormatException;
import wan.op.WanException;
import wan.pass.PassId;

/**
 * The metadata of a result file.
 *
 * @param frames frames of the rollout, T
 * @param frameSeqLen tokens of a frame, S
 * @param tokenRows rows of a frame's token grid
 * @param tokenCols its columns; rows x columns = S
 * @param layers captured layers, 0-based
 * @param heads captured heads, 0-based
 * @param numLayers layers of the model
 * @param numHeads heads of the model
 * @param passes all passes of the run, captured or not, in order
 * @param metadata everything, as it stands in the file
 */
public record RunInfo(
        int frames,
        int frameSeqLen,
        int tokenRows,
        int tokenCols,
        List<Integer> layers,
        List<Integer> heads,
        int numLayers,
        int numHeads,
        List<CapturedPass> passes,
        Map<String, String> metadata) {
    private static final int MOST_FRAMES = 10_000;
    private static final String PROMPT_TOKENS = "prompt_tokens";

    /**
     * Reads the metadata of a file.
     *
     * @param file for messages
     * @throws FormatException if they are not those of a result file
     */
    static RunInfo of(Object file, Map<String, String> metadata) {
        try {
            return new Reader(file, metadata).read();
        } catch (JacksonException e) {
            throw new FormatException(file, "metadata: not valid JSON: " + e.getOriginalMessage(), e);
        }
    }

    /** One text field of the metadata, or a dash. */
    public String text(String key) {
        return metadata.getOrDefault(key, "-");
    }

    /** The frame blocks of the rollout, in order, given ones included. */
    public List<FrameBlock> frameBlocks() {
        List<FrameBlock> blocks = new ArrayList<>();
        passes.stream()
                .sorted(Comparator.comparingInt(CapturedPass::firstFrame))
                .filter(pass -> blocks.isEmpty() || blocks.getLast().first() != pass.firstFrame())
                .forEach(pass -> blocks.add(new FrameBlock(blocks.size(), pass.firstFrame(), pass.frames())));
        return blocks;
    }

    /** The tokens of the first prompt, {@code </s>} last, as cross-attention counts them; none where the prompt was no text. */
    public List<String> promptTokens() {
        return promptTokens(0, 0);
    }

    /**
     * The tokens that a pass's cross-attention attends to, as {@link #promptTokens()}: of the prompt, a later one, or the
     * negative one.
     *
     * @param sample of the batch
     */
    public List<String> promptTokens(CapturedPass pass, int sample) {
        String text = metadata.get("passes");
        if (text == null) {
            return promptTokens(0, sample);
        }
        JsonNode passes = StrictJson.tree("passes", text.getBytes(StandardCharsets.UTF_8));
        return passes.valueStream()
                .filter(node -> node.path("name").asString("").equals(pass.id().label()))
                .map(node -> promptTokens(node.path("context").asInt(0), sample))
                .findFirst()
                .orElseGet(() -> promptTokens(0, sample));
    }

    private List<String> promptTokens(int prompt, int sample) {
        String text = metadata.get(PROMPT_TOKENS);
        if (text == null) {
            return List.of();
        }
        JsonNode tokens = StrictJson.tree(PROMPT_TOKENS, text.getBytes(StandardCharsets.UTF_8));
        return tokens.path(prompt)
                .path(sample)
                .valueStream()
                .map(JsonNode::asString)
                .toList();
    }

    private record Reader(Object file, Map<String, String> metadata) {
        RunInfo read() {
            int schema = metadata.containsKey("schema_version")
                    ? number("schema_version", 1, Integer.MAX_VALUE)
                    : ResultSchema.FIRST;
            if (schema > ResultSchema.VERSION) {
                throw new FormatException(
                        file,
                        "metadata: schema_version: expected at most " + ResultSchema.VERSION + ", got " + schema
                                + "; the file is of a newer version of this program");
            }
            int frames = number("num_frames", 1, MOST_FRAMES);
            int frameSeqLen = number("frame_seq_length", 1, 1 << 24);
            JsonNode config = json("model_config");
            // The first version had the names of Java.
            boolean first = schema == ResultSchema.FIRST;
            JsonNode size = json(first ? "settings" : "latent_size");
            int rows = within(
                            first ? "latentHeight" : "latent_size[0]",
                            first ? size.path("latentHeight") : size.path(0),
                            1,
                            1 << 20)
                    / 2;
            int cols = within(
                            first ? "latentWidth" : "latent_size[1]",
                            first ? size.path("latentWidth") : size.path(1),
                            1,
                            1 << 20)
                    / 2;
            if ((long) rows * cols != frameSeqLen) {
                throw new FormatException(
                        file,
                        "metadata: expected frame_seq_length to be rows x columns of tokens, got " + frameSeqLen
                                + " for " + rows + " x " + cols);
            }
            if (metadata.containsKey(PROMPT_TOKENS)) {
                requireTokens(json(PROMPT_TOKENS));
            }
            int numHeads = inner(config, first ? "numHeads" : "num_heads");
            int numLayers = inner(config, first ? "numLayers" : "num_layers");
            return new RunInfo(
                    frames,
                    frameSeqLen,
                    rows,
                    cols,
                    indices("layers", numLayers),
                    indices("heads", numHeads),
                    numLayers,
                    numHeads,
                    passes(frames),
                    metadata);
        }

        private JsonNode json(String key) {
            String text = metadata.get(key);
            if (text == null) {
                throw new FormatException(
                        file, "metadata: expected \"" + key + "\", got none; not a result of wan-attn extract?");
            }
            return StrictJson.tree(file + ": metadata: " + key, text.getBytes(StandardCharsets.UTF_8));
        }

        private void requireTokens(JsonNode tokens) {
            JsonNode its = tokens.path(0).path(0);
            if (its.isEmpty() || !its.valueStream().allMatch(JsonNode::isString)) {
                throw new FormatException(
                        file,
                        "metadata: " + PROMPT_TOKENS + ": expected lists [prompt][sample][token], got "
                                + Messages.shown(tokens.toString()));
            }
        }

        private int number(String key, int least, int most) {
            return within(key, json(key), least, most);
        }

        private int inner(JsonNode node, String key) {
            return within(key, node.path(key), 1, 1 << 20);
        }

        private int within(String key, JsonNode node, int least, int most) {
            if (!node.isInt() || node.asInt() < least || node.asInt() > most) {
                throw new FormatException(
                        file,
                        "metadata: " + key + ": expected a number from " + least + " to " + most + ", got "
                                + Messages.shown(node.toString()));
            }
            return node.asInt();
        }

        private List<Integer> indices(String key, int count) {
            return list(key, json(key), count);
        }

        private List<Integer> list(String key, JsonNode node, int count) {
            Set<Integer> out = new LinkedHashSet<>();
            for (JsonNode item : node) {
                int value = within(key, item, 0, count - 1);
                if (!out.add(value)) {
                    throw new FormatException(file, "metadata: " + key + ": " + value + " is there twice");
                }
            }
            if (out.isEmpty()) {
                throw new FormatException(
                        file, "metadata: " + key + ": expected a list, got " + Messages.shown(node.toString()));
            }
            return List.copyOf(out);
        }

        private List<CapturedPass> passes(int frames) {
            List<CapturedPass> passes = new ArrayList<>();
            for (JsonNode node : json("passes")) {
                int first = within("first_frame", node.path("first_frame"), 0, frames - 1);
                int count = within("frames", node.path("frames"), 1, frames - first);
                passes.add(new CapturedPass(
                        id(node.path("name").asString("")),
                        first,
                        count,
                        node.path("timestep").asDouble(0),
                        list("key_frames", node.path("key_frames"), frames)));
            }
            if (passes.isEmpty()) {
                throw new FormatException(file, "metadata: passes: expected at least one");
            }
            return passes;
        }

        private PassId id(String name) {
            try {
                return PassId.parse(name);
            } catch (WanException e) {
                throw new FormatException(file, "metadata: passes: " + e.getMessage(), e);
            }
        }
    }
}
