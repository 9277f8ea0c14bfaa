package wan;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.EnumSet;
import java.util.Locale;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.jvm.onednn.OneDnnTest;
import wan.op.HalfFormat;
import wan.op.Quantity;

/** Whole rollouts of the float32 reference with linear layers in int8 on oneDNN, beside bfloat16: how far captures and latents are off. */
class Int8AccuracyTest {
    @ParameterizedTest
    @ValueSource(strings = {"rollout-a", "rollout-b", "rollout-c", "rollout-d", "rollout-e", "rollout-h128"})
    void run_staysNearTheReference(String name) {
        OneDnnTest.assumeThere(JvmOptions.Kind.ONEDNN_INT8);
        RolloutErrors int8 = errors(name, JvmOptions.Kind.ONEDNN_INT8);
        RolloutErrors bf16 = errors(name, JvmOptions.Kind.ONEDNN_BF16);
        String figures = String.format(
                Locale.ROOT,
                "matrices %.1e beside %.1e, masses %.1e beside %.1e, key logits %.1e beside %.1e, latents %.1e beside %.1e",
                int8.matrices(),
                bf16.matrices(),
                int8.masses(),
                bf16.masses(),
                int8.keyLogits(),
                bf16.keyLogits(),
                int8.latents(),
                bf16.latents());
        System.out.println(name + ": " + figures);
        double limit = RolloutErrors.limit(name, HalfFormat.BF16) * INT8_BESIDE_BF16;
        for (double error : new double[] {int8.matrices(), int8.masses(), int8.keyLogits(), int8.latents()}) {
            assertThat(error).as(figures).isPositive().isLessThan(limit);
        }
    }

    /**
     * Factors are rounded to 127ths of the largest of their row, which is some 3.5 times the root mean square: a sum of products is off
     * by 1.1e-2 of its size, by bfloat16's rounding by 2.3e-3.
     */
    private static final double INT8_BESIDE_BF16 = 1.1e-2 / 2.3e-3;

    private static RolloutErrors errors(String name, JvmOptions.Kind kind) {
        return RolloutErrors.of(
                name,
                () -> new JvmOps(new JvmOptions(2, kind)),
                EnumSet.of(Quantity.FRAME_LOGITS, Quantity.FRAME_MASS, Quantity.KEY_LOGITS));
    }
}
