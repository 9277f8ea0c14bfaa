package tornado;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import uk.ac.manchester.tornado.api.TornadoBackend;
import uk.ac.manchester.tornado.api.TornadoRuntime;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.runtime.TornadoRuntimeProvider;
import wan.op.UsageException;

/**
 * The devices that TornadoVM finds. The only class outside of this package's own that others may touch; loading it without TornadoVM
 * on the class path throws {@link NoClassDefFoundError}.
 */
public final class TornadoDevices {
    /**
     * One device.
     *
     * @param option as {@code --device} takes it: {@code tornado:0:1}
     * @param driver the driver's name
     * @param name the device's name
     * @param type CPU, GPU, ...
     * @param memoryBytes all it has
     * @param largestArrayBytes the largest single array
     */
    public record Info(
            String option, String driver, String name, String type, long memoryBytes, long largestArrayBytes) {}

    private TornadoDevices() {}

    /**
     * What TornadoVM reads once, when its classes are loaded. Values given on the command line win.
     *
     * @param memoryBytes for the device; 0 leaves the choice to our own memory plan
     */
    private static void configure(long memoryBytes) {
        // Never fall back to Java silently: it is slow and was wrong.
        preset("tornado.recover.bailout", "False");
        // Executions become four times slower after some 20,000 events otherwise.
        preset("tornado.max.events", "2048");
        preset("tornado.tvm.maxbytecodesize", "65536");
        // Its own default is 4 GB whatever the device has; ours is planned before anything is allocated.
        preset("tornado.device.memory", (memoryBytes > 0 ? memoryBytes >> 20 : 1 << 20) + "MB");
        // Without -cl-fast-relaxed-math: infinities and small differences count here.
        preset("tornado.opencl.compiler.flags", "-cl-mad-enable -w");
    }

    private static void preset(String property, String value) {
        if (System.getProperty(property) == null) {
            System.setProperty(property, value);
        }
    }

    /** All devices, in TornadoVM's order. */
    public static List<Info> list() {
        configure(0);
        TornadoRuntime runtime = TornadoRuntimeProvider.getTornadoRuntime();
        List<Info> found = new ArrayList<>();
        for (int driver = 0; driver < runtime.getNumBackends(); driver++) {
            TornadoBackend backend = runtime.getBackend(driver);
            for (int number = 0; number < backend.getNumDevices(); number++) {
                TornadoDevice device = backend.getDevice(number);
                found.add(new Info(
                        "tornado:" + driver + ":" + number,
                        backend.getBackendType().name().toLowerCase(Locale.ROOT),
                        device.getDescription(),
                        Objects.toString(device.getDeviceType()).toLowerCase(Locale.ROOT),
                        device.getMaxGlobalMemory(),
                        device.getMaxAllocMemory()));
            }
        }
        return found;
    }

    /**
     * The backend on one device.
     *
     * @param option {@code tornado} for the first device, or {@code tornado:DRIVER:DEVICE}
     * @param memoryBytes what may be used; 0 for all
     * @throws UsageException if there is no such device
     */
    public static TornadoOps open(String option, long memoryBytes) {
        return open(option, "", Storage.F32, memoryBytes);
    }

    /**
     * As {@link #open(String, long)}, with the kernels of the other kind of device, or with another storage.
     *
     * @param kernels {@code vector}, {@code shared}, or empty for those that suit the device
     * @param storage of weights and caches; every device can do every type
     */
    public static TornadoOps open(String option, String kernels, Storage storage, long memoryBytes) {
        configure(memoryBytes);
        List<Info> all = list();
        int index = 0;
        if (!option.equals("tornado")) {
            while (index < all.size() && !all.get(index).option().equals(option)) {
                index++;
            }
        }
        if (index >= all.size()) {
            throw new UsageException("--device " + option + ": expected "
                    + (all.isEmpty()
                            ? "a device, and TornadoVM finds none; install an OpenCL or CUDA driver"
                            : "tornado or one of "
                                    + String.join(
                                            ", ", all.stream().map(Info::option).toList()))
                    + "; wan-attn devices lists them");
        }
        String[] numbers = all.get(index).option().split(":", -1);
        TornadoDevice device = TornadoRuntimeProvider.getTornadoRuntime()
                .getBackend(Integer.parseInt(numbers[1]))
                .getDevice(Integer.parseInt(numbers[2]));
        String name = all.get(index).option();
        return new TornadoOps(
                kernels.isEmpty()
                        ? new DeviceTarget(name, device, storage, memoryBytes)
                        : new DeviceTarget(
                                name,
                                device,
                                DeviceTarget.Kernels.valueOf(kernels.toUpperCase(Locale.ROOT)),
                                storage,
                                memoryBytes));
    }
}
