package wan.app;

import java.io.PrintStream;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import wan.op.ObservedOps;
import wan.op.Ops;
import wan.op.Tensor;

/**
 * Where a run's time goes, per operation. Calls are timed on the host, so a backend that only queues work has its time where
 * it waits.
 */
final class Profile extends ObservedOps {
    private final Map<String, Time> times = new LinkedHashMap<>();

    Profile(Ops ops) {
        super(ops);
    }

    /** Time of one operation. */
    private static final class Time {
        private long calls;
        private long nanos;

        long nanos() {
            return nanos;
        }
    }

    @Override
    protected Tensor observe(String op, Supplier<Tensor> call) {
        long start = System.nanoTime();
        Tensor result = call.get();
        Time time = times.computeIfAbsent(op, name -> new Time());
        time.nanos += System.nanoTime() - start;
        time.calls++;
        return result;
    }

    /**
     * Prints the table, the longest first.
     *
     * @param totalSeconds of the run
     */
    void print(PrintStream out, double totalSeconds) {
        out.printf("%-20s %8s %10s %10s %7s%n", "operation", "calls", "seconds", "ms/call", "share");
        times.entrySet().stream()
                .sorted(Map.Entry.comparingByValue(
                        Comparator.comparingLong(Time::nanos).reversed()))
                .forEach(entry -> {
                    Time time = entry.getValue();
                    double seconds = time.nanos / 1e9;
                    out.printf(
                            Locale.ROOT,
                            "%-20s %8d %10.3f %10.3f %6.1f%%%n",
                            entry.getKey(),
                            time.calls,
                            seconds,
                            1e3 * seconds / time.calls,
                            100 * seconds / totalSeconds);
                });
    }
}
