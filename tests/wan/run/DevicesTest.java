package wan.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.EnumSet;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tornado.Library;
import tornado.Storage;
import tornado.TornadoDevices.Settings;
import tornado.TornadoOps;
import uk.ac.manchester.tornado.api.TaskGraph;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.op.DType;
import wan.op.Grid;
import wan.op.Ops;
import wan.op.UsageException;
import wan.op.WanException;
import wan.selftest.SelfTestCases;

/** Which backend an option gives, with the emulator in the place of devices of all kinds. */
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
    private static final LibraryChoice MEASURED =
            new LibraryChoice(false, SelfTestCases.frame(new Grid(1, 4, 6), 2, 32, 96));

    private static final Settings HALF_CACHE =
            new Settings("", new Storage(DType.F32, DType.F16), EnumSet.allOf(Library.class), 0);

    private static Ops open(String option) {
        return open(option, Settings.DEFAULT, MEASURED);
    }

    private static Ops open(String option, Settings settings, LibraryChoice libraries) {
        return Devices.open(option, JvmOptions.defaults(), settings, libraries);
    }

    private static Set<Library> libraries(Settings settings, LibraryChoice choice) {
        try (Ops ops = open("tornado", settings, choice)) {
            return ((TornadoOps) ops).libraries();
        }
    }

    @Test
    void auto_takesAGraphicsProcessor_thatPassedTheCheck() {
        System.setProperty(EMULATOR, "gpu");
        try (Ops ops = open("auto")) {
            assertThat(ops.backend()).isEqualTo("tornado:0:0");
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
                .hasMessageContaining("device tornado:0:0 computes wrongly")
                .hasMessageContaining("use --device jvm");
    }

    @Test
    void library_isUsed_whereItIsFaster() {
        System.setProperty(EMULATOR, "cuda,slow-vector");
        assertThat(libraries(Settings.DEFAULT, MEASURED)).containsExactly(Library.CUBLAS);
        assertThat(libraries(HALF_CACHE, MEASURED)).containsExactlyInAnyOrder(Library.CUBLAS, Library.CUDNN);
        try (Ops ops = open("tornado", HALF_CACHE, MEASURED)) {
            assertThat(ops.backend()).isEqualTo("tornado:0:0, weights f32, keys and values f16, attention f16");
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
        Settings little = new Settings("", Storage.F32, EnumSet.allOf(Library.class), 700_000);
        LibraryChoice larger = new LibraryChoice(false, SelfTestCases.frame(new Grid(1, 8, 12), 4, 128, 96));
        assertThat(libraries(little, larger)).isEmpty();
    }

    @Test
    void library_thatIsNamed_isUsedUnlessItIsMissingOrWrong() {
        System.setProperty(EMULATOR, "cuda,slow-gemm,slow-sdpa");
        assertThat(libraries(HALF_CACHE, LibraryChoice.ASKED)).hasSize(2);
        System.setProperty(EMULATOR, "cuda,wrong-cudnn");
        assertThatThrownBy(() -> libraries(HALF_CACHE, LibraryChoice.ASKED))
                .isInstanceOf(WanException.class)
                .hasMessageStartingWith("--libraries cudnn: attention ")
                .hasMessageEndingWith("WRONG");
        System.clearProperty(EMULATOR);
        assertThatThrownBy(() -> libraries(Settings.DEFAULT.with(Set.of(Library.CUBLAS)), LibraryChoice.ASKED))
                .isInstanceOf(WanException.class)
                .hasMessage(
                        "--libraries cublas: expected a TornadoVM device with cuBLAS (its CUDA backend), got tornado:0:0; auto takes what is there");
        assertThatThrownBy(() -> open("jvm", Settings.DEFAULT, LibraryChoice.ASKED))
                .isInstanceOf(UsageException.class)
                .hasMessage("--libraries: expected a TornadoVM --device, got jvm");
    }

    @Test
    void device_thatIsNotThere_isNamedWithThoseThatAre() {
        assertThatThrownBy(() -> open("tornado:9:9"))
                .isInstanceOf(UsageException.class)
                .hasMessage(
                        "--device tornado:9:9: expected tornado or one of tornado:0:0; wan-attn devices lists them");
        System.setProperty(EMULATOR, "none");
        assertThatThrownBy(() -> open("tornado"))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("TornadoVM finds none; install an OpenCL or CUDA driver");
    }
}
