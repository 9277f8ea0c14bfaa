package wan.app.bench;

import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;
import wan.jvm.vector.FmaCeiling;

/**
 * What was measured of one operation.
 *
 * @param measured the operation
 * @param runs how often it ran
 * @param medianNanos of these runs
 * @param ceilingGflops what the processor gave in between, the median too
 */
public record BenchRow(BenchCase measured, int runs, double medianNanos, double ceilingGflops) {
    /** Runs for so long, and at least once, so that it is compiled. */
    public static void warm(BenchCase.Prepared body, double seconds) {
        long start = System.nanoTime();
        do {
            long _ = body.run();
        } while (System.nanoTime() - start < seconds * 1e9);
    }

    /** Measures for so long, and at least so often. */
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
        return new BenchRow(measured, nanos.size(), median(nanos), median(ceilings));
    }

    private static double median(List<Double> values) {
        List<Double> sorted = values.stream().sorted().toList();
        return sorted.get(sorted.size() / 2);
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
                .put("ceiling_share", share());
    }
}
