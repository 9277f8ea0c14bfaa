package wan.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tornado.TornadoDevices.Settings;
import tornado.TornadoOps;
import uk.ac.manchester.tornado.api.TaskGraph;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.op.Ops;
import wan.op.UsageException;
import wan.op.WanException;

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

    private static Ops open(String option) {
        return Devices.open(option, JvmOptions.defaults(), Settings.DEFAULT);
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
    void library_isUsed_whereItIsAndPassesTheCheck() {
        System.setProperty(EMULATOR, "cuda");
        try (Ops ops = open("tornado")) {
            assertThat(((TornadoOps) ops).libraries()).isTrue();
        }
    }

    @Test
    void library_isLeftOut_whenItIsMissingOrWrong() {
        for (String broken : new String[] {"cuda,no-cublas", "cuda,wrong-cublas"}) {
            System.setProperty(EMULATOR, broken);
            try (Ops ops = open("tornado")) {
                assertThat(((TornadoOps) ops).libraries()).as(broken).isFalse();
            }
        }
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
