package wan.app.option;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.app.guard.Reads;
import wan.op.FormatException;
import wan.op.UsageException;
import wan.text.TokenIds;
import wan.text.Tokenizer;

/** The options that say what the prompts are, in words, and what cuts them into tokens. */
public final class PromptText {
    private static final int MAX_FILE_BYTES = 64 << 20;

    private static final Path STANDARD_INPUT = Path.of("-");

    @Option(names = "--prompt", paramLabel = "TEXT", description = "The prompt.")
    private @Nullable String prompt;

    @Reads
    @Option(
            names = "--prompt-file",
            paramLabel = "FILE",
            description = "Prompts from a UTF-8 text file, one per line, or from standard input (-); empty lines are"
                    + " passed over. extract runs them as one batch, whose noise is drawn together.")
    private @Nullable Path promptFile;

    @Reads
    @Option(
            names = "--tokenizer",
            paramLabel = "PATH",
            description =
                    "spiece.model or tokenizer.json, a folder with one, or a text encoder's file that holds one, as ComfyUI's do"
                            + " (default: in the model's folder or the text encoder).")
    private @Nullable Path tokenizer;

    /** Whether there are prompts. */
    public boolean given() {
        return prompt != null || promptFile != null;
    }

    /** The prompts as they were typed, at least one. */
    public List<String> prompts() {
        if ((prompt == null) == (promptFile == null)) {
            throw new UsageException(
                    "expected one of --prompt and --prompt-file, got " + (prompt == null ? "none" : "both"));
        }
        return prompt != null ? List.of(prompt) : lines(Objects.requireNonNull(promptFile));
    }

    /**
     * The ids of prompts.
     *
     * @param model the folder to look for the tokenizer in if it was not named, or null
     * @param encoder the text encoder that was named, which may hold it, or null
     */
    public List<TokenIds> ids(List<String> prompts, @Nullable Path model, @Nullable Path encoder, int textLen) {
        Tokenizer opened = tokenizer(model, encoder);
        return prompts.stream().map(text -> opened.encodePrompt(text, textLen)).toList();
    }

    /** The tokenizer that the options name, or else the text encoder's or the model's. */
    public Tokenizer tokenizer(@Nullable Path model, @Nullable Path encoder) {
        if (tokenizer == null && (encoder != null || model != null)) {
            return Tokenizer.open(Tokenizer.places(encoder, model));
        }
        return Tokenizer.open(path("--tokenizer", tokenizer, model));
    }

    /** The tokenizer that was named, or null. */
    @Nullable
    Path tokenizer() {
        return tokenizer;
    }

    /** What an option names, or else the model's folder. */
    static Path path(String option, @Nullable Path given, @Nullable Path model) {
        if (given != null) {
            return given;
        }
        if (model == null) {
            throw new UsageException(option + ": expected a file, or --model with a folder that has one, got neither");
        }
        return model;
    }

    /** The lines of a UTF-8 text file that are not blank, at least one. */
    public static List<String> lines(Path file) {
        // Opened once, since a pipe gives its text once; and never read to the end of what has none.
        try (InputStream in = file.equals(STANDARD_INPUT) ? System.in : Files.newInputStream(file)) {
            byte[] bytes = in.readNBytes(MAX_FILE_BYTES + 1);
            if (bytes.length > MAX_FILE_BYTES) {
                throw new FormatException(file, "more than " + MAX_FILE_BYTES + " bytes are no file of prompts");
            }
            String text = StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
            String withoutMark = text.startsWith("\uFEFF") ? text.substring(1) : text;
            List<String> lines =
                    withoutMark.lines().filter(line -> !line.isBlank()).toList();
            if (lines.isEmpty()) {
                throw new FormatException(file, "expected prompts, one per line, got only empty lines");
            }
            return lines;
        } catch (CharacterCodingException e) {
            throw new FormatException(file, "expected text in UTF-8, got other bytes; convert it with iconv?", e);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
