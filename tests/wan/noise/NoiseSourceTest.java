package wan.noise;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import wan.op.HalfFormat;
import wan.op.Shape;
import wan.op.WanException;

class NoiseSourceTest {
    private static final Shape SHAPE = Shape.of(2, 3, 4, 5, 6);
    private static final float[] JAVA_42 = {-1.5950614f, -1.759473f, -1.2230971f};

    @Test
    void of_drawsWhatTheGeneratorDraws_whenCalledInOrder() {
        Normals normals = new TorchCudaNormals(8, true, CudaGeometry.of("v100"));
        NoiseSource noise = NoiseSource.of(Rng.TORCH_CUDA, 8, true, CudaGeometry.of("v100"));
        assertThat(noise.initial(SHAPE)).containsExactly(normals.next(720));
        assertThat(noise.renoise(0, 0, SHAPE)).containsExactly(normals.next(720));
        assertThat(noise.renoise(0, 1, SHAPE)).containsExactly(normals.next(720));
        assertThat(noise.renoise(1, 0, Shape.of(7))).containsExactly(normals.next(7));
    }

    @ParameterizedTest
    @EnumSource
    void of_repeatsItself_whenTheSeedIsTheSame(Rng rng) {
        assertThat(source(rng, 5).initial(SHAPE)).containsExactly(source(rng, 5).initial(SHAPE));
        assertThat(source(rng, 5).initial(SHAPE)).isNotEqualTo(source(rng, 6).initial(SHAPE));
    }

    @ParameterizedTest
    @EnumSource
    void of_isStandardNormal(Rng rng) {
        float[] values = source(rng, 1).initial(Shape.of(1, 21, 16, 15, 26));
        double mean = moment(values, 1);
        // Four standard errors of each moment for 131,040 independent numbers.
        assertThat(mean).isCloseTo(0, within(0.011));
        assertThat(moment(values, 2)).isCloseTo(1, within(0.016));
        assertThat(moment(values, 3)).isCloseTo(0, within(0.043));
        assertThat(moment(values, 4)).isCloseTo(3, within(0.11));
    }

    @Test
    void renoise_refuses_whenItWouldHaveToGoBack() {
        NoiseSource noise = source(Rng.JAVA, 0);
        noise.initial(SHAPE);
        noise.renoise(1, 1, SHAPE);
        assertThatThrownBy(() -> noise.renoise(1, 1, SHAPE))
                .isInstanceOf(WanException.class)
                .hasMessageStartingWith("noise of frame block 1, step 1: already drawn");
        assertThatThrownBy(() -> noise.renoise(0, 2, SHAPE)).isInstanceOf(WanException.class);
    }

    @Test
    void initial_goesOnWithTheGenerator_whenANewPromptStarts() {
        NoiseSource noise = source(Rng.JAVA, 0);
        float[] first = noise.initial(SHAPE);
        noise.renoise(2, 2, SHAPE);
        assertThat(noise.initial(SHAPE)).isNotEqualTo(first);
        assertThat(noise.renoise(0, 0, SHAPE)).hasSize(720);
    }

    /** The JDK does not promise nextGaussian's algorithm for ever: this tells when a JDK changes it. */
    @Test
    void java_isWhatItWas() {
        assertThat(source(Rng.JAVA, 42).initial(Shape.of(3))).containsExactly(JAVA_42);
        float[] rounded = NoiseSource.of(Rng.JAVA, 42, true, CudaGeometry.H100).initial(Shape.of(3));
        IntStream.range(0, 3).forEach(i -> assertThat(rounded[i]).isEqualTo(HalfFormat.BF16.round(JAVA_42[i])));
    }

    @Test
    void description_isEnoughToDrawAgain() {
        assertThat(source(Rng.TORCH_CPU, -1).description()).isEqualTo("torch-cpu, seed 18446744073709551615, f32");
        assertThat(NoiseSource.of(Rng.TORCH_CUDA, 0, true, CudaGeometry.of("a100"))
                        .description())
                .isEqualTo("torch-cuda, seed 0, bf16, device 108x2048");
    }

    @Test
    void round_isToNearestEven() {
        assertThat(HalfFormat.BF16.round(1 + 0x1p-8f)).isEqualTo(1f);
        assertThat(HalfFormat.BF16.round(1 + 0x3p-8f)).isEqualTo(1 + 0x1p-6f);
        assertThat(HalfFormat.BF16.round(Math.nextUp(1 + 0x1p-8f))).isEqualTo(1 + 0x1p-7f);
        assertThat(HalfFormat.BF16.round(-(1 + 0x3p-8f))).isEqualTo(-(1 + 0x1p-6f));
    }

    private static NoiseSource source(Rng rng, long seed) {
        return NoiseSource.of(rng, seed, false, CudaGeometry.H100);
    }

    private static double moment(float[] values, int power) {
        return IntStream.range(0, values.length)
                .mapToDouble(i -> Math.pow(values[i], power))
                .average()
                .orElseThrow();
    }
}
