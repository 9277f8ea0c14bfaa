package tornado;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tornado.TornadoDevices.Settings;
import uk.ac.manchester.tornado.api.TaskGraph;
import wan.RolloutGoldenTest;
import wan.app.SelfTest;
import wan.op.Ops;
import wan.op.WanException;

/**
 * The reference's rollouts with linear layers that a library does: cuBLAS as the emulator has it, since the library itself needs the
 * CUDA backend.
 */
class TornadoLibrariesTest extends RolloutGoldenTest {
    private static final String EMULATOR = "wan.emulator";

    @BeforeEach
    void emulateCuda() {
        assumeTrue(!TaskGraph.class.getModule().isNamed(), "an SDK without the CUDA backend has no cuBLAS");
        System.setProperty(EMULATOR, "cuda");
    }

    @AfterEach
    void emulateNothing() {
        System.clearProperty(EMULATOR);
    }

    @Override
    protected Ops open(int threads) {
        TornadoOps ops = TornadoDevices.open("tornado", Settings.DEFAULT);
        assertThat(ops.libraries()).isTrue();
        return ops;
    }

    @Test
    void everyOperation_matchesTheOracle() {
        try (Ops ops = open(1)) {
            assertThat(SelfTest.run(ops, Storage.F32, "")).allMatch(SelfTest.Result::passed);
        }
    }

    @Test
    void rollout_isRecordedOnce_andItsMemoryKnownBefore() {
        MemoryPlan needed;
        try (TornadoOps ops = TornadoDevices.rehearse("tornado", Settings.DEFAULT)) {
            TornadoRecordingTest.rollOut("rollout-a", ops, () -> {});
            needed = ops.memoryPlan();
        }
        try (TornadoOps ops = TornadoDevices.open("tornado", Settings.DEFAULT)) {
            TornadoRecordingTest.rollOut("rollout-a", ops, () -> {});
            assertThat(ops.counters().graphs()).isEqualTo(7);
            assertThat(ops.counters().programs()).isEqualTo(2);
            assertThat(ops.memoryPlan()).isEqualTo(needed);
        }
    }

    @Test
    void largeMatmuls_areTheLibrarys() {
        System.setProperty(EMULATOR, "cuda,wrong-cublas");
        try (Ops ops = open(1)) {
            List<SelfTest.Result> results = SelfTest.run(ops, Storage.F32, "linear");
            assertThat(results).anyMatch(result -> !result.passed());
            // One row is our kernels' in any case.
            assertThat(results.stream().filter(SelfTest.Result::passed).map(SelfTest.Result::size))
                    .isNotEmpty()
                    .allMatch(size -> size.startsWith("[1, "));
        }
    }

    @Test
    void ourKernels_areUsed_withoutTheOptionOrTheBackend() {
        try (TornadoOps ops = TornadoDevices.open("tornado", Settings.DEFAULT.withoutLibraries())) {
            assertThat(ops.libraries()).isFalse();
        }
        System.clearProperty(EMULATOR);
        try (TornadoOps ops = TornadoDevices.open("tornado", Settings.DEFAULT)) {
            assertThat(ops.libraries()).isFalse();
        }
    }

    @Test
    void missingLibrary_isOneLine() {
        System.setProperty(EMULATOR, "cuda,no-cublas");
        try (Ops ops = open(1)) {
            assertThatThrownBy(() -> SelfTest.run(ops, Storage.F32, "linear"))
                    .isInstanceOf(WanException.class)
                    .hasMessageContaining("no provider for nvidia/cublas");
        }
    }
}
