package tornado;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.reflect.Modifier;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** The shim promises nothing that TornadoVM does not have, and its emulator shows what a device would hide. */
class ShimTest {
    private static final Path SHIM = Path.of("tornado", "shim");

    private static boolean realApi() {
        return TaskGraph.class.getModule().isNamed();
    }

    @Test
    void everyPublicSignature_isTheRealOne(@TempDir Path folder) throws IOException {
        if (!realApi()) {
            System.err.println("SKIPPED: TORNADOVM_HOME is not set; nothing here ran on TornadoVM itself");
        }
        assumeTrue(realApi(), "needs TORNADOVM_HOME");
        JavaCompiler compiler = Objects.requireNonNull(ToolProvider.getSystemJavaCompiler());
        List<String> arguments = new ArrayList<>(List.of("-d", folder.toString(), "-nowarn"));
        try (Stream<Path> sources = Files.walk(SHIM)) {
            sources.map(Path::toString).filter(name -> name.endsWith(".java")).forEach(arguments::add);
        }
        // Without module path or class path: only the shim's sources, whatever the JVM of this test has.
        assertThat(compiler.run(null, null, null, arguments.toArray(new String[0])))
                .isZero();
        List<String> missing = new ArrayList<>();
        try (URLClassLoader shim = new URLClassLoader(new URL[] {folder.toUri().toURL()}, null);
                Stream<Path> classes = Files.walk(folder)) {
            for (Path file :
                    classes.filter(p -> p.toString().endsWith(".class")).toList()) {
                String name = folder.relativize(file)
                        .toString()
                        .replace(java.io.File.separatorChar, '.')
                        .replaceAll("\\.class$", "");
                Class<?> ours = load(shim, name);
                if (Modifier.isPublic(ours.getModifiers())) {
                    compare(ours, load(TaskGraph.class.getClassLoader(), name), missing);
                }
            }
        }
        assertThat(missing).isEmpty();
    }

    private static Class<?> load(ClassLoader loader, String name) {
        try {
            return Class.forName(name, false, loader);
        } catch (ClassNotFoundException e) {
            throw new AssertionError(name + " is not there", e);
        }
    }

    private static void compare(Class<?> ours, Class<?> real, List<String> missing) {
        Set<String> theirs = signatures(real);
        for (String signature : signatures(ours)) {
            if (!theirs.contains(signature)) {
                missing.add(ours.getSimpleName() + ": " + signature);
            }
        }
    }

    /** What a caller can link against: erased signatures of public members. */
    private static Set<String> signatures(Class<?> type) {
        Set<String> signatures = new TreeSet<>();
        for (var method : type.getMethods()) {
            if (method.getDeclaringClass() != Object.class) {
                signatures.add((Modifier.isStatic(method.getModifiers()) ? "static " : "")
                        + method.getReturnType().getTypeName() + " " + method.getName()
                        + List.of(method.getParameterTypes()));
            }
        }
        for (var constructor : type.getConstructors()) {
            signatures.add("new " + List.of(constructor.getParameterTypes()));
        }
        for (var field : type.getFields()) {
            signatures.add(field.getType().getTypeName() + " " + field.getName());
        }
        return signatures;
    }

    /** Sums a group's items through local memory; forgets the barrier where {@code step} says so. */
    static void groupSum(KernelContext context, IntArray step, FloatArray values) {
        float[] shared = context.allocateFloatLocalArray(64);
        shared[context.localIdx] = values.get(context.globalIdx);
        if (step.get(0) == 0 || context.localIdx > 0) {
            context.localBarrier();
        }
        float total = 0f;
        for (int i = 0; i < context.localGroupSizeX; i++) {
            total += shared[i];
        }
        context.localBarrier();
        values.set(context.globalIdx, total);
    }

    private static FloatArray runGroupSum(int forget) {
        FloatArray values = new FloatArray(8);
        for (int i = 0; i < 8; i++) {
            values.set(i, i);
        }
        IntArray step = new IntArray(1);
        step.set(0, forget);
        WorkerGrid1D grid = new WorkerGrid1D(8);
        grid.setLocalWork(4, 1, 1);
        GridScheduler grids = new GridScheduler();
        grids.addWorkerGrid("g.sum", grid);
        TaskGraph graph = new TaskGraph("g")
                .transferToDevice(DataTransferMode.EVERY_EXECUTION, step, values)
                .task("sum", ShimTest::groupSum, new KernelContext(), step, values)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, values);
        TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot());
        TornadoExecutionPlan _ = plan.withGridScheduler(grids);
        var _ = plan.execute();
        return values;
    }

    @Test
    void group_sharesMemoryAndWaitsAtBarriers() {
        assumeTrue(FakeDriver.deviceIsThere(), "needs a device of the SDK; FakeDriverTest runs it on its own");
        FloatArray values = runGroupSum(0);
        assertThat(values.get(0)).isEqualTo(6);
        assertThat(values.get(3)).isEqualTo(6);
        assertThat(values.get(7)).isEqualTo(22);
    }

    @Test
    void emulator_complains_whenNotEveryItemReachesABarrier() {
        assumeTrue(!realApi(), "a device hangs or computes nonsense instead");
        assertThatThrownBy(() -> runGroupSum(1)).hasMessageContaining("different numbers of barriers");
    }

    /** Reads what nobody transferred. */
    static void copy(KernelContext context, FloatArray from, FloatArray to) {
        to.set(context.globalIdx, from.get(context.globalIdx));
    }

    @Test
    void emulator_showsNaN_whereATransferWasForgotten() {
        assumeTrue(!realApi(), "a device has whatever was there");
        FloatArray from = new FloatArray(1);
        FloatArray to = new FloatArray(1);
        GridScheduler grids = new GridScheduler();
        grids.addWorkerGrid("g.copy", new WorkerGrid1D(1));
        TaskGraph graph = new TaskGraph("g")
                .task("copy", ShimTest::copy, new KernelContext(), from, to)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, to);
        TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot());
        TornadoExecutionPlan _ = plan.withGridScheduler(grids);
        var _ = plan.execute();
        assertThat(to.get(0)).isNaN();
    }
}
