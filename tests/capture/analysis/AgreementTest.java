package capture.analysis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class AgreementTest {
    private static double[] of(double... values) {
        return values;
    }

    @Test
    void spearman_equalsWhatIsComputedByHand() {
        // Without ties: 1 - 6 sum d^2 / (n (n^2 - 1)), d = 0 1 -1 2 -2.
        assertThat(Agreement.spearman(of(1, 2, 3, 4, 5), of(10, 30, 20, 99, 40)))
                .isCloseTo(1 - 6 * (0 + 1 + 1 + 1 + 1) / 120.0, within(1e-12));
        assertThat(Agreement.spearman(of(1, 2, 3), of(30, 20, 10))).isEqualTo(-1);
        // Ranks 1 2.5 2.5 4 against 1 2 3 4: 4.5 / sqrt(4.5 * 5).
        assertThat(Agreement.spearman(of(0, 7, 7, 9), of(1, 2, 3, 4)))
                .isCloseTo(4.5 / Math.sqrt(4.5 * 5), within(1e-12));
    }

    @Test
    void spearman_leavesOutWhatOneSideLacks() {
        assertThat(Agreement.spearman(of(1, Double.NaN, 2, 3), of(5, 0, Double.NaN, 9)))
                .isEqualTo(1);
        assertThat(Agreement.spearman(of(1, 2), of(3, 3))).isNaN();
    }

    @Test
    void topJaccard_sharesOverAll() {
        double[] a = of(9, 8, 7, 1, 0);
        double[] b = of(9, 1, 8, 7, 0);
        assertThat(Agreement.topJaccard(a, b, 3)).isEqualTo(2 / 4.0);
        assertThat(Agreement.topJaccard(a, b, 1)).isEqualTo(1);
        assertThat(Agreement.topJaccard(a, b, 99)).isEqualTo(1);
    }

    @Test
    void adjustedRand_equalsKnownValues() {
        assertThat(Agreement.adjustedRand(List.of("a", "a", "b", "b"), List.of("x", "x", "y", "z")))
                .isCloseTo(4 / 7.0, within(1e-12));
        assertThat(Agreement.adjustedRand(List.of("a", "a", "b", "b"), List.of("x", "y", "x", "y")))
                .isCloseTo(-0.5, within(1e-12));
        assertThat(Agreement.adjustedRand(List.of("a", "b", "b"), List.of("q", "p", "p")))
                .isEqualTo(1);
        assertThat(Agreement.adjustedRand(Arrays.asList("a", null, "b"), Arrays.asList("x", "y", null)))
                .isNaN();
    }

    @Test
    void bootstrap_isRepeatableAndHoldsTheValue() {
        double[] a = new double[60];
        double[] b = new double[60];
        for (int i = 0; i < a.length; i++) {
            a[i] = i;
            b[i] = i + 40 * Math.sin(i * 12.9898);
        }
        Agreement.Estimate one = estimate(a, b, 5);
        assertThat(one).isEqualTo(estimate(a, b, 5)).isNotEqualTo(estimate(a, b, 6));
        assertThat(one.low()).isLessThan(one.value());
        assertThat(one.high()).isGreaterThan(one.value()).isLessThanOrEqualTo(1);
        Agreement.Estimate same = estimate(a, a, 5);
        assertThat(same.low()).isCloseTo(1, within(1e-12));
    }

    private static Agreement.Estimate estimate(double[] a, double[] b, long seed) {
        return Agreement.bootstrap(
                a.length, 500, seed, at -> Agreement.spearman(Agreement.pick(a, at), Agreement.pick(b, at)));
    }
}
