package tornado;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tornado.TornadoDevices.Settings;
import tornado.TornadoRecordingTest.Attention;
import uk.ac.manchester.tornado.api.TaskGraph;
import wan.RolloutErrors;
import wan.backend.Storage;
import wan.op.AttentionTap;
import wan.op.DType;
import wan.op.HalfFormat;
import wan.op.Linear;
import wan.op.Ops;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.UsageException;
import wan.selftest.SelfTest;

/** Our kernels for tensor cores, whose tiles the emulator multiplies as the instructions do. */
@ExtendWith(EmulatedCuda.class)
@Tag(EmulatedCuda.NO_LIBRARY)
class TensorKernelsTest {
    private static Settings settings(DType weights, DType cache) {
        return new Settings("tensor", new Storage(weights, cache), Set.of(), 0);
    }

    @ParameterizedTest
    @CsvSource({"BF16, F16"})
    void everyOperation_matchesTheOracle(DType weights, DType cache) {
        Settings settings = settings(weights, cache);
        try (Ops ops = TornadoDevices.open("tornado", settings)) {
            assertThat(SelfTest.run(ops, settings.storage(), "")).allMatch(SelfTest.Result::passed);
        }
    }

    private static float[] random(Random random, int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** Sizes on both sides of those of a tile: 128 rows and columns, slices of 16 and 32. */
    @ParameterizedTest
    @CsvSource({"16, 16, 8", "17, 37, 41", "128, 32, 128", "130, 50, 131", "260, 47, 33"})
    void linear_roundsTheFactors_andSumsInFloat32(int rows, int in, int out) {
        Random random = new Random(7);
        float[] x = random(random, rows * in);
        float[] w = random(random, out * in);
        float[] bias = random(random, out);
        float[] before = random(random, rows * out);
        float[] actual;
        try (Ops ops = TornadoDevices.open("tornado", settings(DType.BF16, DType.F32));
                Scope _ = ops.scope()) {
            Linear layer = ops.linearWeights(
                    TornadoStorageTest.view("blocks.0.ffn.0.weight", Shape.of(out, in), w),
                    TornadoStorageTest.view("blocks.0.ffn.0.bias", Shape.of(out), bias));
            Tensor from = ops.scratch(Shape.of(rows, in));
            ops.write(from, x);
            Tensor residual = ops.scratch(Shape.of(rows, out));
            ops.write(residual, before);
            ops.linearResidual(residual, from, layer);
            actual = ops.read(residual);
        }
        for (int row = 0; row < rows; row++) {
            for (int feature = 0; feature < out; feature++) {
                double sum = before[row * out + feature] + bias[feature];
                double size = Math.abs(sum);
                for (int k = 0; k < in; k++) {
                    double product = (double) HalfFormat.BF16.round(x[row * in + k])
                            * HalfFormat.BF16.round(w[feature * in + k]);
                    sum += product;
                    size += Math.abs(product);
                }
                assertThat((double) actual[row * out + feature]).isCloseTo(sum, within(1e-6 * size));
            }
        }
    }

    @Test
    void capturingMasses_changesNoBit() {
        Settings settings = settings(DType.F32, DType.F16);
        List<Quantity> seen = new ArrayList<>();
        List<Float> plain = Attention.of(settings, AttentionTap.NONE).result();
        AttentionTap tap = TornadoRecordingTest.tap(Set.of(Quantity.FRAME_MASS, Quantity.QUERY_MASS), seen);
        assertThat(Attention.of(settings, tap).result()).isEqualTo(plain);
        assertThat(seen).containsExactlyInAnyOrder(Quantity.FRAME_MASS, Quantity.QUERY_MASS);
    }

    /** Whole rollouts of the float32 reference. */
    @ParameterizedTest
    @ValueSource(strings = {"rollout-d2", "rollout-h128"})
    void run_staysNearTheReference(String name) {
        RolloutErrors errors =
                RolloutErrors.of(name, () -> TornadoDevices.open("tornado", settings(DType.BF16, DType.F16)));
        String figures = String.format(Locale.ROOT, "matrices %.1e, latents %.1e", errors.matrices(), errors.latents());
        System.out.println(name + ": " + figures);
        assertThat(errors.matrices()).as(figures).isLessThan(RolloutErrors.limit(name, HalfFormat.BF16));
        assertThat(errors.latents()).as(figures).isLessThan(RolloutErrors.limit(name, HalfFormat.BF16));
    }

    @Test
    void otherDevicesAndTypes_areRefused() {
        assertThatThrownBy(() -> TornadoDevices.open("tornado", settings(DType.F32, DType.F32)))
                .isInstanceOf(UsageException.class)
                .hasMessage(
                        "device.kernels tensor: expected device.weights bf16 or f8_e4m3, or device.cache f16, got f32 and f32;"
                                + " tensor cores multiply 16 bits");
        assumeTrue(!TaskGraph.class.getModule().isNamed(), "an SDK has the backend that it has");
        System.clearProperty(EmulatedCuda.PROPERTY);
        assertThatThrownBy(() -> TornadoDevices.open("tornado", settings(DType.BF16, DType.F16)))
                .isInstanceOf(UsageException.class)
                .hasMessage("device.kernels tensor: expected a device of TornadoVM's CUDA backend, got one of opencl");
    }
}
