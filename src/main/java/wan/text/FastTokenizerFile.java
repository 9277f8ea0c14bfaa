package wan.text;

import java.nio.ByteBuffer;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;
import wan.file.Messages;
import wan.file.StrictJson;
import wan.op.FormatException;

/**
 * Reads {@code tokenizer.json}, as far as tokenizers converted from a unigram SentencePiece model use it; anything else is
 * refused by name.
 */
final class FastTokenizerFile {
    private static final Pattern GRAPHEME = Pattern.compile("\\X");

    private final Object file;

    private FastTokenizerFile(Object file) {
        this.file = file;
    }

    /**
     * The tokenizer that a file describes.
     *
     * @param file for messages
     * @param bytes the whole file
     * @throws FormatException if it is broken or no unigram model
     */
    static Tokenizer read(Object file, byte[] bytes) {
        return new FastTokenizerFile(file).tokenizer(StrictJson.tree(file, bytes));
    }

    private Tokenizer tokenizer(JsonNode root) {
        JsonNode model = root.path("model");
        if (!model.path("type").asString("").equals("Unigram")) {
            throw unsupported("model", model);
        }
        Unigram vocabulary = vocabulary(model);
        List<FastTokenizer.Added> added = new ArrayList<>();
        int endOfText = vocabulary.id("</s>");
        int padding = vocabulary.id("<pad>");
        for (JsonNode node : root.path("added_tokens")) {
            String text = node.path("content").asString("");
            if (text.isEmpty()
                    || !node.path("id").canConvertToInt()
                    || node.path("single_word").asBoolean(false)) {
                throw new FormatException(file, "an added token is broken or of an unsupported kind: " + shorten(node));
            }
            int id = node.path("id").asInt();
            added.add(new FastTokenizer.Added(
                    text,
                    id,
                    node.path("lstrip").asBoolean(false),
                    node.path("rstrip").asBoolean(false)));
            endOfText = text.equals("</s>") ? id : endOfText;
            padding = text.equals("<pad>") ? id : padding;
        }
        if (endOfText < 0) {
            throw new FormatException(file, "has no </s>; not UMT5's?");
        }
        return new FastTokenizer(
                vocabulary,
                model.path("byte_fallback").asBoolean(false),
                endOfText,
                padding,
                added,
                normalizer(root.path("normalizer")),
                words(root.path("pre_tokenizer")));
    }

    /** Metaspace, alone or, in older conversions, behind a split at white space. */
    private FastTokenizer.Words words(JsonNode node) {
        JsonNode parts = node.path("pretokenizers");
        boolean sequence = node.path("type").asString("").equals("Sequence") && !parts.isEmpty();
        JsonNode metaspace = sequence ? parts.path(parts.size() - 1) : node;
        boolean spaces = sequence
                && parts.size() == 2
                && parts.path(0).path("type").asString("").equals("WhitespaceSplit");
        if (!metaspace.path("type").asString("").equals("Metaspace")
                || !metaspace.path("replacement").asString("").equals(String.valueOf(SentencePieceTokenizer.MARK))
                || (sequence && !spaces && parts.size() > 1)) {
            throw unsupported("pre_tokenizer", node);
        }
        return new FastTokenizer.Words(
                prefix(metaspace), metaspace.path("split").asBoolean(true), spaces);
    }

    private FastTokenizer.Prefix prefix(JsonNode metaspace) {
        String byDefault = metaspace.path("add_prefix_space").asBoolean(true) ? "always" : "never";
        String scheme = metaspace.path("prepend_scheme").asString(byDefault);
        try {
            return FastTokenizer.Prefix.valueOf(scheme.toUpperCase(Locale.ROOT));
        } catch (IllegalArgumentException e) {
            throw new FormatException(file, "unsupported prepend_scheme " + Messages.shown(scheme), e);
        }
    }

    private Unigram vocabulary(JsonNode model) {
        int unknown = model.path("unk_id").asInt(-1);
        List<Unigram.Piece> pieces = new ArrayList<>();
        for (JsonNode entry : model.path("vocab")) {
            if (!entry.path(0).isString() || !entry.path(1).isNumber()) {
                throw new FormatException(file, "vocabulary entry " + pieces.size() + " is not a text and a score");
            }
            // Here every piece matches text, those for bytes included.
            Unigram.Type type = pieces.size() == unknown ? Unigram.Type.UNKNOWN : Unigram.Type.NORMAL;
            pieces.add(new Unigram.Piece(entry.path(0).asString(), entry.path(1).asDouble(), type));
        }
        return new Unigram(file, pieces, false);
    }

    private UnaryOperator<String> normalizer(JsonNode node) {
        if (node.isNull() || node.isMissingNode()) {
            return text -> text;
        }
        return switch (node.path("type").asString("")) {
            case "Sequence" -> {
                List<UnaryOperator<String>> steps = new ArrayList<>();
                node.path("normalizers").forEach(step -> steps.add(normalizer(step)));
                yield text -> {
                    String result = text;
                    for (UnaryOperator<String> step : steps) {
                        result = step.apply(result);
                    }
                    return result;
                };
            }
            case "Precompiled" -> precompiled(node);
            case "Strip" -> {
                boolean left = node.path("strip_left").asBoolean(false);
                boolean right = node.path("strip_right").asBoolean(false);
                yield text -> {
                    String stripped = left ? text.stripLeading() : text;
                    return right ? stripped.stripTrailing() : stripped;
                };
            }
            case "Replace" -> replace(node);
            case "NFC" -> text -> Normalizer.normalize(text, Normalizer.Form.NFC);
            case "NFKC" -> text -> Normalizer.normalize(text, Normalizer.Form.NFKC);
            default -> throw unsupported("normalizer", node);
        };
    }

    private UnaryOperator<String> precompiled(JsonNode node) {
        byte[] stored;
        try {
            stored =
                    Base64.getDecoder().decode(node.path("precompiled_charsmap").asString(""));
        } catch (IllegalArgumentException e) {
            throw new FormatException(file, "precompiled_charsmap is not valid base64", e);
        }
        CharacterMap map = CharacterMap.of(file, ByteBuffer.wrap(stored));
        return text -> GRAPHEME.matcher(text)
                .replaceAll(grapheme -> Matcher.quoteReplacement(map.applyToGrapheme(grapheme.group())));
    }

    private UnaryOperator<String> replace(JsonNode node) {
        JsonNode pattern = node.path("pattern");
        String content = node.path("content").asString("");
        if (!pattern.path("Regex").isString()) {
            String literal = pattern.path("String").asString("");
            return text -> text.replace(literal, content);
        }
        BoundedRegex regex = BoundedRegex.compile(file, pattern.path("Regex").asString());
        return text -> regex.replaceAll(text, content);
    }

    private FormatException unsupported(String part, JsonNode node) {
        return new FormatException(file, "unsupported " + part + " " + shorten(node) + "; UMT5's is a Unigram model");
    }

    private static String shorten(JsonNode node) {
        return Messages.shown(node.toString());
    }
}
