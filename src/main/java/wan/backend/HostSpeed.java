package wan.backend;

import static java.util.Objects.requireNonNull;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import wan.op.Ops;

/**
 * Which of several ways to compute on this machine's processor is the fastest, measured at the sizes of the run rather than told from what the
 * processor has: bfloat16 products are not faster than float32 ones on every processor that has them. What was measured is kept as long as
 * the program runs, and where {@link DeviceCheck#kept} says.
 */
public final class HostSpeed {
    private static final System.Logger LOG = System.getLogger("wan.run");

    /** How much of another's time one may take that rounds what it multiplies: equally fast is no reason to round. */
    private static final double ROUNDED = 0.95;

    private static final String ROUNDS = ":bf16";

    private static final Map<String, List<String>> MEASURED = new HashMap<>();

    /**
     * What is measured.
     *
     * @param sizes in words
     * @param times how often a layer does an operation of {@link DeviceCheck#time}
     */
    public record Layer(String sizes, Map<String, Double> times) {
        /** A layer of the 1.3B model with three frames of keys, as the self-test has it. */
        public static final Layer OF_ONE_FRAME =
                new Layer("one frame of the 1.3B model", Map.of("linear", 6.0, "linearGelu", 2.0, "attention", 1.0));
    }

    /** A place for measurements that outlives the program. */
    public interface Kept {
        /** Keeps nothing. */
        Kept NOWHERE = new Kept() {
            @Override
            public Map<String, Double> get(String what) {
                return Map.of();
            }

            @Override
            public void put(String what, Map<String, Double> seconds) {}
        };

        /** Seconds by device; empty if nothing is kept. */
        Map<String, Double> get(String what);

        /** Keeps seconds by device, if it can. */
        void put(String what, Map<String, Double> seconds);
    }

    private HostSpeed() {}

    /**
     * Sorts devices, the fastest first.
     *
     * @param devices at least one
     * @param threads that compute
     * @param open opens one of them
     */
    public static synchronized List<String> sorted(
            List<String> devices, int threads, Function<String, Ops> open, DeviceCheck check) {
        if (devices.size() == 1) {
            return devices;
        }
        return MEASURED.computeIfAbsent(key(devices, threads, check), what -> {
            Map<String, Double> before = kept(devices, what, check);
            return sorted(
                    devices,
                    before.isEmpty() ? measured(devices, what, open, check) : before,
                    (before.isEmpty() ? "measured, " : "measured before, ")
                            + check.layer().sizes());
        });
    }

    /**
     * What a layer's products take on one device.
     *
     * @param threads that compute
     * @param open opens it
     * @return seconds for one frame
     */
    public static synchronized double seconds(
            String device, int threads, Function<String, Ops> open, DeviceCheck check) {
        List<String> devices = List.of(device);
        String what = key(devices, threads, check);
        Map<String, Double> before = kept(devices, what, check);
        return requireNonNull((before.isEmpty() ? measured(devices, what, open, check) : before).get(device));
    }

    private static String key(List<String> devices, int threads, DeviceCheck check) {
        return String.join(", ", devices) + "; " + threads + " threads; "
                + check.layer().sizes();
    }

    /** What is kept of just these devices, or nothing. */
    private static Map<String, Double> kept(List<String> devices, String what, DeviceCheck check) {
        Map<String, Double> seconds = check.kept().get(what);
        return seconds.keySet().equals(Set.copyOf(devices)) ? seconds : Map.of();
    }

    private static Map<String, Double> measured(
            List<String> devices, String what, Function<String, Ops> open, DeviceCheck check) {
        Map<String, Double> seconds = new HashMap<>();
        for (String device : devices) {
            try (Ops ops = open.apply(device)) {
                seconds.put(device, layer(ops, check));
            }
        }
        check.kept().put(what, seconds);
        return seconds;
    }

    private static List<String> sorted(List<String> devices, Map<String, Double> seconds, String how) {
        List<String> sorted = new ArrayList<>(devices);
        sorted.sort(Comparator.comparingDouble(
                device -> seconds.getOrDefault(device, 0.0) / (device.endsWith(ROUNDS) ? ROUNDED : 1)));
        LOG.log(
                System.Logger.Level.INFO,
                "{0}: a layer''s products take {1}; {2} it is",
                how,
                sorted.stream()
                        .map(device -> String.format(
                                Locale.ROOT, "%s %.1f ms", device, 1e3 * seconds.getOrDefault(device, 0.0)))
                        .collect(Collectors.joining(", ")),
                sorted.getFirst());
        return sorted;
    }

    private static double layer(Ops ops, DeviceCheck check) {
        return check.layer().times().entrySet().stream()
                .mapToDouble(entry ->
                        entry.getValue() * check.time(ops, entry.getKey()).seconds())
                .sum();
    }
}
