package tornado;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.platform.launcher.Launcher;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary;

/** Runs goldens, captures and interventions, and the tests of what TornadoVM generates, on the device that TornadoVM finds; for {@link FakeDriverTest}. */
final class OnFakeDriver {
    private static final List<Class<?>> TESTS = List.of(
            TornadoOpsSelfTest.class,
            TensorKernelsTest.class,
            CublasTest.class,
            CudnnTest.class,
            Float8ActivationsTest.class,
            TornadoRolloutGoldenTest.class,
            TornadoForwardGoldenTest.class,
            TornadoFamilyGoldenTest.class,
            TornadoSolverGoldenTest.class,
            TornadoInterventionGoldenTest.class,
            TornadoInterventionOracleTest.class,
            TornadoQueryGroupsTest.class,
            TornadoHeadCachesTest.class,
            TornadoResumedRolloutTest.class,
            ShimTest.class,
            GeneratedKernelsTest.class,
            CompiledKernelsTest.class);

    /** The status of a program none of whose tests applies to a device. */
    static final int NOTHING_RUN = 3;

    private OnFakeDriver() {}

    static List<String> tests() {
        return TESTS.stream().map(Class::getSimpleName).toList();
    }

    public static void main(String[] classes) {
        LauncherDiscoveryRequest request = LauncherDiscoveryRequestBuilder.request()
                .selectors(TESTS.stream()
                        .filter(test -> List.of(classes).contains(test.getSimpleName()))
                        .map(test -> selectClass(test))
                        .toList())
                .build();
        SummaryGeneratingListener listener = new SummaryGeneratingListener();
        Launcher launcher = LauncherFactory.create();
        launcher.execute(request, listener);
        TestExecutionSummary summary = listener.getSummary();
        summary.printFailuresTo(new PrintWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8), true), 8);
        System.out.printf(
                "on the fake driver: %d tests passed, %d failed, %d do not apply to a device, in %d s%n",
                summary.getTestsSucceededCount(),
                summary.getTestsFailedCount(),
                summary.getTestsAbortedCount(),
                (summary.getTimeFinished() - summary.getTimeStarted()) / 1000);
        if (summary.getTestsFailedCount() > 0) {
            System.exit(1);
        }
        System.exit(summary.getTestsSucceededCount() > 0 ? 0 : NOTHING_RUN);
    }
}
