package uk.ac.manchester.tornado.api.runtime;

import uk.ac.manchester.tornado.api.TornadoBackend;
import uk.ac.manchester.tornado.api.TornadoRuntime;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;

/** The runtime. Here: one driver with one device, the emulator. */
public class TornadoRuntimeProvider {
    /** The runtime. */
    public static TornadoRuntime getTornadoRuntime() {
        return new Emulated();
    }

    private static final class Emulated implements TornadoRuntime, TornadoBackend, TornadoDevice {
        @Override
        public int getNumBackends() {
            return 1;
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
            return TornadoVMBackendType.OPENCL;
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
            return TornadoDeviceType.CPU;
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
