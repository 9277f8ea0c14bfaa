package wan.run;

import capture.analysis.Difference;
import capture.analysis.HeadId;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import wan.edit.EditJson;
import wan.file.OutputFile;
import wan.file.StrictJson;
import wan.op.FormatException;
import wan.op.WanException;

/**
 * Outcomes of an {@link Ablation} as JSON: the complete result, or the finished edits of an interrupted ablation;
 * {@code complete} distinguishes them.
 */
public final class AblationFile {
    private static final int VERSION = 1;
    private static final int MOST_BYTES = 100_000_000;

    private AblationFile() {}

    /**
     * Writes outcomes, replacing what was there once they are whole.
     *
     * @param complete whether all edits are among them
     */
    public static void write(Path target, Ablation ablation, List<Outcome> outcomes, boolean complete) {
        ObjectNode root = JsonMapper.shared().createObjectNode();
        root.put("wan_attn_version", Program.version());
        root.put("ablation", VERSION);
        root.put("complete", complete);
        root.set("run", SpecJson.tree(ablation.base().resolved()));
        ArrayNode edits = root.putArray("edits");
        outcomes.forEach(outcome -> edits.add(tree(outcome)));
        byte[] text = (root.toPrettyString() + "\n").getBytes(StandardCharsets.UTF_8);
        OutputFile.write(target, out -> out.write(text));
    }

    private static ObjectNode tree(Outcome outcome) {
        Variant variant = outcome.variant();
        ObjectNode node = JsonMapper.shared().createObjectNode();
        node.put("name", variant.name());
        if (variant.head() >= 0 || variant.layer() >= 0) {
            node.put("layer", variant.layer());
            node.put("head", variant.head());
        }
        node.set("rules", JsonMapper.shared().valueToTree(EditJson.toJson(variant.edits())));
        if (variant.cache() != null) {
            node.put("policy", variant.cache().policy());
            node.put("head_groups", variant.cache().heads());
        }
        node.put("from", outcome.from());
        node.put("computed", outcome.computed());
        node.put("seconds", outcome.seconds());
        if (!outcome.failure().isEmpty()) {
            node.put("failure", outcome.failure());
            return node;
        }
        node.set("latents", tree(outcome.latents()));
        ArrayNode frames = node.putArray("frames");
        outcome.frames().forEach(frame -> frames.add(tree(frame)));
        if (!outcome.watched().isEmpty()) {
            ObjectNode watched = node.putObject("watched_frame_logits");
            outcome.watched().forEach((head, value) -> watched.set(head.layer() + ":" + head.head(), tree(value)));
        }
        return node;
    }

    /** A PSNR that is infinite is null. */
    public static ObjectNode tree(Difference difference) {
        ObjectNode node = JsonMapper.shared()
                .createObjectNode()
                .put("relative_l2", difference.relativeL2())
                .put("cosine", difference.cosine());
        if (Double.isFinite(difference.psnr())) {
            node.put("psnr", difference.psnr());
        } else {
            node.putNull("psnr");
        }
        node.put("largest", difference.largest()).put("values", difference.values());
        if (difference.unpaired() > 0) {
            node.put("unpaired", difference.unpaired());
        }
        return node;
    }

    /**
     * What an interrupted ablation has left.
     *
     * @throws WanException if it is of another run
     */
    public static List<Outcome> resume(Path file, Ablation ablation) {
        JsonNode root = root(file);
        JsonNode own = JsonMapper.shared()
                .readTree(SpecJson.tree(ablation.base().resolved()).toString());
        if (!root.path("run").equals(own)) {
            throw new WanException(
                    file + ": belongs to a different run; repeat the command that wrote it, or start again");
        }
        Map<String, Variant> variants = new LinkedHashMap<>();
        ablation.variants().forEach(variant -> variants.put(variant.name(), variant));
        List<Outcome> outcomes = new ArrayList<>();
        try {
            for (JsonNode node : root.path("edits")) {
                Variant variant = variants.get(node.path("name").asString(""));
                if (variant != null && sameEdit(node, variant)) {
                    outcomes.add(outcome(variant, node));
                }
            }
        } catch (JacksonException | IllegalArgumentException | IndexOutOfBoundsException e) {
            throw malformed(file, e);
        }
        return outcomes;
    }

    private static boolean sameEdit(JsonNode node, Variant variant) {
        Outcome bare = new Outcome(variant, "", 0, 0, Difference.NONE, List.of(), new LinkedHashMap<>(), "");
        JsonNode own = JsonMapper.shared().readTree(tree(bare).toString());
        return node.path("rules").equals(own.path("rules"))
                && node.path("policy").equals(own.path("policy"))
                && node.path("head_groups").equals(own.path("head_groups"));
    }

    private static Outcome outcome(Variant variant, JsonNode node) {
        List<Difference> frames = new ArrayList<>();
        node.path("frames").forEach(frame -> frames.add(difference(frame)));
        SequencedMap<HeadId, Difference> watched = new LinkedHashMap<>();
        node.path("watched_frame_logits").properties().forEach(entry -> {
            String[] parts = entry.getKey().split(":", -1);
            watched.put(
                    new HeadId(Integer.parseInt(parts[0]), Integer.parseInt(parts[1])), difference(entry.getValue()));
        });
        return new Outcome(
                variant,
                node.path("from").asString(""),
                node.path("computed").asDouble(),
                node.path("seconds").asDouble(),
                difference(node.path("latents")),
                frames,
                watched,
                node.path("failure").asString(""));
    }

    private static Difference difference(JsonNode node) {
        return new Difference(
                node.path("relative_l2").asDouble(),
                node.path("cosine").asDouble(),
                node.path("psnr").isNumber() ? node.path("psnr").asDouble() : Double.POSITIVE_INFINITY,
                node.path("largest").asDouble(),
                node.path("values").asLong(),
                node.path("unpaired").asLong(0));
    }

    /**
     * Heads whose edits a finished result holds, those that changed the latents least first.
     *
     * @throws FormatException if it is none
     */
    public static List<HeadId> order(Path file) {
        record Effect(HeadId head, double relativeL2) {}
        List<Effect> effects = new ArrayList<>();
        try {
            for (JsonNode node : root(file).path("edits")) {
                if (node.path("head").asInt(-1) >= 0 && node.has("latents")) {
                    effects.add(new Effect(
                            new HeadId(
                                    node.path("layer").asInt(),
                                    node.path("head").asInt()),
                            difference(node.path("latents")).relativeL2()));
                }
            }
        } catch (JacksonException | IllegalArgumentException e) {
            throw malformed(file, e);
        }
        if (effects.isEmpty()) {
            throw new FormatException(file, "expected edits of single heads, got none");
        }
        effects.sort(Comparator.comparingDouble(Effect::relativeL2).thenComparing(Effect::head, HeadId.ORDER));
        return effects.stream().map(Effect::head).toList();
    }

    private static FormatException malformed(Path file, RuntimeException cause) {
        FormatException problem = new FormatException(file, "expected the JSON of an ablation, got a malformed edit");
        problem.initCause(cause);
        return problem;
    }

    private static JsonNode root(Path file) {
        byte[] text = bytes(file);
        JsonNode root = text == null ? null : StrictJson.tree(file, text);
        if (root == null || root.path("ablation").asInt(0) != VERSION) {
            throw new FormatException(file, "expected the JSON of an ablation, version " + VERSION);
        }
        return root;
    }

    private static byte @Nullable [] bytes(Path file) {
        try {
            return Files.size(file) > MOST_BYTES ? null : Files.readAllBytes(file);
        } catch (IOException e) {
            throw new WanException(file + ": cannot read: " + e.getMessage(), e);
        }
    }
}
