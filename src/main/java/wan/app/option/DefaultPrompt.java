package wan.app.option;

import java.util.List;
import wan.run.RunSpec;
import wan.text.Umt5Encoder;

/** The prompt of a run of a real model for which none was given. */
public final class DefaultPrompt {
    /** The extraction script's. */
    public static final String SCRIPT = "A majestic eagle soaring through a cloudy sky, cinematic lighting";

    private DefaultPrompt() {}

    /**
     * The run with the extraction script's prompt, if it has none and a text encoder is at hand. Without one it runs on embeddings drawn
     * from the seed, and says so.
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
            return spec;
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
