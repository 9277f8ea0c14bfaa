package wan.run;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import wan.model.WanConfig;
import wan.op.WeightSource;
import wan.weights.ModelFolder;
import wan.weights.RandomModel;

/**
 * A model's sizes and parameters, ready to run.
 *
 * @param name a folder, a file, or the demo model
 * @param path where it lies, null for the demo model
 * @param fingerprint of the parameters
 * @param latentHeight of a frame, where no option says otherwise
 * @param latentWidth likewise
 * @param source closes what is open
 */
record LoadedModel(
        String name,
        @Nullable Path path,
        WanConfig config,
        WeightSource weights,
        String fingerprint,
        int latentHeight,
        int latentWidth,
        AutoCloseable source)
        implements AutoCloseable {
    private static final int LATENT_HEIGHT = 60;
    private static final int LATENT_WIDTH = 104;
    private static final int DEMO_LATENT = 16;
    private static final long DEMO_SEED = 0;

    /** Opens a model; what is odd but no error goes to the notice. */
    static LoadedModel open(RunSpec.Model model, Consumer<String> notice) {
        if (model.path() == null) {
            WanConfig config = RandomModel.tiny();
            notice.accept("no model.path: the built-in demo model with random weights (" + config.numHeads()
                    + " heads, " + config.numLayers() + " layers); its numbers say nothing about Wan");
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
        ModelFolder folder = ModelFolder.open(model.path(), model.checkpoint(), model.branch());
        folder.notices().forEach(notice);
        return new LoadedModel(
                model.path() + (model.checkpoint() == null ? "" : " with " + model.checkpoint()),
                model.path(),
                folder.config(),
                folder,
                folder.fingerprint(),
                LATENT_HEIGHT,
                LATENT_WIDTH,
                folder);
    }

    @Override
    public void close() {
        try {
            source.close();
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }
}
