package wan.jvm.vector;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** How the work of Wan 1.3B is shared out, computed from the plans of tasks: few machines that run tests have many cores. */
class PlansTest {
    private static final int[] ROWS = {1560, 4680};

    private static LinearPlan linear(int rows, int out, int threads) {
        return LinearPlan.of(Math.ceilDiv(rows, Lanes.TILE), Math.ceilDiv(out, Lanes.PANEL), threads);
    }

    private static AttentionPlan attention(int queries, int keyFrames, int threads) {
        int[] seen = new int[12];
        Arrays.fill(seen, keyFrames);
        int panels = Math.ceilDiv(queries, Lanes.PANEL);
        return AttentionPlan.of(1, seen, keyFrames, 1560, panels, Math.max(1, 544 / Lanes.PANEL), threads);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 16, 64, 128})
    void linearLayers_keepAllThreadsBusy(int threads) {
        for (int rows : ROWS) {
            for (int out : new int[] {1536, 8960}) {
                assertThat(linear(rows, out, threads).balance())
                        .as("%d x %d, %d threads", rows, out, threads)
                        .isGreaterThan(0.95);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 16, 64, 128})
    void attention_keepsAllThreadsBusy(int threads) {
        for (int[] shape : new int[][] {{1560, 1}, {1560, 3}, {4680, 4}, {4680, 21}}) {
            AttentionPlan plan = attention(shape[0], shape[1], threads);
            assertThat(plan.tasks().balance())
                    .as("%d x %d frames, %d threads, split %s", shape[0], shape[1], threads, plan.isSplit())
                    .isGreaterThan(shape[1] == 1 && threads >= 64 ? 0.91 : 0.95);
        }
    }

    /** The VAE's convolutions at 480 x 832: blocks of pixels and tiles of output channels of its four sizes of frames. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 16, 64, 128})
    void convolutions_keepAllThreadsBusy(int threads) {
        int pixels = VectorConvolution.VECTORS * Lanes.WIDTH;
        for (int[] frame : new int[][] {{60, 104, 384}, {120, 208, 384}, {240, 416, 192}, {480, 832, 96}}) {
            int blocks = Math.ceilDiv(frame[0] * frame[1], pixels);
            int tiles = Math.ceilDiv(frame[2], Lanes.TILE);
            assertThat(VectorConvolution.tasks(blocks, tiles, threads).balance())
                    .as("%d x %d, %d channels, %d threads", frame[0], frame[1], frame[2], threads)
                    .isGreaterThan(0.93);
        }
    }

    /** Token logits of one head and one frame: fewer panels of queries than threads, so that these divide keys. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 16, 64, 128})
    void tokenLogits_keepAllThreadsBusy(int threads) {
        int panels = Math.ceilDiv(1560, Lanes.PANEL);
        for (int frames : new int[] {3, 21}) {
            assertThat(VectorAttention.tokenTasks(panels, 6 * frames, threads).balance())
                    .as("%d frames, %d threads", frames, threads)
                    .isGreaterThan(0.95);
        }
    }

    /** One tile of rows: threads beyond the panels have nothing to do, and weights are read once, so that memory is the limit. */
    @Test
    void timeEmbedding_hasNoMoreTasksThanPanels() {
        LinearPlan plan = LinearPlan.of(1, 48, 128);
        assertThat(plan.tasks(0).tasks()).isEqualTo(48);
        assertThat(plan.balance()).isEqualTo(48 / 128.0);
        assertThat(LinearPlan.of(1, 48, 16).balance()).isEqualTo(1);
    }

    /** What is packed of x at a time, in any width of vectors: with few threads a ninth of it. */
    @Test
    void chunks_areSmall_whereTheyKeepAllThreadsBusy() {
        LinearPlan few = linear(4680, 1536, 2);
        assertThat(few.chunks()).isEqualTo(9);
        assertThat(few.chunkTiles() * Lanes.TILE).isEqualTo(520);
        assertThat(linear(4680, 1536, 128).chunks()).isLessThanOrEqualTo(few.chunks());
    }

    @Test
    void parts_dependOnTheShapesAlone() {
        for (int threads : new int[] {1, 2, 128}) {
            AttentionPlan plan = attention(1560, 21, threads);
            assertThat(plan.parts(0)).isEqualTo(4);
            assertThat(plan.firstPage(0, 0)).isZero();
            assertThat(plan.firstPage(0, 4)).isEqualTo(21);
        }
        assertThat(attention(1560, 1, 128).parts(3)).isEqualTo(1);
    }
}
