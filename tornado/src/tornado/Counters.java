package tornado;

import java.util.Locale;

/** What recording and running has cost so far: figures for reports and tests. */
public final class Counters {
    private int programs;
    private int graphs;
    private int compiledGraphs;
    private long executions;
    private long kernels;
    private long recordNanos;
    private long compileNanos;
    private long runNanos;
    private Traffic traffic = Traffic.NONE;

    Counters() {}

    void asked(Batch batch) {
        traffic = traffic.plus(Traffic.of(batch));
    }

    void recorded(int count, long nanos) {
        programs++;
        graphs = count;
        recordNanos += nanos;
    }

    void executed(boolean first, long nanos) {
        executions++;
        if (first) {
            compiledGraphs++;
            compileNanos += nanos;
        } else {
            runNanos += nanos;
        }
    }

    void launched(int count) {
        kernels += count;
    }

    /** How often the plan was recorded anew, because something grew or a new kind of segment came up. */
    public int programs() {
        return programs;
    }

    /** Graphs of the present plan, beside the two for transfers. */
    public int graphs() {
        return graphs;
    }

    /** Graphs that were executed for the first time, and so compiled. */
    public int compiledGraphs() {
        return compiledGraphs;
    }

    /** Executions of graphs. */
    public long executions() {
        return executions;
    }

    /** Kernels that ran in them. */
    public long kernels() {
        return kernels;
    }

    /** What the batches so far ask of a device; of a rehearsal too, which runs none of them. */
    public Traffic traffic() {
        return traffic;
    }

    /** Time spent on recording. */
    public long recordNanos() {
        return recordNanos;
    }

    /** Time of first executions, which compile and upload. */
    public long compileNanos() {
        return compileNanos;
    }

    /** Time of all other executions. */
    public long runNanos() {
        return runNanos;
    }

    @Override
    public String toString() {
        return String.format(
                Locale.ROOT,
                "%d graphs, recorded %d times in %.2f s, compiled in %.2f s, %d executions in %.2f s",
                graphs,
                programs,
                recordNanos * 1e-9,
                compileNanos * 1e-9,
                executions,
                runNanos * 1e-9);
    }
}
