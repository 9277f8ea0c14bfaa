package tornado;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.EnumSet;
import java.util.Locale;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tornado.TornadoDevices.Settings;
import wan.RolloutErrors;
import wan.backend.Storage;
import wan.op.DType;
import wan.op.HalfFormat;

/**
 * Whole rollouts of the float32 reference with linear layers and attention by libraries that multiply 16 bits, as the emulator has them:
 * how far frame matrices and latents are off.
 */
@Tag("slow")
@ExtendWith(EmulatedCuda.class)
class TornadoLibrariesAccuracyTest {
    @ParameterizedTest
    @CsvSource({
        "rollout-a, F16", "rollout-b, F16", "rollout-c, F16", "rollout-d, F16", "rollout-e, F16", "rollout-h128, F16",
        "rollout-a, BF16", "rollout-b, BF16", "rollout-c, BF16", "rollout-d, BF16", "rollout-e, BF16",
                "rollout-h128, BF16"
    })
    void run_staysNearTheReference(String name, HalfFormat weights) {
        Storage storage = new Storage(DType.valueOf(weights.name()), DType.F16);
        Settings settings = new Settings("", storage, EnumSet.allOf(Library.class), 0);
        RolloutErrors errors = RolloutErrors.of(name, () -> TornadoDevices.open("tornado", settings));
        String figures = String.format(Locale.ROOT, "matrices %.1e, latents %.1e", errors.matrices(), errors.latents());
        System.out.println(name + " " + weights + ": " + figures);
        double limit = RolloutErrors.limit(name, weights);
        assertThat(errors.matrices()).as(figures).isLessThan(limit);
        assertThat(errors.latents()).as(figures).isLessThan(limit);
    }
}
