package tornado;

import tornado.TornadoDevices.Settings;
import wan.op.Ops;
import wan.op.QueryGroupsTest;

/** An edit for each frame of queries on the device: the emulator, or the SDK's first where there is one. */
class TornadoQueryGroupsTest extends QueryGroupsTest {
    @Override
    protected Ops open() {
        return TornadoDevices.open("tornado", Settings.DEFAULT);
    }

    @Override
    protected int batch() {
        return 1;
    }
}
