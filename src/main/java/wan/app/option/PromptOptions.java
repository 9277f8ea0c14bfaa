package wan.app.option;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import wan.app.guard.Reads;
import wan.op.UsageException;
import wan.run.RunSpec;

/** The options that give a run its prompts: words and what encodes them, or embeddings. */
final class PromptOptions {
    @Mixin
    private PromptText text = new PromptText();

    @Mixin
    private EncoderOptions encoder = new EncoderOptions();

    @Reads
    @Option(
            names = "--prompt-embeds",
            paramLabel = "FILE",
            description = "Prompt embeddings instead of a prompt: a file of encode-prompt, or a .pt, .npy or .npz file"
                    + " with a tensor, a list or a dict.")
    private @Nullable Path promptEmbeds;

    @Option(
            names = "--negative-prompt",
            paramLabel = "TEXT",
            description = "Negative prompt for classifier-free guidance. Distilled causal models run without guidance"
                    + " and ignore it.")
    private @Nullable String negativePrompt;

    /** Whether any of the options says what the prompt is. */
    boolean given() {
        return text.given() || promptEmbeds != null;
    }

    /**
     * The prompt that the options ask for.
     *
     * @param base what holds where no option is given
     */
    RunSpec.Prompt over(RunSpec.Prompt base) {
        if (promptEmbeds != null && text.given()) {
            throw new UsageException("--prompt-embeds: expected no --prompt or --prompt-file with it");
        }
        List<String> texts = text.given() ? text.prompts() : base.texts();
        return new RunSpec.Prompt(
                promptEmbeds != null ? List.of() : texts,
                negativePrompt != null ? negativePrompt : base.negative(),
                text.given() || promptEmbeds != null ? promptEmbeds : base.embeddings(),
                text.tokenizer() != null ? text.tokenizer() : base.tokenizer(),
                encoder.textEncoder() != null ? encoder.textEncoder() : base.textEncoder(),
                encoder.keep() && base.keep(),
                base.later());
    }
}
