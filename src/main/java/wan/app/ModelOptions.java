package wan.app;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.model.WanConfig;
import wan.weights.ModelFolder;
import wan.weights.RandomModel;

/** The options that say which model runs. */
final class ModelOptions {
    private static final int LATENT_HEIGHT = 60;
    private static final int LATENT_WIDTH = 104;
    private static final int DEMO_LATENT = 16;
    private static final long DEMO_SEED = 0;

    @Option(
            names = {"--model", "-m"},
            paramLabel = "PATH",
            description =
                    "A model: a folder with config.json and diffusion_pytorch_model.safetensors, as Wan2.1 ships it"
                            + " (default: a small built-in demo model with random weights).")
    private @Nullable Path model;

    /** Opens the model; the caller closes it. */
    LoadedModel open(Consumer<String> notice) {
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
        ModelFolder folder = ModelFolder.open(model);
        return new LoadedModel(
                model.toString(),
                model,
                folder.config(),
                folder,
                folder.fingerprint(),
                LATENT_HEIGHT,
                LATENT_WIDTH,
                folder);
    }
}
