package wan.noise;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import wan.op.UsageException;

class CudaGeometryTest {
    @Test
    void of_isThePreset_whenNamed() {
        assertThat(CudaGeometry.of("a100")).isEqualTo(new CudaGeometry(108, 2048));
        assertThat(CudaGeometry.of("h200")).isEqualTo(CudaGeometry.H100);
    }

    @Test
    void of_readsWhatToStringWrites() {
        CudaGeometry slice = new CudaGeometry(16, 2048);
        assertThat(CudaGeometry.of(slice.toString())).isEqualTo(slice);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "h300", "132", "x2048", "0x2048", "132x255", "1x2x3"})
    void of_namesWhatItTakes_whenItCannotRead(String text) {
        assertThatThrownBy(() -> CudaGeometry.of(text))
                .isInstanceOf(UsageException.class)
                .hasMessageStartingWith("CUDA device: expected");
    }

    @Test
    void maxBlocks_countsWholeBlocksPerMultiprocessor() {
        assertThat(new CudaGeometry(3, 1023).maxBlocks()).isEqualTo(9);
        assertThat(CudaGeometry.H100.maxBlocks()).isEqualTo(1056);
    }
}
