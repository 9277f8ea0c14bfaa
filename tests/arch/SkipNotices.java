package arch;

import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.support.descriptor.ClassSource;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.TestPlan;

/** Says at the end which tests did not run and what they need: Maven's own log only counts them. Registered as a service. */
public final class SkipNotices implements TestExecutionListener {
    private final Map<String, TreeSet<String>> classes = new TreeMap<>();

    @Override
    public void executionSkipped(TestIdentifier test, String reason) {
        note(test, reason);
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
        if (result.getStatus() == TestExecutionResult.Status.ABORTED) {
            String reason = result.getThrowable().map(Throwable::getMessage).orElse(null);
            note(test, reason == null ? "no reason given" : reason.replaceFirst("^Assumption failed: ", ""));
        }
    }

    private synchronized void note(TestIdentifier test, String reason) {
        String name = test.getSource()
                .map(source -> source instanceof MethodSource method
                        ? method.getClassName() + "." + method.getMethodName()
                        : source instanceof ClassSource type ? type.getClassName() : test.getDisplayName())
                .orElse(test.getDisplayName());
        classes.computeIfAbsent(reason.lines().findFirst().orElse(""), _ -> new TreeSet<>())
                .add(name.replaceFirst("^.*\\.(?=[A-Z])", ""));
    }

    @Override
    public void testPlanExecutionFinished(TestPlan plan) {
        classes.forEach(
                (reason, names) -> System.out.println("NOTICE: not run: " + String.join(", ", names) + ": " + reason));
    }
}
