package wan.run;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import wan.model.WanConfig;
import wan.op.WeightSource;

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
public record LoadedModel(
        String name,
        @Nullable Path path,
        WanConfig config,
        WeightSource weights,
        String fingerprint,
        int latentHeight,
        int latentWidth,
        AutoCloseable source)
        implements AutoCloseable {
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
