package wan.jvm.onednn;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.jvm.KernelTwins;
import wan.jvm.Tensors;
import wan.op.DType;
import wan.op.Linear;
import wan.op.Scope;
import wan.op.Tensor;
import wan.op.TensorView;

/** Linear layers in int8: exact for the bytes that numbers are rounded to, and never a number where one of them is none. */
class OneDnnInt8Test {
    private final Random random = new Random(9);

    @BeforeAll
    static void assumeThere() {
        OneDnnTest.assumeThere(JvmOptions.Kind.ONEDNN_INT8);
    }

    /** Each row as bytes times its scale, the obvious way. */
    private static float[] rounded(float[] values, int rows) {
        float[] result = new float[values.length];
        int length = values.length / rows;
        for (int row = 0; row < rows; row++) {
            float most = 0;
            for (int i = row * length; i < (row + 1) * length; i++) {
                most = Math.max(most, Math.abs(values[i]));
            }
            float scale = most / 127;
            for (int i = row * length; i < (row + 1) * length; i++) {
                result[i] = most == 0 ? 0 : (float) Math.rint(values[i] * (1 / scale)) * scale;
            }
        }
        return result;
    }

    /** All four epilogues. */
    private static float[][] layer(
            JvmOptions.Kind kernels, float[] x, int rows, TensorView weight, float[] bias, float[] y, float[] gates) {
        int out = bias.length;
        try (JvmOps ops = new JvmOps(new JvmOptions(2, kernels));
                Scope _ = ops.scope()) {
            Linear linear = ops.linearWeights(weight, Tensors.f32("b", bias, out));
            Tensor input = KernelTwins.tensor(ops, x, rows, x.length / rows);
            Tensor added = KernelTwins.tensor(ops, y, rows, out);
            Tensor gated = KernelTwins.tensor(ops, y, rows, out);
            ops.linearResidual(added, input, linear);
            ops.linearGatedResidual(gated, input, linear, KernelTwins.tensor(ops, gates, rows, 2, out), 1);
            return new float[][] {
                ops.read(ops.linear(input, linear)),
                ops.read(ops.linearGelu(input, linear)),
                ops.read(added),
                ops.read(gated)
            };
        }
    }

    @ParameterizedTest
    @CsvSource({"1,1,1", "1,7,5", "17,37,45", "23,64,130", "230,40,1050", "500,33,600", "40,8960,70", "3,15,16"})
    void linear_isExact_forTheBytesThatNumbersAreRoundedTo(int rows, int in, int out) {
        float[] x = Tensors.random(random, rows * in);
        float[] w = Tensors.random(random, out * in);
        for (int i = 0; i < out; i++) { // scales of features far apart
            for (int j = 0; j < in; j++) {
                w[i * in + j] *= 1 + i % 5 * 20;
            }
        }
        float[] bias = Tensors.random(random, out);
        float[] y = Tensors.random(random, rows * out);
        float[] gates = Tensors.random(random, rows * 2 * out);
        float[][] right = layer(
                JvmOptions.Kind.SCALAR,
                rounded(x, rows),
                rows,
                Tensors.f32("w", rounded(w, out), out, in),
                bias,
                y,
                gates);
        float[][] got = layer(JvmOptions.Kind.ONEDNN_INT8, x, rows, Tensors.f32("w", w, out, in), bias, y, gates);
        double size = 81 * Math.sqrt(in);
        for (int i = 0; i < right.length; i++) {
            for (int j = 0; j < right[i].length; j++) {
                assertThat((double) got[i][j])
                        .as("result %d[%d]", i, j)
                        .isCloseTo(right[i][j], org.assertj.core.data.Offset.offset(2e-6 * size));
            }
        }
    }

    /** What sums of 16 bits cannot hold, as on processors that are refused: 127 * 127 * 8960, of both signs. */
    @ParameterizedTest
    @ValueSource(floats = {1, -1})
    void sums_doNotSaturate_whenAllFactorsAreTheLargest(float sign) {
        int in = 8960;
        float[] x = new float[2 * in];
        float[] w = new float[16 * in];
        Arrays.fill(x, 127);
        Arrays.fill(w, sign * 127);
        float[] got = layer(
                JvmOptions.Kind.ONEDNN_INT8,
                x,
                2,
                Tensors.f32("w", w, 16, in),
                new float[16],
                new float[32],
                new float[64])[0];
        assertThat(got).containsOnly(sign * 127 * 127 * in);
    }

    @Test
    void row_isTheBias_whenItIsZeros() {
        float[] x = Tensors.random(random, 3 * 40);
        Arrays.fill(x, 40, 80, 0);
        x[45] = -0f;
        float[] bias = Tensors.random(random, 20);
        TensorView w = Tensors.bf16("w", Tensors.random(random, 20 * 40), 20, 40);
        float[] got = layer(JvmOptions.Kind.ONEDNN_INT8, x, 3, w, bias, new float[60], new float[120])[0];
        assertThat(Arrays.copyOfRange(got, 20, 40)).isEqualTo(bias);
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    void number_isNaNWhereverItGoes_andNowhereElse(float special) {
        float[] x = Tensors.random(random, 5 * 40);
        float[] w = Tensors.random(random, 20 * 40);
        float[] bias = Tensors.random(random, 20);
        float[] clean = layer(
                JvmOptions.Kind.ONEDNN_INT8, x, 5, Tensors.f32("w", w, 20, 40), bias, new float[100], new float[200])[
                0];
        x[2 * 40 + 17] = special;
        w[7 * 40 + 39] = special;
        float[] got = layer(
                JvmOptions.Kind.ONEDNN_INT8, x, 5, Tensors.f32("w", w, 20, 40), bias, new float[100], new float[200])[
                0];
        for (int i = 0; i < got.length; i++) {
            boolean none = i / 20 == 2 || i % 20 == 7;
            assertThat(got[i]).as("%d", i).isEqualTo(Float.valueOf(none ? Float.NaN : clean[i]));
        }
    }

    @Test
    void preciseLayer_isMultipliedAsTheRest() {
        TensorView w = Tensors.bf16("w", Tensors.random(random, 20 * 40), 20, 40);
        TensorView bias = Tensors.f32("b", new float[20], 20);
        float[] x = Tensors.random(random, 3 * 40);
        float[][] results = new float[3][];
        for (int i = 0; i < results.length; i++) {
            try (JvmOps int8 = new JvmOps(new JvmOptions(1, JvmOptions.Kind.ONEDNN_INT8))) {
                JvmOptions.Kind rest =
                        int8.attentionType() == DType.BF16 ? JvmOptions.Kind.ONEDNN_BF16 : JvmOptions.Kind.ONEDNN_F32;
                try (JvmOps other = new JvmOps(new JvmOptions(1, rest));
                        Scope _ = int8.scope();
                        Scope _ = other.scope()) {
                    JvmOps ops = i == 0 ? other : int8;
                    Linear linear = i == 2 ? ops.linearWeights(w, bias) : ops.preciseLinearWeights(w, bias);
                    results[i] = ops.read(ops.linear(KernelTwins.tensor(ops, x, 3, 40), linear));
                }
            }
        }
        assertThat(results[1]).isEqualTo(results[0]).isNotEqualTo(results[2]);
    }

    /** oneDNN reads the variable once, so a process of its own. */
    @Test
    void processor_isRefused_whenItSumsInSixteenBits() throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-D" + OneDnnLibrary.PROPERTY + "=" + System.getProperty(OneDnnLibrary.PROPERTY, ""),
                "-cp",
                System.getProperty("java.class.path"),
                "wan.app.Main",
                "extract",
                "--layer",
                "1",
                "--device",
                "onednn:int8"));
        builder.environment().put("ONEDNN_MAX_CPU_ISA", "AVX2");
        Process process = builder.redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isEqualTo(2);
        assertThat(output)
                .contains(
                        "wan-attn: kernels onednn:int8: expected a processor with AVX512_VNNI, AVX_VNNI or AMX, got avx2");
    }
}
