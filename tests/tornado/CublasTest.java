package tornado;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import tornado.TornadoDevices.Settings;
import uk.ac.manchester.tornado.api.TaskGraph;
import wan.RolloutErrors;
import wan.RolloutGoldenTest;
import wan.backend.Storage;
import wan.op.DType;
import wan.op.DeviceException;
import wan.op.HalfFormat;
import wan.op.Linear;
import wan.op.NonFiniteException;
import wan.op.Ops;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;
import wan.op.WanException;
import wan.selftest.SelfTest;

/**
 * The reference's rollouts and whole errors with linear layers by cuBLAS, called by our provider: as the emulator has it, or as the
 * tests' driver has it under TornadoVM itself.
 */
@Tag("slow")
@Tag(EmulatedCuda.NO_LIBRARY)
@ExtendWith(EmulatedCuda.class)
class CublasTest extends RolloutGoldenTest {
    private static Settings stored(DType weights) {
        return stored(weights, DType.F32, "");
    }

    private static Settings stored(DType weights, DType cache, String kernels) {
        return new Settings(kernels, new Storage(weights, cache), Set.of(Library.CUBLAS), 0);
    }

    private static void onlyEmulated() {
        assumeTrue(!TaskGraph.class.getModule().isNamed(), "the emulator fails as it is told");
    }

    @Override
    protected Ops open(int threads) {
        TornadoOps ops = TornadoDevices.open("tornado", stored(DType.F32));
        assertThat(ops.libraries()).containsExactly(Library.CUBLAS);
        return ops;
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "F16", "BF16", "F8_E4M3"})
    void everyOperation_matchesTheOracle(DType weights) {
        Settings settings = stored(weights);
        try (Ops ops = TornadoDevices.open("tornado", settings)) {
            assertThat(SelfTest.run(ops, settings.storage(), "")).allMatch(SelfTest.Result::passed);
        }
    }

    /** With float32 caches, and with attention on tensor cores beside it. */
    @ParameterizedTest
    @CsvSource({"rollout-d2, F16, F32, ''", "rollout-d2, BF16, F32, ''", "rollout-h128, BF16, F16, TENSOR"})
    void run_staysNearTheReference(String name, HalfFormat weights, DType cache, String kernels) {
        Settings settings = stored(DType.valueOf(weights.name()), cache, kernels);
        RolloutErrors errors = RolloutErrors.of(name, () -> TornadoDevices.open("tornado", settings));
        String figures = String.format(Locale.ROOT, "matrices %.1e, latents %.1e", errors.matrices(), errors.latents());
        System.out.println("cuBLAS, " + name + " " + weights + ": " + figures);
        double limit = RolloutErrors.limit(name, weights);
        assertThat(errors.matrices()).as(figures).isLessThan(limit);
        assertThat(errors.latents()).as(figures).isLessThan(limit);
    }

    private static TensorView view(String name, Shape shape, float... values) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        return new TensorView(name, DType.F32, shape, MemorySegment.ofBuffer(bytes));
    }

    private static float[] linear(DType weights, float[] x, float[] w, int in) {
        int rows = x.length / in;
        int out = w.length / in;
        try (Ops ops = TornadoDevices.open("tornado", stored(weights));
                Scope _ = ops.scope()) {
            Linear layer = ops.linearWeights(
                    view("blocks.0.ffn.0.weight", Shape.of(out, in), w),
                    view("blocks.0.ffn.0.bias", Shape.of(out), new float[out]));
            Tensor from = ops.scratch(Shape.of(rows, in));
            ops.write(from, x);
            return ops.read(ops.linear(from, layer));
        }
    }

    @ParameterizedTest
    @EnumSource
    void factorsOfSixteenBits_areRounded_andSummedInFloat32(HalfFormat format) {
        int rows = 5;
        int in = 37;
        int out = 41;
        Random random = new Random(7);
        float[] x = new float[rows * in];
        float[] w = new float[out * in];
        for (int i = 0; i < x.length; i++) {
            x[i] = (float) random.nextGaussian();
        }
        for (int i = 0; i < w.length; i++) {
            w[i] = (float) random.nextGaussian();
        }
        float[] actual = linear(DType.valueOf(format.name()), x, w, in);
        for (int row = 0; row < rows; row++) {
            for (int feature = 0; feature < out; feature++) {
                double sum = 0;
                double size = 0;
                for (int k = 0; k < in; k++) {
                    double product = (double) format.round(x[row * in + k]) * format.round(w[feature * in + k]);
                    sum += product;
                    size += Math.abs(product);
                }
                assertThat((double) actual[row * out + feature]).isCloseTo(sum, within(1e-6 * size));
            }
        }
    }

    @Test
    void inputsBeyondF16_areReportedByTheLayersName() {
        float[] x = new float[4 * 2];
        x[3] = 65520;
        float[] w = {1, 1, 1, 1};
        assertThat(linear(DType.BF16, x, w, 2)[2]).isEqualTo(65536f);
        assertThatThrownBy(() -> linear(DType.F16, x, w, 2))
                .isInstanceOf(NonFiniteException.class)
                .hasMessage(
                        "input of blocks.0.ffn.0: expected finite numbers up to 65504.0 as f16, got larger or undefined"
                                + " ones; device.weights bf16 has the range of f32");
    }

    @Test
    void largeMatmuls_areTheLibrarys() {
        onlyEmulated();
        System.setProperty(EmulatedCuda.PROPERTY, "cuda,wrong-cublas");
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
        onlyEmulated();
        try (TornadoOps ops = TornadoDevices.open("tornado", Settings.DEFAULT)) {
            assertThat(ops.libraries()).isEmpty();
        }
        System.clearProperty(EmulatedCuda.PROPERTY);
        try (TornadoOps ops = TornadoDevices.open("tornado", stored(DType.F32))) {
            assertThat(ops.libraries()).isEmpty();
        }
    }

    @Test
    void missingLibrary_isOneLine() {
        onlyEmulated();
        System.setProperty(EmulatedCuda.PROPERTY, "cuda,no-cublas");
        try (Ops ops = open(1)) {
            assertThatThrownBy(() -> SelfTest.run(ops, Storage.F32, "linear"))
                    .isInstanceOf(WanException.class)
                    .hasMessage(
                            "device tornado:0:0 in or before self.test: cuBLAS: expected a library with the function"
                                    + " cublasLtCreate, got none");
        }
    }

    @Test
    void oldLibrary_isOneLine() {
        onlyEmulated();
        System.setProperty(EmulatedCuda.PROPERTY, "cuda,old-cublas");
        try (Ops ops = open(1)) {
            assertThatThrownBy(() -> SelfTest.run(ops, Storage.F32, "linear"))
                    .isInstanceOf(WanException.class)
                    .hasMessageEndingWith("cuBLAS: expected version 12 or newer, got 110600");
        }
    }

    /** The message names what failed, and the layer; whoever runs passes adds which one. */
    @Test
    void callThatFails_endsTheRun() {
        onlyEmulated();
        System.setProperty(EmulatedCuda.PROPERTY, "cuda,fails-cublas-9");
        try (TornadoOps ops = TornadoDevices.open("tornado", stored(DType.F32))) {
            assertThatThrownBy(() -> TornadoRecordingTest.rollOut("rollout-a", ops, () -> {}))
                    .isInstanceOf(DeviceException.class)
                    .hasMessageMatching("block0\\.step0: device tornado:0:0 in or before blocks\\.[0-9.a-z_]+: cuBLAS:"
                            + " cublasLtMatmul of \\[\\d+, \\d+] by \\[\\d+, \\d+] in f32: expected success, got status 13"
                            + " \\(CUBLAS_STATUS_EXECUTION_FAILED\\)");
        }
    }
}
