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
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import uk.ac.manchester.tornado.api.TaskGraph;
import wan.file.Safetensors;
import wan.op.DType;
import wan.op.TensorView;

/**
 * The CUDA backend of a TornadoVM SDK on a driver of our own (tests/tornado/driver): kernels as TornadoVM generates them run on the
 * host, with guard pages around every buffer. Needs an SDK with that backend and a C++ compiler; no GPU, no CUDA.
 */
class FakeDriverTest {
    private static final Path SOURCES = Path.of("tests/tornado/driver");

    @TempDir
    private static Path folder;

    @BeforeAll
    static void buildDriver() throws IOException, InterruptedException {
        boolean sdk = TaskGraph.class.getModule().isNamed()
                && ModuleLayer.boot().findModule("tornado.drivers.cuda").isPresent();
        boolean compiler = Stream.of(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator, -1))
                .anyMatch(path -> Files.isExecutable(Path.of(path, "c++")));
        if (!sdk || !compiler) {
            System.err.println("SKIPPED: "
                    + (sdk ? "there is no c++" : "TORNADOVM_HOME is not an SDK with the CUDA backend")
                    + "; nothing was run on the fake driver");
        }
        assumeTrue(sdk && compiler, "needs TORNADOVM_HOME with the CUDA backend, and c++");
        for (String header : List.of("device.h", "kernel.h", "cuda_fp16.h")) {
            Files.copy(SOURCES.resolve(header), folder.resolve(header));
        }
        compile("driver.cpp", "libcuda.so.1");
        compile("compiler.cpp", "libnvrtc.so.13");
    }

    private static void compile(String source, String library) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(
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
                        "-ldl")
                .inheritIO()
                .start();
        assertThat(process.waitFor()).as(source).isZero();
    }

    /** How a process ended, what it printed, and what the driver counted. */
    private record Ended(int status, String printed, Map<String, Long> counts) {}

    /** Runs the command line in a JVM of its own, which alone sees the driver. */
    private static Ended wanAttn(Map<String, String> driver, String... arguments)
            throws IOException, InterruptedException {
        String home = System.getenv("TORNADOVM_HOME");
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "@" + home + "/tornado-argfile",
                "--module-path",
                home + "/share/java/tornado",
                "-Dtornado.recover.bailout=False",
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-Xmx1g",
                "-XX:MaxDirectMemorySize=1g",
                "-cp",
                System.getProperty("java.class.path"),
                "wan.app.Main"));
        command.addAll(List.of(arguments));
        Path report = folder.resolve("report");
        Path log = folder.resolve("log");
        Files.deleteIfExists(report);
        ProcessBuilder builder =
                new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
        builder.environment().put("LD_LIBRARY_PATH", folder.toString());
        builder.environment().put("FAKE_CUDA_FOLDER", folder.toString());
        builder.environment().put("FAKE_CUDA_REPORT", report.toString());
        builder.environment().putAll(driver);
        Process process = builder.start();
        boolean ended = process.waitFor(10, TimeUnit.MINUTES);
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

    private static Ended selfTest(String variable, String value) throws IOException, InterruptedException {
        return wanAttn(
                Map.of(variable, value), "selftest", "--device", "tornado", "--libraries", "off", "--op", "rmsNorm");
    }

    @Test
    void norms_stayInTheirBuffers() throws IOException, InterruptedException {
        Ended ended = wanAttn(Map.of(), "selftest", "--device", "tornado", "--libraries", "off", "--op", "Norm");
        assertThat(ended.printed()).contains("12 of 12 passed");
        assertThat(ended.status()).isZero();
        assertThat(ended.counts())
                .containsEntry("faults", 0L)
                .extractingByKey("launches")
                .isNotEqualTo(0L);
    }

    /** Kernels for tensor cores, whose instructions the driver has too. */
    @Test
    void tensorCores_stayInTheirBuffers() throws IOException, InterruptedException {
        for (String op : List.of("linear", "attention")) {
            Ended ended = wanAttn(
                    Map.of(),
                    "selftest",
                    "--device",
                    "tornado",
                    "--libraries",
                    "off",
                    "--kernels",
                    "tensor",
                    "--dtype",
                    "bf16",
                    "--kv-cache-dtype",
                    "f16",
                    "--op",
                    op);
            assertThat(ended.printed()).containsPattern("(\\d+) of \\1 passed");
            assertThat(ended.status()).isZero();
            assertThat(ended.counts()).containsEntry("faults", 0L);
        }
    }

    @Test
    void launchThatFailsAlone_endsTheRun() throws IOException, InterruptedException {
        Ended ended = selfTest("FAKE_CUDA_SKIP", "5");
        assertThat(ended.printed()).contains("expected kernel ", "to have run each time, got another count");
        assertThat(ended.status()).isEqualTo(1);
    }

    @Test
    void deviceThatDies_endsTheRun() throws IOException, InterruptedException {
        Ended ended = selfTest("FAKE_CUDA_DIES", "10");
        assertThat(ended.printed()).contains("expected the ticket of this execution back");
        assertThat(ended.status()).isEqualTo(1);
    }

    @Test
    void fullDevice_isOneLine() throws IOException, InterruptedException {
        Ended ended = selfTest("FAKE_CUDA_MEMORY", "100000");
        assertThat(ended.printed()).contains("less memory is free than the device has");
        assertThat(ended.status()).isEqualTo(1);
        assertThat(ended.counts()).containsEntry("launches", 0L);
    }

    /** Every layer of every pass, with what is captured of it, as on the JVM, which the goldens hold. */
    @Test
    void rollout_isTheJvms() throws IOException, InterruptedException {
        List<Path> results = new ArrayList<>();
        for (String device : List.of("jvm", "tornado")) {
            Path result = folder.resolve(device + ".safetensors");
            Ended ended = wanAttn(
                    Map.of(),
                    "extract",
                    "--model",
                    "tests/goldens/model-tiny.safetensors",
                    "--replay",
                    "tests/goldens/rollout-d2.safetensors",
                    "--layer",
                    "all",
                    "--pass",
                    "all",
                    "--what",
                    "frame-logits,frame-mass,key-logits",
                    "--device",
                    device,
                    "--libraries",
                    "off",
                    "--output",
                    result.toString());
            assertThat(ended.status()).as(ended.printed()).isZero();
            assertThat(ended.counts().getOrDefault("faults", 0L)).isZero();
            results.add(result);
        }
        try (Safetensors expected = Safetensors.open(results.get(0));
                Safetensors actual = Safetensors.open(results.get(1))) {
            assertThat(actual.names()).isEqualTo(expected.names());
            assertThat(expected.names()).hasSizeGreaterThan(80);
            for (String name : expected.names()) {
                TensorView tensor = expected.tensor(name);
                if (tensor.dtype() == DType.F32) {
                    float[] want = tensor.toFloats();
                    float[] got = actual.tensor(name).toFloats();
                    assertThat(got).as(name).hasSameSizeAs(want);
                    for (int i = 0; i < want.length; i++) {
                        boolean near = Float.isNaN(want[i]) ? Float.isNaN(got[i]) : Math.abs(got[i] - want[i]) < 1e-5;
                        assertThat(near)
                                .as("%s[%d]: %s, on the JVM %s", name, i, got[i], want[i])
                                .isTrue();
                    }
                }
            }
        }
    }
}
