package wan.app.option;

import java.util.List;
import wan.op.UsageException;
import wan.run.RunSpec;
import wan.text.Umt5Encoder;

/** What is generated where a real model runs and no prompt was given. */
public final class DefaultPrompt {
    /** The extraction script's. */
    public static final String SCRIPT = "A majestic eagle soaring through a cloudy sky, cinematic lighting";

    private DefaultPrompt() {}

    /**
     * The run with the extraction script's prompt, if it has none and a text encoder is at hand. Without one, a model's own random
     * or converted weights run on embeddings drawn from the seed; a checkpoint does not.
     *
     * @throws UsageException if a checkpoint runs, there is no prompt, and no encoder for one
     */
    public static RunSpec over(RunSpec spec) {
        RunSpec.Prompt prompt = spec.prompt();
        if (spec.model().path() == null
                || spec.noise().replay() != null
                || !prompt.texts().isEmpty()
                || prompt.embeddings() != null) {
            return spec;
        }
        if (!Umt5Encoder.isIn(
                prompt.textEncoder() != null
                        ? prompt.textEncoder()
                        : spec.model().path())) {
            if (spec.model().checkpoint() == null) {
                return spec;
            }
            throw new UsageException(
                    "--prompt: expected a prompt and a text encoder for it (models_t5_umt5-xxl-enc-bf16.pth"
                            + " in the model's folder, or --text-encoder), or --prompt-embeds; got none of them");
        }
        return spec.withPrompt(new RunSpec.Prompt(
                List.of(SCRIPT),
                prompt.negative(),
                null,
                prompt.tokenizer(),
                prompt.textEncoder(),
                prompt.keep(),
                prompt.later()));
    }
}
