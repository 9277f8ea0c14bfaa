package tornado;

import tornado.TornadoDevices.Settings;
import wan.FamilyGoldenTest;
import wan.op.Ops;

/** The rollouts of the Wan family on the device: the emulator, or the SDK's first where there is one. */
class TornadoFamilyGoldenTest extends FamilyGoldenTest {
    @Override
    protected Ops open() {
        return TornadoDevices.open("tornado", Settings.DEFAULT);
    }
}
