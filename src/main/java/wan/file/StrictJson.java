package wan.file;

import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.TokenStreamFactory;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.op.FormatException;

/** JSON from untrusted files: UTF-8 only, no duplicate keys, no deep nesting, nothing after the value. */
public final class StrictJson {
    /** As the format's reference implementation has it. */
    static final int MAX_BYTES = 100_000_000;

    // Names come from the file: a shared table of them would only fill up, and reports crafted collisions untyped.
    private static final JsonFactory FACTORY = JsonFactory.builder()
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(64)
                    .maxStringLength(MAX_BYTES)
                    .maxNumberLength(100)
                    .build())
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .disable(TokenStreamFactory.Feature.CANONICALIZE_PROPERTY_NAMES)
            .build();

    private static final JsonMapper MAPPER = JsonMapper.builder(FACTORY).build();

    /** Where an object or a list began that has no end, told with Java's names of things. */
    private static final Pattern START_MARKER = Pattern.compile(" ?\\(start marker at .*", Pattern.DOTALL);

    private StrictJson() {}

    /** A parser over the bytes. All its failures are {@link JacksonException}, see {@link #failure}. */
    static JsonParser parser(byte[] utf8) {
        return FACTORY.createParser(ObjectReadContext.empty(), reader(utf8));
    }

    /**
     * The whole value as a tree.
     *
     * @param file for the message
     */
    public static JsonNode tree(Object file, byte[] utf8) {
        try {
            return MAPPER.readTree(reader(utf8));
        } catch (JacksonException e) {
            throw failure(file, "not valid JSON", e);
        }
    }

    /** What the parser complained about, on one line. */
    static FormatException failure(Object file, String what, JacksonException e) {
        String reason = e.getCause() instanceof CharacterCodingException
                ? "not UTF-8"
                : Messages.shown(START_MARKER.matcher(e.getOriginalMessage()).replaceFirst(""));
        return new FormatException(file, what + ": " + reason, e);
    }

    /** A decoder that refuses malformed bytes; handing Jackson the bytes would let it guess UTF-16 and accept overlong forms. */
    private static Reader reader(byte[] utf8) {
        return new InputStreamReader(
                new ByteArrayInputStream(utf8),
                StandardCharsets.UTF_8
                        .newDecoder()
                        .onMalformedInput(CodingErrorAction.REPORT)
                        .onUnmappableCharacter(CodingErrorAction.REPORT));
    }
}
