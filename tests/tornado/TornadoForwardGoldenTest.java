package tornado;

import tornado.TornadoDevices.Settings;
import wan.model.ForwardGoldenTest;
import wan.op.Ops;

/** Single forwards of Wan itself on the device: the emulator, or the SDK's first where there is one. */
class TornadoForwardGoldenTest extends ForwardGoldenTest {
    @Override
    protected Ops open() {
        return TornadoDevices.open("tornado", Settings.DEFAULT);
    }
}
