package wan.app.terminal;

import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import wan.pass.Pass;
import wan.sampling.RunCost;
import wan.sampling.RunPlan;

/**
 * Shows how far a run is: one line that renews itself on a terminal, a line per pass in a pipe, nothing when quiet. The time left
 * is estimated from operations done, not from passes, since later frame blocks attend more keys; and not from the first pass, as
 * soon as there are others, since a device compiles in it.
 */
public final class Progress {
    private static final long REDRAW_NANOS = 100_000_000;

    private final PrintStream err;
    private final Mode mode;
    private final RunCost cost;
    private final RunPlan plan;
    private double totalFlops;
    private final long startNanos = System.nanoTime();
    private double doneFlops;
    /** When the first pass began, or once there are others ended, and what was done by then. */
    private long warmNanos = startNanos;

    private double warmFlops;
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
            warmNanos = System.nanoTime();
            warmFlops = doneFlops;
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
        long now = System.nanoTime();
        boolean passDone = layer + 1 == current.numLayers();
        if (mode == Mode.TERMINAL && (passDone || now - drawnNanos > REDRAW_NANOS)) {
            drawnNanos = now;
            // Without wrapping: a line cut at the edge of a narrow terminal can still be drawn over.
            err.print("\u001b[?7l\r\u001b[K" + line(current, layer) + "\u001b[?7h");
            err.flush();
            dirty = true;
        } else if (mode == Mode.LINES && passDone) {
            err.println(line(current, layer));
        }
    }

    private String line(Pass current, int layer) {
        double perSecond = flopsPerSecond();
        double left = perSecond == 0 ? 0 : (totalFlops - doneFlops) / perSecond;
        return String.format(
                Locale.ROOT,
                "%d/%d  %s  frames %d-%d  layer %d/%d  %s  %s left",
                passNumber,
                plan.passes().size(),
                current.id(),
                current.firstFrame(),
                current.firstFrame() + current.frames() - 1,
                layer + 1,
                current.numLayers(),
                rate(),
                clock(left));
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
        return (System.nanoTime() - startNanos) / 1e9;
    }

    private double flopsPerSecond() {
        double since = doneFlops - warmFlops;
        return since > 0 ? since / ((System.nanoTime() - warmNanos) / 1e9) : doneFlops / seconds();
    }

    /** Operations per second so far: 12.3 GFLOP/s. */
    public String rate() {
        double perSecond = flopsPerSecond();
        return perSecond < 1e12
                ? String.format(Locale.ROOT, "%.1f GFLOP/s", perSecond / 1e9)
                : String.format(Locale.ROOT, "%.2f TFLOP/s", perSecond / 1e12);
    }

    /** Hours, minutes and seconds: 1:02:03 or 02:03. */
    static String clock(double seconds) {
        Duration d = Duration.ofSeconds(Math.round(seconds));
        return d.toHours() > 0
                ? String.format(Locale.ROOT, "%d:%02d:%02d", d.toHours(), d.toMinutesPart(), d.toSecondsPart())
                : String.format(Locale.ROOT, "%02d:%02d", d.toMinutesPart(), d.toSecondsPart());
    }
}
