package tornado;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import wan.backend.BackendProvider;
import wan.backend.Bytes;
import wan.backend.DeviceCheck;
import wan.backend.DeviceSettings;
import wan.backend.MemoryPlan;
import wan.op.DType;
import wan.op.Ops;
import wan.op.UsageException;
import wan.op.WanException;

/**
 * The devices of TornadoVM: {@code tornado} and {@code tornado:DRIVER:DEVICE}. Can be loaded without TornadoVM, which is looked for when
 * something is asked.
 */
public final class TornadoProvider implements BackendProvider {
    private static final System.Logger LOG = System.getLogger("wan.run");

    private static final String NAME = "tornado";

    /** What the launcher found wrong with an SDK. */
    private static final String PROBLEM = "wan.tornado.problem";

    private static final String HOW_TO =
            "install a TornadoVM SDK (5.2.0 or newer for JDK 25), set TORNADOVM_HOME to its folder,"
                    + " and start wan-attn with java -jar; tornado/README.md has the steps";

    /** What TornadoVM finds, or why it finds nothing. */
    private record Found(List<TornadoDevices.Info> devices, String problem) {}

    private static Found find() {
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

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public List<String> forms() {
        return List.of(NAME, NAME + ":DRIVER:DEVICE");
    }

    @Override
    public List<Device> devices() {
        return find().devices().stream()
                .map(device -> new Device(
                        device.option(),
                        String.format(
                                Locale.ROOT,
                                "%s %s, %s, %s of memory, arrays up to %s%s",
                                device.driver(),
                                device.type(),
                                device.name(),
                                Bytes.text(device.memoryBytes()),
                                Bytes.text(device.largestArrayBytes()),
                                device.libraries().stream()
                                        .map(library -> ", " + library.title())
                                        .collect(Collectors.joining()))))
                .toList();
    }

    @Override
    public List<String> problem() {
        String problem = find().problem();
        return problem.isEmpty() ? List.of() : List.of(problem, HOW_TO);
    }

    /** Graphics processors. */
    @Override
    public List<String> preferred() {
        Found found = find();
        if (!System.getProperty(PROBLEM, "").isEmpty()) {
            LOG.log(System.Logger.Level.WARNING, "device auto: {0}", found.problem());
        }
        return found.devices().stream()
                .filter(device -> device.type().equals("gpu"))
                .map(TornadoDevices.Info::option)
                .toList();
    }

    @Override
    public boolean isTrusted() {
        return false;
    }

    @Override
    public DeviceSettings tuned(DeviceSettings settings, DeviceCheck check) {
        Function<TornadoDevices.Settings, TornadoOps> open =
                candidate -> tornado(settings, () -> TornadoDevices.open(settings.name(), candidate));
        TornadoDevices.Settings own = settings(settings);
        TornadoDevices.Settings given = own;
        if (own.kernels().isEmpty()
                && tornado(settings, () -> TornadoDevices.mayHaveTensorCores(settings.name(), given))) {
            own = new KernelChoice(check).choose(open, own);
        }
        String kernels = own.kernels().isEmpty() ? DeviceSettings.AUTO : own.kernels();
        Set<Library> chosen = new LibraryChoice(settings.namesLibraries(), check).choose(open, own);
        return settings.withKernels(kernels)
                .withLibraries(
                        chosen.isEmpty()
                                ? DeviceSettings.NO_LIBRARIES
                                : chosen.stream().map(Library::option).collect(Collectors.joining(",")));
    }

    @Override
    public Ops open(DeviceSettings settings, @Nullable Consumer<Ops> rehearsal) {
        TornadoDevices.Settings own = settings(settings);
        TornadoOps ops = tornado(
                settings,
                () -> rehearsal == null
                        ? TornadoDevices.open(settings.name(), own)
                        : TornadoDevices.open(settings.name(), own, forecast(settings, rehearsal)));
        if (settings.namesLibraries()) {
            try {
                LibraryChoice.require(own.libraries(), ops);
            } catch (WanException e) {
                ops.close();
                throw e;
            }
        }
        return ops;
    }

    @Override
    public MemoryPlan memoryPlan(DeviceSettings settings, Consumer<Ops> rehearsal) {
        return rehearsed(settings, rehearsal, TornadoOps::memoryPlan);
    }

    private static Forecast forecast(DeviceSettings settings, Consumer<Ops> rehearsal) {
        return rehearsed(settings, rehearsal, TornadoOps::forecast);
    }

    private static <T> T rehearsed(DeviceSettings settings, Consumer<Ops> rehearsal, Function<TornadoOps, T> result) {
        try (TornadoOps ops = tornado(settings, () -> TornadoDevices.rehearse(settings.name(), settings(settings)))) {
            rehearsal.accept(ops);
            return result.apply(ops);
        }
    }

    private static <T> T tornado(DeviceSettings settings, Supplier<T> open) {
        try {
            return open.get();
        } catch (LinkageError e) {
            // An SDK that is there but wrong has its own remedy.
            boolean there = !System.getProperty(PROBLEM, "").isEmpty();
            throw new WanException(
                    "device.name " + settings.name() + ": " + whyNotLoaded(e) + "; "
                            + (there ? "tornado/README.md has the steps" : HOW_TO),
                    e);
        }
    }

    private static TornadoDevices.Settings settings(DeviceSettings settings) {
        return new TornadoDevices.Settings(
                settings.kernels().equals(DeviceSettings.AUTO) ? "" : settings.kernels(),
                settings.storage(),
                libraries(settings),
                settings.memoryBytes());
    }

    private static Set<Library> libraries(DeviceSettings settings) {
        if (settings.libraries().equals(DeviceSettings.AUTO)) {
            // It would round activations to 8 bits as well, which has to be asked for.
            return settings.storage().weights() == DType.F8_E4M3
                    ? EnumSet.complementOf(EnumSet.of(Library.CUBLAS))
                    : EnumSet.allOf(Library.class);
        }
        Set<Library> named = EnumSet.noneOf(Library.class);
        if (settings.libraries().equals(DeviceSettings.NO_LIBRARIES)) {
            return named;
        }
        for (String name : settings.libraries().split(",", -1)) {
            named.add(Arrays.stream(Library.values())
                    .filter(library -> library.option().equals(name))
                    .findFirst()
                    .orElseThrow(() -> new UsageException(
                            "device.libraries: expected auto, off, cublas, cudnn or cublas,cudnn, got '"
                                    + settings.libraries() + "'")));
        }
        if (named.contains(Library.CUDNN) && settings.storage().cache() != DType.F16) {
            throw new UsageException("device.libraries cudnn: expected device.cache f16, got "
                    + settings.storage().cache().option() + "; its attention takes no other type");
        }
        return named;
    }
}
