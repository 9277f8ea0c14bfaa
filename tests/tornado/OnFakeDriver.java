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

    private OnFakeDriver() {}

    public static void main(String[] classes) {
        LauncherDiscoveryRequest request = LauncherDiscoveryRequestBuilder.request()
                .selectors(TESTS.stream()
                        .filter(test -> classes.length == 0 || List.of(classes).contains(test.getSimpleName()))
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
        System.exit(summary.getTestsFailedCount() == 0 && summary.getTestsSucceededCount() > 0 ? 0 : 1);
    }
}
