package capture.analysis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.Goldens;
import wan.op.Quantity;
import wan.op.UsageException;
import wan.pass.PassId;

class TokenImportanceTest {
    @TempDir
    Path dir;

    @Test
    void importance_sumsTheNewestQueryFrames() {
        CapturedPass pass = new CapturedPass(PassId.parse("block0.step0"), 0, 2, 0, List.of(0, 1));
        float[] logits = {1, 2, 3, 4, 10, 20, 30, 40};
        assertThat(TokenImportance.importance(logits, 0, pass, 2, 0)).containsExactly(11, 22, 33, 44);
        assertThat(TokenImportance.importance(logits, 0, pass, 2, 1)).containsExactly(10, 20, 30, 40);
    }

    @Test
    void counts_tellHowManyHeadsKeepAToken() {
        try (Goldens golden = Goldens.open("rollout-a");
                SavedResult result = SavedResult.open(ResultFiles.ofGolden("rollout-a", dir))) {
            CapturedPass pass = result.passes(Quantity.KEY_LOGITS).stream()
                    .filter(p -> p.id().label().equals("block2.step0"))
                    .findFirst()
                    .orElseThrow();
            int layer = result.info().layers().getFirst();
            TokenImportance importance =
                    TokenImportance.of(result, pass, List.of(layer), new TokenImportance.Options(0, 1, 2, 1));
            // Keep one token: every head's best by the reference's own token logits, summed over all queries.
            float[] logits =
                    golden.get(pass.id() + ".layer" + layer + ".self_logits").values();
            int keys = importance.counts().length;
            int queries = pass.frames() * result.info().frameSeqLen();
            int[] expected = new int[keys];
            for (int h = 0; h < importance.heads(); h++) {
                int best = -1;
                double most = Double.NEGATIVE_INFINITY;
                for (int k = result.info().frameSeqLen();
                        k < keys - 2 * result.info().frameSeqLen();
                        k++) {
                    double sum = 0;
                    for (int q = 0; q < queries; q++) {
                        sum += logits[(h * queries + q) * keys + k];
                    }
                    if (sum > most) {
                        most = sum;
                        best = k;
                    }
                }
                expected[best]++;
            }
            assertThat(importance.counts()).isEqualTo(expected);
            assertThat(java.util.Arrays.stream(importance.frameShares()).sum()).isCloseTo(1, within(1e-12));
            assertThatThrownBy(() ->
                            TokenImportance.of(result, pass, List.of(layer), new TokenImportance.Options(0, 9, 9, 1)))
                    .isInstanceOf(UsageException.class);
        }
    }
}
