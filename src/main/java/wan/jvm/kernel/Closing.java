package wan.jvm.kernel;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** Closes several resources, all of them even if one fails. */
public final class Closing {
    private Closing() {}

    /** Runs all of them, in order; then throws what the first failure threw, with the others. */
    public static void all(List<Runnable> steps) {
        @Nullable RuntimeException failure = null;
        for (Runnable step : steps) {
            try {
                step.run();
            } catch (RuntimeException e) {
                if (failure == null) {
                    failure = e;
                } else {
                    failure.addSuppressed(e);
                }
            }
        }
        if (failure != null) {
            throw failure;
        }
    }
}
