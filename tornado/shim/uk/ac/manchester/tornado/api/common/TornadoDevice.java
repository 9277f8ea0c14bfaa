package uk.ac.manchester.tornado.api.common;

import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;

/** One device of a driver. */
public interface TornadoDevice {
    /** Its short name. */
    String getDeviceName();

    /** Its long name. */
    String getDescription();

    /** The platform it belongs to. */
    String getPlatformName();

    /** Processor, graphics or other. */
    TornadoDeviceType getDeviceType();

    /** Bytes of the largest array. */
    long getMaxAllocMemory();

    /** Bytes of memory. */
    long getMaxGlobalMemory();
}
