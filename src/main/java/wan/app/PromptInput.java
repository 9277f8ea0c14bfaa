package wan.app;

import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.model.WanConfig;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.TensorView;
import wan.weights.TensorStore;

/** The options that say what the video is of. */
final class PromptInput {
    @Option(
            names = "--prompt-embeds",
            paramLabel = "FILE",
            description =
                    "Prompt embeddings: a safetensors file with prompt_embeds [B,text_len,text_dim], zero after each"
                            + " prompt's end. Without one, random embeddings are drawn from the seed.")
    private @Nullable Path promptEmbeds;

    @Option(
            names = "--initial-latent",
            paramLabel = "FILE",
            description = "Given latent frames (image to video, continuation): a safetensors file with initial_latent"
                    + " [B,F,C,H,W].")
    private @Nullable Path initialLatent;

    /** The embeddings, [B, textLen, textDim]. */
    HostTensor embeds(WanConfig config, long seed, Consumer<String> notice) {
        if (promptEmbeds != null) {
            return read(promptEmbeds, "prompt_embeds");
        }
        notice.accept("no prompt: random prompt embeddings drawn from the seed");
        Shape shape = Shape.of(1, config.textLen(), config.textDim());
        float[] values = new float[shape.intSize()];
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return new HostTensor(shape, values);
    }

    /** The given frames, [B, F0, C, H, W]; null if there are none. */
    @Nullable
    HostTensor initialLatent() {
        return initialLatent == null ? null : read(initialLatent, "initial_latent");
    }

    /** What the metadata say of the prompt. */
    String describe() {
        return promptEmbeds == null ? "(random embeddings)" : "(embeddings of " + promptEmbeds.getFileName() + ")";
    }

    private static HostTensor read(Path path, String tensor) {
        try (TensorStore file = TensorStore.open(path)) {
            TensorView view = file.tensor(tensor);
            return new HostTensor(view.shape(), view.toFloats());
        }
    }
}
