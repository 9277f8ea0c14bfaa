package tornado;

import java.util.Locale;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;
import wan.op.DType;
import wan.op.WanException;

/** One device: which kernels suit it and how much fits. */
final class DeviceTarget {
    /** Items of a group of element kernels. Always the same: some drivers compile anew for every group size. */
    static final int ELEMENT_ITEMS = 64;
    /** The longest array: indices are ints, and the header takes some. */
    static final int MAX_ELEMENTS = Integer.MAX_VALUE - 64;

    /** Two matmuls and two attentions, for processors and for graphics processors. */
    enum Kernels {
        /** Register tiles of vectors, one item each. */
        VECTOR,
        /** Work groups with local memory. */
        SHARED
    }

    /**
     * Bytes that a program needs on the device, and once more on the host.
     *
     * @param restBytes activations, small parameters, transfers
     */
    record Needs(long weightBytes, long cacheBytes, long restBytes) {
        long bytes() {
            return weightBytes + cacheBytes + restBytes;
        }
    }

    private final String name;
    private final TornadoDevice device;
    private final Kernels kernels;
    private final Storage storage;
    private final long memoryBytes;

    /**
     * A device with the kernels that suit it.
     *
     * @param memoryBytes what may be used; 0 for all the device has
     */
    DeviceTarget(String name, TornadoDevice device, Storage storage, long memoryBytes) {
        this(
                name,
                device,
                device.getDeviceType() == TornadoDeviceType.GPU ? Kernels.SHARED : Kernels.VECTOR,
                storage,
                memoryBytes);
    }

    DeviceTarget(String name, TornadoDevice device, Kernels kernels, Storage storage, long memoryBytes) {
        this.name = name;
        this.device = device;
        this.kernels = kernels;
        this.storage = storage;
        this.memoryBytes = memoryBytes > 0 ? memoryBytes : device.getMaxGlobalMemory();
    }

    String name() {
        return name;
    }

    TornadoDevice device() {
        return device;
    }

    Kernels kernels() {
        return kernels;
    }

    Storage storage() {
        return storage;
    }

    /** Items of a group that shares a row. */
    int rowItems() {
        return kernels == Kernels.SHARED ? 128 : 1;
    }

    /** Elements of the largest array. */
    int arrayElements(DType dtype) {
        return Math.clamp(device.getMaxAllocMemory() / dtype.bytes(1) - 16, 1 << 16, MAX_ELEMENTS);
    }

    /** Checks that a program fits, before anything is allocated. */
    void plan(Needs needs) {
        if (needs.bytes() > memoryBytes) {
            throw new WanException(String.format(
                    Locale.ROOT,
                    "device %s: needs %s (weights %s, keys and values %s, activations %s; the host as much again), and has %s;"
                            + " a smaller video or window, or --device-memory SIZE if it has more",
                    name,
                    size(needs.bytes()),
                    size(needs.weightBytes()),
                    size(needs.cacheBytes()),
                    size(needs.restBytes()),
                    size(memoryBytes)));
        }
    }

    /** What TornadoVM threw, in a line that says what to do. */
    WanException failure(RuntimeException thrown) {
        String kind = thrown.getClass().getSimpleName();
        String hint = kind.contains("OutOfMemory")
                ? "; less memory is free than the device has: a smaller video or window, or close what else uses it"
                : "";
        return new WanException("device " + name + ": " + kind + ": " + thrown.getMessage() + hint, thrown);
    }

    static String size(long bytes) {
        if (bytes < 1 << 20) {
            return bytes / 1024 + " KiB";
        }
        return bytes < 1 << 30
                ? String.format(Locale.ROOT, "%.1f MiB", bytes / (double) (1 << 20))
                : String.format(Locale.ROOT, "%.2f GiB", bytes / (double) (1 << 30));
    }
}
