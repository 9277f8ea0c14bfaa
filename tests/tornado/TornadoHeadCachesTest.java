package tornado;

import org.junit.jupiter.api.Test;
import tornado.TornadoDevices.Settings;
import wan.edit.HeadCachesTest;

/** Pages that are made of others by what their keys are, on the device: the emulator, or the SDK's first where there is one. */
class TornadoHeadCachesTest {
    @Test
    void patches_areThoseOfTheJvm() {
        HeadCachesTest.compare(TornadoDevices.open("tornado", Settings.DEFAULT));
    }
}
