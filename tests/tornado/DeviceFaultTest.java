package tornado;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tornado.TornadoDevices.Settings;
import uk.ac.manchester.tornado.api.TaskGraph;
import wan.op.DeviceException;
import wan.op.Ops;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;

/** What becomes of a run when the device fails: the emulator does what TornadoVM's native code does, which is nothing. */
class DeviceFaultTest {
    @BeforeEach
    void needsTheEmulator() {
        assumeTrue(!TaskGraph.class.getModule().isNamed(), "a device cannot be made to fail");
    }

    @AfterEach
    void restore() {
        System.clearProperty(EmulatedCuda.PROPERTY);
    }

    @ParameterizedTest
    @CsvSource({"6, 0, init0.ctx, blocks.", "20, 4, block0.step2, head.", "30, 5, block0.ctx, blocks."})
    void fault_isSeenInItsPass_andNamesPassAndLayer(int executions, int goodPasses, String pass, String layer) {
        System.setProperty(EmulatedCuda.PROPERTY, "dies-" + executions);
        AtomicInteger passes = new AtomicInteger();
        try (Ops ops = TornadoDevices.open("tornado", Settings.DEFAULT)) {
            assertThatThrownBy(() -> TornadoRecordingTest.rollOut("rollout-d2", ops, passes::incrementAndGet))
                    .isInstanceOf(DeviceException.class)
                    .hasMessageStartingWith(pass + ": device tornado:0:0 in or before " + layer)
                    .hasMessageContaining("expected the ticket of this execution back");
        }
        assertThat(passes).hasValue(goodPasses);
    }

    /** One launch, or one transfer, that fails alone among good ones; the first few are those of the graph that fills the device. */
    @ParameterizedTest
    @CsvSource({
        "skips-20, rollout-d2",
        "skips-21, rollout-d2",
        "skips-22, rollout-d2",
        "skips-40, rollout-d2",
        "skips-61, rollout-d2",
        "skips-85, rollout-d2",
        "skips-111, rollout-d2",
        "drops-20, rollout-a",
    })
    void oneFailureAmongGoodOnes_isSeenInItsPass(String trait, String rollout) {
        System.setProperty(EmulatedCuda.PROPERTY, trait);
        AtomicInteger passes = new AtomicInteger();
        try (Ops ops = TornadoDevices.open("tornado", Settings.DEFAULT)) {
            assertThatThrownBy(() -> TornadoRecordingTest.rollOut(rollout, ops, passes::incrementAndGet))
                    .isInstanceOf(DeviceException.class)
                    .hasMessageContaining(": expected kernel ")
                    .hasMessageContaining("to have run each time, got another count: the device or its driver failed");
        }
        assertThat(passes.get()).isLessThan(trait.startsWith("skips") ? 2 : 10);
    }

    /** Nothing waits between the graphs of a pass; which of them lacks a launch shows all the same. */
    @Test
    void oneFailureAmongGoodOnes_namesItsOwnLayer() {
        Set<String> named = new TreeSet<>();
        for (int launch = 70; launch < 140; launch += 7) {
            System.setProperty(EmulatedCuda.PROPERTY, "skips-" + launch);
            try (Ops ops = TornadoDevices.open("tornado", Settings.DEFAULT)) {
                assertThatThrownBy(() -> TornadoRecordingTest.rollOut("rollout-d2", ops, () -> {}))
                        .isInstanceOf(DeviceException.class)
                        .satisfies(e -> named.add(
                                String.valueOf(e.getMessage()).replaceAll(".*in or before ([a-z]+\\.?\\d*).*", "$1")));
            }
        }
        assertThat(named).hasSizeGreaterThan(2);
    }

    /** What each graph of a pass takes from it then stays empty, so that none takes what was another's. */
    @Test
    void queueThatDoesNotArrive_isSeenInItsPass() {
        System.setProperty(EmulatedCuda.PROPERTY, "drops-21");
        AtomicInteger passes = new AtomicInteger();
        try (Ops ops = TornadoDevices.open("tornado", Settings.DEFAULT)) {
            assertThatThrownBy(() -> TornadoRecordingTest.rollOut("rollout-a", ops, passes::incrementAndGet))
                    .isInstanceOf(DeviceException.class)
                    .hasMessageContaining("expected the ticket of this execution back");
        }
        assertThat(passes).hasValue(10);
    }

    /** When the device is filled: a launch that touches arrays, or the transfer of one. */
    @ParameterizedTest
    @ValueSource(strings = {"skips-1", "skips-2", "loses-2", "loses-4"})
    void arrayThatDoesNotArrive_isSeenBeforeAnythingRuns(String trait) {
        System.setProperty(EmulatedCuda.PROPERTY, trait);
        AtomicInteger passes = new AtomicInteger();
        try (Ops ops = TornadoDevices.open("tornado", Settings.DEFAULT)) {
            assertThatThrownBy(() -> TornadoRecordingTest.rollOut("rollout-d2", ops, passes::incrementAndGet))
                    .isInstanceOf(DeviceException.class)
                    .hasMessageContaining(
                            "on the device as it was sent, got other values: the device or its driver failed");
        }
        assertThat(passes).hasValue(0);
    }

    @Test
    void values_areNeverThoseOfAnEarlierExecution() {
        try (Ops ops = TornadoDevices.open("tornado", Settings.DEFAULT);
                Scope _ = ops.scope()) {
            Tensor x = ops.scratch(Shape.of(1, 2));
            ops.write(x, new float[] {1, 2});
            assertThat(ops.read(x)).containsExactly(1, 2);
            System.setProperty(EmulatedCuda.PROPERTY, "dies-0");
            ops.write(x, new float[] {3, 4});
            assertThatThrownBy(() -> ops.read(x)).isInstanceOf(DeviceException.class);
        } catch (DeviceException e) {
            assertThat(e).hasMessageStartingWith("device tornado:0:0: "); // what the scope's end finds once more
        }
    }

    @Test
    void fullDevice_isOneLine_withWhatToDo() {
        System.setProperty(EmulatedCuda.PROPERTY, "full");
        try (Ops ops = TornadoDevices.open("tornado", Settings.DEFAULT);
                Scope _ = ops.scope()) {
            Tensor x = ops.scratch(Shape.of(1, 2));
            ops.write(x, new float[] {1, 2});
            assertThatThrownBy(() -> ops.read(x))
                    .isInstanceOf(WanException.class)
                    .hasMessageMatching("device tornado:0:0: TornadoOutOfMemoryException: no room for an array of \\d+"
                            + " bytes; less memory is free than the device has: close what else uses it, or use .*");
        }
    }
}
