package wan.app.terminal;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;
import wan.op.Dyn;
import wan.op.Grid;
import wan.op.KvTensor;
import wan.op.Linear;
import wan.op.ObservedOps;
import wan.op.Ops;
import wan.op.Tensor;

/**
 * Where a run's time goes, per operation and per layer; every operation is a {@link OperationEvent} too. Calls are timed on the host,
 * so a backend that only queues work has its time where it waits.
 */
public final class Profile extends ObservedOps {
    private final Map<String, Time> operations = new LinkedHashMap<>();
    private final Map<Integer, Time> layers = new TreeMap<>();
    /** After a pass's last layer, or before any pass. */
    private final Time outside = new Time();
    /** Since the last layer was done. */
    private Time pending = new Time();

    private int layersDone;

    public Profile(Ops ops) {
        super(ops);
    }

    /** Time of one operation or layer. */
    private static final class Time {
        private long calls;
        private long nanos;
        private double flops;

        void add(long moreCalls, long moreNanos, double moreFlops) {
            calls += moreCalls;
            nanos += moreNanos;
            flops += moreFlops;
        }

        long nanos() {
            return nanos;
        }
    }

    @Override
    protected Tensor observe(String op, double flops, Supplier<Tensor> call) {
        OperationEvent event = new OperationEvent();
        event.begin();
        long start = System.nanoTime();
        Tensor result = call.get();
        long nanos = System.nanoTime() - start;
        event.operation = op;
        event.layer = layersDone;
        event.flops = flops;
        event.commit();
        operations.computeIfAbsent(op, name -> new Time()).add(1, nanos, flops);
        pending.add(1, nanos, flops);
        return result;
    }

    /** A device is timed as it works: the parts would be another recording than the one that was rehearsed. */
    private boolean isWhole() {
        return !deviceTime().isEmpty();
    }

    @Override
    public List<Tensor> linears(Tensor x, List<Linear> weights) {
        if (!isWhole()) {
            return super.linears(x, weights);
        }
        List<Tensor> results = new ArrayList<>();
        double flops = weights.stream().mapToDouble(one -> flops(x, one)).sum();
        Tensor _ = observe("linears", flops, () -> {
            results.addAll(observed().linears(x, weights));
            return x;
        });
        return results;
    }

    @Override
    public Tensor normRopeAppend(
            KvTensor cache,
            Tensor q,
            Tensor k,
            Tensor v,
            Tensor normQ,
            Tensor normK,
            float eps,
            Grid grid,
            Dyn positions,
            Dyn pages) {
        return isWhole()
                ? observe(
                        "normRopeAppend",
                        0,
                        () -> observed().normRopeAppend(cache, q, k, v, normQ, normK, eps, grid, positions, pages))
                : super.normRopeAppend(cache, q, k, v, normQ, normK, eps, grid, positions, pages);
    }

    public void passStarted() {
        outside.add(pending.calls == 0 ? 0 : 1, pending.nanos, pending.flops);
        pending = new Time();
        layersDone = 0;
    }

    public void layerDone(int layer) {
        layers.computeIfAbsent(layer, index -> new Time()).add(1, pending.nanos, pending.flops);
        pending = new Time();
        layersDone = layer + 1;
    }

    /**
     * Prints two tables, operations with the longest first, and layers.
     *
     * @param totalSeconds of the run
     */
    public void print(PrintStream out, double totalSeconds) {
        passStarted(); // what is left belongs to no layer
        out.printf(
                Locale.ROOT,
                "%-20s %8s %10s %10s %7s %9s%n",
                "operation",
                "calls",
                "seconds",
                "ms/call",
                "share",
                "TFLOP/s");
        operations.entrySet().stream()
                .sorted(Map.Entry.comparingByValue(
                        Comparator.comparingLong(Time::nanos).reversed()))
                .forEach(entry -> row(out, entry.getKey(), entry.getValue(), totalSeconds));
        row(out, "all of them", sum(operations.values()), totalSeconds);
        out.printf(
                Locale.ROOT,
                "%n%-20s %8s %10s %10s %7s %9s%n",
                "layer",
                "times",
                "seconds",
                "ms/time",
                "share",
                "TFLOP/s");
        layers.forEach((layer, time) ->
                row(out, layer == 0 ? "0, with embeddings" : String.valueOf(layer), time, totalSeconds));
        if (outside.calls > 0) {
            row(out, "outside the layers", outside, totalSeconds);
        }
        if (!deviceTime().isEmpty()) {
            out.printf(Locale.ROOT, "%nThe device, whose work the calls above only queue: %s%n", deviceTime());
        }
    }

    private static Time sum(Collection<Time> times) {
        Time sum = new Time();
        times.forEach(time -> sum.add(time.calls, time.nanos, time.flops));
        return sum;
    }

    private static void row(PrintStream out, String name, Time time, double totalSeconds) {
        double seconds = time.nanos / 1e9;
        String rate = time.flops == 0 ? "" : String.format(Locale.ROOT, "%.3f", time.flops / time.nanos / 1e3);
        out.printf(
                Locale.ROOT,
                "%-20s %8d %10.3f %10.3f %6.1f%% %9s%n",
                name,
                time.calls,
                seconds,
                1e3 * seconds / time.calls,
                100 * seconds / totalSeconds,
                rate);
    }
}
