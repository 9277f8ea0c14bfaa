package wan.app.terminal;

import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import wan.pass.Pass;
import wan.sampling.RunCost;
import wan.sampling.RunPlan;

/**
 * Shows the progress of a run: one updating line on a terminal; elsewhere a line per pass, but at most one per second; nothing
 * when quiet. The remaining time is estimated from operations, not from passes, because later frame blocks attend to more keys;
 * and from the {@linkplain Rate recent rate}, because Java and devices compile at first. It is shown as soon as it can be
 * estimated.
 */
public final class Progress {
    private static final long REDRAW_NANOS = 100_000_000;
    private static final long LINE_NANOS = 1_000_000_000;

    /** Until then Java compiles what runs, and an estimate would be many times too long. */
    private static final long WARM_UP_NANOS = 3_000_000_000L;

    private final PrintStream err;
    private final Mode mode;
    private final RunCost cost;
    private final RunPlan plan;
    private final LongSupplier clock;
    private double totalFlops;
    private final long startNanos;
    private double doneFlops;
    private Rate recent;
    private long drawnNanos;
    private int passNumber;
    private @Nullable Pass pass;
    private boolean dirty;

    /** How to show it. */
    public enum Mode {
        /** Not at all. */
        QUIET,
        /** A line per pass. */
        LINES,
        /** One line, drawn over. */
        TERMINAL
    }

    public Progress(PrintStream err, Mode mode, RunCost cost, RunPlan plan) {
        this(err, mode, cost, plan, System::nanoTime);
    }

    /**
     * With a clock of its own.
     *
     * @param clock nanoseconds
     */
    Progress(PrintStream err, Mode mode, RunCost cost, RunPlan plan, LongSupplier clock) {
        this.clock = clock;
        this.startNanos = clock.getAsLong();
        this.recent = new Rate(startNanos, 0);
        this.drawnNanos = startNanos;
        this.err = err;
        this.mode = mode;
        this.cost = cost;
        this.plan = plan;
        this.totalFlops = cost.flops(plan);
    }

    /** The first passes were run before. */
    public void skip(int passes) {
        passNumber = passes;
        totalFlops -= plan.passes().subList(0, passes).stream()
                .mapToDouble(cost::flops)
                .sum();
    }

    public void passStarted(Pass next) {
        if (passNumber < 2) { // opening and checking a device takes time, too
            recent = new Rate(clock.getAsLong(), doneFlops);
        }
        pass = next;
        passNumber++;
    }

    public void layerDone(int layer) {
        Pass current = pass;
        if (current == null) {
            return;
        }
        doneFlops += cost.layerFlops(current);
        long now = clock.getAsLong();
        recent.add(now, doneFlops);
        boolean passDone = layer + 1 == current.numLayers();
        if (mode == Mode.TERMINAL && (passDone || now - drawnNanos > REDRAW_NANOS)) {
            drawnNanos = now;
            // Without wrapping: a line cut at the edge of a narrow terminal can still be drawn over.
            err.print("\u001b[?7l\r\u001b[K" + line(current, layer) + "\u001b[?7h");
            err.flush();
            dirty = true;
        } else if (mode == Mode.LINES
                && passDone
                && (now - drawnNanos >= LINE_NANOS
                        || passNumber == plan.passes().size())) {
            drawnNanos = now;
            err.println(line(current, layer));
        }
    }

    private String line(Pass current, int layer) {
        boolean warm = clock.getAsLong() - startNanos >= WARM_UP_NANOS && recent.perSecond() > 0;
        return String.format(
                Locale.ROOT,
                "%d/%d  %s  %s  layer %d/%d  %s%s",
                passNumber,
                plan.passes().size(),
                current.id(),
                frames(current),
                layer + 1,
                current.numLayers(),
                rate(recent.perSecond()),
                warm ? "  " + clock((totalFlops - doneFlops) / recent.perSecond()) + " left" : "");
    }

    private static String frames(Pass pass) {
        int first = pass.firstFrame();
        return pass.frames() == 1 ? "frame " + first : "frames " + first + "-" + (first + pass.frames() - 1);
    }

    /** Clears the terminal's line. */
    public void finish() {
        if (dirty) {
            err.print("\r\u001b[K");
            err.flush();
            dirty = false;
        }
    }

    public double seconds() {
        return (clock.getAsLong() - startNanos) / 1e9;
    }

    /** Operations per second of the whole run: 12.3 GFLOP/s. */
    public String averageRate() {
        return rate(doneFlops / seconds());
    }

    private static String rate(double perSecond) {
        return perSecond < 1e12
                ? String.format(Locale.ROOT, "%.1f GFLOP/s", perSecond / 1e9)
                : String.format(Locale.ROOT, "%.2f TFLOP/s", perSecond / 1e12);
    }

    /** Hours, minutes and seconds: 1:02:03 or 02:03. */
    public static String clock(double seconds) {
        Duration d = Duration.ofSeconds(Math.round(seconds));
        return d.toHours() > 0
                ? String.format(Locale.ROOT, "%d:%02d:%02d", d.toHours(), d.toMinutesPart(), d.toSecondsPart())
                : String.format(Locale.ROOT, "%02d:%02d", d.toMinutesPart(), d.toSecondsPart());
    }
}
