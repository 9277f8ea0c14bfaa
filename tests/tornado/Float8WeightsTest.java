package tornado;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Locale;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tornado.TornadoDevices.Settings;
import wan.RolloutErrors;
import wan.backend.MemoryPlan;
import wan.backend.Storage;
import wan.op.DType;
import wan.op.HalfFormat;
import wan.op.HostTensor;
import wan.op.Ops;
import wan.selftest.SelfTest;

/** Weights in E4M3 with a scale per output channel, multiplied by our kernels; {@link Float8ActivationsTest} has both factors in it. */
@ExtendWith(EmulatedCuda.class)
@Tag(EmulatedCuda.NO_LIBRARY)
class Float8WeightsTest {
    private static Settings settings(String kernels, DType cache) {
        return new Settings(kernels, new Storage(DType.F8_E4M3, cache), Set.of(), 0);
    }

    /** The oracle has weights rounded in the same way, so the limits are those of the arithmetic. */
    @ParameterizedTest
    @CsvSource({"shared, F32", "tensor, F16"})
    void linear_matchesTheOracle(String kernels, DType cache) {
        Settings settings = settings(kernels, cache);
        try (Ops ops = TornadoDevices.open("tornado", settings)) {
            assertThat(SelfTest.run(ops, settings.storage(), "linear"))
                    .isNotEmpty()
                    .allMatch(SelfTest.Result::passed);
        }
    }

    /**
     * Whole rollouts of the float32 reference. E4M3 has four bits less than bfloat16, and of the two factors only the weights are rounded to
     * it. The limits are what was measured and a fifth more.
     */
    @ParameterizedTest
    @CsvSource({"rollout-d2, 6.6e-2, 3.9e-2", "rollout-h128, 8.2e-2, 5.9e-2"})
    void run_staysNearTheReference(String name, double matrices, double latents) {
        RolloutErrors errors =
                RolloutErrors.of(name, () -> TornadoDevices.open("tornado", settings("tensor", DType.F16)));
        String figures = String.format(Locale.ROOT, "matrices %.1e, latents %.1e", errors.matrices(), errors.latents());
        System.out.println(name + ", weights in E4M3: " + figures);
        assertThat(errors.matrices()).as(figures).isLessThan(matrices);
        assertThat(errors.latents()).as(figures).isLessThan(latents);
        double allowed = RolloutErrors.limit(name, HalfFormat.BF16) * 16 / Math.sqrt(2);
        assertThat(matrices).isLessThan(allowed);
        assertThat(latents).isLessThan(allowed);
    }

    @Test
    void weights_takeAByteEach() {
        MemoryPlan bytes = plan(new Settings("tensor", new Storage(DType.F8_E4M3, DType.F16), Set.of(), 0));
        MemoryPlan halves = plan(new Settings("tensor", new Storage(DType.BF16, DType.F16), Set.of(), 0));
        assertThat(2 * bytes.weightBytes()).isEqualTo(halves.weightBytes());
    }

    private static MemoryPlan plan(Settings settings) {
        try (TornadoOps ops = TornadoDevices.rehearse("tornado", settings)) {
            HostTensor _ = TornadoRecordingTest.rollOut("rollout-d2", ops, () -> {});
            return ops.memoryPlan();
        }
    }
}
