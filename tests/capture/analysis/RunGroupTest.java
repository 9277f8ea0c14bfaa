package capture.analysis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.op.Quantity;
import wan.op.UsageException;

/** Many runs as one, of which only some are open at a time. */
class RunGroupTest {
    private static final int MANY = 200;

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path dir;

    @Test
    void manyRuns_giveWhatEachGives_andFewStayOpen() throws IOException {
        Path file = ResultFiles.ofGolden("rollout-c", dir);
        List<SavedResult> opened = new ArrayList<>();
        try (SavedResult one = SavedResult.open(file);
                RunGroup group = new RunGroup(
                        Collections.nCopies(MANY, file),
                        path -> {
                            SavedResult run = SavedResult.open(path);
                            opened.add(run);
                            return run;
                        },
                        Merge.MEAN)) {
            assertThat(group.size()).isEqualTo(MANY);
            assertThat(opened).hasSize(MANY);
            // A look opens those again that were closed behind the check of their shape.
            assertThat(group.each(SavedResult::name)).hasSize(MANY).containsOnly(one.name());
            int again = opened.size() - MANY;
            assertThat(again).isBetween(MANY / 2, MANY - 1);
            assertThatThrownBy(() -> opened.get(MANY - 1)
                            .maps(Quantity.FRAME_LOGITS, one.info().layers().getFirst(), one.slot("first")))
                    .isInstanceOf(RuntimeException.class);

            PassSlot slot = one.slot("first");
            FrameBlock block = one.frameBlock("last");
            int layer = one.info().layers().getFirst();
            float[] mean = group.maps(Quantity.FRAME_LOGITS, layer, slot).values();
            float[] alone = one.maps(Quantity.FRAME_LOGITS, layer, slot).values();
            assertThat(Arrays.equals(mean, alone)).isTrue(); // NaN where nothing was attended
            Analysis analysis = Analysis.of(one, slot, block, MeasureOptions.DEFAULT);
            double[] score = analysis.measure(Measure.SINK_SCORE);
            List<Double> merged = List.copyOf(group.measure(Measure.SINK_SCORE, slot, block, MeasureOptions.DEFAULT)
                    .values());
            for (int i = 0; i < score.length; i++) {
                assertThat(merged.get(i)).isCloseTo(score[i], within(1e-12));
            }
            HeadId second = analysis.heads().get(1).head();
            List<RunGroup.Row> rows = group.rows(
                    view -> new double[] {view.head().head(), 2}, second::equals, slot, block, MeasureOptions.DEFAULT);
            assertThat(rows).hasSize(1);
            assertThat(rows.getFirst().head()).isEqualTo(second);
            assertThat(rows.getFirst().values()).containsExactly(second.head(), 2);
        }
    }

    @Test
    void difference_isOfTwo() throws IOException {
        Path file = ResultFiles.ofGolden("rollout-c", dir);
        assertThatThrownBy(() -> new RunGroup(List.of(file), SavedResult::open, Merge.DIFFERENCE))
                .isInstanceOf(UsageException.class);
    }
}
