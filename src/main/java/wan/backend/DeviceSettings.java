package wan.backend;

/**
 * A device, and how to use it. What a backend cannot do is an error of its {@link BackendProvider#open}.
 *
 * @param name as {@link BackendProvider} says
 * @param storage of weights and caches
 * @param libraries {@link #AUTO}, {@link #NO_LIBRARIES}, or names with commas between them
 * @param memoryBytes what may be used of the device's memory; 0 for all
 * @param threads that compute on the processor
 * @param kernels which of a backend's own, or {@link #AUTO} for those that suit
 */
public record DeviceSettings(
        String name, Storage storage, String libraries, long memoryBytes, int threads, String kernels) {
    /** What suits: those libraries that compute rightly and are faster here, and the kernels for the kind of device. */
    public static final String AUTO = "auto";

    /** The backend's own kernels only. */
    public static final String NO_LIBRARIES = "off";

    /** A device with everything that it has, on all threads. */
    public static DeviceSettings of(String name) {
        return new DeviceSettings(
                name, Storage.F32, AUTO, 0, Runtime.getRuntime().availableProcessors(), AUTO);
    }

    /** Whether libraries were named: then one that is missing or wrong is an error. */
    public boolean namesLibraries() {
        return !libraries.equals(AUTO) && !libraries.equals(NO_LIBRARIES);
    }

    /** Another device, everything else as it is. */
    public DeviceSettings withName(String other) {
        return new DeviceSettings(other, storage, libraries, memoryBytes, threads, kernels);
    }

    /** Other kernels, everything else as it is. */
    public DeviceSettings withKernels(String others) {
        return new DeviceSettings(name, storage, libraries, memoryBytes, threads, others);
    }

    /** Other libraries, everything else as it is. */
    public DeviceSettings withLibraries(String others) {
        return new DeviceSettings(name, storage, others, memoryBytes, threads, kernels);
    }
}
