package tornado;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import uk.ac.manchester.tornado.api.TaskGraph;

/** Lets the emulator pass for a CUDA device, whose libraries it has. Skips where an SDK takes its place that cannot. */
final class EmulatedCuda implements BeforeEachCallback, AfterEachCallback {
    /** The property that says what the emulator passes for. */
    static final String PROPERTY = "wan.emulator";

    /** The tag of tests that need the CUDA backend, of an SDK or emulated, but none of its libraries. */
    static final String NO_LIBRARY = "no-library";

    @Override
    public void beforeEach(ExtensionContext context) {
        boolean emulated = !TaskGraph.class.getModule().isNamed();
        boolean cuda = context.getTags().contains(NO_LIBRARY)
                && ModuleLayer.boot().findModule("tornado.drivers.cuda").isPresent();
        assumeTrue(emulated || cuda, "needs the emulator, or an SDK with the CUDA backend and no library");
        System.setProperty(PROPERTY, "cuda");
    }

    @Override
    public void afterEach(ExtensionContext context) {
        System.clearProperty(PROPERTY);
    }
}
