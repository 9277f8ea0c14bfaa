package tornado;

import java.util.List;
import org.junit.jupiter.api.Test;
import tornado.TornadoDevices.Settings;
import wan.noise.Rng;
import wan.op.Ops;
import wan.sampling.ResumedRolloutTest;
import wan.sampling.RunSettings;

/** A rollout that goes on from its middle, on the device: the emulator, or the SDK's first where there is one. */
class TornadoResumedRolloutTest {
    @Test
    void run_givesTheSameBits_fromEveryCheckpoint() {
        RunSettings windowed = new RunSettings(4, 4, 4, 0, 1, true, List.of(1000f, 500f), 5, true, 2, 1, 0);
        try (Ops ops = TornadoDevices.open("tornado", Settings.DEFAULT)) {
            ResumedRolloutTest.compare(windowed, Rng.TORCH_CUDA, ops);
        }
    }
}
