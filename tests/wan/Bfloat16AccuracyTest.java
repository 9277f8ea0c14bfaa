package wan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Locale;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.jvm.onednn.OneDnnStatus;
import wan.op.HalfFormat;
import wan.op.RoundingOps;

/**
 * Whole rollouts of the float32 reference with products in bfloat16 on oneDNN: how far frame matrices and latents are off, beside what a
 * model that is all bfloat16 is off.
 */
class Bfloat16AccuracyTest {
    @ParameterizedTest
    @ValueSource(strings = {"rollout-a", "rollout-b", "rollout-c", "rollout-d", "rollout-e", "rollout-h128"})
    void run_staysNearTheReference_andNearerThanAModelInBfloat16(String name) {
        OneDnnStatus status = OneDnnStatus.find();
        assumeTrue(status.isThere(), status.problem());
        RolloutErrors ours = RolloutErrors.of(name, () -> new JvmOps(new JvmOptions(2, JvmOptions.Kind.ONEDNN_BF16)));
        RolloutErrors all =
                RolloutErrors.of(name, () -> new RoundingOps(new JvmOps(new JvmOptions(2, JvmOptions.Kind.VECTOR))));
        String figures = String.format(
                Locale.ROOT,
                "matrices %.1e against %.1e, latents %.1e against %.1e",
                ours.matrices(),
                all.matrices(),
                ours.latents(),
                all.latents());
        System.out.println(name + ": " + figures);
        assertThat(ours.matrices()).as(figures).isLessThan(all.matrices());
        assertThat(ours.latents()).as(figures).isLessThan(all.latents());
        double limit = RolloutErrors.limit(name, HalfFormat.BF16);
        assertThat(ours.matrices()).as(figures).isLessThan(limit);
        assertThat(ours.latents()).as(figures).isLessThan(limit);
    }
}
