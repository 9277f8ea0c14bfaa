package tornado;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoBackend;
import uk.ac.manchester.tornado.api.TornadoRuntime;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;
import uk.ac.manchester.tornado.api.runtime.TornadoRuntimeProvider;
import wan.backend.Storage;
import wan.op.DType;
import wan.op.UsageException;

/**
 * The devices that TornadoVM finds. The only class outside of this package's own that others may touch; loading it without TornadoVM
 * on the class path throws {@link NoClassDefFoundError}.
 */
public final class TornadoDevices {
    /**
     * One device.
     *
     * @param option its name: {@code tornado:0:1}
     * @param driver the driver's name
     * @param name the device's name
     * @param type CPU, GPU, ...
     * @param memoryBytes all it has
     * @param largestArrayBytes the largest single array
     * @param libraries what TornadoVM can call for it
     */
    public record Info(
            String option,
            String driver,
            String name,
            String type,
            long memoryBytes,
            long largestArrayBytes,
            Set<Library> libraries) {}

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
        // Else the CUDA backend waits for the device after every graph, in what it calls a flush.
        preset("tornado.vmflush", "False");
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
                        device.getMaxAllocMemory(),
                        libraries(backend)));
            }
        }
        return found;
    }

    /**
     * How to use a device.
     *
     * @param kernels {@code vector}, {@code shared}, or empty for those that suit the device
     * @param storage of weights and caches; every device can do every type
     * @param libraries which to use where the device has them
     * @param memoryBytes what may be used; 0 for all
     */
    public record Settings(String kernels, Storage storage, Set<Library> libraries, long memoryBytes) {
        /** Float32 by our own kernels. */
        public static final Settings DEFAULT = new Settings("", Storage.F32, Set.of(), 0);

        /** Copies the set. */
        public Settings {
            libraries = Set.copyOf(libraries);
        }

        /** The same with these libraries. */
        public Settings with(Set<Library> others) {
            return new Settings(kernels, storage, others, memoryBytes);
        }
    }

    /**
     * The backend on one device.
     *
     * @param option {@code tornado} for the first device, or {@code tornado:DRIVER:DEVICE}
     * @throws UsageException if there is no such device
     */
    public static TornadoOps open(String option, Settings settings) {
        return new TornadoOps(target(option, settings), false);
    }

    /**
     * As the other, for passes that were rehearsed: all is recorded at once.
     *
     * @param forecast of a rehearsal with the same settings
     */
    public static TornadoOps open(String option, Settings settings, Forecast forecast) {
        return new TornadoOps(target(option, settings), forecast);
    }

    /**
     * As {@link #open}, but it runs and allocates nothing: what the model does with it shows what a run needs.
     *
     * @see TornadoOps#memoryPlan
     */
    public static TornadoOps rehearse(String option, Settings settings) {
        return new TornadoOps(target(option, settings), true);
    }

    /** Whether kernels for tensor cores might run: on a graphics processor of the CUDA backend, with types that they multiply. */
    static boolean mayHaveTensorCores(String option, Settings settings) {
        configure(settings.memoryBytes());
        Info info = info(option);
        return info.type().equals("gpu") && info.driver().equals("cuda") && tensorTypes(settings.storage());
    }

    private static boolean tensorTypes(Storage storage) {
        return storage.weights() == DType.BF16 || storage.weights() == DType.F8_E4M3 || storage.cache() == DType.F16;
    }

    private static Info info(String option) {
        List<Info> all = list();
        int index = 0;
        if (!option.equals("tornado")) {
            while (index < all.size() && !all.get(index).option().equals(option)) {
                index++;
            }
        }
        if (index >= all.size()) {
            throw new UsageException("device.name " + option + ": expected "
                    + (all.isEmpty()
                            ? "a device, and TornadoVM finds none; install an OpenCL or CUDA driver"
                            : "tornado or one of "
                                    + String.join(
                                            ", ", all.stream().map(Info::option).toList()))
                    + "; wan-attn devices lists them");
        }
        return all.get(index);
    }

    private static DeviceTarget target(String option, Settings settings) {
        configure(settings.memoryBytes());
        Info info = info(option);
        String[] numbers = info.option().split(":", -1);
        TornadoBackend backend = TornadoRuntimeProvider.getTornadoRuntime().getBackend(Integer.parseInt(numbers[1]));
        TornadoDevice device = backend.getDevice(Integer.parseInt(numbers[2]));
        DeviceTarget.Kernels kernels =
                settings.kernels().isEmpty() ? DeviceTarget.suiting(device) : kernels(settings.kernels());
        if (kernels == DeviceTarget.Kernels.TENSOR) {
            requireTensorCores(backend, settings.storage());
        }
        if (kernels == DeviceTarget.Kernels.VECTOR
                && !emulated()
                && info.driver().equals("cuda")) {
            throw new UsageException("device.kernels vector: expected a device of TornadoVM's OpenCL backend, got "
                    + info.option() + " of cuda, which has no vectors of 16; use shared or tensor");
        }
        Set<Library> libraries = libraries(backend);
        libraries.retainAll(settings.libraries());
        if (settings.storage().cache() != DType.F16) {
            libraries.remove(Library.CUDNN); // it has no other type
        }
        return new DeviceTarget(
                info.option(), info.driver(), device, kernels, settings.storage(), libraries, settings.memoryBytes());
    }

    private static DeviceTarget.Kernels kernels(String named) {
        return Arrays.stream(DeviceTarget.Kernels.values())
                .filter(kind -> kind.name().equalsIgnoreCase(named))
                .findFirst()
                .orElseThrow(() -> new UsageException(
                        "device.kernels: expected auto, vector, shared or tensor with device.name tornado, got "
                                + named));
    }

    private static void requireTensorCores(TornadoBackend backend, Storage storage) {
        if (backend.getBackendType() != TornadoVMBackendType.CUDA) {
            throw new UsageException("device.kernels tensor: expected a device of TornadoVM's CUDA backend, got one of "
                    + backend.getBackendType().name().toLowerCase(Locale.ROOT));
        }
        if (!tensorTypes(storage)) {
            throw new UsageException(
                    "device.kernels tensor: expected device.weights bf16 or f8_e4m3, or device.cache f16, got "
                            + storage.weights().option() + " and "
                            + storage.cache().option()
                            + "; tensor cores multiply 16 bits");
        }
    }

    /** Whether the shim is in the place of an SDK; it runs every kernel on every device. */
    private static boolean emulated() {
        return !TaskGraph.class.getModule().isNamed();
    }

    /** They take TornadoVM's CUDA buffers only. */
    private static Set<Library> libraries(TornadoBackend backend) {
        Set<Library> found = EnumSet.noneOf(Library.class);
        if (backend.getBackendType() == TornadoVMBackendType.CUDA) {
            for (Library library : Library.values()) {
                if (emulated() || library.problem().isEmpty()) {
                    found.add(library);
                }
            }
        }
        return found;
    }
}
