package capture.analysis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;
import wan.op.UsageException;

class MergeTest {
    @Test
    void numbers_ofRuns_becomeOne() {
        assertThat(Merge.MEAN.of(1, 2, 6)).isEqualTo(3);
        assertThat(Merge.SD.of(1, 2, 6)).isCloseTo(Math.sqrt(7), within(1e-12)); // (4 + 1 + 9) / 2
        assertThat(Merge.DIFFERENCE.of(1, 4)).isEqualTo(3);
        assertThat(Merge.MEAN.of(List.of(new double[] {1, Double.NaN}, new double[] {3, 1})))
                .containsExactly(2, Double.NaN);
    }

    @Test
    void maps_areMerged_whereAllRunsAttended() {
        FrameMaps a =
                new FrameMaps(List.of(2), 2, new float[] {1, Float.NaN, 3, 4}, new boolean[] {true, false, true, true});
        FrameMaps b = new FrameMaps(
                List.of(2), 2, new float[] {3, Float.NaN, 5, Float.NaN}, new boolean[] {true, false, true, false});
        FrameMaps mean = FrameMaps.merged(List.of(a, b), Merge.MEAN);
        assertThat(mean.values()).containsExactly(2, Float.NaN, 4, Float.NaN);
        assertThat(mean.attended()).containsExactly(true, false, true, false);
    }

    @Test
    void names_andNumbersOfRuns_areChecked() {
        assertThat(Merge.parse("sd")).isEqualTo(Merge.SD);
        assertThatThrownBy(() -> Merge.parse("median")).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> Merge.DIFFERENCE.requireRuns(3)).hasMessageContaining("expected two runs, got 3");
    }

    @Test
    void telling_leavesOutRowsWithoutAChoice() {
        FrameMaps maps = new FrameMaps(
                List.of(0), 2, new float[] {1, Float.NaN, 0.25f, 0.75f}, new boolean[] {true, false, true, true});
        assertThat(maps.telling(2)).containsExactly(0.25, 0.75);
        assertThat(maps.telling(1)).containsExactly(1, 0.25, 0.75);
    }
}
