package uk.ac.manchester.tornado.api.runtime;

import java.util.List;
import uk.ac.manchester.tornado.api.TornadoBackend;
import uk.ac.manchester.tornado.api.TornadoRuntime;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;

/**
 * The runtime. Here: one driver with one device, the emulator. The system property {@code wan.emulator} lists what it passes for: {@code
 * cuda}, {@code gpu}, {@code no-} or {@code wrong-} with {@code cublas} or {@code cudnn}, {@code wrong} for kernels that leave out a work
 * group, {@code none} for no device at all.
 */
public class TornadoRuntimeProvider {
    /** The runtime. */
    public static TornadoRuntime getTornadoRuntime() {
        return new Emulated();
    }

    private static boolean is(String trait) {
        return List.of(System.getProperty("wan.emulator", "").split(",", -1)).contains(trait);
    }

    private static final class Emulated implements TornadoRuntime, TornadoBackend, TornadoDevice {
        @Override
        public int getNumBackends() {
            return is("none") ? 0 : 1;
        }

        @Override
        public TornadoBackend getBackend(int index) {
            return this;
        }

        @Override
        public int getNumDevices() {
            return 1;
        }

        @Override
        public TornadoDevice getDevice(int index) {
            return this;
        }

        @Override
        public String getName() {
            return "emulator";
        }

        @Override
        public TornadoVMBackendType getBackendType() {
            return is("cuda") ? TornadoVMBackendType.CUDA : TornadoVMBackendType.OPENCL;
        }

        @Override
        public String getDeviceName() {
            return "JVM emulator";
        }

        @Override
        public String getDescription() {
            return "kernels run on the JVM, for tests";
        }

        @Override
        public String getPlatformName() {
            return "shim";
        }

        @Override
        public TornadoDeviceType getDeviceType() {
            return is("gpu") ? TornadoDeviceType.GPU : TornadoDeviceType.CPU;
        }

        @Override
        public long getMaxAllocMemory() {
            return 1L << 30;
        }

        @Override
        public long getMaxGlobalMemory() {
            return 1L << 32;
        }
    }
}
