package wan.app.option;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import wan.file.TensorStore;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.UsageException;
import wan.text.PromptEmbeddingFile;
import wan.text.Umt5Encoder;

/** The options that give a run its prompts: words and what encodes them, or embeddings. */
final class PromptOptions {
    @Mixin
    private PromptText text = new PromptText();

    @Mixin
    private EncoderOptions encoder = new EncoderOptions();

    @Option(
            names = "--prompt-embeds",
            paramLabel = "FILE",
            description = "Embeddings instead of a prompt: tensor prompt_embeds of a safetensors file, as encode-prompt"
                    + " writes it.")
    private @Nullable Path promptEmbeds;

    @Option(
            names = "--negative-prompt",
            paramLabel = "TEXT",
            description = "What guidance leads away from. Distilled causal models run without guidance and ignore it.")
    private @Nullable String negativePrompt;

    /** Whether any of the options says what the prompt is. */
    boolean given() {
        return text.given() || promptEmbeds != null;
    }

    /** Whether there is a negative prompt, which no sampler takes yet. */
    boolean negativeGiven() {
        return negativePrompt != null;
    }

    /** The prompts as they were typed; empty if embeddings were given instead. */
    List<String> prompts() {
        if (promptEmbeds == null) {
            return text.prompts();
        }
        if (text.given()) {
            throw new UsageException("--prompt-embeds: expected no --prompt or --prompt-file beside it");
        }
        return List.of();
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
        List<String> prompts = prompts();
        if (promptEmbeds != null) {
            return PromptEmbeddingFile.read(promptEmbeds, textLen, textDim);
        }
        HostTensor embeddings = encoder.encode(text.ids(prompts, model, textLen), model, textLen, progress);
        if (embeddings.shape().dim(-1) != textDim) {
            throw new UsageException("--text-encoder: expected an encoder of " + textDim
                    + " channels, as the model takes, got one of "
                    + embeddings.shape().dim(-1));
        }
        return embeddings;
    }
}
