package wan.app.command;

import java.util.Locale;
import wan.app.terminal.Terminal;

/**
 * Shows on stderr how many frames are done: one updating line on a terminal; elsewhere a line from time to time, if it
 * takes long.
 */
final class FrameProgress {
    private static final double SECONDS_BETWEEN_LINES = 10;

    private final int frames;
    private final boolean terminal = Terminal.stderrIsTerminal();
    private final long startNanos = System.nanoTime();
    private int done;
    private double shown;

    FrameProgress(int frames) {
        this.frames = frames;
    }

    void frameDone() {
        done++;
        double seconds = seconds();
        String line = String.format(
                Locale.ROOT,
                "%d/%d frames  %.2f s per frame  %.0f s left",
                done,
                frames,
                seconds / done,
                seconds / done * (frames - done));
        if (terminal) {
            System.err.print("\r\u001b[K" + line);
        } else if (seconds - shown > SECONDS_BETWEEN_LINES) {
            shown = seconds;
            System.err.println(line);
        }
    }

    /** Clears the terminal's line. */
    void finish() {
        if (terminal) {
            System.err.print("\r\u001b[K");
        }
    }

    double seconds() {
        return (System.nanoTime() - startNanos) / 1e9;
    }
}
