package wan.sweep;

import java.io.IOException;
import java.io.InputStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.SequencedMap;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import wan.edit.EditJson;
import wan.edit.EditPlan;
import wan.file.Messages;
import wan.file.StrictJson;
import wan.op.FormatException;
import wan.op.UsageException;
import wan.run.JsonFields;
import wan.run.Preset;
import wan.run.RunSpec;
import wan.run.SpecFile;
import wan.run.SpecJson;
import wan.text.PromptLines;

/** A {@link Sweep} as JSON or YAML. docs/guide/sweeps.md has the format. */
public final class SweepJson {
    private static final int VERSION = 1;
    private static final int MOST_BYTES = 64 << 20;
    private static final Pattern RANGE = Pattern.compile("\\s*(\\d{1,20})\\s*-\\s*(\\d{1,20})\\s*");
    private static final List<String> KINDS =
            List.of("field", "prompts", "seeds", "presets", "edits", "policies", "points", "zip");

    private SweepJson() {}

    /**
     * Reads a sweep. Files with prompts, edits or a base that it names are read at once, so the value does not depend on them later.
     *
     * @param file JSON, or YAML if its name ends in .yaml or .yml
     * @throws FormatException if something is wrong; the message has its path in the document
     */
    public static Sweep read(Path file) {
        byte[] bytes;
        try (InputStream in = Files.newInputStream(file)) {
            bytes = in.readNBytes(MOST_BYTES + 1);
        } catch (IOException e) {
            throw Messages.io(file, "cannot read", e);
        }
        if (bytes.length > MOST_BYTES) {
            throw new FormatException(file, "over " + MOST_BYTES + " bytes; not a sweep");
        }
        boolean yaml = file.toString().toLowerCase(Locale.ROOT).matches(".*\\.ya?ml");
        return read(file, yaml ? yaml(file, bytes) : StrictJson.tree(file, bytes));
    }

    private static JsonNode yaml(Path file, byte[] bytes) {
        try {
            // YAML 1.2: "no" is a text. Neither duplicate keys nor many aliases are allowed.
            Object tree = new Load(LoadSettings.builder()
                            .setAllowDuplicateKeys(false)
                            .setCodePointLimit(MOST_BYTES)
                            .build())
                    .loadFromString(new String(bytes, StandardCharsets.UTF_8));
            return JsonMapper.shared().valueToTree(tree);
        } catch (YamlEngineException e) {
            throw new FormatException(file, "not valid YAML: " + Messages.shown(String.valueOf(e.getMessage())), e);
        }
    }

    static Sweep read(Object file, JsonNode tree) {
        JsonFields root = new JsonFields(file, tree);
        int version = root.integer("version", VERSION);
        if (version != VERSION) {
            throw new FormatException(file, "version: expected " + VERSION + ", got " + version);
        }
        RunSpec base = base(file, root.nodeOrNull("base"));
        List<Axis> axes = axes(file, "axes", root.nodeOrNull("axes"));
        root.done();
        return located(file, "", () -> {
            Sweep sweep = new Sweep(base, axes);
            // Every value once, so that what does not fit is told with its place before anything runs.
            for (int a = 0; a < axes.size(); a++) {
                for (int p = 0; p < axes.get(a).points().size(); p++) {
                    check(file, sweep, a, p);
                }
            }
            return sweep;
        });
    }

    private static void check(Object file, Sweep sweep, int axis, int point) {
        RunSpec spec = sweep.base();
        for (int a = 0; a <= axis; a++) {
            int p = a == axis ? point : 0;
            spec = sweep.axes().get(a).points().get(p).over(spec, file + ": axes[" + a + "], value " + p);
        }
    }

    private static RunSpec base(Object file, @Nullable JsonNode node) {
        if (node == null) {
            return RunSpec.of(RunSpec.Model.DEMO);
        }
        if (node.isString()) {
            return SpecFile.read(path(file, "base", node.asString()));
        }
        if (!node.isObject()) {
            throw failure(file, "base", "the specification of a run, or the name of a file with one", node);
        }
        ObjectNode spec = ((ObjectNode) node).deepCopy();
        if (!spec.has("version")) {
            spec.put("version", SpecJson.VERSION);
        }
        return SpecJson.read(file + ": base", spec);
    }

    private static List<Axis> axes(Object file, String where, @Nullable JsonNode node) {
        List<Axis> axes = new ArrayList<>();
        if (node == null) {
            return axes;
        }
        if (!node.isArray()) {
            throw failure(file, where, "a list of axes", node);
        }
        for (JsonNode each : node) {
            String place = where + "[" + axes.size() + "]";
            if (!each.isObject()) {
                throw failure(file, place, "an object", each);
            }
            axes.add(located(file, place, () -> axis(file, place, each)));
        }
        return axes;
    }

    private static Axis axis(Object file, String where, JsonNode node) {
        List<String> kinds = KINDS.stream().filter(node::has).toList();
        if (kinds.size() != 1) {
            throw new FormatException(
                    file,
                    where + ": expected one of " + String.join(", ", KINDS) + ", got "
                            + (kinds.isEmpty() ? "none" : String.join(" and ", kinds)));
        }
        String kind = kinds.getFirst();
        for (String name : node.propertyNames()) {
            if (!name.equals("name") && !name.equals(kind) && !(kind.equals("field") && name.equals("values"))) {
                throw new FormatException(
                        file,
                        where + "." + Messages.shown(name) + ": expected " + kind
                                + (kind.equals("field") ? ", values" : "") + " and name alone, got another field");
            }
        }
        JsonNode value = node.get(kind);
        String place = where + "." + kind;
        if (node.has("name") && !node.get("name").isString()) {
            throw failure(file, where + ".name", "a text", node.get("name"));
        }
        String name = node.has("name") ? node.get("name").asString() : null;
        return switch (kind) {
            case "field" -> field(file, where, node, name);
            case "prompts" ->
                new Axis(
                        name == null ? "prompt" : name,
                        points(prompts(file, place, value), text -> Point.of(text, "prompt.texts", list(text))));
            case "seeds" ->
                new Axis(
                        name == null ? "seed" : name,
                        points(
                                seeds(file, place, value),
                                seed -> Point.of(seed.toString(), "noise.seed", number(seed))));
            case "presets" ->
                new Axis(
                        name == null ? "preset" : name,
                        points(texts(file, place, value), preset -> Point.of(Preset.named(preset))));
            case "policies" ->
                new Axis(name == null ? "policy" : name, points(texts(file, place, value), Point::ofPolicy));
            case "edits" -> new Axis(name == null ? "edits" : name, edits(file, place, value));
            case "points" -> new Axis(name == null ? "point" : name, points(file, place, value));
            default -> {
                List<Axis> inner = axes(file, place, value);
                if (inner.size() < 2) {
                    throw failure(file, place, "two axes or more", value);
                }
                yield Axis.zip(
                        inner,
                        name == null
                                ? String.join(
                                        "_", inner.stream().map(Axis::name).toList())
                                : name);
            }
        };
    }

    private static Axis field(Object file, String where, JsonNode node, @Nullable String name) {
        JsonNode path = node.get("field");
        JsonNode values = node.get("values");
        if (!path.isString()) {
            throw failure(file, where + ".field", "the path of a field, such as noise.seed", path);
        }
        if (values == null || !values.isArray()) {
            throw failure(file, where + ".values", "a list", values);
        }
        List<Point> points = new ArrayList<>();
        for (JsonNode value : values) {
            points.add(Point.of(value.isString() ? value.asString() : value.toString(), path.asString(), value));
        }
        String field = path.asString();
        return new Axis(name == null ? field.substring(field.lastIndexOf('.') + 1) : name, points);
    }

    private static <T> List<Point> points(List<T> values, Function<T, Point> point) {
        return values.stream().map(point).toList();
    }

    private static List<String> prompts(Object file, String where, JsonNode node) {
        return node.isString() ? PromptLines.read(path(file, where, node.asString())) : texts(file, where, node);
    }

    private static List<String> texts(Object file, String where, JsonNode node) {
        List<String> texts = new ArrayList<>();
        if (!node.isArray()) {
            throw failure(file, where, "a list of texts", node);
        }
        for (JsonNode text : node) {
            if (!text.isString()) {
                throw failure(file, where + "[" + texts.size() + "]", "a text", text);
            }
            texts.add(text.asString());
        }
        return texts;
    }

    private static List<BigInteger> seeds(Object file, String where, JsonNode node) {
        List<BigInteger> seeds = new ArrayList<>();
        Matcher range = RANGE.matcher(node.isString() ? node.asString() : "");
        if (range.matches()) {
            BigInteger from = new BigInteger(range.group(1));
            BigInteger to = new BigInteger(range.group(2));
            BigInteger count = to.subtract(from).add(BigInteger.ONE);
            if (count.signum() > 0 && count.compareTo(BigInteger.valueOf(Sweep.MOST_RUNS)) <= 0) {
                for (BigInteger seed = from; seed.compareTo(to) <= 0; seed = seed.add(BigInteger.ONE)) {
                    seeds.add(seed);
                }
                return seeds;
            }
        }
        if (!node.isArray()) {
            throw failure(file, where, "a list of whole numbers, or a range such as \"0-4\"", node);
        }
        for (JsonNode seed : node) {
            if (!seed.isIntegralNumber()) {
                throw failure(file, where + "[" + seeds.size() + "]", "a whole number", seed);
            }
            seeds.add(seed.bigIntegerValue());
        }
        return seeds;
    }

    private static List<Point> edits(Object file, String where, JsonNode node) {
        if (!node.isObject()) {
            throw failure(file, where, "an object: a name for each plan, and its rules or the name of a file", node);
        }
        List<Point> points = new ArrayList<>();
        node.properties()
                .forEach(entry -> points.add(Point.of(
                        entry.getKey(), plan(file, where + "." + Messages.shown(entry.getKey()), entry.getValue()))));
        return points;
    }

    private static EditPlan plan(Object file, String where, JsonNode node) {
        return located(
                file,
                "",
                () -> node.isString()
                        ? EditJson.read(path(file, where, node.asString()))
                        : EditJson.parse(where, node));
    }

    private static List<Point> points(Object file, String where, JsonNode node) {
        if (!node.isArray()) {
            throw failure(file, where, "a list of objects", node);
        }
        List<Point> points = new ArrayList<>();
        for (JsonNode each : node) {
            String place = where + "[" + points.size() + "]";
            if (!each.isObject()) {
                throw failure(file, place, "an object", each);
            }
            JsonFields fields = new JsonFields(file + ": " + place, each);
            String label = fields.textOrNull("label", null);
            String preset = fields.textOrNull("preset", null);
            String policy = fields.textOrNull("policy", null);
            JsonNode set = fields.nodeOrNull("set");
            JsonNode edits = fields.nodeOrNull("edits");
            fields.done();
            if (set != null && !set.isObject()) {
                throw failure(file, place + ".set", "an object: paths of fields and their values", set);
            }
            SequencedMap<String, JsonNode> values = new LinkedHashMap<>();
            if (set != null) {
                set.properties().forEach(entry -> values.put(entry.getKey(), entry.getValue()));
            }
            points.add(located(
                    file,
                    place,
                    () -> new Point(
                            label == null ? each.toString() : label,
                            preset == null ? null : Preset.named(preset),
                            values,
                            policy,
                            edits == null ? EditPlan.NONE : plan(file, place + ".edits", edits))));
        }
        return points;
    }

    /** The whole value as JSON, for {@link #read}; it names no other files. */
    public static String write(Sweep sweep) {
        ObjectNode root = JsonMapper.shared().createObjectNode();
        root.put("version", VERSION);
        root.set("base", SpecJson.tree(sweep.base()));
        ArrayNode axes = root.putArray("axes");
        for (Axis axis : sweep.axes()) {
            ObjectNode node = axes.addObject().put("name", axis.name());
            ArrayNode points = node.putArray("points");
            for (Point point : axis.points()) {
                ObjectNode each = points.addObject().put("label", point.label());
                if (point.preset() != null) {
                    each.put("preset", point.preset().name());
                }
                if (!point.set().isEmpty()) {
                    ObjectNode set = each.putObject("set");
                    point.set().forEach(set::set);
                }
                if (point.policy() != null) {
                    each.put("policy", point.policy());
                }
                if (!point.edits().isNone()) {
                    each.set("edits", JsonMapper.shared().valueToTree(EditJson.toJson(point.edits())));
                }
            }
        }
        return root.toPrettyString() + "\n";
    }

    /** Adds the place in the document to an error about a value. */
    private static <T> T located(Object file, String where, Supplier<T> read) {
        try {
            return read.get();
        } catch (FormatException e) {
            throw e;
        } catch (UsageException e) {
            throw new FormatException(file, (where.isEmpty() ? "" : where + ": ") + e.getMessage(), e);
        }
    }

    private static Path path(Object file, String where, String name) {
        try {
            return Path.of(name);
        } catch (InvalidPathException e) {
            throw new FormatException(file, where + ": expected a path, got " + Messages.shown(name), e);
        }
    }

    private static JsonNode list(String text) {
        return JsonMapper.shared().createArrayNode().add(text);
    }

    private static JsonNode number(BigInteger value) {
        return JsonMapper.shared().valueToTree(value);
    }

    private static FormatException failure(Object file, String where, String expected, @Nullable JsonNode got) {
        return new FormatException(
                file,
                where + ": expected " + expected + ", got " + (got == null ? "none" : Messages.shown(got.toString())));
    }
}
