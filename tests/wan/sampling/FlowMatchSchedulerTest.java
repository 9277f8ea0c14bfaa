package wan.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import wan.Goldens;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.UsageException;

class FlowMatchSchedulerTest {
    @ParameterizedTest
    @ValueSource(ints = {5, 8})
    void table_matchesTheReference(int shift) {
        try (Goldens golden = Goldens.open("scheduler")) {
            FlowMatchScheduler scheduler = new FlowMatchScheduler(shift);
            String prefix = "shift" + shift + ".";
            golden.assertMatches(prefix + "sigmas", new HostTensor(Shape.of(1000), scheduler.sigmas()), 2.5e-7);
            golden.assertMatches(prefix + "timesteps", new HostTensor(Shape.of(1000), scheduler.timesteps()), 2.5e-4);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {5, 8})
    void warp_matchesTheReference_forEveryRecordedList(int shift) {
        try (Goldens golden = Goldens.open("scheduler")) {
            FlowMatchScheduler scheduler = new FlowMatchScheduler(shift);
            String prefix = "shift" + shift + ".warped.";
            List<String> names = golden.file().names().stream()
                    .filter(name -> name.startsWith(prefix))
                    .toList();
            assertThat(names).isNotEmpty();
            for (String name : names) {
                List<Float> steps = new ArrayList<>();
                for (String step : name.substring(prefix.length()).split("[^0-9]+", -1)) {
                    steps.add(Float.parseFloat(step));
                }
                List<Float> warped = scheduler.warp(steps);
                float[] actual = new float[warped.size()];
                for (int i = 0; i < actual.length; i++) {
                    actual[i] = warped.get(i);
                }
                Goldens.assertClose(name, actual, golden.file().tensor(name).toDoubles(), 2.5e-4);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {5, 8})
    void nearest_matchesTheReferenceExactly_onAndOffTheTable(int shift) {
        try (Goldens golden = Goldens.open("scheduler")) {
            FlowMatchScheduler scheduler = new FlowMatchScheduler(shift);
            String prefix = "shift" + shift + ".nearest.";
            float[] t = golden.get(prefix + "t").values();
            double[] index = golden.file().tensor(prefix + "index").toDoubles();
            double[] sigma = golden.file().tensor(prefix + "sigma").toDoubles();
            for (int i = 0; i < t.length; i++) {
                assertThat(scheduler.nearest(t[i])).as("t %s", t[i]).isEqualTo((int) index[i]);
                assertThat(Math.abs(scheduler.sigma(t[i]) - sigma[i])).isLessThan(2.5e-7);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {5, 8})
    void conversions_matchTheReference(int shift) {
        try (Goldens golden = Goldens.open("scheduler")) {
            FlowMatchScheduler scheduler = new FlowMatchScheduler(shift);
            String prefix = "shift" + shift + ".";
            float[] t = golden.get(prefix + "add_noise.t").values();
            HostTensor x0 = golden.get(prefix + "add_noise.x0");
            HostTensor noise = golden.get(prefix + "add_noise.noise");
            double[] noisy = golden.file().tensor(prefix + "add_noise.out").toDoubles();
            HostTensor flow = golden.get(prefix + "x0.flow");
            HostTensor xt = golden.get(prefix + "x0.xt");
            float[] tx = golden.get(prefix + "x0.t").values();
            double[] clean = golden.file().tensor(prefix + "x0.out").toDoubles();
            double[] back = golden.file().tensor(prefix + "flow_from_x0.out").toDoubles();
            for (int i = 0; i < t.length; i++) {
                assertRow("add_noise", scheduler.addNoise(row(x0, i), row(noise, i), t[i]), noisy, i, 1e-6, 0);
            }
            for (int i = 0; i < tx.length; i++) {
                HostTensor x = scheduler.toX0(row(flow, i), row(xt, i), tx[i]);
                assertRow("x0", x, clean, i, 1e-6, 0);
                HostTensor recorded = row(golden.get(prefix + "x0.out"), i);
                assertRow("flow_from_x0", scheduler.toFlow(recorded, row(xt, i), tx[i]), back, i, 0, 1e-5);
            }
        }
    }

    @Test
    void warp_refuses_stepsOffTheTable() {
        FlowMatchScheduler scheduler = new FlowMatchScheduler(5);
        assertThatThrownBy(() -> scheduler.warp(List.of(999.5f)))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("999.5");
        assertThat(scheduler.warp(List.of(0f))).containsExactly(0f);
    }

    private static HostTensor row(HostTensor tensor, int i) {
        int size = tensor.values().length / tensor.shape().dim(0);
        float[] row = new float[size];
        System.arraycopy(tensor.values(), i * size, row, 0, size);
        return new HostTensor(Shape.of(size), row);
    }

    private static void assertRow(
            String what, HostTensor actual, double[] expected, int row, double absolute, double relative) {
        int size = actual.values().length;
        double largest = 0;
        for (int i = 0; i < size; i++) {
            largest = Math.max(largest, Math.abs(expected[row * size + i]));
        }
        for (int i = 0; i < size; i++) {
            assertThat(Math.abs(actual.values()[i] - expected[row * size + i]))
                    .as("%s row %d", what, row)
                    .isLessThanOrEqualTo(absolute + relative * largest);
        }
    }
}
