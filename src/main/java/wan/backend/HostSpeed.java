package wan.backend;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import wan.op.Ops;

/**
 * Which of several ways to compute on this machine's processor is the fastest, measured at the sizes of a model rather than told from what the
 * processor has: bfloat16 products are not faster than float32 ones on every processor that has them. What was measured is kept as long as
 * the program runs.
 */
public final class HostSpeed {
    private static final System.Logger LOG = System.getLogger("wan.run");

    /** How often a layer of the model does an operation, as the check counts them. */
    private static final Map<String, Integer> LAYER = Map.of("linear", 6, "linearGelu", 2, "attention", 1);

    private static final Map<List<String>, List<String>> MEASURED = new HashMap<>();

    private record Measured(String device, double seconds) {}

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
        List<String> key = new ArrayList<>(devices);
        key.add(String.valueOf(threads));
        return MEASURED.computeIfAbsent(key, _ -> {
            List<Measured> all = new ArrayList<>();
            for (String device : devices) {
                try (Ops ops = open.apply(device)) {
                    all.add(new Measured(device, layer(ops, check)));
                }
            }
            all.sort(Comparator.comparingDouble(Measured::seconds));
            LOG.log(
                    System.Logger.Level.INFO,
                    "measured, the products of a layer for one frame of the 1.3B model: {0}",
                    all.stream()
                            .map(one -> String.format(Locale.ROOT, "%s %.0f ms", one.device(), 1e3 * one.seconds()))
                            .collect(Collectors.joining(", ")));
            return all.stream().map(Measured::device).toList();
        });
    }

    private static double layer(Ops ops, DeviceCheck check) {
        return LAYER.entrySet().stream()
                .mapToDouble(entry ->
                        entry.getValue() * check.time(ops, entry.getKey()).seconds())
                .sum();
    }
}
