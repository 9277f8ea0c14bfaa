package tornado;

import tornado.TornadoDevices.Settings;
import wan.SolverGoldenTest;
import wan.op.Ops;

/** The generations of Wan itself on the device: the emulator, or the SDK's first where there is one. */
class TornadoSolverGoldenTest extends SolverGoldenTest {
    @Override
    protected Ops open() {
        return TornadoDevices.open("tornado", Settings.DEFAULT);
    }
}
