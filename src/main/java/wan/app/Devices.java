package wan.app;

import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import tornado.MemoryPlan;
import tornado.Storage;
import tornado.TornadoDevices;
import tornado.TornadoOps;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.op.DType;
import wan.op.Ops;
import wan.op.UsageException;
import wan.op.WanException;

/** Chooses what computes. The only class that knows of TornadoVM, which may be missing at run time. */
final class Devices {
    private static final System.Logger LOG = System.getLogger("wan.app");

    static final String JVM = "jvm";
    static final String TORNADO = "tornado";
    static final String AUTO = "auto";

    /** What the launcher found wrong with an SDK. */
    private static final String PROBLEM = "wan.tornado.problem";

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

    /**
     * Opens the backend that an option names, and checks a device against the oracle before it is used.
     *
     * @param option {@code jvm}, {@code tornado}, {@code tornado:DRIVER:DEVICE} or {@code auto}
     * @throws UsageException if the option names nothing
     * @throws WanException if it names what is not there, or what computes wrongly
     */
    static Ops open(String option, JvmOptions jvm, TornadoDevices.Settings settings) {
        if (option.equals(JVM)) {
            requireFloat32(settings.storage());
            return new JvmOps(jvm);
        }
        if (!option.equals(AUTO)) {
            return checked(option, settings);
        }
        if (!System.getProperty(PROBLEM, "").isEmpty()) {
            LOG.log(System.Logger.Level.WARNING, "--device auto: {0}", tornado().problem());
        }
        for (String gpu : graphicsProcessors()) {
            try {
                return checked(gpu, settings);
            } catch (WanException e) {
                LOG.log(System.Logger.Level.WARNING, "--device auto leaves out {0}: {1}", gpu, e.getMessage());
            }
        }
        requireFloat32(settings.storage());
        return new JvmOps(jvm);
    }

    private static List<String> graphicsProcessors() {
        return tornado().devices().stream()
                .filter(device -> device.type().equals("gpu"))
                .map(TornadoDevices.Info::option)
                .toList();
    }

    private static Ops checked(String option, TornadoDevices.Settings settings) {
        // A backend of its own: what the check records would only be in the run's way.
        try (Ops ops = openUnchecked(option, settings)) {
            boolean libraries = ops instanceof TornadoOps tornado && tornado.libraries();
            String wrong = wrong(ops, settings.storage(), libraries);
            if (wrong.isEmpty()) {
                return openUnchecked(option, settings);
            }
            if (!libraries) {
                throw new WanException("device " + ops.backend() + " computes wrongly: " + wrong
                        + "; wan-attn selftest --device " + option + " shows all; use --device jvm");
            }
            LOG.log(System.Logger.Level.WARNING, "device {0}: cuBLAS is left out: {1}", ops.backend(), wrong);
        }
        return checked(option, settings.withoutLibraries());
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
     * What the check of a device finds, or empty.
     *
     * @param libraries whether a failure is a finding: what is not there may be left out
     */
    private static String wrong(Ops ops, Storage storage, boolean libraries) {
        try {
            List<SelfTest.Result> wrong = SelfTest.quick(ops, storage);
            return wrong.isEmpty() ? "" : wrong.getFirst().toString();
        } catch (WanException | LinkageError e) {
            if (libraries) {
                return String.valueOf(e.getMessage());
            }
            throw e;
        }
    }

    /** Opens a TornadoVM device as it is. */
    static Ops openUnchecked(String option, TornadoDevices.Settings settings) {
        return tornado(option, () -> TornadoDevices.open(option, settings));
    }

    /**
     * What a run would need of a device, found by going through it without allocating or running anything.
     *
     * @param rehearsal does with a backend what the run will do
     * @return null where no device would be used
     */
    static @Nullable MemoryPlan memoryPlan(String option, TornadoDevices.Settings settings, Consumer<Ops> rehearsal) {
        if (option.equals(AUTO)) {
            List<String> gpus = graphicsProcessors();
            return gpus.isEmpty() ? null : memoryPlan(gpus.getFirst(), settings, rehearsal);
        }
        if (option.equals(JVM)) {
            return null;
        }
        try (TornadoOps ops = tornado(option, () -> TornadoDevices.rehearse(option, settings))) {
            rehearsal.accept(ops);
            return ops.memoryPlan();
        }
    }

    private static <T> T tornado(String option, Supplier<T> open) {
        if (!option.equals(TORNADO) && !option.startsWith(TORNADO + ":")) {
            throw new UsageException(
                    "--device: expected jvm, tornado, tornado:DRIVER:DEVICE or auto, got '" + option + "'");
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

    static String howToInstall() {
        return HOW_TO;
    }
}
