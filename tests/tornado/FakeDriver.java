package tornado;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import uk.ac.manchester.tornado.api.TaskGraph;

/**
 * The CUDA driver of tests/tornado/driver, built.
 *
 * @param folder where it is, and where the kernels go that it compiles
 */
record FakeDriver(Path folder) {
    private static final Path SOURCES = Path.of("tests/tornado/driver");

    /** How a process ended, what it printed, and what the driver counted. */
    record Ended(int status, String printed, Map<String, Long> counts) {}

    /** Whether there is a device to run on: the emulator, or one that an SDK finds. */
    static boolean deviceIsThere() {
        try {
            return !TornadoDevices.list().isEmpty();
        } catch (LinkageError e) { // an SDK without a driver
            return false;
        }
    }

    /** Builds it; skips the test, aloud, where an SDK with the CUDA backend or a C++ compiler is missing. */
    static FakeDriver build(Path folder) throws IOException, InterruptedException {
        boolean sdk = TaskGraph.class.getModule().isNamed()
                && ModuleLayer.boot().findModule("tornado.drivers.cuda").isPresent();
        boolean compiler = Stream.of(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator, -1))
                .anyMatch(path -> Files.isExecutable(Path.of(path, "c++")));
        if (!sdk || !compiler) {
            System.err.println("SKIPPED: "
                    + (sdk ? "there is no c++" : "TORNADOVM_HOME is not an SDK with the CUDA backend")
                    + "; nothing was run on the fake driver, no golden rollout either");
        }
        assumeTrue(sdk && compiler, "needs TORNADOVM_HOME with the CUDA backend, and c++");
        for (String header : List.of("device.h", "kernel.h", "cuda_fp16.h")) {
            Files.copy(SOURCES.resolve(header), folder.resolve(header));
        }
        compile(folder, "driver.cpp", "libcuda.so.1");
        compile(folder, "compiler.cpp", "libnvrtc.so.13");
        compile(folder, "cublaslt.cpp", "libcublasLt.so.13", "-L" + folder, "-l:libcuda.so.1");
        compile(folder, "cudnn.cpp", "libcudnn.so.9", "-L" + folder, "-l:libcuda.so.1");
        return new FakeDriver(folder);
    }

    /** Builds one library. */
    static void compile(Path folder, String source, String library, String... more)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                "c++",
                "-std=c++17",
                "-O1",
                "-shared",
                "-fPIC",
                "-Wl,-soname," + library,
                "-Wl,--default-symver",
                "-o",
                folder.resolve(library).toString(),
                SOURCES.resolve(source).toString(),
                "-ldl"));
        command.addAll(List.of(more));
        Process process = new ProcessBuilder(command).inheritIO().start();
        assertThat(process.waitFor()).as(source).isZero();
    }

    /** Runs the command line in a JVM of its own, which alone sees the driver. */
    Ended wanAttn(Map<String, String> variables, String... arguments) throws IOException, InterruptedException {
        List<String> all = new ArrayList<>(List.of(arguments));
        all.addFirst("wan.app.Main");
        return run(variables, all.toArray(new String[0]));
    }

    /** As the other, of any class with a main method. */
    Ended run(Map<String, String> variables, String... mainAndArguments) throws IOException, InterruptedException {
        String home = System.getenv("TORNADOVM_HOME");
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "@" + home + "/tornado-argfile",
                "--module-path",
                home + "/share/java/tornado",
                "-Dtornado.recover.bailout=False",
                "-Dtornado.printKernel=True",
                "-Dtornado.print.kernel.dir=" + folder.resolve("kernels.txt"),
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-Xmx1g",
                "-XX:MaxDirectMemorySize=2g",
                "-da:jdk.graal.compiler...",
                "-cp",
                System.getProperty("java.class.path")));
        command.addAll(List.of(mainAndArguments));
        Path report = folder.resolve("report");
        Path log = folder.resolve("log");
        Files.deleteIfExists(report);
        ProcessBuilder builder =
                new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
        builder.environment().put("LD_LIBRARY_PATH", folder.toString());
        builder.environment().put("FAKE_CUDA_FOLDER", folder.toString());
        builder.environment().put("FAKE_CUDA_REPORT", report.toString());
        builder.environment().putAll(variables);
        Process process = builder.start();
        boolean ended = process.waitFor(60, TimeUnit.MINUTES);
        process.destroyForcibly();
        String printed = Files.readString(log);
        assertThat(ended).as(printed).isTrue();
        Map<String, Long> counts = new HashMap<>();
        if (Files.exists(report)) {
            for (String line : Files.readAllLines(report)) {
                String[] words = line.split(" ", -1);
                counts.put(words[0], Long.valueOf(words[1]));
            }
        }
        return new Ended(process.exitValue(), printed, counts);
    }
}
