package wan.app.terminal;

import java.io.PrintStream;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import wan.app.option.OptionNames;
import wan.op.Ops;
import wan.pass.Pass;
import wan.run.Job;
import wan.run.Program;
import wan.run.RunMonitor;

/** Shows a run on the terminal: notices, progress, and where the time went. */
public final class TerminalMonitor implements RunMonitor {
    private final PrintStream err;
    private final boolean quiet;
    private final boolean profiled;
    private @Nullable Progress progress;
    private @Nullable Profile profile;
    private @Nullable Cancellation cancellation;

    /**
     * Nothing is shown before a run begins.
     *
     * @param quiet no progress and no notices
     * @param profiled measure where the time goes
     */
    public TerminalMonitor(PrintStream err, boolean quiet, boolean profiled) {
        this.err = err;
        this.quiet = quiet;
        this.profiled = profiled;
    }

    /** This monitor, which ends the run when the user asks for that. */
    public TerminalMonitor endingOn(Cancellation asked) {
        cancellation = asked;
        return this;
    }

    @Override
    public void notice(String text) {
        if (!quiet) {
            err.println(Program.NAME + ": " + OptionNames.inPlaceOfFields(text));
        }
    }

    @Override
    public void encoding(int done, int layers) {
        if (quiet) {
            return;
        }
        if (Terminal.stderrIsTerminal()) {
            err.print("\r\u001b[K" + (done < layers ? "text encoder: layer " + done + "/" + layers : ""));
        } else if (done == layers) {
            err.println(Program.NAME + ": text encoder: " + layers + " layers done");
        }
    }

    @Override
    public void started(Job job) {
        progress = new Progress(err, mode(), job.cost(), job.plan());
    }

    private Progress.Mode mode() {
        if (quiet) {
            return Progress.Mode.QUIET;
        }
        return Terminal.stderrIsTerminal() ? Progress.Mode.TERMINAL : Progress.Mode.LINES;
    }

    @Override
    public void resumed(int passes, String done) {
        notice("continuing after " + done);
        if (progress != null) {
            progress.skip(passes);
        }
    }

    @Override
    public void restoring(int passes) {
        if (passes > 0) {
            notice("rebuilding the KV caches: " + passes + (passes == 1 ? " pass" : " passes"));
        }
    }

    @Override
    public void passStarted(Pass pass) {
        if (progress != null) {
            progress.passStarted(pass);
        }
        if (profile != null) {
            profile.passStarted();
        }
    }

    @Override
    public void layerDone(int layer) {
        if (progress != null) {
            progress.layerDone(layer);
        }
        if (profile != null) {
            profile.layerDone(layer);
        }
    }

    @Override
    public void ended() {
        if (progress != null) {
            progress.finish();
        }
    }

    @Override
    public boolean cancelled() {
        return cancellation != null && cancellation.requested();
    }

    @Override
    public Ops instrument(Ops ops) {
        if (!profiled) {
            return ops;
        }
        profile = new Profile(ops);
        return profile;
    }

    /** How long it took. */
    public void printTime(Job job) {
        if (!quiet && progress != null) {
            int passes = job.plan().passes().size();
            err.printf(
                    Locale.ROOT,
                    "%d pass%s in %.1f s, %s%n",
                    passes,
                    passes == 1 ? "" : "es",
                    progress.seconds(),
                    progress.averageRate());
        }
    }

    /** Where the time went, if that was measured. */
    public void printProfile() {
        if (profile != null && progress != null) {
            profile.print(err, progress.seconds());
        }
    }
}
