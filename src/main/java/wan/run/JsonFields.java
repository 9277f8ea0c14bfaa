package wan.run;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import wan.file.Messages;
import wan.noise.Seed;
import wan.op.FormatException;

/**
 * A JSON object that is read field by field. What is of another type, or was not asked for, is an error that names its path in the
 * document. A field that is not there has the value that it would have by default.
 */
public final class JsonFields {
    private final Object file;
    private final String path;
    private final @Nullable JsonNode node;
    private final Set<String> known = new LinkedHashSet<>();

    /**
     * Reads the outermost object.
     *
     * @param file for messages
     */
    public JsonFields(Object file, JsonNode node) {
        this(file, "", node);
    }

    private JsonFields(Object file, String path, @Nullable JsonNode node) {
        this.file = file;
        this.path = path;
        this.node = node;
        if (node != null && !node.isObject()) {
            throw failure(path, "an object", node);
        }
    }

    /** An object inside this one; empty if it is not there. */
    public JsonFields object(String name) {
        return new JsonFields(file, where(name), take(name));
    }

    /** The objects of a list; none if it is not there. */
    public List<JsonFields> objects(String name) {
        JsonNode list = take(name);
        if (list != null && !list.isArray()) {
            throw failure(where(name), "a list of objects", list);
        }
        List<JsonFields> objects = new ArrayList<>();
        for (int i = 0; list != null && i < list.size(); i++) {
            objects.add(new JsonFields(file, where(name) + "[" + i + "]", list.get(i)));
        }
        return objects;
    }

    /** Whatever is there, which its own reader checks; null for nothing. */
    @Nullable
    public JsonNode nodeOrNull(String name) {
        return take(name);
    }

    public String text(String name, String otherwise) {
        return get(name, otherwise, "a text", JsonNode::isString, JsonNode::asString);
    }

    @Nullable
    public String textOrNull(String name, @Nullable String otherwise) {
        return orNull(name, otherwise, "a text or null", JsonNode::isString, JsonNode::asString);
    }

    @Nullable
    public Path pathOrNull(String name, @Nullable Path otherwise) {
        return orNull(name, otherwise, "a path or null", JsonNode::isString, value -> path(name, value));
    }

    /** A path that has no default. */
    public Path path(String name) {
        JsonNode value = take(name);
        if (value == null || !value.isString()) {
            throw new FormatException(
                    file,
                    where(name) + ": expected a path, got "
                            + (value == null ? "none" : Messages.shown(value.toString())));
        }
        return path(name, value);
    }

    public double real(String name, double otherwise) {
        return get(name, otherwise, "a number", JsonNode::isNumber, JsonNode::asDouble);
    }

    @Nullable
    public Double realOrNull(String name, @Nullable Double otherwise) {
        return orNull(name, otherwise, "a number or null", JsonNode::isNumber, JsonNode::asDouble);
    }

    public int integer(String name, int otherwise) {
        return get(name, otherwise, "a whole number", JsonNode::isInt, JsonNode::asInt);
    }

    /** A whole number that has no default. */
    public int required(String name) {
        JsonNode value = take(name);
        if (value == null || !value.isInt()) {
            throw new FormatException(
                    file,
                    where(name) + ": expected a whole number, got "
                            + (value == null ? "none" : Messages.shown(value.toString())));
        }
        return value.asInt();
    }

    public List<Integer> integers(String name, List<Integer> otherwise) {
        return list(name, otherwise, "a whole number", JsonNode::isInt, JsonNode::asInt);
    }

    public long longInteger(String name, long otherwise) {
        return get(name, otherwise, "a whole number", JsonFields::isLong, JsonNode::asLong);
    }

    /** A seed, whose 64 bits a long holds. */
    public long seed(String name, long otherwise) {
        return get(
                name,
                otherwise,
                "a whole number from -2^63 to 2^64-1",
                value -> value.isIntegralNumber() && Seed.isOne(value.bigIntegerValue()),
                value -> value.bigIntegerValue().longValue());
    }

    @Nullable
    public Integer integerOrNull(String name, @Nullable Integer otherwise) {
        return orNull(name, otherwise, "a whole number or null", JsonNode::isInt, JsonNode::asInt);
    }

    public float number(String name, float otherwise) {
        return get(name, otherwise, "a number", JsonNode::isNumber, value -> (float) value.asDouble());
    }

    public boolean flag(String name, boolean otherwise) {
        return get(name, otherwise, "true or false", JsonNode::isBoolean, JsonNode::asBoolean);
    }

    public List<Float> numbers(String name, List<Float> otherwise) {
        return list(name, otherwise, "a number", JsonNode::isNumber, value -> (float) value.asDouble());
    }

    public List<String> texts(String name, List<String> otherwise) {
        return list(name, otherwise, "a text", JsonNode::isString, JsonNode::asString);
    }

    /** {@code "all"}, which is an empty list here, or a list of indices. */
    public List<Integer> indices(String name, List<Integer> otherwise) {
        JsonNode value = node == null ? null : node.get(name);
        if (value != null && value.isString() && value.asString().equals("all")) {
            known.add(name);
            return List.of();
        }
        if (value != null && (!value.isArray() || value.isEmpty())) {
            throw failure(where(name), "\"all\" or a list of indices", value);
        }
        return list(name, otherwise, "an index from 0", index -> index.isInt() && index.asInt() >= 0, JsonNode::asInt);
    }

    /** One of some words. */
    public <T> T word(String name, T otherwise, Map<String, T> words) {
        return get(name, otherwise, oneOf(words), value -> isWord(value, words), value -> word(value, words));
    }

    /** A list of some words. */
    public <T> Set<T> words(String name, Set<T> otherwise, Map<String, T> words) {
        Set<T> list = wordsOrNone(name, otherwise, words);
        if (list.isEmpty()) {
            throw new FormatException(file, where(name) + ": expected at least " + oneOf(words) + ", got none");
        }
        return list;
    }

    /** A list of some words, perhaps empty. */
    public <T> Set<T> wordsOrNone(String name, Set<T> otherwise, Map<String, T> words) {
        return Set.copyOf(list(
                name,
                List.copyOf(otherwise),
                oneOf(words),
                value -> isWord(value, words),
                value -> word(value, words)));
    }

    /** Refuses what has not been asked for. */
    public void done() {
        if (node == null) {
            return;
        }
        for (String name : node.propertyNames()) {
            if (!known.contains(name)) {
                throw new FormatException(
                        file,
                        where(Messages.shown(name)) + ": expected one of the fields " + String.join(", ", known)
                                + ", got another");
            }
        }
    }

    private static <T> String oneOf(Map<String, T> words) {
        return "one of " + String.join(", ", words.keySet());
    }

    private static boolean isWord(JsonNode value, Map<String, ?> words) {
        return value.isString() && words.containsKey(value.asString());
    }

    private static <T> T word(JsonNode value, Map<String, T> words) {
        T word = words.get(value.asString());
        if (word == null) {
            throw new IllegalStateException("not a word that was checked: " + value);
        }
        return word;
    }

    private static boolean isLong(JsonNode value) {
        return value.isIntegralNumber() && value.canConvertToLong();
    }

    private Path path(String name, JsonNode value) {
        try {
            return Path.of(value.asString());
        } catch (InvalidPathException e) {
            throw failure(where(name), "a path", value);
        }
    }

    private <T> T get(String name, T otherwise, String expected, Predicate<JsonNode> is, Function<JsonNode, T> read) {
        JsonNode value = take(name);
        if (value == null) {
            return otherwise;
        }
        if (!is.test(value)) {
            throw failure(where(name), expected, value);
        }
        return read.apply(value);
    }

    private <T> @Nullable T orNull(
            String name, @Nullable T otherwise, String expected, Predicate<JsonNode> is, Function<JsonNode, T> read) {
        JsonNode value = take(name);
        if (value == null) {
            return otherwise;
        }
        if (value.isNull()) {
            return null;
        }
        if (!is.test(value)) {
            throw failure(where(name), expected, value);
        }
        return read.apply(value);
    }

    private <T> List<T> list(
            String name, List<T> otherwise, String expected, Predicate<JsonNode> is, Function<JsonNode, T> read) {
        JsonNode value = take(name);
        if (value == null) {
            return otherwise;
        }
        if (!value.isArray()) {
            throw failure(where(name), "a list", value);
        }
        List<T> list = new ArrayList<>();
        for (JsonNode item : value) {
            if (!is.test(item)) {
                throw failure(where(name) + "[" + list.size() + "]", expected, item);
            }
            list.add(read.apply(item));
        }
        return list;
    }

    private @Nullable JsonNode take(String name) {
        known.add(name);
        return node == null ? null : node.get(name);
    }

    private String where(String name) {
        return path.isEmpty() ? name : path + "." + name;
    }

    private FormatException failure(String where, String expected, JsonNode got) {
        return new FormatException(
                file,
                (where.isEmpty() ? "" : where + ": ") + "expected " + expected + ", got "
                        + Messages.shown(got.toString()));
    }
}
