package wan.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Set;
import java.util.regex.Pattern;
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

    /**
     * Checks and measures, but what was measured is not what it says.
     *
     * @param fast a part of the descriptions of devices on which everything takes a second; two on the others
     */
    private record Timed(DeviceCheck real, Pattern fast) implements DeviceCheck {
        static Timed by(String fast) {
            return new Timed(MEASURED, Pattern.compile(fast));
        }

        @Override
        public String problem(Ops ops, Storage storage, String prefix) {
            return real.problem(ops, storage, prefix);
        }

        @Override
        public Timing time(Ops ops, String op) {
            String what = real.time(ops, op).what();
            return new Timing(what, fast.matcher(ops.backend()).find() ? 1 : 2);
        }
    }

    private static final Pattern LIBRARIES = Pattern.compile("cuBLAS|cuDNN");

    private static final DeviceCheck FAST_LIBRARIES = new Timed(MEASURED, LIBRARIES);

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
        System.setProperty(EMULATOR, "cuda");
        assertThat(libraries(DEFAULT, FAST_LIBRARIES)).containsExactly(Library.CUBLAS);
        assertThat(libraries(HALF_CACHE, FAST_LIBRARIES)).containsExactlyInAnyOrder(Library.CUBLAS, Library.CUDNN);
        try (Ops ops = open(HALF_CACHE, FAST_LIBRARIES)) {
            assertThat(ops.backend())
                    .isEqualTo("tornado:0:0 (kernels run on the JVM, for tests, cuda, vector kernels, cuBLAS, cuDNN),"
                            + " weights f32, keys and values f16, attention f16");
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {"right | tensor | tensor", "right | shared | shared", "wrong-tensor | tensor | shared"})
    void tensorCores_areUsed_whereTheyComputeRightlyAndFaster(String trait, String fast, String kernels) {
        System.setProperty(EMULATOR, "cuda,gpu," + trait);
        DeviceSettings settings = new DeviceSettings(
                "tornado", new Storage(DType.BF16, DType.F16), DeviceSettings.NO_LIBRARIES, 0, 2, DeviceSettings.AUTO);
        try (Ops ops = open(settings, Timed.by(fast + " kernels"))) {
            assertThat(ops.backend()).contains(", cuda, " + kernels + " kernels)");
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "no-cublas | cu[BD] | CUDNN",
                "wrong-cublas | cu[BD] | CUDNN",
                "right | cuDNN | CUDNN",
                "no-cudnn | cu[BD] | CUBLAS",
                "wrong-cudnn | cu[BD] | CUBLAS",
                "right | cuBLAS | CUBLAS"
            })
    void library_isLeftOut_whenItIsMissingWrongOrSlower(String trait, String fast, Library other) {
        System.setProperty(EMULATOR, "cuda," + trait);
        assertThat(libraries(HALF_CACHE, Timed.by(fast))).containsExactly(other);
    }

    @Test
    void library_isLeftOut_whereThereIsNoRoomToMeasureIt() {
        System.setProperty(EMULATOR, "cuda");
        DeviceSettings little = stored(DType.F32, DeviceSettings.AUTO, 2_000_000);
        DeviceCheck larger = new SelfTestCheck(SelfTestCases.frame(new Grid(1, 8, 12), 4, 128, 96));
        assertThat(libraries(little, new Timed(larger, LIBRARIES))).isEmpty();
    }

    /** With weights of 8 bits it rounds activations to 8 bits as well. */
    @Test
    void cublas_hasToBeNamed_forActivationsOf8Bits() {
        System.setProperty(EMULATOR, "cuda");
        DeviceSettings bytes = new DeviceSettings(
                "tornado", new Storage(DType.F8_E4M3, DType.F16), DeviceSettings.AUTO, 0, 2, DeviceSettings.AUTO);
        assertThat(libraries(bytes, FAST_LIBRARIES)).containsExactly(Library.CUDNN);
        try (Ops ops = open(bytes.withLibraries("cublas"), Timed.by("no library"))) {
            assertThat(ops.backend()).endsWith(", cuBLAS), weights f8_e4m3, keys and values f16, products f8_e4m3");
        }
    }

    @Test
    void library_thatIsNamed_isUsedUnlessItIsMissingOrWrong() {
        System.setProperty(EMULATOR, "cuda");
        assertThat(libraries(BOTH_NAMED, Timed.by("no library"))).hasSize(2);
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
                                + " (kernels run on the JVM, for tests, opencl, vector kernels); auto takes those that are present");
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
