package wan.app.option;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.app.guard.Reads;
import wan.op.UsageException;
import wan.text.PromptLines;
import wan.text.TokenIds;
import wan.text.Tokenizer;

/** The options that say what the prompts are, in words, and what cuts them into tokens. */
public final class PromptText {
    private static final Path STANDARD_INPUT = Path.of("-");

    @Option(names = "--prompt", paramLabel = "TEXT", description = "The prompt.")
    private @Nullable String prompt;

    @Reads
    @Option(
            names = "--prompt-file",
            paramLabel = "FILE",
            description = "Prompts from a UTF-8 text file, one per line, or from standard input (-). Empty lines are"
                    + " skipped. extract runs them as one batch with jointly drawn noise.")
    private @Nullable Path promptFile;

    @Reads
    @Option(
            names = "--tokenizer",
            paramLabel = "PATH",
            description = "spiece.model or tokenizer.json, a folder with one of them, or a ComfyUI text encoder file,"
                    + " which contains one (default: from the model's folder or the text encoder).")
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
        return file.equals(STANDARD_INPUT) ? PromptLines.read(file, System.in) : PromptLines.read(file);
    }
}
