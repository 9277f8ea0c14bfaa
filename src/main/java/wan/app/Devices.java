package wan.app;

import java.util.List;
import tornado.Storage;
import tornado.TornadoDevices;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.op.DType;
import wan.op.Ops;
import wan.op.UsageException;
import wan.op.WanException;

/** Chooses what computes. The only class that knows of TornadoVM, which may be missing at run time. */
final class Devices {
    static final String JVM = "jvm";
    static final String TORNADO = "tornado";
    static final String AUTO = "auto";

    private static final String HOW_TO =
            "install a TornadoVM SDK (5.2.0 or newer for JDK 25), set TORNADOVM_HOME to its folder,"
                    + " and start wan-attn with java -jar; tornado/README.md has the steps";

    private Devices() {}

    /** What TornadoVM finds, or why it finds nothing. */
    record Found(List<TornadoDevices.Info> devices, String problem) {}

    /** Asks TornadoVM for its devices; never throws because it is not there. */
    static Found tornado() {
        try {
            List<TornadoDevices.Info> devices = TornadoDevices.list();
            return new Found(
                    devices,
                    devices.isEmpty() ? "TornadoVM finds no OpenCL or CUDA device: is a driver installed?" : "");
        } catch (LinkageError e) {
            String home = System.getenv("TORNADOVM_HOME");
            return new Found(
                    List.of(),
                    home == null || home.isBlank()
                            ? "TornadoVM is not there: TORNADOVM_HOME is not set"
                            : "TornadoVM of TORNADOVM_HOME=" + home + " did not load: " + e);
        } catch (RuntimeException e) {
            return new Found(List.of(), "TornadoVM failed: " + e);
        }
    }

    /**
     * Opens the backend that an option names, and checks a device against the oracle before it is used.
     *
     * @param option {@code jvm}, {@code tornado}, {@code tornado:DRIVER:DEVICE} or {@code auto}
     * @param storage of a TornadoVM device; anything but float32 needs one
     * @param memoryBytes for a device; 0 for all it has
     * @throws UsageException if the option names nothing
     * @throws WanException if it names what is not there, or what computes wrongly
     */
    static Ops open(String option, JvmOptions jvm, Storage storage, long memoryBytes) {
        if (option.equals(JVM)) {
            requireFloat32(storage);
            return new JvmOps(jvm);
        }
        if (option.equals(AUTO)) {
            String chosen = tornado().devices().stream()
                    .filter(device -> device.type().contains("gpu"))
                    .map(TornadoDevices.Info::option)
                    .findFirst()
                    .orElse(JVM);
            return open(chosen, jvm, storage, memoryBytes);
        }
        // A backend of its own: what the check records would only be in the run's way.
        try (Ops ops = openUnchecked(option, "", storage, memoryBytes)) {
            List<SelfTest.Result> wrong = SelfTest.quick(ops, storage);
            if (!wrong.isEmpty()) {
                throw new WanException("device " + ops.backend() + " computes wrongly: " + wrong.getFirst()
                        + "; wan-attn selftest --device " + option + " shows all; use --device jvm");
            }
        }
        return openUnchecked(option, "", storage, memoryBytes);
    }

    /** The JVM packs weights as they are stored, bf16 too, and keeps keys and values in float32. */
    static void requireFloat32(Storage storage) {
        if (!storage.equals(Storage.F32)) {
            boolean weights = storage.weights() != DType.F32;
            throw new UsageException((weights
                            ? "--dtype " + storage.weights().option()
                            : "--kv-cache-dtype " + storage.cache().option())
                    + ": expected a TornadoVM --device, got jvm; it has f32, and "
                    + (weights
                            ? "keeps a checkpoint's bf16 as it is (convert --dtype makes one)"
                            : "no other for caches"));
        }
    }

    /**
     * Opens a TornadoVM device as it is.
     *
     * @param kernels {@code vector}, {@code shared}, or empty for what suits the device
     */
    static Ops openUnchecked(String option, String kernels, Storage storage, long memoryBytes) {
        if (!option.equals(TORNADO) && !option.startsWith(TORNADO + ":")) {
            throw new UsageException(
                    "--device: expected jvm, tornado, tornado:DRIVER:DEVICE or auto, got '" + option + "'");
        }
        try {
            return TornadoDevices.open(option, kernels, storage, memoryBytes);
        } catch (LinkageError e) {
            throw new WanException("--device " + option + ": " + tornado().problem() + "; " + HOW_TO, e);
        }
    }

    static String howToInstall() {
        return HOW_TO;
    }
}
