package wan.backend;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.op.Ops;

class HostSpeedTest {
    private int measured;

    private static Ops open(String device) {
        return new JvmOps(new JvmOptions(1, JvmOptions.Kind.valueOf(device.substring(device.indexOf(':') + 1))));
    }

    /** Says times that nobody measured. */
    private DeviceCheck times(Map<String, Double> seconds) {
        return new DeviceCheck() {
            @Override
            public String problem(Ops ops, Storage storage, String prefix) {
                return "";
            }

            @Override
            public Timing time(Ops ops, String op) {
                measured++;
                return new Timing(
                        op,
                        seconds.getOrDefault(
                                op + " " + (ops.backend().contains("scalar") ? "SCALAR" : "VECTOR"), Double.NaN));
            }
        };
    }

    @Test
    void fastest_isThatOfALayer_andIsMeasuredOnce() {
        Map<String, Double> seconds = new HashMap<>();
        // Attention alone would say the opposite, and so would each product counted once.
        seconds.put("attention SCALAR", 1.0);
        seconds.put("attention VECTOR", 4.0);
        seconds.put("linearGelu SCALAR", 2.0);
        seconds.put("linearGelu VECTOR", 2.0);
        seconds.put("linear SCALAR", 2.0);
        seconds.put("linear VECTOR", 1.0);
        List<String> devices = List.of("a:SCALAR", "a:VECTOR");
        assertThat(HostSpeed.sorted(devices, 1, HostSpeedTest::open, times(seconds)))
                .containsExactly("a:VECTOR", "a:SCALAR");
        assertThat(measured).isEqualTo(6);
        assertThat(HostSpeed.sorted(devices, 1, HostSpeedTest::open, times(seconds)))
                .containsExactly("a:VECTOR", "a:SCALAR");
        assertThat(measured).isEqualTo(6);

        seconds.put("attention SCALAR", 0.1);
        seconds.put("linear VECTOR", 3.0);
        assertThat(HostSpeed.sorted(devices, 2, HostSpeedTest::open, times(seconds)))
                .containsExactly("a:SCALAR", "a:VECTOR");
    }

    private static final class Memory implements HostSpeed.Kept {
        final Map<String, Map<String, Double>> all = new HashMap<>();

        @Override
        public Map<String, Double> get(String what) {
            return all.getOrDefault(what, Map.of());
        }

        @Override
        public void put(String what, Map<String, Double> seconds) {
            all.put(what, seconds);
        }
    }

    /** A layer of an attention, with what was kept of it. */
    private DeviceCheck keeping(String sizes, HostSpeed.Kept kept, Map<String, Double> seconds) {
        DeviceCheck times = times(seconds);
        return new DeviceCheck() {
            @Override
            public String problem(Ops ops, Storage storage, String prefix) {
                return "";
            }

            @Override
            public Timing time(Ops ops, String op) {
                return times.time(ops, op);
            }

            @Override
            public HostSpeed.Layer layer() {
                return new HostSpeed.Layer(sizes, Map.of("attention", 1.0));
            }

            @Override
            public HostSpeed.Kept kept() {
                return kept;
            }
        };
    }

    @Test
    void measurements_areKept_bySizes_andTakenFromThere() {
        Memory kept = new Memory();
        Map<String, Double> seconds = Map.of("attention SCALAR", 1.0, "attention VECTOR", 4.0);
        List<String> devices = List.of("b:SCALAR", "b:VECTOR");
        assertThat(HostSpeed.sorted(devices, 1, HostSpeedTest::open, keeping("small", kept, seconds)))
                .containsExactly("b:SCALAR", "b:VECTOR");
        assertThat(kept.all).hasSize(1);
        assertThat(kept.all.values().iterator().next()).isEqualTo(Map.of("b:SCALAR", 1.0, "b:VECTOR", 4.0));
        assertThat(measured).isEqualTo(2);

        kept.all.put("b:SCALAR, b:VECTOR; 1 threads; large", Map.of("b:SCALAR", 3.0, "b:VECTOR", 2.0));
        assertThat(HostSpeed.sorted(devices, 1, HostSpeedTest::open, keeping("large", kept, seconds)))
                .containsExactly("b:VECTOR", "b:SCALAR");
        assertThat(measured).isEqualTo(2);

        // Of other devices: no use.
        kept.all.put("b:SCALAR, b:VECTOR; 1 threads; odd", Map.of("b:SCALAR", 3.0));
        assertThat(HostSpeed.sorted(devices, 1, HostSpeedTest::open, keeping("odd", kept, seconds)))
                .containsExactly("b:SCALAR", "b:VECTOR");
        assertThat(measured).isEqualTo(4);
    }

    @Test
    void bfloat16_isTaken_onlyWhereItIsFaster() {
        Memory kept = new Memory();
        List<String> devices = List.of("onednn:bf16", "jvm");
        kept.all.put("onednn:bf16, jvm; 1 threads; equal", Map.of("onednn:bf16", 0.99, "jvm", 1.0));
        kept.all.put("onednn:bf16, jvm; 1 threads; half", Map.of("onednn:bf16", 0.5, "jvm", 1.0));
        assertThat(HostSpeed.sorted(devices, 1, HostSpeedTest::open, keeping("equal", kept, Map.of())))
                .containsExactly("jvm", "onednn:bf16");
        assertThat(HostSpeed.sorted(devices, 1, HostSpeedTest::open, keeping("half", kept, Map.of())))
                .containsExactly("onednn:bf16", "jvm");
    }

    @Test
    void oneDevice_isNotMeasured() {
        assertThat(HostSpeed.sorted(List.of("only"), 1, HostSpeedTest::open, times(Map.of())))
                .containsExactly("only");
        assertThat(measured).isZero();
    }

    @Test
    void secondsOfOneDevice_areMeasured_andKept() {
        Memory kept = new Memory();
        Map<String, Double> seconds = Map.of("attention SCALAR", 3.0);
        for (int i = 0; i < 2; i++) {
            assertThat(HostSpeed.seconds("c:SCALAR", 1, HostSpeedTest::open, keeping("any", kept, seconds)))
                    .isEqualTo(3);
        }
        assertThat(measured).isEqualTo(1);
        assertThat(HostSpeed.seconds("c:SCALAR", 2, HostSpeedTest::open, keeping("any", kept, seconds)))
                .isEqualTo(3);
        assertThat(measured).isEqualTo(2);
    }
}
