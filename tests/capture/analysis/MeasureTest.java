package capture.analysis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class MeasureTest {
    private static final float X = Float.NaN;

    /** Frame blocks [1, 2, 2]; the last one asks frames 0 to 4. */
    private static final float[] LOGITS = {
        1, X, X, X, X, //
        2, 3, -1, X, X, //
        0, -4, 5, X, X, //
        6, 1, 0, -1, 2, //
        8, 3, 2, -3, 4
    };

    private static final float[] MASS = {
        1, X, X, X, X, //
        0.5f, 0.25f, 0.25f, X, X, //
        0.5f, 0.25f, 0.25f, X, X, //
        0.5f, 0.125f, 0.125f, 0.125f, 0.125f, //
        0.25f, 0, 0.25f, 0.25f, 0.25f
    };

    private static final HeadView VIEW = HeadViews.of(new HeadId(0, 0), 5, new FrameBlock(2, 3, 2), LOGITS, MASS);

    private static double of(Measure measure, HeadView view) {
        return measure.of(view, MeasureOptions.DEFAULT);
    }

    private static double of(Measure measure) {
        return of(measure, VIEW);
    }

    @Test
    void logitMeasures_equalWhatIsComputedByHand() {
        // Means of the last frame block's rows: 7 2 1 -2 3.
        assertThat(of(Measure.SINK_SCORE)).isEqualTo(7 - (2 + 1 - 2) / 3.0);
        assertThat(of(Measure.RECENCY)).isEqualTo(3 - (2 + 1 - 2) / 3.0);
        assertThat(of(Measure.DIAGONAL_MEAN)).isEqualTo((1 + 3 + 5 - 1 + 4) / 5.0);
        assertThat(of(Measure.FIRST_FRAME_MEAN)).isEqualTo((1 + 2 + 0 + 6 + 8) / 5.0);
        assertThat(of(Measure.SIGN_RATE)).isEqualTo(7 / 10.0);
    }

    @Test
    void massMeasures_equalWhatIsComputedByHand() {
        // Means of the last frame block's rows: 3/8 1/16 3/16 3/16 3/16.
        assertThat(of(Measure.SINK_MASS)).isEqualTo(6 / 16.0);
        assertThat(of(Measure.NEIGHBOUR_MASS)).isEqualTo(4 / 16.0);
        assertThat(of(Measure.CURRENT_MASS)).isEqualTo(6 / 16.0);
        assertThat(of(Measure.RECENT_MASS)).isEqualTo((10 / 16.0) / (6 / 16.0));
        double firstRow = 0.5 * Math.log(2) + 4 * 0.125 * Math.log(8);
        assertThat(of(Measure.ENTROPY)).isCloseTo((firstRow + Math.log(4)) / 2, within(1e-12));
        assertThat(of(Measure.EXPECTED_AGE)).isCloseTo((6 * 4 + 1 * 3 + 3 * 2 + 3 * 1) / 16.0, within(1e-12));
        assertThat(of(Measure.PEAK_AGE)).isEqualTo(4);
    }

    @Test
    void recentMass_sharesTheLastFramesOfAllButTheFirst_asForcingKvCounts() {
        assertThat(Measure.RECENT_MASS.of(VIEW, new MeasureOptions(1, 2, 1))).isEqualTo((6 / 16.0) / (10 / 16.0));
    }

    @Test
    void sinkMass_leavesTheFrameBlockOut_whenTheSinkIsLonger() {
        MeasureOptions wide = new MeasureOptions(9, 4, 3);
        assertThat(Measure.SINK_MASS.of(VIEW, wide)).isEqualTo(10 / 16.0);
        assertThat(Measure.NEIGHBOUR_MASS.of(VIEW, wide)).isZero();
    }

    @Test
    void peakAge_isTheNewest_onATie() {
        float[] even = MASS.clone();
        Arrays.fill(even, 15, 25, 0.2f);
        assertThat(of(Measure.PEAK_AGE, HeadViews.of(new HeadId(0, 0), 5, VIEW.block(), null, even)))
                .isZero();
    }

    @Test
    void measures_leaveOutEvictedFrames() {
        float[] logits = LOGITS.clone();
        float[] mass = MASS.clone();
        for (int q = 3; q < 5; q++) {
            logits[q * 5 + 1] = X;
            mass[q * 5 + 1] = X;
        }
        HeadView view = HeadViews.of(new HeadId(0, 0), 5, VIEW.block(), logits, mass);
        assertThat(view.keyFrames()).containsExactly(0, 2, 3, 4);
        assertThat(of(Measure.SINK_SCORE, view)).isEqualTo(7 - (1 - 2) / 2.0);
        assertThat(of(Measure.NEIGHBOUR_MASS, view)).isEqualTo(3 / 16.0);
        for (int q = 3; q < 5; q++) {
            logits[q * 5] = X;
        }
        assertThat(of(Measure.SINK_SCORE, HeadViews.of(new HeadId(0, 0), 5, VIEW.block(), logits, mass)))
                .isNaN();
    }

    @Test
    void sinkScore_takesTheMeanOfAll_whenThereIsNoMiddle() {
        HeadView two = HeadViews.of(new HeadId(0, 0), 2, new FrameBlock(0, 0, 2), new float[] {4, 2, 4, 2}, null);
        assertThat(of(Measure.SINK_SCORE, two)).isEqualTo(4 - 3);
    }

    @Test
    void measures_areNaN_whereTheirQuantityIsMissing() {
        HeadView none = HeadViews.of(new HeadId(0, 0), 5, VIEW.block(), null, null);
        for (Measure measure : Measure.values()) {
            assertThat(of(measure, none)).as(measure.id()).isNaN();
        }
        float[] empty = new float[25];
        Arrays.fill(empty, X);
        HeadView masked = HeadViews.of(new HeadId(0, 0), 5, VIEW.block(), empty, empty);
        for (Measure measure : Measure.values()) {
            assertThat(of(measure, masked)).as(measure.id()).isNaN();
        }
    }

    @Test
    void spectrum_equalsWhatIsComputedByHand() {
        // Differences 1 -1 1 -1 under the window 0 3/4 3/4 0: powers 9/8 at period 4 and 9/4 at period 2.
        Spectrum spectrum = Spectrum.of(new double[] {0, 1, 0, 1, 0});
        assertThat(spectrum.period()).isEqualTo(2);
        assertThat(spectrum.share()).isCloseTo(2 / 3.0, within(1e-12));
    }

    @Test
    void spectrum_findsThePeriodOfAWaveOnATrend() {
        double[] series = new double[25];
        Arrays.setAll(series, i -> 3 + 0.7 * i + Math.cos(2 * Math.PI * i / 6));
        assertThat(Spectrum.of(series).period()).isEqualTo(6);
        assertThat(Spectrum.of(series).share()).isGreaterThan(0.6);
    }

    @Test
    void spectrum_isNone_whenNothingOscillates() {
        assertThat(Spectrum.of(new double[] {1, 2, 3, 4, 5, 6, 7, 8}).period()).isNaN();
        assertThat(Spectrum.of(new double[] {1, 5, 2, 4}).period()).isNaN();
        assertThat(Spectrum.of(new double[0]).share()).isNaN();
    }

    @Test
    void docs_haveEveryDefinition() throws Exception {
        String docs = Files.readString(Path.of("docs/MEASURES.md"));
        for (Measure measure : Measure.values()) {
            assertThat(docs)
                    .contains("`" + measure.id() + "`", measure.definition(), measure.formula(), measure.source());
        }
        for (RoleRule rule : RoleRule.values()) {
            assertThat(docs).contains("`" + rule.id() + "`", rule.definition(), rule.source());
            rule.constants(RoleOptions.DEFAULT)
                    .forEach(constant -> assertThat(docs).contains(constant.name() + " " + constant.value()));
        }
    }

    /** The definition, written out: what the transform has to equal. */
    private static Spectrum byDefinition(double[] series) {
        int n = series.length - 1;
        double best = 0;
        double total = 0;
        int frequency = 0;
        for (int j = 1; j <= n / 2; j++) {
            double re = 0;
            double im = 0;
            for (int i = 0; i < n; i++) {
                double window = 0.5 - 0.5 * Math.cos(2 * Math.PI * i / (n - 1));
                double value = window * (series[i + 1] - series[i] - (series[n] - series[0]) / n);
                double angle = 2 * Math.PI * ((long) i * j % n) / n;
                re += value * Math.cos(angle);
                im -= value * Math.sin(angle);
            }
            double power = re * re + im * im;
            total += power;
            if (power > best) {
                best = power;
                frequency = j;
            }
        }
        return new Spectrum((double) n / frequency, best / total);
    }

    @Test
    void spectrum_equalsItsDefinition_forEveryLength() {
        Random random = new Random(5);
        for (int length = 5; length < 700; length += length < 140 ? 1 : 37) {
            double[] series = random.doubles(length, -1, 1).toArray();
            Spectrum expected = byDefinition(series);
            Spectrum actual = Spectrum.of(series);
            assertThat(actual.period()).as("period of %d values", length).isEqualTo(expected.period());
            assertThat(actual.share()).as("share of %d values", length).isCloseTo(expected.share(), within(1e-12));
        }
    }

    @Test
    void spectrum_takesTheLongestPeriod_onATie() {
        // Window and mean leave one difference that is not 0, so all frequencies have the same power but for rounding.
        assertThat(Spectrum.of(new double[] {0, 2, 3, 6, 4}).period()).isEqualTo(4);
        assertThat(Spectrum.of(new double[] {0, 0, 1, 4, 5, 5}).period()).isEqualTo(5);
        assertThat(Spectrum.of(new double[] {0, 0, 1, 4, 5, 5}).share()).isCloseTo(0.5, within(1e-12));
    }

    @Test
    void views_fromSeveralFrameBlocks_areThoseOfFreshOnes() {
        for (int first = 0; first < 5; first++) {
            FrameBlock block = new FrameBlock(first, first, 1);
            HeadView fresh = HeadViews.of(VIEW.head(), 5, block, LOGITS, MASS);
            for (Measure measure : Measure.values()) {
                assertThat(Double.valueOf(of(measure, VIEW.seenFrom(block))))
                        .as(measure.id())
                        .isEqualTo(Double.valueOf(of(measure, fresh)));
            }
        }
    }
}
