package tornado;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import uk.ac.manchester.tornado.api.TaskGraph;

/** Lets the emulator pass for a CUDA device, whose libraries it has. Skips where an SDK takes its place. */
final class EmulatedCuda implements BeforeEachCallback, AfterEachCallback {
    /** The property that says what the emulator passes for. */
    static final String PROPERTY = "wan.emulator";

    @Override
    public void beforeEach(ExtensionContext context) {
        assumeTrue(!TaskGraph.class.getModule().isNamed(), "an SDK without the CUDA backend has no libraries");
        System.setProperty(PROPERTY, "cuda");
    }

    @Override
    public void afterEach(ExtensionContext context) {
        System.clearProperty(PROPERTY);
    }
}
