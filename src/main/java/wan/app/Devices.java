package wan.app;

import java.util.List;
import tornado.Storage;
import tornado.TornadoDevices;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.jvm.OneDnnStatus;
import wan.op.DType;
import wan.op.Ops;
import wan.op.UsageException;
import wan.op.WanException;

/** Chooses what computes. The only class that knows of TornadoVM, which may be missing at run time. */
final class Devices {
    static final String JVM = "jvm";
    static final String ONEDNN = "onednn";
    static final String TORNADO = "tornado";
    static final String AUTO = "auto";

    private static final System.Logger LOG = System.getLogger(Devices.class.getName());

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
     * @param option {@code jvm}, {@code onednn}, {@code onednn:DTYPE}, {@code tornado}, {@code tornado:DRIVER:DEVICE} or
     *     {@code auto}
     * @param storage of a TornadoVM device; anything but float32 needs one
     * @param memoryBytes for a device; 0 for all it has
     * @throws UsageException if the option names nothing, or oneDNN where it is not there
     * @throws WanException if it names what is not there, or what computes wrongly
     */
    static Ops open(String option, JvmOptions jvm, Storage storage, long memoryBytes) {
        if (option.equals(AUTO)) {
            return open(best(), jvm, storage, memoryBytes);
        }
        if (option.equals(JVM)) {
            return openUnchecked(option, "", jvm, storage, memoryBytes);
        }
        // A backend of its own: what the check records would only be in the run's way.
        try (Ops ops = openUnchecked(option, "", jvm, storage, memoryBytes)) {
            LOG.log(System.Logger.Level.INFO, "device {0}", ops.backend());
            List<SelfTest.Result> wrong = SelfTest.quick(ops, storage);
            if (!wrong.isEmpty()) {
                throw new WanException("device " + ops.backend() + " computes wrongly: " + wrong.getFirst()
                        + "; wan-attn selftest --device " + option + " shows all; use --device jvm");
            }
        }
        return openUnchecked(option, "", jvm, storage, memoryBytes);
    }

    /** On the JVM there is nothing to choose: it packs weights as they are stored, bf16 too, or as oneDNN multiplies them. */
    private static void requireFloat32(Storage storage, String option) {
        if (!storage.equals(Storage.F32)) {
            boolean weights = storage.weights() != DType.F32;
            String given = weights
                    ? "--dtype " + storage.weights().option()
                    : "--kv-cache-dtype " + storage.cache().option();
            String hint = !option.equals(JVM)
                    ? "onednn:bf16 and onednn:f32 say what is multiplied and kept"
                    : "it has f32, and "
                            + (weights
                                    ? "keeps a checkpoint's bf16 as it is (convert --dtype makes one)"
                                    : "no other for caches");
            throw new UsageException(given + ": expected a TornadoVM --device, got " + option + "; " + hint);
        }
    }

    /** What {@code auto} means here: a graphics processor, else oneDNN if it makes bfloat16 fast, else the JVM. */
    private static String best() {
        OneDnnStatus oneDnn = OneDnnStatus.find();
        return tornado().devices().stream()
                .filter(device -> device.type().contains("gpu"))
                .map(TornadoDevices.Info::option)
                .findFirst()
                .orElse(oneDnn.isThere() && oneDnn.bfloat16() ? ONEDNN : JVM);
    }

    /**
     * Opens a backend as it is.
     *
     * @param kernels of a TornadoVM device: {@code vector}, {@code shared}, or empty for what suits it
     */
    static Ops openUnchecked(String option, String kernels, JvmOptions jvm, Storage storage, long memoryBytes) {
        if (option.equals(JVM)) {
            requireFloat32(storage, option);
            return new JvmOps(jvm);
        }
        if (option.equals(ONEDNN) || option.startsWith(ONEDNN + ":")) {
            requireFloat32(storage, option);
            return new JvmOps(new JvmOptions(jvm.threads(), oneDnnKernels(option)));
        }
        if (!option.equals(TORNADO) && !option.startsWith(TORNADO + ":")) {
            throw new UsageException("--device: expected jvm, onednn, onednn:bf16, onednn:f32, tornado,"
                    + " tornado:DRIVER:DEVICE or auto, got '" + option + "'");
        }
        try {
            return TornadoDevices.open(option, kernels, storage, memoryBytes);
        } catch (LinkageError e) {
            throw new WanException("--device " + option + ": " + tornado().problem() + "; " + HOW_TO, e);
        }
    }

    /** Plain {@code onednn} is bfloat16 where the processor multiplies that, and float32 elsewhere. */
    private static JvmOptions.Kind oneDnnKernels(String option) {
        OneDnnStatus status = OneDnnStatus.find();
        if (!status.isThere()) {
            throw new UsageException("--device " + option + ": " + status.problem());
        }
        if (option.equals(ONEDNN)) {
            return status.bfloat16() ? JvmOptions.Kind.ONEDNN_BF16 : JvmOptions.Kind.ONEDNN_F32;
        }
        for (JvmOptions.Kind kind : List.of(JvmOptions.Kind.ONEDNN_BF16, JvmOptions.Kind.ONEDNN_F32)) {
            if (option.equals(kind.option())) {
                return kind;
            }
        }
        throw new UsageException("--device: expected onednn, onednn:bf16 or onednn:f32, got '" + option + "'");
    }

    static String howToInstall() {
        return HOW_TO;
    }
}
