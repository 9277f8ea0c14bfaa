package tornado;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;
import uk.ac.manchester.tornado.api.exceptions.TornadoOutOfMemoryException;
import wan.backend.MemoryPlan;
import wan.backend.Storage;
import wan.op.DType;
import wan.op.DeviceException;
import wan.op.WanException;

/** One device: which kernels suit it and how much fits. */
final class DeviceTarget {
    /** Items of a group of element kernels. Always the same: some drivers compile anew for every group size. */
    static final int ELEMENT_ITEMS = 64;
    /** The longest array: indices are ints, and a header and the counters of launches take some. */
    static final int MAX_ELEMENTS = Integer.MAX_VALUE - 4096;

    /** Matmuls and attentions, for processors and for graphics processors. */
    enum Kernels {
        /** Register tiles of vectors, one item each. */
        VECTOR,
        /** Work groups with local memory. */
        SHARED,
        /** The same, on tensor cores where weights are bfloat16 or 8 bits and where keys and values are float16: NVIDIA's, by the CUDA backend. */
        TENSOR
    }

    /** Which TornadoVM the launcher has found. */
    private static final String VERSION = "wan.tornado.version";

    /** What is left of every exception that a first execution meets. */
    private static final String NO_REASON = "Recover option disabled";

    private final String name;
    private final String driver;
    private final TornadoDevice device;
    private final Kernels kernels;
    private final Storage storage;
    private final Set<Library> libraries;
    private final long memoryBytes;

    /**
     * A device.
     *
     * @param driver what drives it: {@code opencl}, {@code cuda}
     * @param libraries to be used
     * @param memoryBytes what may be used; 0 for all the device has
     */
    DeviceTarget(
            String name,
            String driver,
            TornadoDevice device,
            Kernels kernels,
            Storage storage,
            Set<Library> libraries,
            long memoryBytes) {
        this.name = name;
        this.driver = driver;
        this.device = device;
        this.kernels = kernels;
        this.storage = storage;
        this.libraries = Set.copyOf(libraries);
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

    /** What a result says of it: the device, what drives it, the kernels and the libraries. */
    String description() {
        List<String> parts = new ArrayList<>();
        parts.add(device.getDescription().replaceAll(" CL_DEVICE_TYPE.*", ""));
        String version = System.getProperty(VERSION, "");
        parts.add(driver + (version.isEmpty() ? "" : " of TornadoVM " + version));
        String nvidia = device.getDeviceType() == TornadoDeviceType.GPU ? DriverVersion.nvidia() : "";
        if (!nvidia.isEmpty()) {
            parts.add("NVIDIA driver " + nvidia);
        }
        parts.add(kernels.name().toLowerCase(Locale.ROOT) + " kernels");
        libraries.stream().sorted().map(Library::title).forEach(parts::add);
        return name + " (" + String.join(", ", parts) + ")";
    }

    /** The kernels that suit a device. */
    static Kernels suiting(TornadoDevice device) {
        return device.getDeviceType() == TornadoDeviceType.GPU ? Kernels.SHARED : Kernels.VECTOR;
    }

    /** The libraries that are used. */
    Set<Library> libraries() {
        return libraries;
    }

    /** Whether linear layers are cuBLAS's. */
    boolean cublas() {
        return libraries.contains(Library.CUBLAS);
    }

    /** Whether linear layers take their inputs in 16 bits. */
    boolean roundsInputs() {
        return cublas() && (storage.weights() == DType.F16 || storage.weights() == DType.BF16);
    }

    /** Whether linear layers take their inputs in 8 bits, with a scale for each row. */
    boolean quantisesInputs() {
        return cublas() && storage.weights() == DType.F8_E4M3;
    }

    /** Whether attention is cuDNN's. */
    boolean cudnn() {
        return libraries.contains(Library.CUDNN);
    }

    /** Whether linear layers of many rows run on tensor cores, by our own kernels. */
    boolean tensorLinears() {
        boolean types = storage.weights() == DType.BF16 || storage.weights() == DType.F8_E4M3;
        return kernels == Kernels.TENSOR && types && !cublas();
    }

    /** Whether attention does. */
    boolean tensorAttention() {
        return kernels == Kernels.TENSOR && storage.cache() == DType.F16 && !cudnn();
    }

    /** Whether kernels round to float16 by the device's own conversion, which not every device has. */
    boolean convertsHalf() {
        return kernels == Kernels.TENSOR && storage.cache() == DType.F16;
    }

    /**
     * Whether graphs may run one after the other without the host between them. TornadoVM's CUDA backend keeps what a launch needs in
     * pinned memory of its own until then; OpenCL's reads arrays of the heap.
     */
    boolean runsAhead() {
        return driver.equals("cuda");
    }

    /** Whether libraries can be called at all: TornadoVM's CUDA backend does that. */
    boolean callsLibraries() {
        return driver.equals("cuda");
    }

    /** Items of a group that shares a row. */
    int rowItems() {
        return kernels == Kernels.VECTOR ? 1 : 128;
    }

    /** Elements of the largest array. */
    int arrayElements(DType dtype) {
        return Math.clamp(device.getMaxAllocMemory() / dtype.bytes(1) - 16, 1 << 16, MAX_ELEMENTS);
    }

    /** Bytes that may be used. */
    long memoryBytes() {
        return memoryBytes;
    }

    /** Bytes of the largest array that the device allows. */
    long arrayBytes() {
        return device.getMaxAllocMemory();
    }

    /** What TornadoVM threw, in a line that says what to do. */
    WanException failure(RuntimeException thrown) {
        String kind = thrown.getClass().getSimpleName();
        String hint = "";
        if (thrown instanceof TornadoOutOfMemoryException) {
            hint = "; less memory is free than the device has: close what else uses it, or " + MemoryPlan.smaller();
        } else if (String.valueOf(thrown.getMessage()).contains(NO_REASON)) {
            hint = "; a kernel did not compile, or a library's native part is missing: TornadoVM tells no more";
        }
        return new WanException("device " + name + ": " + kind + ": " + line(thrown) + hint, thrown);
    }

    /** A message in one line; TornadoVM prints some of its own in red. */
    private static String line(Throwable thrown) {
        return String.valueOf(thrown.getMessage())
                .replaceAll("\u001B\\[[0-9;]*m", "")
                .replaceAll("\\s+", " ");
    }

    /**
     * The device has failed, which shows only in that nothing comes back.
     *
     * @param layer the last that ran before that was seen, or empty
     */
    DeviceException fault(String layer) {
        return failed(layer, "expected the ticket of this execution back, got an older one");
    }

    /** A library could not be called, or refused. */
    DeviceException refused(LibraryException why, String layer) {
        return new DeviceException(
                "device " + name + (layer.isEmpty() ? "" : " in or before " + layer) + ": " + why.getMessage());
    }

    /**
     * A kernel did not run, or not with its own numbers.
     *
     * @param layer of the execution that is missing, or the last that ran before that was seen, or empty
     */
    DeviceException skipped(String task, String layer) {
        return failed(layer, "expected kernel " + task + " to have run each time, got another count");
    }

    /** An array did not arrive when the device was filled. */
    DeviceException lost(int array, int arrays) {
        return failed(
                "", "expected array " + array + " of " + arrays + " on the device as it was sent, got other values");
    }

    private DeviceException failed(String layer, String what) {
        return new DeviceException("device " + name + (layer.isEmpty() ? "" : " in or before " + layer) + ": " + what
                + ": the device or its driver failed; TornadoVM's lines above say how");
    }
}
