package wan.app.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import tools.jackson.databind.node.ObjectNode;
import wan.jvm.kernel.PagedKv;
import wan.jvm.vector.FmaCeiling;

/**
 * What was measured of one operation.
 *
 * @param measured the operation
 * @param runs how often it ran
 * @param medianNanos of these runs
 * @param ceilingGflops what the processor gave in between, the median too
 * @param cacheBytes keys and values that were held
 */
public record BenchRow(BenchCase measured, int runs, double medianNanos, double ceilingGflops, long cacheBytes) {
    private static final double MIB = 1 << 20;

    /** Runs for so long, and at least once, so that it is compiled. */
    public static void warm(BenchCase.Prepared body, double seconds) {
        long start = System.nanoTime();
        do {
            long _ = body.run();
        } while (System.nanoTime() - start < seconds * 1e9);
    }

    /**
     * Measures for so long, and at least so often. If it runs more than once, the first run does not count: it finds the caches, and perhaps a core, still
     * in use by what ran before.
     */
    public static BenchRow measure(
            BenchCase measured, BenchCase.Prepared body, FmaCeiling ceiling, double seconds, int leastRuns) {
        List<Double> nanos = new ArrayList<>();
        List<Double> ceilings = new ArrayList<>();
        long start = System.nanoTime();
        do {
            ceilings.add(ceiling.measure());
            nanos.add((double) body.run());
        } while (nanos.size() < leastRuns || System.nanoTime() - start < seconds * 1e9);
        ceilings.add(ceiling.measure());
        if (nanos.size() > 1) {
            nanos.removeFirst();
            ceilings.removeFirst();
        }
        long cacheBytes = body.caches().stream()
                .mapToLong(cache -> cache instanceof PagedKv paged ? paged.heldBytes() : 0)
                .sum();
        return new BenchRow(measured, nanos.size(), median(nanos), median(ceilings), cacheBytes);
    }

    private static double median(List<Double> values) {
        List<Double> sorted = values.stream().sorted().toList();
        return sorted.get(sorted.size() / 2);
    }

    /**
     * What is saved beside another row of the same operation, in a sentence: of keys by the operations that count, of time and of memory.
     *
     * @param full over all keys
     */
    public String savedBeside(BenchRow full) {
        double keys = measured.flops() / full.measured().flops();
        double time = medianNanos / full.medianNanos();
        return String.format(
                Locale.ROOT,
                "%s: keys %.1f %%, time %.1f %%, which falls %.2f times as much; cache %.0f of %.0f MiB, %.1f %%",
                measured.op(),
                100 * keys,
                100 * time,
                (1 - time) / (1 - keys),
                cacheBytes / MIB,
                full.cacheBytes() / MIB,
                100.0 * cacheBytes / full.cacheBytes());
    }

    public double gflops() {
        return measured.flops() / medianNanos;
    }

    public double gigabytesPerSecond() {
        return measured.bytes() / medianNanos;
    }

    public double share() {
        return gflops() / ceilingGflops;
    }

    public ObjectNode fill(ObjectNode object) {
        return object.put("op", measured.op())
                .put("shape", measured.shape())
                .put("runs", runs)
                .put("median_nanos", medianNanos)
                .put("gflops", gflops())
                .put("gigabytes_per_second", gigabytesPerSecond())
                .put("ceiling_gflops", ceilingGflops)
                .put("ceiling_share", share())
                .put("cache_bytes", cacheBytes);
    }
}
