package wan.app;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.op.FormatException;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.UsageException;
import wan.text.PromptEmbeddingFile;
import wan.text.PromptEncoder;
import wan.text.Tokenizer;
import wan.text.Umt5Encoder;
import wan.weights.TensorStore;

/** The options that say what the prompt is and what encodes it. */
final class PromptOptions {
    private static final long MAX_FILE_BYTES = 64L << 20;

    @Option(names = "--prompt", paramLabel = "TEXT", description = "The prompt.")
    private @Nullable String prompt;

    @Option(
            names = "--prompt-file",
            paramLabel = "FILE",
            description = "Prompts from a UTF-8 text file, one per line; empty lines are passed over. extract runs them"
                    + " as one batch, whose noise is drawn together.")
    private @Nullable Path promptFile;

    @Option(
            names = "--negative-prompt",
            paramLabel = "TEXT",
            description = "What guidance leads away from. Distilled causal models run without guidance and ignore it.")
    private @Nullable String negativePrompt;

    @Option(
            names = "--prompt-embeds",
            paramLabel = "FILE",
            description = "Embeddings instead of a prompt: tensor prompt_embeds of a safetensors file, as encode-prompt"
                    + " writes it.")
    private @Nullable Path promptEmbeds;

    @Option(
            names = "--text-encoder",
            paramLabel = "PATH",
            description = "The UMT5 encoder, or a folder with it (default: in the model's folder).")
    private @Nullable Path textEncoder;

    @Option(
            names = "--tokenizer",
            paramLabel = "PATH",
            description = "spiece.model or tokenizer.json, or a folder with one (default: in the model's folder).")
    private @Nullable Path tokenizer;

    @Option(
            names = "--no-cache",
            description = "Neither read nor keep embeddings in $WAN_ATTN_CACHE (default: ~/.cache/wan-attn).")
    private boolean noCache;

    /** Whether any of the options says what the prompt is. */
    boolean given() {
        return prompt != null || promptFile != null || promptEmbeds != null;
    }

    /** The negative prompt, if there is one. */
    Optional<String> negativePrompt() {
        return Optional.ofNullable(negativePrompt);
    }

    /** The prompts as they were typed; empty if embeddings were given instead. */
    List<String> prompts() {
        int ways = (prompt == null ? 0 : 1) + (promptFile == null ? 0 : 1) + (promptEmbeds == null ? 0 : 1);
        if (ways != 1) {
            throw new UsageException(
                    "expected one of --prompt, --prompt-file and --prompt-embeds, got " + (ways == 0 ? "none" : ways));
        }
        if (prompt != null) {
            return List.of(prompt);
        }
        return promptFile == null ? List.of() : lines(promptFile);
    }

    /** How many prompts or embeddings there are; nothing is encoded. */
    int count() {
        List<String> texts = prompts();
        if (promptEmbeds == null) {
            return texts.size();
        }
        try (TensorStore file = TensorStore.open(promptEmbeds)) {
            Shape shape = file.tensor("prompt_embeds").shape();
            return shape.rank() == 3 ? shape.dim(0) : 1;
        }
    }

    private static List<String> lines(Path file) {
        try {
            if (Files.size(file) > MAX_FILE_BYTES) {
                throw new FormatException(file, Files.size(file) + " bytes are too many for a file of prompts");
            }
            String text = StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(Files.readAllBytes(file)))
                    .toString();
            String withoutMark = text.startsWith("\uFEFF") ? text.substring(1) : text;
            List<String> prompts =
                    withoutMark.lines().filter(line -> !line.isBlank()).toList();
            if (prompts.isEmpty()) {
                throw new FormatException(file, "expected prompts, one per line, got only empty lines");
            }
            return prompts;
        } catch (CharacterCodingException e) {
            throw new FormatException(file, "expected text in UTF-8, got other bytes; convert it with iconv?", e);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * The embeddings that the options ask for, computed or read.
     *
     * @param model the model's folder, for what has no option of its own, or null
     * @param textLen tokens that the model takes
     * @param textDim channels that the model takes
     * @param progress hears of every layer of the encoder
     * @return [prompts, textLen, textDim]
     */
    HostTensor embeddings(@Nullable Path model, int textLen, int textDim, Umt5Encoder.Progress progress) {
        if (prompts().isEmpty() && promptEmbeds != null) {
            return PromptEmbeddingFile.read(promptEmbeds, textLen, textDim);
        }
        HostTensor embeddings = encode(model, textLen, progress);
        if (embeddings.shape().dim(-1) != textDim) {
            throw new UsageException("--text-encoder: expected an encoder of " + textDim
                    + " channels, as the model takes, got one of "
                    + embeddings.shape().dim(-1));
        }
        return embeddings;
    }

    /**
     * The prompts' embeddings, as many channels as the encoder has.
     *
     * @param progress hears of every layer of the encoder
     * @return [prompts, textLen, channels]
     */
    HostTensor encode(@Nullable Path model, int textLen, Umt5Encoder.Progress progress) {
        if (promptEmbeds != null) {
            throw new UsageException(
                    "--prompt-embeds: these are embeddings already; expected --prompt or --prompt-file");
        }
        PromptEncoder encoder = new PromptEncoder(
                Tokenizer.open(path("--tokenizer", tokenizer, model)),
                path("--text-encoder", textEncoder, model),
                () -> new JvmOps(JvmOptions.defaults()),
                textLen,
                noCache ? Optional.empty() : Optional.of(PromptEncoder.defaultCacheFolder()));
        return encoder.encode(prompts(), progress);
    }

    /** Shows on stderr how far the encoder is. */
    static Umt5Encoder.Progress progress() {
        boolean terminal = Terminal.stderrIsTerminal();
        return (done, layers) -> {
            if (terminal) {
                System.err.print("\r\u001b[K" + (done < layers ? "text encoder: layer " + done + "/" + layers : ""));
            } else if (done == layers) {
                System.err.println(Main.NAME + ": text encoder: " + layers + " layers done");
            }
        };
    }

    private static Path path(String option, @Nullable Path given, @Nullable Path model) {
        if (given != null) {
            return given;
        }
        if (model == null) {
            throw new UsageException(option + ": expected a file, or --model with a folder that has one, got neither");
        }
        return model;
    }
}
