package tornado;

import tornado.TornadoDevices.Settings;
import wan.RolloutGoldenTest;
import wan.op.Ops;

/** The reference's rollouts with everything captured, on the device: the emulator, or the SDK's first where there is one. */
class TornadoRolloutGoldenTest extends RolloutGoldenTest {
    @Override
    protected Ops open(int threads) {
        return TornadoDevices.open("tornado", Settings.DEFAULT);
    }
}
