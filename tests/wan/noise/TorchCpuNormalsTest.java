package wan.noise;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.json.JsonMapper;
import wan.op.Shape;

class TorchCpuNormalsTest {
    private static final Path GOLDEN = Path.of("tests/goldens/noise/torch-cpu.json");

    @ParameterizedTest
    @MethodSource("cases")
    void next_bitsAreThoseOfTorchRandn_whenDrawnInTheSameOrder(Case golden) throws NoSuchAlgorithmException {
        Normals normals = normals(golden);
        for (Draw draw : golden.draws()) {
            float[] values = normals.next(Shape.of(draw.shape()).intSize());
            assertMatches(draw, values);
        }
    }

    @ParameterizedTest
    @MethodSource("runs")
    void noiseSource_bitsAreThoseOfTorchRandn_whenDrawnAsByARun(Case golden) throws NoSuchAlgorithmException {
        NoiseSource noise =
                NoiseSource.of(Rng.TORCH_CPU, Long.parseUnsignedLong(golden.seed()), golden.bf16(), CudaGeometry.H100);
        List<Draw> draws = golden.draws();
        assertMatches(draws.getFirst(), noise.initial(Shape.of(draws.getFirst().shape())));
        for (int i = 1; i < draws.size(); i++) {
            Shape shape = Shape.of(draws.get(i).shape());
            assertMatches(draws.get(i), noise.renoise((i - 1) / 3, (i - 1) % 3, shape));
        }
    }

    @Test
    void next_dependsOnTheLow32BitsOfTheSeedOnly() {
        float[] small = new TorchCpuNormals.F32(42).next(100);
        float[] large = new TorchCpuNormals.F32(42 + (7L << 32)).next(100);
        assertThat(large).containsExactly(small);
    }

    @Test
    void next_isBfloat16_whenAskedFor() {
        for (float value : new TorchCpuNormals.Bf16(3).next(1000)) {
            assertThat(Float.floatToRawIntBits(value) & 0xffff).isZero();
        }
    }

    private static void assertMatches(Draw draw, float[] values) throws NoSuchAlgorithmException {
        String where = "draw of " + Arrays.toString(draw.shape());
        int first = draw.first().length;
        int last = draw.last().length;
        assertThat(Arrays.copyOf(values, first)).as("first of " + where).containsExactly(draw.first());
        assertThat(Arrays.copyOfRange(values, values.length - last, values.length))
                .as("last of " + where)
                .containsExactly(draw.last());
        assertThat(sha256(values)).as("SHA-256 of " + where).isEqualTo(draw.sha256());
    }

    private static String sha256(float[] values) throws NoSuchAlgorithmException {
        ByteBuffer bytes = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes.array()));
    }

    private static Normals normals(Case golden) {
        long seed = Long.parseUnsignedLong(golden.seed());
        return golden.bf16() ? new TorchCpuNormals.Bf16(seed) : new TorchCpuNormals.F32(seed);
    }

    static List<Case> cases() {
        return List.of(JsonMapper.shared().readValue(GOLDEN.toFile(), Case[].class));
    }

    static List<Case> runs() {
        return cases().stream()
                .filter(golden -> golden.name().startsWith("run"))
                .toList();
    }

    /** One generator, freshly seeded, and what it drew. */
    record Case(String name, String seed, boolean bf16, List<Draw> draws) {
        @Override
        public String toString() {
            return name + ", seed " + seed + (bf16 ? ", bf16, " : ", f32, ")
                    + Arrays.toString(draws.getFirst().shape());
        }
    }

    /** One call of torch.randn; {@code last} is empty where {@code first} is all. */
    @SuppressWarnings("ArrayRecordComponent") // read once, never compared
    record Draw(long[] shape, String sha256, float[] first, float[] last) {}
}
