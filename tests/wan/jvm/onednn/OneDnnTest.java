package wan.jvm.onednn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import wan.jvm.JvmOptions;
import wan.jvm.KernelTwins;
import wan.jvm.vector.VectorKernelsTest;

/** The kernels on oneDNN against the scalar ones; the goldens are in the tests of the operations and of the rollouts. */
public class OneDnnTest {
    private static final Map<JvmOptions.Kind, KernelTwins> TWINS = new EnumMap<>(JvmOptions.Kind.class);

    /** Skips a test of kernels that cannot be had here, with the reason. */
    public static void assumeThere(JvmOptions.Kind kernels) {
        if (kernels.option().startsWith("onednn")) {
            OneDnnStatus status = OneDnnStatus.find();
            assumeTrue(status.isThere(), status.problem());
            assumeTrue(
                    kernels != JvmOptions.Kind.ONEDNN_INT8 || status.int8(),
                    "SKIPPED: int8 needs VNNI, this is " + status.isa());
        }
    }

    @BeforeAll
    static void open() {
        assumeThere(JvmOptions.Kind.ONEDNN_F32);
        for (JvmOptions.Kind kind : new JvmOptions.Kind[] {JvmOptions.Kind.ONEDNN_F32, JvmOptions.Kind.ONEDNN_BF16}) {
            TWINS.put(kind, new KernelTwins(kind));
        }
    }

    @AfterAll
    static void close() {
        TWINS.values().forEach(KernelTwins::close);
    }

    static Stream<Arguments> sizes() {
        return TWINS.keySet().stream().flatMap(kind -> KernelTwins.sizes().mapToObj(size -> Arguments.of(kind, size)));
    }

    @ParameterizedTest
    @MethodSource("sizes")
    void linear_equalsScalar_atOddSizes(JvmOptions.Kind kernels, int size) {
        twins(kernels).linear(size);
    }

    @ParameterizedTest
    @MethodSource("sizes")
    void attention_equalsScalar_atOddSizes(JvmOptions.Kind kernels, int size) {
        twins(kernels).attention(size);
    }

    @ParameterizedTest
    @EnumSource(names = {"ONEDNN_F32", "ONEDNN_BF16"})
    void linear_equalsScalar_whenThereAreSeveralBlocksAndChunks(JvmOptions.Kind kernels) {
        twins(kernels).deepLinear();
        twins(kernels).wideLinear();
    }

    @ParameterizedTest
    @EnumSource(names = {"ONEDNN_F32", "ONEDNN_BF16", "ONEDNN_INT8"})
    void everyOperation_keepsWhatIsNotFinite(JvmOptions.Kind kernels) {
        assumeThere(kernels);
        try (KernelTwins twins = new KernelTwins(kernels)) {
            twins.specialNumbers();
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"ONEDNN_F32", "ONEDNN_BF16", "ONEDNN_INT8"})
    void everyResult_isTheSameBits_forAnyNumberOfThreads(JvmOptions.Kind kernels) {
        assumeThere(kernels);
        VectorKernelsTest.assertSameBits(kernels);
    }

    @ParameterizedTest
    @EnumSource(names = {"ONEDNN_F32", "ONEDNN_BF16"})
    void attention_isNotANumber_whenAKeyIsNot(JvmOptions.Kind kernels) {
        VectorKernelsTest.assertNotANumber(kernels);
    }

    private static KernelTwins twins(JvmOptions.Kind kernels) {
        return Objects.requireNonNull(TWINS.get(kernels));
    }

    @Test
    void options_spellTheKernels() {
        assertThat(JvmOptions.Kind.ONEDNN_BF16.option()).isEqualTo("onednn:bf16");
        assertThat(JvmOptions.Kind.ONEDNN_F32.option()).isEqualTo("onednn:f32");
        assertThat(JvmOptions.Kind.ONEDNN_INT8.option()).isEqualTo("onednn:int8");
    }

    /** Loaded once per process, so what goes wrong needs one of its own. */
    @Test
    void library_saysWhatIsWrong_whenItIsNotOne(@TempDir Path folder) throws IOException, InterruptedException {
        Path text = Files.writeString(folder.resolve("libdnnl.so.3"), "not a library");
        assertThat(problem(text)).contains(text + " does not load: ");
        Path missing = folder.resolve("none.so");
        assertThat(problem(missing)).contains("no file " + missing);
        assertThatThrownBy(() -> OneDnnLibrary.checkStatus("dnnl_x", 3)).hasMessage("oneDNN dnnl_x: not implemented");
    }

    private static String problem(Path library) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "--enable-native-access=ALL-UNNAMED",
                        "-D" + OneDnnLibrary.PROPERTY + "=" + library,
                        "-cp",
                        System.getProperty("java.class.path"),
                        Problem.class.getName())
                .redirectErrorStream(true)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        return output.strip();
    }

    /** Prints what {@link OneDnnStatus} finds missing. */
    static final class Problem {
        private Problem() {}

        public static void main(String[] args) {
            System.out.println(OneDnnStatus.find().problem());
        }
    }
}
