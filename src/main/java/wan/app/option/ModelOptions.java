package wan.app.option;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.model.WanConfig;
import wan.op.UsageException;
import wan.run.LoadedModel;
import wan.weights.ModelFolder;
import wan.weights.ModelLayout.Branch;
import wan.weights.RandomModel;

/** The options that say which model runs. */
public final class ModelOptions {
    private static final int LATENT_HEIGHT = 60;
    private static final int LATENT_WIDTH = 104;
    private static final int DEMO_LATENT = 16;
    private static final long DEMO_SEED = 0;

    @Option(
            names = {"--model", "-m"},
            paramLabel = "PATH",
            description =
                    "A model: a folder with config.json and diffusion_pytorch_model.safetensors, as Wan2.1 ships it, a single"
                            + " file, or a .safetensors.index.json"
                            + " (default: a small built-in demo model with random weights).")
    private @Nullable Path model;

    @Option(
            names = {"--checkpoint", "--checkpoint_path"},
            paramLabel = "FILE",
            description = "Self-Forcing weights (.pt or .safetensors) to take in place of the model's own.")
    private @Nullable Path checkpoint;

    @Option(
            names = {"--no-checkpoint", "--no_checkpoint"},
            description = "Run the model's own weights; the same as leaving --checkpoint away.")
    private boolean noCheckpoint;

    @Option(
            names = {"--use-ema", "--use_ema"},
            negatable = true,
            description =
                    "Take exactly generator_ema, or exactly generator, of the checkpoint (default: generator_ema, or"
                            + " generator if there is none).")
    private @Nullable Boolean useEma;

    /** Opens the model; the caller closes it. */
    public LoadedModel open(Consumer<String> notice) {
        if (noCheckpoint && checkpoint != null) {
            throw new UsageException("--no-checkpoint: expected it without --checkpoint, got both");
        }
        if (model == null && checkpoint != null) {
            throw new UsageException("--checkpoint needs --model: the model's folder, whose config.json has the sizes");
        }
        if (model == null) {
            WanConfig config = RandomModel.tiny();
            notice.accept("no --model: the built-in demo model with random weights (" + config.numHeads() + " heads, "
                    + config.numLayers() + " layers); its numbers say nothing about Wan");
            Arena arena = Arena.ofShared();
            return new LoadedModel(
                    "demo (random weights)",
                    null,
                    config,
                    RandomModel.inMemory(config, DEMO_SEED, arena),
                    "demo-" + DEMO_SEED,
                    DEMO_LATENT,
                    DEMO_LATENT,
                    arena);
        }
        ModelFolder folder = ModelFolder.open(model, checkpoint, branch(useEma));
        folder.notices().forEach(notice);
        return new LoadedModel(
                model + (checkpoint == null ? "" : " with " + checkpoint),
                model,
                folder.config(),
                folder,
                folder.fingerprint(),
                LATENT_HEIGHT,
                LATENT_WIDTH,
                folder);
    }

    /** What {@code --use-ema}, {@code --no-use-ema} or neither asks for. */
    public static Branch branch(@Nullable Boolean useEma) {
        if (useEma == null) {
            return Branch.EMA_OR_GENERATOR;
        }
        return useEma ? Branch.EMA : Branch.GENERATOR;
    }
}
