package capture.analysis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.op.AttentionKind;

class TokenMatrixTest {
    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path dir;

    @Test
    void matrix_isTheFilesOfOneHead() {
        try (SavedResult result = SavedResult.open(ResultFiles.ofTokens(dir.resolve("t.safetensors")))) {
            TokenMatrix all = result.tokenMatrix(
                    AttentionKind.SELF, result.info().passes().getFirst(), 0, 1, 100);
            assertThat(all.rows()).isEqualTo(18);
            assertThat(all.columns()).isEqualTo(24);
            for (int q = 0; q < 18; q++) {
                for (int k = 0; k < 24; k++) {
                    float expected = ResultFiles.tokenLogit(1, q, k);
                    float got = all.values()[q * 24 + k];
                    assertThat(got).isEqualTo(Float.valueOf(Float.isInfinite(expected) ? Float.NaN : expected));
                }
            }
        }
    }

    /** Rectangles of 18 / 5 by 24 / 5 tokens: means over what is not hidden, in double. */
    @Test
    void matrix_isAveragedOverRectangles() {
        try (SavedResult result = SavedResult.open(ResultFiles.ofTokens(dir.resolve("t.safetensors")))) {
            TokenMatrix small = result.tokenMatrix(
                    AttentionKind.SELF, result.info().passes().getFirst(), 0, 0, 5);
            for (int row = 0; row < 5; row++) {
                for (int column = 0; column < 5; column++) {
                    double sum = 0;
                    int count = 0;
                    for (int q = row * 18 / 5; q < (row + 1) * 18 / 5; q++) {
                        for (int k = 0; k < 24; k++) {
                            float value = ResultFiles.tokenLogit(0, q, k);
                            if (k * 5 / 24 == column && Float.isFinite(value)) {
                                sum += value;
                                count++;
                            }
                        }
                    }
                    assertThat((double) small.values()[row * 5 + column]).isCloseTo(sum / count, within(1e-5));
                }
            }
        }
    }
}
