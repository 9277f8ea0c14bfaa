package wan.text;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import wan.file.Contents;
import wan.file.FileKind;
import wan.file.TensorFiles;
import wan.file.TensorStore;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * Text to ids, as the UMT5 tokenizer of the reference does it ({@code wan/modules/tokenizers.py}).
 *
 * <p>Read from a SentencePiece model ({@code spiece.model}) or from a Hugging Face {@code tokenizer.json}. They agree but for
 * texts with special tokens, byte pieces or U+2581 spelled out, and rare combining marks.
 */
public abstract sealed class Tokenizer permits SentencePieceTokenizer, FastTokenizer {
    private static final System.Logger LOG = System.getLogger(Tokenizer.class.getName());
    /** The files that hold a tokenizer, best first: the reference prefers the fast tokenizer too. */
    private static final List<String> FILES = List.of("tokenizer.json", "spiece.model");

    /** What ComfyUI calls the tokenizer in the encoder's file. */
    private static final String INSIDE = "spiece_model";

    private static final List<String> FOLDERS = List.of("", "google/umt5-xxl", "tokenizer");
    private static final long MAX_FILE_BYTES = 256L << 20;

    /** A piece of a text and its id; the piece is as it stands in the text where it is unknown. */
    record Token(String piece, int id) {}

    private final int endOfText;
    private final int padding;
    final Unigram vocabulary;
    private final boolean byteFallback;

    Tokenizer(Unigram vocabulary, boolean byteFallback, int endOfText, int padding) {
        this.vocabulary = vocabulary;
        this.byteFallback = byteFallback;
        this.endOfText = endOfText;
        this.padding = Math.max(padding, 0);
    }

    /**
     * Opens a tokenizer.
     *
     * @param path a {@code spiece.model}, a {@code tokenizer.json}, a text encoder's file that holds one, as ComfyUI's do, or a folder
     *     that has one of them, directly, in {@code google/umt5-xxl} (Wan) or in {@code tokenizer} (Diffusers); a {@code
     *     tokenizer.json} goes first
     * @throws FormatException if the file is broken or of another kind
     * @throws WanException if there is none or it cannot be read
     */
    public static Tokenizer open(Path path) {
        return open(List.of(path));
    }

    /**
     * Opens the tokenizer of the first of these places that has one.
     *
     * @param places as in {@link #open(Path)}, at least one; beside a file its folder is one too, and the folder around that
     */
    public static Tokenizer open(List<Path> places) {
        Path file = places.stream()
                .map(Tokenizer::locate)
                .flatMap(Optional::stream)
                .findFirst()
                .orElseThrow(() -> WanException.mismatch(
                        places.stream().map(Path::toString).collect(Collectors.joining(", ")),
                        String.join(" or ", FILES) + ", there or in google/umt5-xxl",
                        places.stream().anyMatch(Files::exists) ? "neither" : "no such file or folder",
                        "prompt.tokenizer names the file"));
        FileKind kind = FileKind.of(file);
        if (kind == FileKind.SAFETENSORS || kind == FileKind.TORCH) {
            return inside(file);
        }
        try {
            if (Files.size(file) > MAX_FILE_BYTES) {
                throw new FormatException(file, Files.size(file) + " bytes are too many for a tokenizer");
            }
            FileKind.foreign(file).filter(what -> !what.contains("tokenizer")).ifPresent(what -> {
                throw new FormatException(file, "expected a tokenizer, got " + what);
            });
            byte[] bytes = Files.readAllBytes(file);
            boolean json = kind == FileKind.JSON
                    || file.getFileName().toString().toLowerCase(Locale.ROOT).endsWith(".json");
            return json ? FastTokenizerFile.read(file, bytes) : SentencePieceFile.read(file, ByteBuffer.wrap(bytes));
        } catch (IOException e) {
            throw new WanException(file + ": cannot be read: " + e.getMessage(), e);
        }
    }

    /** The SentencePiece model in a file of tensors. */
    private static Tokenizer inside(Path file) {
        try (TensorStore store = TensorStore.open(file)) {
            String name = insideName(store)
                    .orElseThrow(() -> WanException.mismatch(
                            file.toString(),
                            "a tokenizer, spiece.model or tokenizer.json, or a text encoder with a tensor " + INSIDE,
                            store.names().size() + " tensors without it"
                                    + Contents.of(store.names()).itIs(),
                            ""));
            TensorView view = store.tensor(name);
            if (view.data().byteSize() > MAX_FILE_BYTES || (view.dtype() != DType.U8 && view.dtype() != DType.I8)) {
                throw WanException.mismatch(
                        file + ": " + name, "the bytes of spiece.model", view.dtype() + " " + view.shape(), "");
            }
            return SentencePieceFile.read(
                    file + ": " + name, ByteBuffer.wrap(view.data().toArray(ValueLayout.JAVA_BYTE)));
        }
    }

    private static Optional<String> insideName(TensorStore store) {
        return store.names().stream()
                .filter(name -> name.equals(INSIDE) || name.endsWith("." + INSIDE) || name.endsWith("/" + INSIDE))
                .findFirst();
    }

    /** The tokenizer's file at a place, or the text encoder's that holds one. */
    private static Optional<Path> locate(Path place) {
        if (Files.isRegularFile(place)) {
            return Optional.of(place);
        }
        if (!Files.isDirectory(place)) {
            return Optional.empty();
        }
        Path path = TensorFiles.snapshot(place);
        for (String folder : FOLDERS) {
            for (String name : FILES) {
                Path file = path.resolve(folder).resolve(name);
                if (Files.isRegularFile(file)) {
                    return Optional.of(file);
                }
            }
        }
        return Optional.empty();
    }

    /**
     * Where the tokenizer may lie that nobody named: in the encoder's own file, in the model's folder, beside the encoder.
     *
     * @param encoder a file, or a folder with it; null if nobody named it
     * @param model a folder, or null
     */
    public static List<Path> places(@Nullable Path encoder, @Nullable Path model) {
        List<Path> places = new ArrayList<>();
        if (model != null) {
            places.add(model);
        }
        if (encoder != null) {
            Path folder = Files.isDirectory(encoder)
                    ? encoder
                    : encoder.toAbsolutePath().resolveSibling("");
            places.add(folder);
            places.add(folder.toAbsolutePath().resolveSibling("tokenizer"));
        }
        Path home = encoder != null ? encoder : model;
        if (home != null && (encoder != null || locate(home).isEmpty())) {
            insideOf(home).ifPresent(places::addFirst);
        }
        return places;
    }

    /** The encoder's file, if it holds a tokenizer. */
    private static Optional<Path> insideOf(Path encoder) {
        try {
            List<Path> files = TextEncoderFiles.find(encoder);
            try (TensorStore store = TensorFiles.open(files)) {
                return insideName(store).map(_ -> files.getFirst());
            }
        } catch (WanException _) {
            return Optional.empty(); // whoever opens the encoder says why it cannot be
        }
    }

    /** The pieces of a text that was cleaned, without {@code </s>}. */
    public final List<String> pieces(String text) {
        return tokens(text).stream().map(Token::piece).toList();
    }

    /** The ids of a text that was cleaned, with {@code </s>}. */
    public final int[] ids(String text) {
        List<Token> tokens = tokens(text);
        int[] ids = new int[tokens.size() + 1];
        for (int i = 0; i < tokens.size(); i++) {
            ids[i] = tokens.get(i).id;
        }
        ids[tokens.size()] = endOfText;
        return ids;
    }

    /**
     * The ids of a text that was cleaned, cut or padded to a length; {@code </s>} is always kept.
     *
     * @param length at least 1; 512 for Wan
     */
    public final TokenIds encode(String text, int length) {
        int[] all = ids(text);
        int count = Math.min(all.length, length);
        int[] ids = Arrays.copyOf(all, length);
        ids[count - 1] = endOfText;
        Arrays.fill(ids, count, length, padding);
        return new TokenIds(ids, count, all.length > length);
    }

    /**
     * The ids of a prompt as it was typed: cleaned, and cut with a notice if it is too long.
     *
     * @param length at least 1; 512 for Wan
     */
    public final TokenIds encodePrompt(String prompt, int length) {
        TokenIds ids = encode(PromptCleaner.clean(prompt), length);
        if (ids.truncated()) {
            String start = prompt.length() <= 40 ? prompt : prompt.substring(0, 40) + "...";
            LOG.log(
                    Level.WARNING,
                    "prompt \"" + start.replaceAll("\\s", " ") + "\" is longer than " + length
                            + " tokens; its end is cut off, as in the reference");
        }
        return ids;
    }

    /**
     * The pieces of a prompt as it was typed, one for each id that is not padding; {@code </s>} is the last.
     *
     * @param length at least 1; 512 for Wan
     */
    public final List<String> promptPieces(String prompt, int length) {
        List<String> pieces = pieces(PromptCleaner.clean(prompt));
        return Stream.concat(pieces.stream().limit(length - 1), Stream.of("</s>"))
                .toList();
    }

    /** The pieces of a text. */
    abstract List<Token> tokens(String text);

    /** Appends the pieces of a text in which white space is marked already. */
    final void segment(String text, List<Token> out) {
        List<Unigram.Span> spans = vocabulary.segment(text);
        for (int i = 0; i < spans.size(); i++) {
            Unigram.Span span = spans.get(i);
            int start = span.start();
            if (span.id() != vocabulary.unknown()) {
                out.add(new Token(text.substring(start, span.end()), span.id()));
                continue;
            }
            while (i + 1 < spans.size() && spans.get(i + 1).id() == vocabulary.unknown()) {
                i++;
            }
            unknown(text.substring(start, spans.get(i).end()), out);
        }
    }

    private void unknown(String text, List<Token> out) {
        List<Token> bytes = new ArrayList<>();
        for (byte value : text.getBytes(StandardCharsets.UTF_8)) {
            String piece = String.format(Locale.ROOT, "<0x%02X>", value);
            bytes.add(new Token(piece, vocabulary.id(piece)));
        }
        boolean spellable = byteFallback && bytes.stream().allMatch(token -> token.id >= 0);
        out.addAll(spellable ? bytes : List.of(new Token(text, vocabulary.unknown())));
    }

    /** Unpaired surrogates cannot be written as UTF-8, which everything here is defined on. */
    static String replaceUnpairedSurrogates(String text) {
        StringBuilder out = new StringBuilder(text.length());
        text.codePoints()
                .map(c -> c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE ? 0xFFFD : c)
                .forEach(out::appendCodePoint);
        return out.toString();
    }
}
