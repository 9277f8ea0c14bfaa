package wan.jvm.vector;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import wan.jvm.JvmFrameOps;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.jvm.KernelTwins;
import wan.jvm.RecordingTap;
import wan.jvm.Tensors;
import wan.op.AttentionTap;
import wan.op.Convolution;
import wan.op.DType;
import wan.op.Dyn;
import wan.op.FrameOps;
import wan.op.KvTensor;
import wan.op.Linear;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;

@Tag("slow")
public class VectorKernelsTest {
    private static final KernelTwins TWINS = new KernelTwins(JvmOptions.Kind.VECTOR);

    @AfterAll
    static void close() {
        TWINS.close();
    }

    static IntStream sizes() {
        return KernelTwins.sizes();
    }

    @ParameterizedTest
    @MethodSource("sizes")
    void linear_equalsScalar_atOddSizes(int size) {
        TWINS.linear(size);
    }

    @Test
    void linear_equalsScalar_whenTheSumsAreDeep() {
        TWINS.deepLinear();
    }

    @ParameterizedTest
    @MethodSource("sizes")
    void norms_equalScalar_atOddSizes(int size) {
        TWINS.rows(size);
    }

    @ParameterizedTest
    @MethodSource("sizes")
    void attention_equalsScalar_atOddSizes(int size) {
        TWINS.attention(size);
    }

    @Test
    void attention_equalsScalar_whenTheKeysHaveParts() {
        TWINS.attentionInParts();
    }

    @Test
    void everyOperation_keepsWhatIsNotFinite() {
        TWINS.specialNumbers();
    }

    @Test
    void exp2_isNotANumber_forAnyPayload() {
        float[] y = new float[Lanes.WIDTH];
        for (long bits = 0x7f800001L; bits <= 0x7fffffffL; bits += bits < 0x7f800100L ? 1 : 4001) {
            for (int sign : new int[] {0, Integer.MIN_VALUE}) {
                float nan = Float.intBitsToFloat((int) bits | sign);
                VectorMath.exp2(FloatVector.broadcast(Lanes.FLOAT, nan)).intoArray(y, 0);
                assertThat(y).as("of %08x", (int) bits | sign).containsOnly(Float.NaN);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("sizes")
    void convolution_equalsScalar_atOddSizes(int size) {
        TWINS.convolution(size);
    }

    @Test
    void convolution_equalsScalar_whenTheSumsAreDeep() {
        TWINS.deepConvolution();
    }

    static IntStream narrowerWidths() {
        return IntStream.of(128, 256).filter(bits -> bits < FloatVector.SPECIES_PREFERRED.vectorBitSize());
    }

    /** Another width than the processor's favourite: in a JVM of its own, or the two would spoil each other's profiles. */
    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("narrowerWidths")
    void allKernels_equalScalar_inEveryWidth(int bits) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "--add-modules",
                        "jdk.incubator.vector",
                        "-D" + Lanes.BITS_PROPERTY + "=" + bits,
                        "-cp",
                        System.getProperty("java.class.path"),
                        KernelTwins.class.getName(),
                        "vector-" + bits)
                .redirectErrorStream(true)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
    }

    @Test
    void everyResult_isTheSameBits_forAnyNumberOfThreads() {
        assertSameBits(JvmOptions.Kind.VECTOR);
    }

    public static void assertSameBits(JvmOptions.Kind kernels) {
        float[][] one = everything(kernels, 1);
        assertThat(everything(kernels, 1)).isDeepEqualTo(one);
        assertThat(everything(kernels, 2)).isDeepEqualTo(one);
        assertThat(everything(kernels, 5)).isDeepEqualTo(one);
        assertThat(everything(kernels, 128)).isDeepEqualTo(one);
    }

    /** Deep sums, and rows, features, queries and keys that are shared out differently between any two of these numbers of threads. */
    private static float[][] everything(JvmOptions.Kind kernels, int threads) {
        Random random = new Random(11);
        int rows = 700;
        int dim = 96;
        int ffn = 800;
        int[] pageTokens = {350, 1050};
        TensorView bias = Tensors.f32("b", Tensors.random(random, ffn), ffn);
        TensorView up = Tensors.bf16("up", Tensors.random(random, ffn * dim), ffn, dim);
        TensorView down = Tensors.f32("down", Tensors.random(random, dim * ffn), dim, ffn);
        TensorView norm = Tensors.f32("norm", Tensors.random(random, dim), dim);
        float[] input = Tensors.random(random, rows * dim);
        List<float[]> results = new ArrayList<>();
        try (JvmOps ops = new JvmOps(new JvmOptions(threads, kernels));
                Scope _ = ops.scope()) {
            Tensor x = KernelTwins.tensor(ops, input, rows, dim);
            Tensor h = ops.linearGelu(ops.rmsNorm(x, ops.parameter(norm), 1e-6f), ops.linearWeights(up, bias));
            Tensor y = ops.linear(h, ops.linearWeights(down, norm));
            results.add(ops.read(h));
            results.add(ops.read(y));
            for (int tokens : pageTokens) {
                KvTensor cache = ops.kvCache(1, 2, tokens, 4, 24);
                Dyn pages = new Dyn("pages", 2);
                pages.set(0, 1);
                Tensor k = ops.scratch(Shape.of(2L * tokens, dim));
                ops.write(k, Tensors.random(random, 2 * tokens * dim));
                ops.append(cache, k, k, pages);
                RecordingTap tap = new RecordingTap(
                        new int[] {1, 3},
                        Quantity.FRAME_LOGITS,
                        Quantity.FRAME_MASS,
                        Quantity.KEY_LOGITS,
                        Quantity.QUERY_LOGITS,
                        Quantity.QUERY_MASS,
                        Quantity.TOKEN_LOGITS);
                results.add(ops.read(ops.attention(y, cache, pages, rows, tokens, tap)));
                results.add(ops.read(ops.attention(y, cache, pages, rows / 2, 1, AttentionTap.NONE)));
                tap.wanted().stream()
                        .sorted()
                        .forEach(quantity -> results.add(
                                quantity.inTiles() ? tap.tiles(quantity, 1, rows, 2 * tokens) : tap.values(quantity)));
            }
        }
        results.add(convolved(kernels, threads, random));
        return results.toArray(float[][]::new);
    }

    /** Several tiles of output channels, and fewer blocks of pixels than the most threads. */
    private static float[] convolved(JvmOptions.Kind kernels, int threads, Random random) {
        Shape shape = Shape.of(40, 30, 50);
        try (FrameOps ops = new JvmFrameOps(new JvmOptions(threads, kernels))) {
            Tensor x = ops.allocate(Shape.of(20, 30, 50));
            ops.write(x, Tensors.random(random, 20 * 30 * 50));
            Tensor y = ops.allocate(shape);
            ops.write(y, Tensors.random(random, shape.intSize()));
            Convolution weights = ops.convolution(
                    Tensors.f32("w", Tensors.random(random, 40 * 20 * 3 * 3), 40, 20, 1, 3, 3),
                    Tensors.f32("b", Tensors.random(random, 40), 40));
            FrameOps.Before before = new FrameOps.Before(null, FrameOps.Activation.SILU);
            ops.convolve(x, before, FrameOps.Sampling.SAME, weights, new FrameOps.Sum(0, y, y, true));
            return ops.read(y);
        }
    }

    @Test
    void attention_isNotANumber_whenAKeyIsNot() {
        assertNotANumber(JvmOptions.Kind.VECTOR);
    }

    public static void assertNotANumber(JvmOptions.Kind kernels) {
        try (JvmOps ops = new JvmOps(new JvmOptions(1, kernels));
                Scope _ = ops.scope()) {
            float[] k = new float[3 * 16];
            Arrays.fill(k, 16, 32, Float.NaN);
            Dyn pages = new Dyn("pages", 1);
            pages.set(0);
            KvTensor cache = ops.kvCache(1, 1, 3, 1, 16);
            ops.append(cache, KernelTwins.tensor(ops, k, 3, 16), KernelTwins.tensor(ops, new float[48], 3, 16), pages);
            float[] ones = new float[16];
            Arrays.fill(ones, 1);
            Tensor y = ops.attention(KernelTwins.tensor(ops, ones, 1, 16), cache, pages, 1, 3, AttentionTap.NONE);
            assertThat(ops.read(y)).containsOnly(Float.NaN);
        }
    }

    @Test
    void exp2_isExactToOneInTenMillion_overItsRange() {
        float[] x = new float[1 << 16];
        for (int i = 0; i < x.length; i++) {
            x[i] = -126 + i * (252f / x.length);
        }
        for (int i = 0; i < x.length; i += Lanes.WIDTH) {
            float[] y = new float[Lanes.WIDTH];
            VectorMath.exp2(FloatVector.fromArray(Lanes.FLOAT, x, i)).intoArray(y, 0);
            for (int j = 0; j < y.length; j++) {
                assertThat(y[j] / Math.pow(2, x[i + j]) - 1)
                        .as("2^%s", x[i + j])
                        .isBetween(-1.2e-7, 1.2e-7);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"F64", "I32", "F8_E4M3"})
    void linear_widensTheWeights_whenTheyAreOfAnotherType(String type) {
        DType dtype = DType.valueOf(type);
        byte[] bytes = new byte[(int) dtype.bytes(6)];
        Arrays.fill(bytes, (byte) 0x38); // 1 in F8_E4M3
        TensorView weight = new TensorView("w", dtype, Shape.of(3, 2), MemorySegment.ofArray(bytes));
        try (JvmOps ops = new JvmOps(new JvmOptions(1, JvmOptions.Kind.VECTOR));
                Scope _ = ops.scope()) {
            Linear linear = ops.linearWeights(weight, Tensors.f32("b", new float[3], 3));
            float one = weight.toFloats()[0];
            Tensor y = ops.linear(KernelTwins.tensor(ops, new float[] {1, 0}, 1, 2), linear);
            assertThat(ops.read(y)).containsOnly(one);
        }
    }
}
