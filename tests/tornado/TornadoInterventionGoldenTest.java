package tornado;

import tornado.TornadoDevices.Settings;
import wan.edit.InterventionGoldenTest;
import wan.op.Ops;

/** The reference's rollouts with changed attention on the device: the emulator, or the SDK's first where there is one. */
class TornadoInterventionGoldenTest extends InterventionGoldenTest {
    @Override
    protected Ops open() {
        return TornadoDevices.open("tornado", Settings.DEFAULT);
    }
}
