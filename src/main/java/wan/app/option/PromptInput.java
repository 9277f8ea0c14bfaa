package wan.app.option;

import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import wan.file.TensorStore;
import wan.model.WanConfig;
import wan.op.FormatException;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;
import wan.text.Umt5Encoder;

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

    /**
     * The embeddings, [B, textLen, textDim]; drawn from the seed where there is no prompt.
     *
     * @param model the model's folder, or null for the demo model
     * @param progress hears of every layer of the text encoder
     */
    public HostTensor embeds(
            @Nullable Path model, WanConfig config, long seed, Consumer<String> notice, Umt5Encoder.Progress progress) {
        if (prompts.negativeGiven()) {
            notice.accept("--negative-prompt: not used, since this model runs without guidance");
        }
        if (prompts.given()) {
            return prompts.embeddings(model, config.textLen(), config.textDim(), progress);
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

    /** Whether any of the options was given. */
    public boolean given() {
        return prompts.given() || initialLatent != null;
    }

    /** How many prompts there are, without encoding them. */
    public int count() {
        return prompts.given() ? prompts.count() : 1;
    }

    /** The given frames, [B, F0, C, H, W]; null if there are none. */
    @Nullable
    public HostTensor initialLatent() {
        if (initialLatent == null) {
            return null;
        }
        try (TensorStore file = TensorStore.open(initialLatent)) {
            TensorView view = file.tensor("initial_latent");
            if (view.shape().rank() != 5) {
                throw WanException.mismatch(initialLatent + ": initial_latent", "[B, F, C, H, W]", view.shape(), "");
            }
            float[] values = view.toFloats();
            for (float value : values) {
                if (!Float.isFinite(value)) {
                    throw new FormatException(initialLatent, "initial_latent has values that are no finite numbers");
                }
            }
            return new HostTensor(view.shape(), values);
        }
    }

    /** What the metadata say of the prompt. */
    public String describe() {
        if (!prompts.given()) {
            return "(random embeddings)";
        }
        List<String> texts = prompts.prompts();
        return texts.isEmpty() ? "(embeddings from a file)" : String.join("\n", texts);
    }
}
