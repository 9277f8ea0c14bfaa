package wan.edit;

import capture.Indices;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.noise.Seed;
import wan.op.AttentionKind;
import wan.op.Site;
import wan.op.UsageException;

/**
 * Edit plans as JSON: a list of rules, or an object with such a list as {@code rules}. A rule has an effect, {@code do},
 * and the places where it applies: {@code
 * heads} ({@code "3:5,7:0-3"}) or {@code layers}, {@code attention} ({@code self}), {@code passes}, {@code frame_blocks}; the rest depends on the
 * effect.
 *
 * <pre>
 * [{"do": "zero", "heads": "3:5"},
 *  {"do": "temperature", "heads": "7:0-3", "value": 0.7, "passes": ["denoise"]},
 *  {"do": "bias", "heads": "0:3", "frames": "0", "value": -2},
 *  {"do": "patch", "site": "k", "heads": "1:3", "from": "other.safetensors", "passes": ["block1.ctx"]}]
 * </pre>
 */
public final class EditJson {
    private static final Set<String> WHERE = Set.of("do", "heads", "layers", "attention", "passes", "frame_blocks");

    /** What each effect takes besides. */
    private static final Map<String, Set<String>> FIELDS = Map.ofEntries(
            Map.entry("zero", Set.of()),
            Map.entry("scale", Set.of("value")),
            Map.entry("temperature", Set.of("value")),
            Map.entry("bias", Set.of("frames", "tokens", "value")),
            Map.entry("block", Set.of("frames", "tokens")),
            Map.entry("keep", Set.of("sink", "window")),
            Map.entry("mean", Set.of()),
            Map.entry("mean_frame", Set.of()),
            Map.entry("patch", Set.of("site", "from", "prefix")),
            Map.entry("add", Set.of("site", "from", "tensor", "value")),
            Map.entry("noise", Set.of("site", "value", "seed")));

    private EditJson() {}

    /**
     * Reads a plan from a file.
     *
     * @throws UsageException if it is none
     */
    public static EditPlan read(Path file) {
        try {
            return parse(String.valueOf(file.getFileName()), JsonMapper.shared().readTree(Files.readString(file)));
        } catch (IOException e) {
            throw new UsageException(file + ": cannot read the edits: expected a JSON file");
        } catch (JacksonException e) {
            throw new UsageException(file + ": expected edits as JSON, " + e.getOriginalMessage());
        }
    }

    /**
     * Reads a plan.
     *
     * @param source for messages
     */
    public static EditPlan parse(String source, JsonNode json) {
        JsonNode list = json.isObject() && json.has("rules") ? json.get("rules") : json;
        if (!list.isArray()) {
            throw new UsageException(source + ": expected a list of rules, or an object with rules");
        }
        List<Rule> rules = new ArrayList<>();
        for (JsonNode node : list) {
            rules.add(rule(source + ", rule " + rules.size(), node));
        }
        return new EditPlan(rules);
    }

    private static Rule rule(String where, JsonNode node) {
        String name = text(where, node, "do");
        Set<String> known = FIELDS.get(name);
        if (known == null) {
            throw new UsageException(
                    where + ": expected do to be one of " + new TreeSet<>(FIELDS.keySet()) + ", got \"" + name + "\"");
        }
        for (String field : node.propertyNames()) {
            if (!WHERE.contains(field) && !known.contains(field)) {
                throw new UsageException(where + ": expected of " + name + " only " + new TreeSet<>(WHERE) + " and "
                        + new TreeSet<>(known) + ", got \"" + field + "\"");
            }
        }
        Effect effect = effect(where, name, node);
        if (node.has("heads") == node.has("layers")) {
            throw new UsageException(where + ": expected either heads or layers");
        }
        Heads heads = Heads.parse(where + ", heads", text(where, node, node.has("heads") ? "heads" : "layers"));
        return new Rule(
                heads,
                attention(where, node),
                passes(node),
                node.has("frame_blocks")
                        ? Indices.parse(where + ", frame_blocks", text(where, node, "frame_blocks"), "indices")
                        : Indices.ALL,
                effect);
    }

    private static Effect effect(String where, String name, JsonNode node) {
        return switch (name) {
            case "zero" -> new Effect.Zero();
            case "scale" -> new Effect.Scale(number(where, node, "value"));
            case "temperature" -> new Effect.Temperature(number(where, node, "value"));
            case "bias", "block" ->
                new Effect.Bias(
                        indices(where, node, "frames"),
                        indices(where, node, "tokens"),
                        name.equals("block") ? Float.NEGATIVE_INFINITY : number(where, node, "value"));
            case "keep" -> new Effect.Keep((int) number(where, node, "sink"), (int) number(where, node, "window"));
            case "mean", "mean_frame" -> new Effect.Mean(name.equals("mean_frame"));
            case "patch" ->
                new Effect.Patch(
                        site(where, node),
                        Path.of(text(where, node, "from")),
                        node.has("prefix") ? text(where, node, "prefix") : "");
            case "add" ->
                new Effect.Add(
                        site(where, node),
                        Path.of(text(where, node, "from")),
                        text(where, node, "tensor"),
                        node.has("value") ? number(where, node, "value") : 1);
            default ->
                new Effect.Noise(
                        site(where, node),
                        number(where, node, "value"),
                        node.has("seed") ? seed(where, node.get("seed")) : 0);
        };
    }

    private static Indices indices(String where, JsonNode node, String field) {
        return node.has(field) ? Indices.parse(where + ", " + field, text(where, node, field), "indices") : Indices.ALL;
    }

    private static AttentionKind attention(String where, JsonNode node) {
        String kind = node.has("attention") ? text(where, node, "attention") : "self";
        return switch (kind) {
            case "self" -> AttentionKind.SELF;
            case "cross" -> AttentionKind.CROSS;
            default -> throw new UsageException(where + ", attention: expected self or cross, got \"" + kind + "\"");
        };
    }

    private static Passes passes(JsonNode node) {
        if (!node.has("passes")) {
            return Passes.ALL;
        }
        List<String> names = new ArrayList<>();
        if (node.get("passes").isArray()) {
            node.get("passes").forEach(name -> names.add(name.asString()));
        } else {
            names.addAll(List.of(node.get("passes").asString().split(",", -1)));
        }
        return new Passes(names);
    }

    /**
     * Reads the name of a site.
     *
     * @throws UsageException if there is none of the name
     */
    public static Site site(String where, String name) {
        for (Site site : Site.values()) {
            if (site.option().equals(name) || site.tensor().equals(name)) {
                return site;
            }
        }
        List<String> names = new ArrayList<>();
        for (Site site : Site.values()) {
            names.add(site.option());
        }
        throw new UsageException(where + ": expected a site, one of " + names + ", got \"" + name + "\"");
    }

    private static Site site(String where, JsonNode node) {
        return site(where, text(where, node, "site"));
    }

    private static String text(String where, JsonNode node, String field) {
        JsonNode value = node.get(field);
        if (value == null || !(value.isString() || value.isNumber())) {
            throw new UsageException(where + ": expected " + field + ", got " + (value == null ? "none" : value));
        }
        return value.asString();
    }

    private static long seed(String where, JsonNode value) {
        if (!value.isIntegralNumber() || !Seed.isOne(value.bigIntegerValue())) {
            throw new UsageException(where + ": expected a seed from -2^63 to 2^64-1, got " + value);
        }
        return value.bigIntegerValue().longValue();
    }

    private static float number(String where, JsonNode node, String field) {
        @Nullable JsonNode value = node.get(field);
        if (value == null || !value.isNumber()) {
            throw new UsageException(
                    where + ": expected a number as " + field + ", got " + (value == null ? "none" : value));
        }
        return (float) value.asDouble();
    }

    /** A plan as plain values, which {@link #parse} reads back. */
    public static List<Map<String, Object>> toJson(EditPlan plan) {
        List<Map<String, Object>> rules = new ArrayList<>();
        for (Rule rule : plan.rules()) {
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("do", rule.effect().name());
            fields.put("heads", rule.heads().text());
            if (rule.attention() != AttentionKind.SELF) {
                fields.put("attention", rule.attention().name().toLowerCase(Locale.ROOT));
            }
            if (!rule.passes().equals(Passes.ALL)) {
                fields.put("passes", rule.passes().names());
            }
            putUnlessAll(fields, "frame_blocks", rule.frameBlocks());
            switch (rule.effect()) {
                case Effect.Zero _ -> {}
                case Effect.Mean _ -> {}
                case Effect.Scale scale -> fields.put("value", scale.value());
                case Effect.Temperature temperature -> fields.put("value", temperature.value());
                case Effect.Bias bias -> {
                    putUnlessAll(fields, "frames", bias.frames());
                    putUnlessAll(fields, "tokens", bias.tokens());
                    if (bias.value() != Float.NEGATIVE_INFINITY) {
                        fields.put("value", bias.value());
                    }
                }
                case Effect.Keep keep -> {
                    fields.put("sink", keep.sink());
                    fields.put("window", keep.window());
                }
                case Effect.Patch patch -> {
                    fields.put("site", patch.site().option());
                    fields.put("from", patch.from().toString());
                    if (!patch.prefix().isEmpty()) {
                        fields.put("prefix", patch.prefix());
                    }
                }
                case Effect.Add add -> {
                    fields.put("site", add.site().option());
                    fields.put("from", add.from().toString());
                    fields.put("tensor", add.tensor());
                    fields.put("value", add.value());
                }
                case Effect.Noise noise -> {
                    fields.put("site", noise.site().option());
                    fields.put("value", noise.value());
                    fields.put("seed", Seed.number(noise.seed()));
                }
            }
            rules.add(fields);
        }
        return rules;
    }

    private static void putUnlessAll(Map<String, Object> fields, String name, Indices indices) {
        if (!indices.equals(Indices.ALL)) {
            fields.put(name, indices.toString());
        }
    }
}
