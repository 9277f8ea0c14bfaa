package wan.run;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import tornado.Library;
import tornado.MemoryPlan;
import tornado.Storage;
import tornado.TornadoDevices;
import tornado.TornadoOps;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.jvm.onednn.OneDnnStatus;
import wan.op.DType;
import wan.op.Ops;
import wan.op.UsageException;
import wan.op.WanException;
import wan.selftest.SelfTest;

/** Chooses what computes. The only class that knows of TornadoVM, which may be missing at run time. */
public final class Devices {
    private static final System.Logger LOG = System.getLogger("wan.run");

    public static final String JVM = "jvm";
    public static final String ONEDNN = "onednn";
    public static final String TORNADO = "tornado";
    static final String AUTO = "auto";

    /** What the launcher found wrong with an SDK. */
    private static final String PROBLEM = "wan.tornado.problem";

    private static final String HOW_TO =
            "install a TornadoVM SDK (5.2.0 or newer for JDK 25), set TORNADOVM_HOME to its folder,"
                    + " and start wan-attn with java -jar; tornado/README.md has the steps";

    private Devices() {}

    /** What TornadoVM finds, or why it finds nothing. */
    public record Found(List<TornadoDevices.Info> devices, String problem) {}

    /** Asks TornadoVM for its devices; never throws because it is not there. */
    public static Found tornado() {
        try {
            List<TornadoDevices.Info> devices = TornadoDevices.list();
            return new Found(
                    devices,
                    devices.isEmpty() ? "TornadoVM finds no OpenCL or CUDA device: is a driver installed?" : "");
        } catch (LinkageError e) {
            return new Found(List.of(), whyNotLoaded(e));
        } catch (RuntimeException e) {
            return new Found(List.of(), "TornadoVM failed: " + e);
        }
    }

    private static String whyNotLoaded(LinkageError e) {
        String home = System.getenv("TORNADOVM_HOME");
        if (home == null || home.isBlank()) {
            return "TornadoVM is not there: TORNADOVM_HOME is not set";
        }
        // The launcher, which reads the SDK's flags, says what is wrong with it.
        String problem = System.getProperty(PROBLEM, "");
        return problem.isEmpty() ? "TornadoVM of TORNADOVM_HOME=" + home + " did not load: " + e : problem;
    }

    /** Opens a device, and checks it against the oracle before it is used. */
    static Ops open(RunSpec.Device device) {
        return open(device.name(), jvm(device), settings(device, ""), choice(device));
    }

    /**
     * Opens a device as it is, right or wrong, with all libraries that may be used.
     *
     * @param kernels {@code vector}, {@code shared}, or empty for those that suit the device
     */
    public static Ops openUnchecked(RunSpec.Device device, String kernels) {
        TornadoDevices.Settings settings = settings(device, kernels);
        Ops ops = openUnchecked(device.name(), jvm(device), settings);
        choice(device).require(settings, ops);
        return ops;
    }

    /** What a run needs of a device; null where none is used. */
    static @Nullable MemoryPlan memoryPlan(RunSpec.Device device, Consumer<Ops> rehearsal) {
        return memoryPlan(device.name(), settings(device, ""), rehearsal);
    }

    private static JvmOptions jvm(RunSpec.Device device) {
        JvmOptions defaults = JvmOptions.defaults();
        return device.threads() == null ? defaults : new JvmOptions(device.threads(), defaults.kernels());
    }

    private static TornadoDevices.Settings settings(RunSpec.Device device, String kernels) {
        Storage storage = new Storage(device.weights(), device.cache());
        return new TornadoDevices.Settings(kernels, storage, libraries(device), device.memoryBytes());
    }

    private static Set<Library> libraries(RunSpec.Device device) {
        if (device.libraries().equals("auto")) {
            return EnumSet.allOf(Library.class);
        }
        Set<Library> named = EnumSet.noneOf(Library.class);
        if (device.libraries().equals("off")) {
            return named;
        }
        for (String name : device.libraries().split(",", -1)) {
            named.add(Arrays.stream(Library.values())
                    .filter(library -> library.option().equals(name))
                    .findFirst()
                    .orElseThrow(() ->
                            new UsageException("--libraries: expected auto, off, cublas, cudnn or cublas,cudnn, got '"
                                    + device.libraries() + "'")));
        }
        if (named.contains(Library.CUDNN) && device.cache() != DType.F16) {
            throw new UsageException("--libraries cudnn: expected --kv-cache-dtype f16, got "
                    + device.cache().option() + "; its attention takes no other type");
        }
        return named;
    }

    private static LibraryChoice choice(RunSpec.Device device) {
        return device.libraries().equals("auto") || device.libraries().equals("off")
                ? LibraryChoice.MEASURED
                : LibraryChoice.ASKED;
    }

    /**
     * Opens the backend that an option names, and checks a device against the oracle before it is used.
     *
     * @param option {@code jvm}, {@code onednn}, {@code onednn:DTYPE}, {@code tornado}, {@code tornado:DRIVER:DEVICE} or
     *     {@code auto}
     * @param libraries how to choose among those that the settings allow
     * @throws UsageException if the option names nothing, or oneDNN where it is not there
     * @throws WanException if it names what is not there, or what computes wrongly
     */
    public static Ops open(String option, JvmOptions jvm, TornadoDevices.Settings settings, LibraryChoice libraries) {
        if (libraries.asked() && (option.equals(JVM) || isOneDnn(option))) {
            throw new UsageException("--libraries: expected a TornadoVM --device, got " + option);
        }
        if (option.equals(JVM)) {
            return openUnchecked(option, jvm, settings);
        }
        if (!option.equals(AUTO)) {
            return checked(option, jvm, settings, libraries);
        }
        if (!System.getProperty(PROBLEM, "").isEmpty()) {
            LOG.log(System.Logger.Level.WARNING, "--device auto: {0}", tornado().problem());
        }
        for (String candidate : better()) {
            try {
                return checked(candidate, jvm, settings, libraries);
            } catch (WanException e) {
                LOG.log(System.Logger.Level.WARNING, "--device auto leaves out {0}: {1}", candidate, e.getMessage());
            }
        }
        return openUnchecked(JVM, jvm, settings);
    }

    /** What {@code auto} prefers to the JVM: graphics processors, then oneDNN if it makes bfloat16 fast. */
    private static List<String> better() {
        List<String> better = new ArrayList<>(graphicsProcessors());
        OneDnnStatus oneDnn = OneDnnStatus.find();
        if (oneDnn.isThere() && oneDnn.bfloat16()) {
            better.add(ONEDNN);
        }
        return better;
    }

    private static List<String> graphicsProcessors() {
        return tornado().devices().stream()
                .filter(device -> device.type().equals("gpu"))
                .map(TornadoDevices.Info::option)
                .toList();
    }

    private static Ops checked(
            String option, JvmOptions jvm, TornadoDevices.Settings settings, LibraryChoice libraries) {
        TornadoDevices.Settings chosen = option.startsWith(TORNADO)
                ? libraries.choose(candidate -> openUnchecked(option, jvm, candidate), settings)
                : settings;
        // A backend of its own: what the check records would only be in the run's way.
        try (Ops ops = openUnchecked(option, jvm, chosen)) {
            LOG.log(System.Logger.Level.INFO, "device {0}", ops.backend());
            List<SelfTest.Result> wrong = SelfTest.quick(ops, settings.storage(), "");
            if (!wrong.isEmpty()) {
                throw new WanException("device " + ops.backend() + " computes wrongly: " + wrong.getFirst()
                        + "; wan-attn selftest --device " + option + " shows all; use --device jvm");
            }
        }
        return openUnchecked(option, jvm, chosen);
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

    /** Opens a backend as it is. */
    public static Ops openUnchecked(String option, JvmOptions jvm, TornadoDevices.Settings settings) {
        if (option.equals(JVM)) {
            requireFloat32(settings.storage(), option);
            return new JvmOps(jvm);
        }
        if (isOneDnn(option)) {
            requireFloat32(settings.storage(), option);
            return new JvmOps(new JvmOptions(jvm.threads(), oneDnnKernels(option)));
        }
        return tornado(option, () -> TornadoDevices.open(option, settings));
    }

    private static boolean isOneDnn(String option) {
        return option.equals(ONEDNN) || option.startsWith(ONEDNN + ":");
    }

    /**
     * What a run would need of a device, found by going through it without allocating or running anything.
     *
     * @param rehearsal does with a backend what the run will do
     * @return null where no device would be used
     */
    public static @Nullable MemoryPlan memoryPlan(
            String option, TornadoDevices.Settings settings, Consumer<Ops> rehearsal) {
        if (option.equals(AUTO)) {
            List<String> gpus = graphicsProcessors();
            return gpus.isEmpty() ? null : memoryPlan(gpus.getFirst(), settings, rehearsal);
        }
        if (option.equals(JVM) || isOneDnn(option)) {
            return null;
        }
        try (TornadoOps ops = tornado(option, () -> TornadoDevices.rehearse(option, settings))) {
            rehearsal.accept(ops);
            return ops.memoryPlan();
        }
    }

    private static <T> T tornado(String option, Supplier<T> open) {
        if (!option.equals(TORNADO) && !option.startsWith(TORNADO + ":")) {
            throw new UsageException("--device: expected jvm, onednn, onednn:bf16, onednn:f32, tornado,"
                    + " tornado:DRIVER:DEVICE or auto, got '" + option + "'");
        }
        try {
            return open.get();
        } catch (LinkageError e) {
            // An SDK that is there but wrong has its own remedy.
            boolean there = !System.getProperty(PROBLEM, "").isEmpty();
            throw new WanException(
                    "--device " + option + ": " + whyNotLoaded(e) + "; "
                            + (there ? "tornado/README.md has the steps" : HOW_TO),
                    e);
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

    public static String howToInstall() {
        return HOW_TO;
    }
}
