package wan.app.option;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import wan.app.guard.Reads;
import wan.run.RunSpec;

/** The options that say what the video is of: a prompt, and latent frames that are given. */
public final class PromptInput {
    @Mixin
    private PromptOptions prompts = new PromptOptions();

    @Reads
    @Option(
            names = "--initial-latent",
            paramLabel = "FILE",
            description = "First latent frames of the video (image to video, continuation): a safetensors file with"
                    + " initial_latent [B,F,C,H,W], as encode writes it.")
    private @Nullable Path initialLatent;

    @Reads
    @Option(
            names = "--picture",
            paramLabel = "FILE",
            description = "Input picture of an image-to-video model: a safetensors file with y [C,F,H,W] (mask and"
                    + " latent), clip_fea [1,tokens,features], or image_latent [C,1,H,W].")
    private @Nullable Path picture;

    /** Whether any of the options was given. */
    public boolean given() {
        return prompts.given() || initialLatent != null || picture != null;
    }

    /**
     * The run with the prompt and frames that the options ask for.
     *
     * @param base what holds where no option is given
     */
    public RunSpec over(RunSpec base) {
        RunSpec.Video video = base.video();
        return base.withPrompt(prompts.over(base.prompt()))
                .withVideo(new RunSpec.Video(
                        video.latentHeight(),
                        video.latentWidth(),
                        video.numFrames(),
                        initialLatent != null ? initialLatent : video.initialLatent(),
                        picture != null ? picture : video.picture(),
                        video.vae()));
    }
}
