package wan.text;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The tokenizer part of {@code golden2}: two models, and what the reference made of 68 texts with each. */
public enum TokenizerGolden {
    /** Byte fallback and an NFKC map. */
    MAIN("tests/goldens/golden2/tokenizer"),
    /** Neither. */
    PLAIN("tests/goldens/golden2/tokenizer/plain");

    public final Path model;
    private final Path answers;

    TokenizerGolden(String folder) {
        model = Path.of(folder, "spiece.model");
        answers = Path.of(folder, "golden.json");
    }

    /** One text and the reference's answers. */
    public record Entry(TokenizerGolden golden, JsonNode node) {
        public String text(String field) {
            return node.get(field).asString();
        }

        public int[] ints(String field) {
            return node.get(field).valueStream().mapToInt(JsonNode::asInt).toArray();
        }

        public List<String> texts(String field) {
            return node.get(field).valueStream().map(JsonNode::asString).toList();
        }

        public int @Nullable [] intsOrNull(String field) {
            return node.has(field) ? ints(field) : null;
        }

        @Override
        public String toString() {
            return golden + " " + node.get("index") + " " + text("category");
        }
    }

    public static Stream<Entry> all() {
        return Stream.of(values()).flatMap(golden -> golden.entries().stream());
    }

    List<Entry> entries() {
        List<Entry> entries = new ArrayList<>();
        JsonMapper.shared()
                .readTree(answers.toFile())
                .get("entries")
                .forEach(node -> entries.add(new Entry(this, node)));
        return entries;
    }

    byte[] bytes() {
        try {
            return Files.readAllBytes(model);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    /** A {@code tokenizer.json} made from the model the way transformers converts T5 tokenizers. */
    public ObjectNode fastTokenizer() {
        ObjectNode root = JsonMapper.shared().createObjectNode();
        ArrayNode added = root.putArray("added_tokens");
        ObjectNode normalizer = root.putObject("normalizer").put("type", "Sequence");
        ArrayNode steps = normalizer.putArray("normalizers");
        ObjectNode unigram = root.putObject("model").put("type", "Unigram");
        ArrayNode vocabulary = unigram.putArray("vocab");
        Protobuf message = new Protobuf(model, ByteBuffer.wrap(bytes()));
        while (message.next()) {
            Protobuf part = message.field() <= 3 ? message.message() : new Protobuf(model, ByteBuffer.allocate(0));
            if (message.field() == 1) {
                piece(part, vocabulary, added, unigram);
            } else if (message.field() == 2) {
                while (part.next()) {
                    if (part.field() == 35) {
                        unigram.put("byte_fallback", part.bool());
                    }
                }
            } else {
                while (part.next()) {
                    if (part.field() == 2 && part.bytes().hasRemaining()) {
                        ByteArrayOutputStream map = new ByteArrayOutputStream();
                        ByteBuffer bytes = part.bytes();
                        while (bytes.hasRemaining()) {
                            map.write(bytes.get());
                        }
                        steps.addObject()
                                .put("type", "Precompiled")
                                .put("precompiled_charsmap", Base64.getEncoder().encodeToString(map.toByteArray()));
                    }
                }
            }
        }
        steps.addObject().put("type", "Strip").put("strip_left", false).put("strip_right", true);
        ObjectNode replace = steps.addObject().put("type", "Replace").put("content", "\u2581");
        replace.putObject("pattern").put("Regex", " {2,}");
        root.putObject("pre_tokenizer")
                .put("type", "Metaspace")
                .put("replacement", "\u2581")
                .put("prepend_scheme", "always")
                .put("split", true);
        return root;
    }

    private static void piece(Protobuf piece, ArrayNode vocabulary, ArrayNode added, ObjectNode unigram) {
        String text = "";
        float score = 0;
        int type = 1;
        while (piece.next()) {
            switch (piece.field()) {
                case 1 -> text = piece.text();
                case 2 -> score = piece.number();
                case 3 -> type = piece.integer();
                default -> {}
            }
        }
        int id = vocabulary.size();
        vocabulary.addArray().add(text).add((double) score);
        if (type == 2) {
            unigram.put("unk_id", id);
        }
        if (type == 2 || type == 3) {
            added.addObject().put("id", id).put("content", text).put("special", true);
        }
    }

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
