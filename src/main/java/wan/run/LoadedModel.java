package wan.run;

import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import wan.file.TensorFiles;
import wan.model.WanConfig;
import wan.op.WeightSource;
import wan.weights.ModelFolder;
import wan.weights.RandomModel;

/**
 * A model's sizes and parameters, ready to run.
 *
 * @param name a folder, a file, or the demo model
 * @param path its folder or file; null for the demo model
 * @param fingerprint of the parameters
 * @param latentHeight of a frame, where no option says otherwise
 * @param latentWidth likewise
 * @param highNoise the expert of high noise, where the model has one
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
        @Nullable LoadedModel highNoise,
        AutoCloseable source)
        implements AutoCloseable {
    private static final int LATENT_HEIGHT = 60;
    private static final int LATENT_WIDTH = 104;
    private static final String LOW_NOISE = "low_noise_model";
    private static final String HIGH_NOISE = "high_noise_model";

    /** TI2V-5B: 704 x 1280 pixels, 16 to a cell. */
    private static final int TI2V_CHANNELS = 48;

    private static final int LATENT_HEIGHT_16 = 44;
    private static final int LATENT_WIDTH_16 = 80;
    private static final int DEMO_LATENT = 16;
    private static final long DEMO_SEED = 0;

    /** Opens a model, or both experts of one; what is odd but no error goes to the notice. */
    static LoadedModel open(RunSpec.Model model, Consumer<String> notice) {
        Path path = model.path() == null || !Files.isDirectory(model.path())
                ? model.path()
                : TensorFiles.snapshot(model.path());
        if (path == null || !Files.isDirectory(path.resolve(LOW_NOISE))) {
            return openOne(model, notice);
        }
        LoadedModel high = openOne(expert(model, path.resolve(HIGH_NOISE)), notice);
        try {
            LoadedModel low = openOne(expert(model, path.resolve(LOW_NOISE)), notice);
            return new LoadedModel(
                    low.name(),
                    path,
                    low.config(),
                    low.weights(),
                    low.fingerprint() + high.fingerprint(),
                    low.latentHeight(),
                    low.latentWidth(),
                    high,
                    low.source());
        } catch (RuntimeException e) {
            high.close();
            throw e;
        }
    }

    private static RunSpec.Model expert(RunSpec.Model model, Path path) {
        return new RunSpec.Model(path, null, model.branch(), model.loras(), model.preset(), model.allowZeroWeights());
    }

    private static LoadedModel openOne(RunSpec.Model model, Consumer<String> notice) {
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
                    null,
                    arena);
        }
        ModelFolder folder = ModelFolder.open(model.path(), model.checkpoint(), model.branch(), model.loras());
        folder.notices().forEach(notice);
        return new LoadedModel(
                model.path() + (model.checkpoint() == null ? "" : " with " + model.checkpoint()),
                model.path(),
                folder.config(),
                folder,
                folder.fingerprint(),
                folder.config().outDim() == TI2V_CHANNELS ? LATENT_HEIGHT_16 : LATENT_HEIGHT,
                folder.config().outDim() == TI2V_CHANNELS ? LATENT_WIDTH_16 : LATENT_WIDTH,
                null,
                folder);
    }

    @Override
    public void close() {
        try {
            if (highNoise != null) {
                highNoise.close();
            }
            source.close();
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }
}
