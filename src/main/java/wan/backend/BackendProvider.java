package wan.backend;

import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import wan.op.Ops;
import wan.op.UsageException;
import wan.op.WanException;

/**
 * A backend, as {@link java.util.ServiceLoader} finds it. A device's name begins with the backend's and may continue after a
 * colon: {@code onednn:bf16}.
 *
 * <p>Loading a provider and asking it what there is never fails because something is missing on this machine.
 */
public interface BackendProvider {
    /**
     * A device that is there.
     *
     * @param name as {@link DeviceSettings#name} takes it
     * @param description for people
     */
    record Device(String name, String description) {}

    /** What names of its devices begin with. */
    String name();

    /** How its devices are named, for messages. */
    List<String> forms();

    /** What is there; may be empty. */
    List<Device> devices();

    /** Why nothing is there and what to do about it, a line each; empty if something is. */
    List<String> problem();

    /** Devices that one may choose without being told to, best first. Providers are asked in the order of the services file. */
    List<String> preferred();

    /** Whether its devices compute on this machine's processor; which of them all is the fastest is measured. */
    default boolean isOnHost() {
        return false;
    }

    /** Whether its results need no check before they are used. */
    boolean isTrusted();

    /** Whether an open device serves any runs, one after the other, rather than what it was prepared for alone. */
    default boolean servesAnyRun() {
        return false;
    }

    /**
     * Settles what is left to the backend, such as which libraries are faster.
     *
     * @throws WanException if what was asked for by name is missing or wrong
     */
    default DeviceSettings tuned(DeviceSettings settings, DeviceCheck check) {
        return settings;
    }

    /**
     * Opens a device; the caller closes it.
     *
     * @param rehearsal does with a backend what will be done with this one, for backends that prepare; null if that is not known
     * @throws UsageException if the name is none, or the device cannot do what was asked for
     * @throws WanException if the device is not there
     */
    Ops open(DeviceSettings settings, @Nullable Consumer<Ops> rehearsal);

    /**
     * What a run would need of a device, found by going through it without allocating or running anything.
     *
     * @param rehearsal does with a backend what the run will do
     * @return null for a backend that has a {@link #hostMemory} instead
     */
    default @Nullable MemoryPlan memoryPlan(DeviceSettings settings, Consumer<Ops> rehearsal) {
        return null;
    }

    /**
     * As {@link #memoryPlan}, for a backend whose device is this machine.
     *
     * @return null for one with a memory of its own
     */
    default @Nullable HostMemory hostMemory(DeviceSettings settings, Consumer<Ops> rehearsal) {
        return null;
    }
}
