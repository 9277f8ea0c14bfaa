package wan.run;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.ServiceLoader;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import wan.backend.BackendProvider;
import wan.backend.DeviceCheck;
import wan.backend.DeviceSettings;
import wan.backend.HostMemory;
import wan.backend.HostSpeed;
import wan.backend.MemoryPlan;
import wan.backend.Storage;
import wan.op.Ops;
import wan.op.UsageException;
import wan.op.WanException;
import wan.selftest.SelfTestCheck;

/** Chooses the device among the backends, which are found as services. */
public final class Devices {
    private static final System.Logger LOG = System.getLogger("wan.run");

    /** The device of a run that says nothing else. */
    static final String JVM = "jvm";

    /** The preferred device of this machine that computes correctly. */
    private static final String AUTO = "auto";

    private static final List<BackendProvider> PROVIDERS =
            ServiceLoader.load(BackendProvider.class, Devices.class.getClassLoader()).stream()
                    .map(ServiceLoader.Provider::get)
                    .toList();

    private Devices() {}

    /** All backends, in the order of preference. */
    public static List<BackendProvider> providers() {
        return PROVIDERS;
    }

    /**
     * Opens a device, and checks it against the oracle before it is used.
     *
     * @param check measures at the run's sizes
     * @param rehearsal does with a backend what the run will do
     * @throws UsageException if the name is unknown, or the device cannot do what was asked for
     * @throws WanException if the device is missing or computes wrongly
     */
    static Ops open(RunSpec.Device device, DeviceCheck check, Consumer<Ops> rehearsal) {
        return open(settings(device), check, rehearsal);
    }

    static Ops open(DeviceSettings settings, DeviceCheck check, @Nullable Consumer<Ops> rehearsal) {
        if (!settings.name().equals(AUTO)) {
            return checked(settings, check, rehearsal);
        }
        for (String candidate : preferred(false)) {
            try {
                return checked(settings.withName(candidate), check, rehearsal);
            } catch (WanException e) {
                leftOut(candidate, e);
            }
        }
        List<String> onHost = fastest(settings, check);
        for (String candidate : onHost.subList(0, onHost.size() - 1)) {
            try {
                return checked(settings.withName(candidate), check, rehearsal);
            } catch (WanException e) {
                leftOut(candidate, e);
            }
        }
        return checked(settings.withName(onHost.getLast()), check, rehearsal);
    }

    private static void leftOut(String device, WanException e) {
        LOG.log(System.Logger.Level.WARNING, "device auto leaves out {0}: {1}", device, e.getMessage());
    }

    /** The ways to compute on this machine's processor, the fastest first. */
    private static List<String> fastest(DeviceSettings settings, DeviceCheck check) {
        return HostSpeed.sorted(
                preferred(true),
                settings.threads(),
                device -> provider(device).open(settings.withName(device), null),
                check);
    }

    private static List<String> preferred(boolean onHost) {
        return PROVIDERS.stream()
                .filter(provider -> provider.isOnHost() == onHost)
                .flatMap(provider -> provider.preferred().stream())
                .toList();
    }

    /** What auto is before anything has been tried: a device of its own if one is preferred, else the fastest of this processor. */
    private static DeviceSettings likely(DeviceSettings settings, DeviceCheck check) {
        if (!settings.name().equals(AUTO)) {
            return settings;
        }
        List<String> others = preferred(false);
        return settings.withName(others.isEmpty() ? fastest(settings, check).getFirst() : others.getFirst());
    }

    private static Ops checked(DeviceSettings settings, DeviceCheck check, @Nullable Consumer<Ops> rehearsal) {
        BackendProvider provider = provider(settings.name());
        DeviceSettings tuned = provider.tuned(settings, check);
        if (!provider.isTrusted()) {
            // A separate backend, because the check would leave its own recordings in the run's.
            try (Ops ops = provider.open(tuned, null)) {
                LOG.log(System.Logger.Level.INFO, "device {0}", ops.backend());
                String wrong = check.problem(ops, tuned.storage(), "");
                if (!wrong.isEmpty()) {
                    throw new WanException("device " + ops.backend() + " computes wrongly: " + wrong
                            + "; the command selftest shows all; use device.name " + JVM);
                }
            }
        }
        return provider.open(tuned, rehearsal);
    }

    /** Whether a device, once open, can serve any run; false for one that is still to be chosen. */
    static boolean serveAnyRun(RunSpec.Device device) {
        return !device.name().equals(AUTO) && provider(device.name()).servesAnyRun();
    }

    private static BackendProvider provider(String device) {
        String backend = device.split(":", 2)[0];
        return PROVIDERS.stream()
                .filter(provider -> provider.name().equals(backend))
                .findFirst()
                .orElseThrow(() -> {
                    List<String> forms = new ArrayList<>();
                    PROVIDERS.reversed().forEach(provider -> forms.addAll(provider.forms()));
                    return new UsageException("device.name: expected " + String.join(", ", forms) + " or " + AUTO
                            + ", got '" + device + "'");
                });
    }

    /** Opens a device without checking that it computes correctly. */
    public static Ops openUnchecked(RunSpec.Device device) {
        DeviceSettings named = likely(settings(device), SelfTestCheck.ofTheModel());
        return provider(named.name()).open(named, null);
    }

    /**
     * What a run would need of a device, found by going through it without allocating or running anything.
     *
     * @param check measures at the run's sizes, where the device is still to be chosen
     * @param rehearsal does with a backend what the run will do
     * @return null where the run computes on this machine
     */
    static @Nullable MemoryPlan memoryPlan(RunSpec.Device device, DeviceCheck check, Consumer<Ops> rehearsal) {
        DeviceSettings named = likely(settings(device), check);
        return provider(named.name()).memoryPlan(named, rehearsal);
    }

    /** The same of this machine; null where the run computes on a device. */
    static @Nullable HostMemory hostMemory(RunSpec.Device device, DeviceCheck check, Consumer<Ops> rehearsal) {
        DeviceSettings named = likely(settings(device), check);
        return provider(named.name()).hostMemory(named, rehearsal);
    }

    /** What a layer takes for one frame where the run computes on this machine, in seconds; empty where it computes on a device. */
    static OptionalDouble layerSeconds(RunSpec.Device device, DeviceCheck check) {
        DeviceSettings named = likely(settings(device), check);
        BackendProvider provider = provider(named.name());
        if (!provider.isOnHost()) {
            return OptionalDouble.empty();
        }
        DeviceSettings tuned = provider.tuned(named, check);
        return OptionalDouble.of(
                HostSpeed.seconds(tuned.name(), tuned.threads(), _ -> provider.open(tuned, null), check));
    }

    private static DeviceSettings settings(RunSpec.Device device) {
        return new DeviceSettings(
                device.name(),
                new Storage(device.weights(), device.cache()),
                device.libraries(),
                device.memoryBytes(),
                device.computingThreads(),
                device.kernels());
    }
}
