package uk.ac.manchester.tornado.api;

import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;

/** One driver, OpenCL or CUDA for example, with its devices. */
public interface TornadoBackend {
    /** How many devices it has. */
    int getNumDevices();

    /** One of them. */
    TornadoDevice getDevice(int index);

    /** The driver's name. */
    String getName();

    /** What kind of driver. */
    TornadoVMBackendType getBackendType();
}
