package wan.app.option;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import wan.run.RunSpec;

/** The options that say what the video is of: a prompt, and latent frames that are given. */
public final class PromptInput {
    @Mixin
    private PromptOptions prompts = new PromptOptions();

    @Option(
            names = "--initial-latent",
            paramLabel = "FILE",
            description = "Given latent frames (image to video, continuation): a safetensors file with initial_latent"
                    + " [B,F,C,H,W].")
    private @Nullable Path initialLatent;

    /** Whether any of the options was given. */
    public boolean given() {
        return prompts.given() || initialLatent != null;
    }

    /** The prompt that the options ask for. */
    public RunSpec.Prompt prompt() {
        return prompts.prompt();
    }

    /** The file of given frames; null if there are none. */
    @Nullable
    public Path initialLatent() {
        return initialLatent;
    }
}
