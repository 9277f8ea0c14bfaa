package wan;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

/** The comparison that everything is judged by must itself be able to fail. */
class GoldensTest {
    private static final double[] ONES = {1, 1, 1, 1};

    @Test
    void assertClose_fails_whereOnlyOneSideIsNaN() {
        assertThatThrownBy(() -> Goldens.assertClose("x", new float[] {1, Float.NaN, 1, 1}, ONES, 1e9))
                .isInstanceOf(AssertionError.class);
        assertThatThrownBy(() ->
                        Goldens.assertClose("x", new float[] {1, 1, 1, 1}, new double[] {1, 1, Double.NaN, 1}, 1e9))
                .isInstanceOf(AssertionError.class);
    }

    @Test
    void assertClose_seesTheLargestDifference_whereverItIs() {
        for (int i = 0; i < 4; i++) {
            float[] actual = {1, 1, 1, 1};
            actual[i] = 5;
            assertThatThrownBy(() -> Goldens.assertClose("x", actual, ONES, 3.9))
                    .isInstanceOf(AssertionError.class);
            assertThatCode(() -> Goldens.assertClose("x", actual, ONES, 4)).doesNotThrowAnyException();
        }
    }

    @Test
    void assertClose_takesNaNForNaN() {
        assertThatCode(() -> Goldens.assertClose("x", new float[] {Float.NaN}, new double[] {Double.NaN}, 0))
                .doesNotThrowAnyException();
    }
}
