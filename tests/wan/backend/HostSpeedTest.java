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

    @Test
    void oneDevice_isNotMeasured() {
        assertThat(HostSpeed.sorted(List.of("only"), 1, HostSpeedTest::open, times(Map.of())))
                .containsExactly("only");
        assertThat(measured).isZero();
    }
}
