package capture.analysis;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RolesTest {
    private static final FrameBlock BLOCK = new FrameBlock(1, 3, 1);

    /** Heads whose only query frame, the fourth, has these masses. */
    private static Analysis masses(double[]... rows) {
        List<HeadView> heads = new ArrayList<>();
        for (int h = 0; h < rows.length; h++) {
            heads.add(HeadViews.of(new HeadId(0, h), 4, BLOCK, null, matrix(rows[h])));
        }
        return new Analysis("test", new PassSlot(0), BLOCK, MeasureOptions.DEFAULT, heads);
    }

    private static Analysis logits(FrameBlock block, double[]... rows) {
        List<HeadView> heads = new ArrayList<>();
        for (int h = 0; h < rows.length; h++) {
            int frames = rows[h].length;
            float[] matrix = new float[frames * frames];
            for (int k = 0; k < frames; k++) {
                matrix[(frames - 1) * frames + k] = (float) rows[h][k];
            }
            heads.add(HeadViews.of(new HeadId(0, h), frames, block, matrix, null));
        }
        return new Analysis("test", new PassSlot(0), block, MeasureOptions.DEFAULT, heads);
    }

    private static float[] matrix(double[] row) {
        float[] matrix = new float[16];
        for (int k = 0; k < 4; k++) {
            matrix[12 + k] = (float) row[k];
        }
        return matrix;
    }

    private static double[] row(double... values) {
        return values;
    }

    @Test
    void headForcing_takesTheTopQuarterBySinkThenTheTopFifthByCurrent() {
        Roles roles = RoleRule.HEAD_FORCING.of(
                masses(
                        row(0.7, 0.1, 0.1, 0.1),
                        row(0.1, 0.2, 0.2, 0.5),
                        row(0.2, 0.3, 0.2, 0.3),
                        row(0.6, 0.0, 0.0, 0.4),
                        row(0.1, 0.0, 0.1, 0.8),
                        row(0.3, 0.3, 0.3, 0.1),
                        row(0.2, 0.4, 0.2, 0.2),
                        row(0.1, 0.1, 0.2, 0.6)),
                RoleOptions.DEFAULT);
        assertThat(roles.roles())
                .containsExactly("anchor", "memory", "memory", "anchor", "local", "memory", "memory", "local");
        assertThat(roles.counts()).isEqualTo(Map.of("anchor", 2, "local", 2, "memory", 4));
    }

    @Test
    void dummyForcing_sortsByTheLargerShareOfAllHeads() {
        // Sink masses sum to 1, neighbour masses to 2; larger shares 0.5, 0.3, 0.2, 0.45.
        Roles roles = RoleRule.DUMMY_FORCING.of(
                masses(
                        row(0.5, 0.1, 0.1, 0.3),
                        row(0.3, 0.2, 0.3, 0.2),
                        row(0.2, 0.2, 0.2, 0.4),
                        row(0.0, 0.5, 0.4, 0.1)),
                RoleOptions.DEFAULT);
        assertThat(roles.roles()).containsExactly("sink", "dummy", "dummy", "neighbour");
    }

    @Test
    void dummyForcing_hasNoNeighbours_whenNoFrameLiesBetween() {
        FrameBlock second = new FrameBlock(1, 1, 3);
        float[] matrix = new float[16];
        for (int q = 1; q < 4; q++) {
            matrix[q * 4] = 0.25f;
            matrix[q * 4 + 1] = 0.75f;
        }
        HeadView view = HeadViews.of(new HeadId(0, 0), 4, second, null, matrix);
        Analysis analysis = new Analysis("test", new PassSlot(0), second, MeasureOptions.DEFAULT, List.of(view, view));
        assertThat(RoleRule.DUMMY_FORCING.of(analysis, RoleOptions.DEFAULT).roles())
                .containsExactly("dummy", "sink");
    }

    @Test
    void forcingKv_comparesTheRecentMassWithTheThreshold() {
        Analysis analysis = masses(row(0.2, 0.4, 0.2, 0.2), row(0.2, 0.1, 0.3, 0.4));
        MeasureOptions lastTwoWithoutTheFirst = new MeasureOptions(1, 2, 1);
        Roles roles = RoleRule.FORCING_KV.of(
                new Analysis("test", analysis.slot(), BLOCK, lastTwoWithoutTheFirst, analysis.heads()),
                RoleOptions.DEFAULT);
        // 0.4 / 0.8 and 0.7 / 0.8.
        assertThat(roles.roles()).containsExactly("dynamic", "static");
    }

    @Test
    void pyramidForcing_goesBySignThenPeriodThenMean() {
        FrameBlock last = new FrameBlock(1, 8, 1);
        Roles roles = RoleRule.PYRAMID_FORCING.of(
                logits(
                        last,
                        row(1, 2, 1, 2, 3, 1, 2, 3, 1),
                        row(-1, -2, -1, -2, -3, -1, -2, -3, -1),
                        row(1, -1, 1, -1, 1, -1, 1, -1, 1),
                        row(-5, -4, -3, -2, -1, 0, 1, 2, 3),
                        row(-3, -2, -1, 0, 1, 2, 3, 4, 5)),
                RoleOptions.DEFAULT);
        assertThat(roles.roles()).containsExactly("anchor", "veil", "wave", "veil", "anchor");
    }

    @Test
    void rules_leaveHeadsOpen_whenTheirQuantityIsMissing() {
        Analysis analysis = logits(new FrameBlock(1, 4, 1), row(1, 2, 3, 4, 5));
        for (RoleRule rule : List.of(RoleRule.HEAD_FORCING, RoleRule.DUMMY_FORCING, RoleRule.FORCING_KV)) {
            assertThat(rule.of(analysis, RoleOptions.DEFAULT).roles()).containsOnlyNulls();
        }
    }
}
