package wan.sweep;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import wan.op.UsageException;
import wan.run.RunSpec;

/**
 * Many runs as one value: a base run and the axes along which runs differ from it. Every combination of the axes' values is a run.
 *
 * @param base the settings that all runs share
 * @param axes the last one varies fastest
 */
public record Sweep(RunSpec base, List<Axis> axes) {
    /** More runs than this are a mistake in the axes, and would not fit into memory. */
    static final int MOST_RUNS = 10_000_000;

    /** Copies the list; refuses two axes with the same name, and an output file that all runs would share. */
    public Sweep {
        axes = List.copyOf(axes);
        Set<String> names = new HashSet<>();
        long runs = 1;
        for (Axis axis : axes) {
            if (!names.add(axis.name())) {
                throw new UsageException("axes: expected different names, got " + axis.name() + " twice");
            }
            runs *= axis.points().size();
            if (runs > MOST_RUNS) {
                throw new UsageException("axes: expected at most " + MOST_RUNS + " runs, got more");
            }
        }
        if (base.output().video() != null) {
            throw new UsageException(
                    "base.output.video: expected none; set output.latents to keep the latents, and decode them afterwards");
        }
        // Where a run is written is the sweep's business.
        base = base.withOutput(new RunSpec.Output(
                null,
                base.output().latents(),
                base.output().passes(),
                base.output().complete(),
                null));
    }

    /** The number of runs. */
    public int size() {
        return axes.stream().mapToInt(axis -> axis.points().size()).reduce(1, (a, b) -> a * b);
    }

    /**
     * All runs, always in the same order.
     *
     * @throws wan.op.FormatException if a value does not fit; the message says where it stands
     * @throws UsageException if two runs are the same
     */
    public List<SweepRun> runs() {
        List<SweepRun> runs = new ArrayList<>();
        expand(base, new LinkedHashMap<>(), 0, runs);
        Map<String, SweepRun> ids = new HashMap<>();
        for (SweepRun run : runs) {
            SweepRun other = ids.putIfAbsent(run.id(), run);
            if (other != null) {
                throw new UsageException("axes: expected different runs, got the same twice: " + other.describe()
                        + "; and " + run.describe());
            }
        }
        return List.copyOf(runs);
    }

    private void expand(RunSpec spec, SequencedMap<String, String> point, int axis, List<SweepRun> runs) {
        if (axis == axes.size()) {
            runs.add(SweepRun.of(runs.size(), point, spec));
            return;
        }
        Axis own = axes.get(axis);
        for (int i = 0; i < own.points().size(); i++) {
            Point value = own.points().get(i);
            point.put(own.name(), value.label());
            expand(value.over(spec, "axis " + own.name() + "[" + i + "]"), point, axis + 1, runs);
            point.remove(own.name());
        }
    }
}
