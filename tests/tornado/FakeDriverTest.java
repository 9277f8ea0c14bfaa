package tornado;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import wan.file.Safetensors;
import wan.op.DType;
import wan.op.TensorView;

/**
 * The CUDA backend of a TornadoVM SDK on a driver of our own (tests/tornado/driver): kernels as TornadoVM generates them run on the
 * host, with guard pages around every buffer. Needs an SDK with that backend and a C++ compiler; no GPU, no CUDA.
 */
class FakeDriverTest {
    /** TornadoVM sends arrays of 16 MB and more through pinned memory. These are weights of a small model, in several pieces. */
    private static final String SMALL_STAGES = "-Dtornado.staged.min.size=4096 -Dtornado.staged.chunk.size=262144";

    @TempDir
    private static Path folder;

    private static FakeDriver driver;

    @BeforeAll
    static void buildDriver() throws IOException, InterruptedException {
        driver = FakeDriver.build(folder);
    }

    private static FakeDriver.Ended selfTest(String variable, String value) throws IOException, InterruptedException {
        return driver.wanAttn(
                Map.of(variable, value), "selftest", "--device", "tornado", "--libraries", "off", "--op", "rmsNorm");
    }

    @Test
    void norms_stayInTheirBuffers() throws IOException, InterruptedException {
        FakeDriver.Ended ended =
                driver.wanAttn(Map.of(), "selftest", "--device", "tornado", "--libraries", "off", "--op", "Norm");
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
            FakeDriver.Ended ended = driver.wanAttn(
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
        FakeDriver.Ended ended = selfTest("FAKE_CUDA_SKIP", "5");
        assertThat(ended.printed()).contains("expected kernel ", "to have run each time, got another count");
        assertThat(ended.status()).isEqualTo(1);
    }

    /** Libraries by our providers, on the driver's own; {@link #passesOnTheDriver} has whole rollouts. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "FAKE_CUDA_CUBLAS | 40 | cublas | cuBLAS: cublasLtMatmul of \\[\\d+, \\d+] by \\[\\d+, \\d+] in bf16:"
                        + " expected success, got status 13 \\(CUBLAS_STATUS_EXECUTION_FAILED\\)",
                "FAKE_CUDA_CUDNN | 30 | cublas,cudnn | cuDNN: cudnnBackendExecute of q \\[\\d+, \\d+, \\d+, \\d+],"
                        + " \\d+ keys, to bf16: expected success, got status 5000 \\(told to fail\\)"
            })
    void callOfLibraryThatFails_endsTheRun_withPassAndLayer(
            String variable, String number, String libraries, String message) throws IOException, InterruptedException {
        FakeDriver.Ended ended = driver.wanAttn(
                Map.of(variable, number),
                "extract",
                "--model",
                "tests/goldens/model-tiny.safetensors",
                "--replay",
                "tests/goldens/rollout-d2.safetensors",
                "--layer",
                "1",
                "--device",
                "tornado",
                "--libraries",
                libraries,
                "--dtype",
                "bf16",
                "--kv-cache-dtype",
                "f16",
                "--output",
                folder.resolve(variable + ".safetensors").toString());
        assertThat(ended.printed())
                .containsPattern("\\w+\\.\\w+: device tornado:0:0 in or before blocks\\.\\S+: " + message);
        assertThat(ended.status()).isEqualTo(1);
        assertThat(ended.counts()).containsEntry("faults", 0L);
    }

    @Test
    void deviceThatDies_endsTheRun() throws IOException, InterruptedException {
        long launches = selfTest("FAKE_CUDA_DIES", "0").counts().getOrDefault("launches", 0L);
        FakeDriver.Ended ended = selfTest("FAKE_CUDA_DIES", String.valueOf(launches - 1)); // fetches the last result
        assertThat(ended.printed()).contains("expected the ticket of this execution back");
        assertThat(ended.status()).isEqualTo(1);
    }

    @Test
    void fullDevice_isOneLine() throws IOException, InterruptedException {
        FakeDriver.Ended ended = selfTest("FAKE_CUDA_MEMORY", "100000");
        assertThat(ended.printed()).contains("less memory is free than the device has");
        assertThat(ended.status()).isEqualTo(1);
        assertThat(ended.counts()).containsEntry("launches", 0L);
    }

    /** Tests of whole rollouts, captures and interventions, each class in a JVM of its own; compiled kernels stay in {@link #folder}. */
    @ParameterizedTest
    @MethodSource("tornado.OnFakeDriver#tests")
    void passesOnTheDriver(String test) throws IOException, InterruptedException {
        FakeDriver.Ended ended = driver.run(Map.of(), OnFakeDriver.class.getName(), test);
        System.err.println(test + " " + ended.printed().lines().reduce("", (before, line) -> line));
        assumeTrue(ended.status() != OnFakeDriver.NOTHING_RUN, test + " has nothing for the fake driver");
        assertThat(ended.status()).as(ended.printed()).isZero();
        assertThat(ended.counts()).containsEntry("faults", 0L);
    }

    /** Every layer of every pass, with what is captured of it, as on the JVM, which the goldens hold; the device does all as late as it may. */
    @Test
    void rollout_isTheJvms() throws IOException, InterruptedException {
        List<Path> results = new ArrayList<>();
        for (String device : List.of("jvm", "tornado")) {
            Path result = folder.resolve(device + ".safetensors");
            FakeDriver.Ended ended = driver.wanAttn(
                    Map.of("FAKE_CUDA_LATE", "1", "JAVA_TOOL_OPTIONS", SMALL_STAGES),
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
            // Before a pass was one batch, there were two for each graph: more than a third of the launches.
            assertThat(ended.counts().getOrDefault("waits", 0L))
                    .isLessThanOrEqualTo(ended.counts().getOrDefault("launches", 0L) / 5);
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
