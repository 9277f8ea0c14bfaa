package tornado;

import tornado.TornadoDevices.Settings;
import wan.edit.InterventionOracleTest;
import wan.op.Ops;

/** Interventions of every kind on the device: the emulator, or the SDK's first where there is one. */
class TornadoInterventionOracleTest extends InterventionOracleTest {
    @Override
    protected Ops open() {
        return TornadoDevices.open("tornado", Settings.DEFAULT);
    }
}
