package wan.file;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.Shape;
import wan.op.WanException;

/**
 * The JSON header of a safetensors file: what the format's specification (github.com/huggingface/safetensors) demands, and as strict as
 * its reference implementation: the tensors' ranges must cover the data section without gap or overlap.
 *
 * @param tensors by name, in order of offset
 * @param metadata the free text map under {@code __metadata__}
 */
record SafetensorsHeader(SequencedMap<String, Entry> tensors, Map<String, String> metadata) {
    private static final String METADATA = "__metadata__";
    private static final int MAX_RANK = 64;
    private static final Map<String, DType> DTYPES =
            Arrays.stream(DType.values()).collect(Collectors.toUnmodifiableMap(DType::name, dtype -> dtype));

    /**
     * One tensor.
     *
     * @param begin first byte, from the start of the data section
     * @param end one past the last byte
     */
    record Entry(String name, DType dtype, Shape shape, long begin, long end) {}

    /**
     * Parses and checks a header.
     *
     * @param file for messages
     * @param json the header's bytes, padding included
     * @param dataBytes size of the data section
     */
    static SafetensorsHeader parse(Object file, byte[] json, long dataBytes) {
        if (json.length == 0 || json[0] != '{') {
            throw new FormatException(file, "the header does not start with {; not a safetensors file?");
        }
        List<Entry> entries = new ArrayList<>();
        Map<String, String> metadata = new LinkedHashMap<>();
        try (JsonParser parser = StrictJson.parser(json)) {
            parser.nextToken();
            for (String name = parser.nextName(); name != null; name = parser.nextName()) {
                parser.nextToken();
                if (name.equals(METADATA)) {
                    readMetadata(file, parser, metadata);
                } else {
                    entries.add(readEntry(file, parser, name));
                }
            }
            if (parser.currentToken() != JsonToken.END_OBJECT || parser.nextToken() != null) {
                throw new FormatException(file, "the header is not one JSON object");
            }
        } catch (JacksonException e) {
            throw StrictJson.failure(file, "the header is not valid JSON", e);
        }
        entries.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
        requireCover(file, entries, dataBytes);
        SequencedMap<String, Entry> tensors = new LinkedHashMap<>();
        entries.forEach(entry -> tensors.put(entry.name, entry));
        return new SafetensorsHeader(tensors, metadata);
    }

    private static void readMetadata(Object file, JsonParser parser, Map<String, String> metadata) {
        if (parser.currentToken() == JsonToken.VALUE_NULL) {
            return;
        }
        requireToken(file, METADATA, parser, JsonToken.START_OBJECT, "an object");
        for (String key = parser.nextName(); key != null; key = parser.nextName()) {
            parser.nextToken();
            requireToken(file, METADATA + "." + Messages.shown(key), parser, JsonToken.VALUE_STRING, "a string");
            metadata.put(wellFormed(file, key), wellFormed(file, parser.getString()));
        }
    }

    private static Entry readEntry(Object file, JsonParser parser, String name) {
        String where = "tensor " + Messages.shown(name);
        requireToken(file, where, parser, JsonToken.START_OBJECT, "an object");
        DType dtype = null;
        long[] dims = null;
        long[] offsets = null;
        for (String key = parser.nextName(); key != null; key = parser.nextName()) {
            parser.nextToken();
            switch (key) {
                case "dtype" -> dtype = readDType(file, where, parser);
                case "shape" -> dims = readLongs(file, where + ": shape", parser);
                case "data_offsets" -> offsets = readLongs(file, where + ": data_offsets", parser);
                default -> parser.skipChildren();
            }
        }
        return new Entry(
                wellFormed(file, name),
                require(file, where, dtype, "dtype"),
                shape(file, where, require(file, where, dims, "shape")),
                offset(file, where, require(file, where, offsets, "data_offsets"), 0),
                offset(file, where, require(file, where, offsets, "data_offsets"), 1));
    }

    private static DType readDType(Object file, String where, JsonParser parser) {
        requireToken(file, where + ": dtype", parser, JsonToken.VALUE_STRING, "a string");
        DType dtype = DTYPES.get(parser.getString());
        if (dtype == null) {
            throw new FormatException(
                    file,
                    where + ": unknown dtype " + Messages.shown(parser.getString()) + "; known: "
                            + Arrays.stream(DType.values()).map(DType::name).collect(Collectors.joining(", ")));
        }
        return dtype;
    }

    private static long[] readLongs(Object file, String where, JsonParser parser) {
        requireToken(file, where, parser, JsonToken.START_ARRAY, "an array");
        LongStream.Builder values = LongStream.builder();
        int count = 0;
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            requireToken(file, where, parser, JsonToken.VALUE_NUMBER_INT, "whole numbers");
            if (parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER || parser.getLongValue() < 0) {
                throw new FormatException(
                        file, where + ": " + Messages.shown(parser.getString()) + " is negative or over 2^63");
            }
            if (++count > MAX_RANK) {
                throw new FormatException(file, where + ": more than " + MAX_RANK + " numbers");
            }
            values.add(parser.getLongValue());
        }
        return values.build().toArray();
    }

    private static Shape shape(Object file, String where, long[] dims) {
        try {
            return Shape.of(dims);
        } catch (WanException e) {
            throw new FormatException(file, where + ": " + e.getMessage(), e);
        }
    }

    private static long offset(Object file, String where, long[] offsets, int which) {
        if (offsets.length != 2) {
            throw new FormatException(
                    file, where + ": data_offsets: expected [begin, end], got " + offsets.length + " numbers");
        }
        return offsets[which];
    }

    private static <T> T require(Object file, String where, @Nullable T value, String key) {
        if (value == null) {
            throw new FormatException(file, where + ": has no " + key);
        }
        return value;
    }

    /** JSON can spell half a character; no other program could read such a name. */
    private static String wellFormed(Object file, String text) {
        if (!StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
            throw new FormatException(file, "the header is not valid JSON: lone surrogate in " + Messages.shown(text));
        }
        return text;
    }

    private static void requireToken(
            Object file, String where, JsonParser parser, JsonToken expected, String description) {
        if (parser.currentToken() != expected) {
            throw new FormatException(file, where + ": expected " + description + ", got " + kind(parser));
        }
    }

    private static String kind(JsonParser parser) {
        JsonToken token = parser.currentToken();
        return token == null
                ? "the end of the header"
                : token.name()
                        .replaceFirst("^(VALUE|START)_", "")
                        .replace('_', ' ')
                        .toLowerCase(Locale.ROOT);
    }

    /** Every range as long as dtype and shape say, each beginning where the one before ends, the last ending with the data. */
    private static void requireCover(Object file, List<Entry> entries, long dataBytes) {
        long covered = 0;
        for (Entry entry : entries) {
            String where = "tensor " + Messages.shown(entry.name) + ": bytes " + entry.begin + " to " + entry.end;
            if (entry.end < entry.begin) {
                throw new FormatException(file, where + " end before they begin");
            }
            if (entry.end > dataBytes) {
                throw new FormatException(
                        file,
                        where + " lie outside the data section of " + dataBytes
                                + " bytes; an unfinished download? fetch" + " the file again");
            }
            long expected = byteSize(file, entry);
            if (entry.end - entry.begin != expected) {
                throw new FormatException(
                        file,
                        where + ": expected " + expected + " bytes for " + entry.dtype + " " + entry.shape + ", got "
                                + (entry.end - entry.begin));
            }
            if (entry.begin != covered) {
                throw new FormatException(
                        file,
                        where
                                + (entry.begin < covered
                                        ? " overlap the tensor before, which ends at "
                                        : " leave a hole behind ")
                                + covered);
            }
            covered = entry.end;
        }
        if (covered != dataBytes) {
            throw new FormatException(
                    file,
                    "the tensors end at byte " + covered + " of the data section, but it has " + dataBytes + " bytes");
        }
    }

    private static long byteSize(Object file, Entry entry) {
        try {
            return entry.dtype.bytes(entry.shape.size());
        } catch (ArithmeticException e) {
            throw new FormatException(
                    file,
                    "tensor " + Messages.shown(entry.name) + ": " + entry.dtype + " " + entry.shape
                            + " overflows or does not fill whole bytes",
                    e);
        }
    }

    /** The header's JSON, without padding. */
    static byte[] write(Collection<Entry> entries, Map<String, String> metadata) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (JsonGenerator json = new JsonFactory().createGenerator(ObjectWriteContext.empty(), out)) {
            json.writeStartObject();
            if (!metadata.isEmpty()) {
                json.writeObjectPropertyStart(METADATA);
                metadata.forEach(json::writeStringProperty);
                json.writeEndObject();
            }
            for (Entry entry : entries) {
                json.writeObjectPropertyStart(entry.name);
                json.writeStringProperty("dtype", entry.dtype.name());
                json.writeName("shape");
                long[] dims = entry.shape.dims();
                json.writeArray(dims, 0, dims.length);
                json.writeName("data_offsets");
                json.writeArray(new long[] {entry.begin, entry.end}, 0, 2);
                json.writeEndObject();
            }
            json.writeEndObject();
        }
        return out.toByteArray();
    }
}
