package wan.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tornado.Library;
import tornado.TornadoOps;
import uk.ac.manchester.tornado.api.TaskGraph;
import wan.backend.DeviceCheck;
import wan.backend.DeviceSettings;
import wan.backend.Storage;
import wan.jvm.JvmOps;
import wan.op.DType;
import wan.op.Grid;
import wan.op.Ops;
import wan.op.UsageException;
import wan.op.WanException;
import wan.selftest.SelfTestCases;
import wan.selftest.SelfTestCheck;

/** Which backend an option gives, with the emulator in the place of devices of all kinds. */
@Tag("slow")
class DevicesTest {
    private static final String EMULATOR = "wan.emulator";

    @BeforeEach
    void needsTheEmulator() {
        assumeTrue(!TaskGraph.class.getModule().isNamed(), "TornadoVM has the devices it has");
    }

    @AfterEach
    void emulateNothing() {
        System.clearProperty(EMULATOR);
    }

    /** Sizes that the emulator does in no time: 24 tokens of two heads of 32. */
    private static final DeviceCheck MEASURED = new SelfTestCheck(SelfTestCases.frame(new Grid(1, 4, 6), 2, 32, 96));

    private static final DeviceSettings DEFAULT = DeviceSettings.of("tornado");

    private static final DeviceSettings HALF_CACHE = stored(DType.F16, DeviceSettings.AUTO, 0);

    private static final DeviceSettings BOTH_NAMED = stored(DType.F16, "cublas,cudnn", 0);

    private static DeviceSettings stored(DType cache, String libraries, long memoryBytes) {
        return new DeviceSettings(
                "tornado", new Storage(DType.F32, cache), libraries, memoryBytes, 2, DeviceSettings.AUTO);
    }

    private static Ops open(String device) {
        return open(DEFAULT.withName(device), MEASURED);
    }

    private static Ops open(DeviceSettings settings, DeviceCheck check) {
        return Devices.open(settings, check, null);
    }

    private static Set<Library> libraries(DeviceSettings settings, DeviceCheck check) {
        try (Ops ops = open(settings, check)) {
            return ((TornadoOps) ops).libraries();
        }
    }

    @Test
    void auto_takesAGraphicsProcessor_thatPassedTheCheck() {
        System.setProperty(EMULATOR, "gpu");
        try (Ops ops = open("auto")) {
            assertThat(ops.backend())
                    .isEqualTo("tornado:0:0 (kernels run on the JVM, for tests, opencl, shared kernels)");
        }
    }

    @Test
    void auto_takesTheJvm_whenTheGraphicsProcessorComputesWrongly() {
        System.setProperty(EMULATOR, "gpu,wrong");
        try (Ops ops = open("auto")) {
            assertThat(ops).isInstanceOf(JvmOps.class);
        }
    }

    @Test
    void auto_takesTheJvm_whenThereIsOnlyAProcessorOrNothing() {
        try (Ops ops = open("auto")) {
            assertThat(ops).isInstanceOf(JvmOps.class);
        }
        System.setProperty(EMULATOR, "none");
        try (Ops ops = open("auto")) {
            assertThat(ops).isInstanceOf(JvmOps.class);
        }
    }

    @Test
    void device_isRefused_whenItComputesWrongly() {
        System.setProperty(EMULATOR, "wrong");
        assertThatThrownBy(() -> open("tornado"))
                .isInstanceOf(WanException.class)
                .hasMessageMatching("device tornado:0:0 \\(.*\\) computes wrongly: .*")
                .hasMessageContaining("use device.name jvm");
    }

    @Test
    void library_isUsed_whereItIsFaster() {
        System.setProperty(EMULATOR, "cuda,slow-vector");
        assertThat(libraries(DEFAULT, MEASURED)).containsExactly(Library.CUBLAS);
        assertThat(libraries(HALF_CACHE, MEASURED)).containsExactlyInAnyOrder(Library.CUBLAS, Library.CUDNN);
        try (Ops ops = open(HALF_CACHE, MEASURED)) {
            assertThat(ops.backend())
                    .isEqualTo("tornado:0:0 (kernels run on the JVM, for tests, cuda, vector kernels, cuBLAS, cuDNN),"
                            + " weights f32, keys and values f16, attention f16");
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {"slow-shared | tensor", "slow-tensor | shared", "wrong-tensor,slow-shared | shared"})
    void tensorCores_areUsed_whereTheyComputeRightlyAndFaster(String traits, String kernels) {
        System.setProperty(EMULATOR, "cuda,gpu," + traits);
        DeviceSettings settings = new DeviceSettings(
                "tornado", new Storage(DType.BF16, DType.F16), DeviceSettings.NO_LIBRARIES, 0, 2, DeviceSettings.AUTO);
        try (Ops ops = open(settings, MEASURED)) {
            assertThat(ops.backend()).contains(", cuda, " + kernels + " kernels)");
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "slow-vector,no-cublas | CUDNN",
                "slow-vector,wrong-cublas | CUDNN",
                "slow-attention_vector,slow-gemm | CUDNN",
                "slow-vector,no-cudnn | CUBLAS",
                "slow-vector,wrong-cudnn | CUBLAS",
                "slow-linear_vector,slow-sdpa | CUBLAS"
            })
    void library_isLeftOut_whenItIsMissingWrongOrSlower(String traits, Library other) {
        System.setProperty(EMULATOR, "cuda," + traits);
        assertThat(libraries(HALF_CACHE, MEASURED)).containsExactly(other);
    }

    @Test
    void library_isLeftOut_whereThereIsNoRoomToMeasureIt() {
        System.setProperty(EMULATOR, "cuda,slow-vector");
        DeviceSettings little = stored(DType.F32, DeviceSettings.AUTO, 2_000_000);
        DeviceCheck larger = new SelfTestCheck(SelfTestCases.frame(new Grid(1, 8, 12), 4, 128, 96));
        assertThat(libraries(little, larger)).isEmpty();
    }

    @Test
    void library_thatIsNamed_isUsedUnlessItIsMissingOrWrong() {
        System.setProperty(EMULATOR, "cuda,slow-gemm,slow-sdpa");
        assertThat(libraries(BOTH_NAMED, MEASURED)).hasSize(2);
        System.setProperty(EMULATOR, "cuda,wrong-cudnn");
        assertThatThrownBy(() -> libraries(BOTH_NAMED, MEASURED))
                .isInstanceOf(WanException.class)
                .hasMessageStartingWith("device.libraries cudnn: attention ")
                .hasMessageEndingWith("WRONG");
        System.clearProperty(EMULATOR);
        assertThatThrownBy(() -> libraries(DEFAULT.withLibraries("cublas"), MEASURED))
                .isInstanceOf(WanException.class)
                .hasMessage(
                        "device.libraries cublas: expected a TornadoVM device with cuBLAS (its CUDA backend), got tornado:0:0"
                                + " (kernels run on the JVM, for tests, opencl, vector kernels); auto takes what is there");
        assertThatThrownBy(() -> open(DEFAULT.withName("jvm").withLibraries("cublas"), MEASURED))
                .isInstanceOf(UsageException.class)
                .hasMessage("device.libraries: expected auto or off with device.name jvm, got cublas");
    }

    @Test
    void device_thatIsNotThere_isNamedWithThoseThatAre() {
        assertThatThrownBy(() -> open("tornado:9:9"))
                .isInstanceOf(UsageException.class)
                .hasMessage(
                        "device.name tornado:9:9: expected tornado or one of tornado:0:0; wan-attn devices lists them");
        System.setProperty(EMULATOR, "none");
        assertThatThrownBy(() -> open("tornado"))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("TornadoVM finds none; install an OpenCL or CUDA driver");
    }
}
