package wan.noise;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import wan.op.HalfFormat;
import wan.op.WanException;

/**
 * Against what people printed on their GPUs (issues of the PyTorch repository, by number), and against the definition of
 * the order of elements, restated here from Philox.
 */
class TorchCudaNormalsTest {
    /** Half a unit of the last of four printed digits, and a little for what the device computes less exactly. */
    private static final Offset<Float> PRINTED = within(0.5e-4f + 3e-6f);

    /** Issue 79496: {@code torch.manual_seed(10); torch.randn(3, device="cuda")}. */
    @Test
    void next_isWhatAGpuPrinted_whenThreeElements() {
        assertPrinted(new TorchCudaNormals(10, false, CudaGeometry.H100).next(3), 0, -0.1029f, 1.6810f, -0.2708f);
    }

    /** Issue 143086: {@code manual_seed(1); randn(1, 49 * 12 * 112 * 144)} on an A100 and an H100, which differ. */
    @ParameterizedTest
    @CsvSource({"h100, -0.6970, -0.7780, 0.3267", "a100, 0.1549, -0.6797, -0.1656"})
    void next_isWhatThatGpuPrinted_whenManyWaves(String device, float last3, float last2, float last1) {
        int count = 49 * 12 * 112 * 144;
        float[] values = new TorchCudaNormals(1, false, CudaGeometry.of(device)).next(count);
        assertPrinted(values, 0, -0.2963f, 2.6764f, -0.1408f);
        assertPrinted(values, count - 3, last3, last2, last1);
    }

    /** Issue 62467: {@code manual_seed(43)}, shape (1, 3, 128, 128) on an RTX A6000, of which it prints {@code [..., 0, 0]}. */
    @Test
    void next_isWhatAnA6000Printed_whenAnImage() {
        float[] values = new TorchCudaNormals(43, false, CudaGeometry.of("a6000")).next(3 * 128 * 128);
        assertPrinted(values, 0, 1.9983f);
        assertPrinted(values, 128 * 128, 0.8704f);
        assertPrinted(values, 2 * 128 * 128, 2.1127f);
    }

    /** Issue 158398: {@code randn([1, 64, 2048])}, seed 42. The card is not named; 28 multiprocessors of 6 blocks fit. */
    @Test
    void next_isWhatAGpuPrinted_whenFourWaves() {
        float[] values = new TorchCudaNormals(42, false, new CudaGeometry(28, 1536)).next(64 * 2048);
        float[][] printed = {
            {0.1940f, 2.1614f, -0.1721f, 1.4540f, -2.7733f, -0.8932f},
            {-0.4574f, 0.8063f, 0.1580f, 0.1124f, 0.2769f, -1.2535f},
            {1.1346f, -0.6329f, -0.9147f, -1.0001f, -1.1552f, -0.6955f},
            {-0.4861f, 0.3358f, 1.0578f, -0.7282f, 0.5087f, 0.1318f},
            {0.7881f, 0.8339f, -1.1424f, -0.6297f, -1.1112f, -0.4091f},
            {-1.2356f, -0.4083f, -0.4695f, -0.4841f, 1.2850f, -0.0282f},
        };
        assertCorners(values, 64, 2048, printed, PRINTED);
    }

    /** Issue 97097: {@code torch.manual_seed(14)}, (1000, 100) {@code .normal_(5, 5**.5)} on an RTX A4000. */
    @Test
    void next_isWhatAnA4000Printed_whenScaledAndShifted() {
        float[] values = new TorchCudaNormals(14, false, CudaGeometry.of("a4000")).next(1000 * 100);
        for (int i = 0; i < values.length; i++) {
            values[i] = values[i] * (float) Math.sqrt(5) + 5;
        }
        float[][] printed = {
            {2.8731f, 5.2727f, 2.9889f, 1.6853f, 9.6331f, 6.6319f},
            {3.9968f, 3.8097f, 5.7328f, 4.4029f, 3.9804f, 7.4698f},
            {6.5552f, 4.0857f, 4.2315f, 2.7704f, 3.5479f, 3.3063f},
            {8.6297f, 2.3137f, 6.2596f, 7.9358f, 4.4697f, 2.7475f},
            {7.0551f, 7.8583f, 3.9990f, 4.1139f, 8.9315f, 4.2042f},
            {2.7337f, 2.2106f, 7.7815f, 8.2207f, 6.5395f, 4.2604f},
        };
        assertCorners(values, 1000, 100, printed, within(0.5e-4f + 1e-5f));
    }

    @Test
    void next_takesElementsInTheOrderOfTheKernel_whenSeveralRoundsAndDraws() {
        // 3 blocks: 768 threads, so 3072 elements a round.
        TorchCudaNormals normals = new TorchCudaNormals(99, false, new CudaGeometry(3, 256));
        int[] counts = {1, 767, 769, 3072, 3073, 10_000, 0, 5};
        int[] threads = {256, 768, 768, 768, 768, 768, 0, 256};
        int[] rounds = {1, 1, 1, 1, 2, 4, 0, 1};
        long drawn = 0;
        for (int draw = 0; draw < counts.length; draw++) {
            float[] values = normals.next(counts[draw]);
            assertThat(values).hasSize(counts[draw]);
            for (int i = 0; i < values.length; i++) {
                int wave = i / threads[draw];
                float expected = expected(99, drawn + wave / 4, i % threads[draw], wave % 4);
                assertThat(values[i]).as("draw %d, element %d", draw, i).isCloseTo(expected, within(3e-6f));
            }
            drawn += rounds[draw];
        }
    }

    @Test
    void next_isTheSameOnEveryDevice_whenItFitsOneWave() {
        float[] small = new TorchCudaNormals(5, false, CudaGeometry.of("t4")).next(40_960);
        float[] large = new TorchCudaNormals(5, false, CudaGeometry.H100).next(40_960);
        assertThat(small).containsExactly(large);
    }

    @Test
    void next_dependsOnTheDevice_whenItDoesNotFitOneWave() {
        float[] small = new TorchCudaNormals(5, false, CudaGeometry.of("t4")).next(40_961);
        float[] large = new TorchCudaNormals(5, false, CudaGeometry.H100).next(40_961);
        assertThat(Arrays.copyOf(small, 40_960)).containsExactly(Arrays.copyOf(large, 40_960));
        assertThat(small[40_960]).isNotEqualTo(large[40_960]);
    }

    @Test
    void next_roundsTheFloatNumbers_whenBfloat16() {
        float[] exact = new TorchCudaNormals(-1, false, CudaGeometry.H100).next(5000);
        float[] rounded = new TorchCudaNormals(-1, true, CudaGeometry.H100).next(5000);
        for (int i = 0; i < exact.length; i++) {
            assertThat(rounded[i]).isEqualTo(HalfFormat.BF16.round(exact[i]));
        }
    }

    @Test
    void next_usesAll64BitsOfTheSeed() {
        float[] low = new TorchCudaNormals(42, false, CudaGeometry.H100).next(4);
        float[] high = new TorchCudaNormals(42 + (1L << 32), false, CudaGeometry.H100).next(4);
        assertThat(high).isNotEqualTo(low);
    }

    @Test
    void next_refuses_whenPyTorchWouldSplitTheTensor() {
        TorchCudaNormals normals = new TorchCudaNormals(0, false, CudaGeometry.H100);
        assertThatThrownBy(() -> normals.next((1 << 29) + 1))
                .isInstanceOf(WanException.class)
                .hasMessageContaining("536870913 elements");
    }

    /** One number of the normal distribution from one word of a thread's n-th 128 bits, in double throughout. */
    private static float expected(long seed, long counter, long thread, int word) {
        int[] bits = new int[4];
        Philox.generate(counter, thread, seed, bits);
        double unit = (Integer.toUnsignedLong(bits[word & 2]) + 0.5) * 0x1p-32;
        double angle = (Integer.toUnsignedLong(bits[word | 1]) + 0.5) * 0x1p-32 * 2 * Math.PI;
        double direction = (word & 1) == 0 ? Math.sin(angle) : Math.cos(angle);
        return (float) (Math.sqrt(-2 * Math.log(unit)) * direction);
    }

    private static void assertPrinted(float[] values, int from, float... printed) {
        for (int i = 0; i < printed.length; i++) {
            assertThat(values[from + i]).as("element %d", from + i).isCloseTo(printed[i], PRINTED);
        }
    }

    /** The first and last three of the first and last three rows, which is what PyTorch prints of a large matrix. */
    private static void assertCorners(float[] values, int rows, int columns, float[][] printed, Offset<Float> offset) {
        for (int i = 0; i < 6; i++) {
            int row = i < 3 ? i : rows - 6 + i;
            for (int j = 0; j < 6; j++) {
                int column = j < 3 ? j : columns - 6 + j;
                assertThat(values[row * columns + column])
                        .as("[%d, %d]", row, column)
                        .isCloseTo(printed[i][j], offset);
            }
        }
    }
}
