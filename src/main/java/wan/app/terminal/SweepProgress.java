package wan.app.terminal;

import java.io.PrintStream;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.DoubleAdder;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;
import wan.app.option.OptionNames;
import wan.pass.Pass;
import wan.run.Job;
import wan.run.Program;
import wan.sampling.RunCost;
import wan.sweep.SweepListener;
import wan.sweep.SweepRun;
import wan.sweep.SweepRunner;

/** Shows a sweep on the terminal and in its log, and has the numbers for its metrics. */
public final class SweepProgress implements SweepListener {
    private static final long REDRAW_NANOS = 200_000_000;
    private static final int MOST_NOTICES = 200;
    private static final int INTERRUPTED = 130;
    private static final int FAILED = 1;

    private final PrintStream err;
    private final boolean quiet;
    private final @Nullable EventLog log;
    private final Cancellation cancellation;
    private final Set<String> noticed = new HashSet<>();
    private final long startNanos = System.nanoTime();

    private @Nullable RunCost cost;
    private @Nullable Pass pass;
    private long drawnNanos;
    private boolean dirty;

    // Read by the metrics from another thread.
    private volatile Counts counts = new Counts(0, 0, 0, 0);
    private final DoubleAdder flops = new DoubleAdder();
    private final DoubleAdder computingSeconds = new DoubleAdder();
    private final DoubleAdder runSeconds = new DoubleAdder();
    private final AtomicInteger runsDone = new AtomicInteger();
    private final AtomicInteger attemptsFailed = new AtomicInteger();
    private final AtomicInteger passesDone = new AtomicInteger();
    private long passNanos = System.nanoTime();

    /**
     * Shows nothing before the sweep begins.
     *
     * @param quiet nothing on the terminal
     * @param log where events go, or null
     * @param cancellation what ends it
     */
    public SweepProgress(PrintStream err, boolean quiet, @Nullable EventLog log, Cancellation cancellation) {
        this.err = err;
        this.quiet = quiet;
        this.log = log;
        this.cancellation = cancellation;
    }

    @Override
    public boolean cancelled() {
        return cancellation.requested();
    }

    @Override
    public void notice(String text) {
        // Most runs of a sweep have the same to say.
        if (noticed.size() < MOST_NOTICES && noticed.add(text)) {
            say(Program.NAME + ": " + OptionNames.inPlaceOfFields(text));
            log(EventLog.event("notice").put("text", text));
        }
    }

    @Override
    public void encoding(int done, int layers) {
        if (done == layers) {
            say(Program.NAME + ": text encoder: " + layers + " layers done");
        }
    }

    @Override
    public void began(Counts now) {
        counts = now;
        say(now.runs() + " runs, " + now.done() + " done, " + now.failed() + " failed, " + now.left() + " left, "
                + now.own() + " of them of this part");
        log(event("began", now));
    }

    @Override
    public void runBegan(SweepRun run, int attempt) {
        log(event("run_began", run).put("attempt", attempt));
    }

    @Override
    public void runDone(SweepRun run, double seconds, Counts now) {
        counts = now;
        runSeconds.add(seconds);
        runsDone.incrementAndGet();
        say(String.format(
                Locale.ROOT,
                "%d/%d  %s  %s  %.2f s  %s",
                now.done(),
                now.runs(),
                run.id(),
                run.describe(),
                seconds,
                status(now)));
        ObjectNode event = event("run_done", run).put("seconds", seconds);
        log(add(event, now));
    }

    @Override
    public void runFailed(SweepRun run, String error, boolean again, Counts now) {
        counts = now;
        attemptsFailed.incrementAndGet();
        say(Program.NAME + ": run " + run.id() + " (" + run.describe() + ") failed"
                + (again ? ", is tried again: " : ": ") + OptionNames.inPlaceOfFields(error));
        ObjectNode event = event("run_failed", run).put("again", again).put("error", error);
        log(add(event, now));
    }

    @Override
    public void started(Job job) {
        cost = job.cost();
    }

    @Override
    public void resumed(int passes, String progress) {
        say(Program.NAME + ": continuing after " + progress);
    }

    @Override
    public void passStarted(Pass next) {
        pass = next;
        passNanos = System.nanoTime();
    }

    @Override
    public void layerDone(int layer) {
        Pass current = pass;
        if (cost == null || current == null) {
            return;
        }
        long now = System.nanoTime();
        flops.add(cost.layerFlops(current));
        computingSeconds.add((now - passNanos) / 1e9);
        passNanos = now;
        if (layer + 1 == current.numLayers()) {
            passesDone.incrementAndGet();
        }
        if (!quiet && Terminal.stderrIsTerminal() && now - drawnNanos > REDRAW_NANOS) {
            drawnNanos = now;
            err.print("\u001b[?7l\r\u001b[K" + status(counts) + "  " + current.id() + " layer " + (layer + 1)
                    + "\u001b[?7h");
            err.flush();
            dirty = true;
        }
    }

    private String status(Counts now) {
        double rate = rate(); // none where others compute
        return now.done() + " done, " + now.failed() + " failed, " + now.left() + " left"
                + (rate == 0 ? "" : String.format(Locale.ROOT, "; %.3f TFLOP/s", rate / 1e12))
                + (runsDone.get() == 0 ? "" : "; " + Progress.clock(secondsLeft(now)) + " left");
    }

    /**
     * The sweep has ended: tells how.
     *
     * @param place where it lies
     * @param retries how often runs were tried again
     * @return the program's exit code
     */
    public int finish(SweepRunner.Outcome outcome, Object place, int retries) {
        counts = outcome.counts();
        int failed = counts.failed();
        int left = counts.left();
        clear();
        log(event("ended", counts)
                .put("how", outcome.interrupted() ? "interrupted" : left == 0 ? "complete" : "partly"));
        String state = counts.done() + " of " + counts.runs() + " runs done, " + failed + " failed, " + left + " left";
        if (outcome.interrupted()) {
            err.println(Program.NAME + ": interrupted; " + state + "; the same command continues it");
            return INTERRUPTED;
        }
        System.out.println(state + ", in " + place);
        List<String> problems = outcome.problems();
        problems.forEach(problem -> err.println(Program.NAME + ": " + problem));
        if (failed > 0) {
            err.println(Program.NAME + ": " + failed + " runs failed; " + place + "/runs/ID.json has each one's error,"
                    + " --retries " + (retries + 1) + " tries them again");
        }
        if (left > 0 && problems.isEmpty()) {
            err.println(Program.NAME + ": the remaining runs are claimed by other processes");
        }
        return failed > 0 || !problems.isEmpty() ? FAILED : 0;
    }

    private double rate() {
        double seconds = computingSeconds.sum();
        return seconds == 0 ? 0 : flops.sum() / seconds;
    }

    /** Of this process' part. */
    private double secondsLeft(Counts now) {
        int here = runsDone.get();
        return here == 0 ? Double.NaN : (System.nanoTime() - startNanos) / 1e9 / here * now.own();
    }

    /** The numbers of the moment, in Prometheus' text format. */
    public String metrics() {
        Counts now = counts;
        StringBuilder text = new StringBuilder();
        head(text, "wan_attn_sweep_runs", "gauge", "Runs of the whole sweep by state.");
        line(text, "wan_attn_sweep_runs{state=\"done\"}", now.done());
        line(text, "wan_attn_sweep_runs{state=\"failed\"}", now.failed());
        line(text, "wan_attn_sweep_runs{state=\"left\"}", now.left());
        head(text, "wan_attn_sweep_own_runs_left", "gauge", "Runs of this process' part that are left.");
        line(text, "wan_attn_sweep_own_runs_left", now.own());
        head(text, "wan_attn_sweep_failed_attempts_total", "counter", "Attempts of this process that failed.");
        line(text, "wan_attn_sweep_failed_attempts_total", attemptsFailed.get());
        head(text, "wan_attn_sweep_passes_total", "counter", "Forward passes of this process.");
        line(text, "wan_attn_sweep_passes_total", passesDone.get());
        head(text, "wan_attn_sweep_flop_total", "counter", "Floating-point operations of this process.");
        line(text, "wan_attn_sweep_flop_total", flops.sum());
        head(text, "wan_attn_sweep_computing_seconds_total", "counter", "Seconds that this process computed.");
        line(text, "wan_attn_sweep_computing_seconds_total", computingSeconds.sum());
        head(text, "wan_attn_sweep_run_seconds", "summary", "Seconds that a run of this process took.");
        line(text, "wan_attn_sweep_run_seconds_sum", runSeconds.sum());
        line(text, "wan_attn_sweep_run_seconds_count", runsDone.get());
        head(text, "wan_attn_sweep_seconds_left", "gauge", "Estimate for this process' part.");
        line(text, "wan_attn_sweep_seconds_left", secondsLeft(now));
        return text.toString();
    }

    private static void head(StringBuilder text, String name, String type, String help) {
        text.append("# HELP ").append(name).append(' ').append(help).append('\n');
        text.append("# TYPE ").append(name).append(' ').append(type).append('\n');
    }

    private static void line(StringBuilder text, String name, double value) {
        text.append(name).append(' ').append(value).append('\n');
    }

    private void say(String line) {
        if (!quiet) {
            clear();
            err.println(line);
        }
    }

    private void clear() {
        if (dirty) {
            err.print("\r\u001b[K");
            err.flush();
            dirty = false;
        }
    }

    private void log(ObjectNode event) {
        if (log != null) {
            log.add(event);
        }
    }

    private static ObjectNode event(String name, SweepRun run) {
        return EventLog.event(name).put("run", run.id()).put("index", run.index());
    }

    private static ObjectNode event(String name, Counts counts) {
        return add(EventLog.event(name), counts);
    }

    private static ObjectNode add(ObjectNode event, Counts counts) {
        return event.put("runs", counts.runs())
                .put("done", counts.done())
                .put("failed", counts.failed())
                .put("left", counts.left());
    }
}
