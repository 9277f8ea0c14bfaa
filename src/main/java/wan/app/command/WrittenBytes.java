package wan.app.command;

import java.util.Locale;

/** Shows on stderr how much of a large file is written: a line for every tenth, if it takes long. */
final class WrittenBytes {
    private static final long REPORTED_BYTES = 256L << 20;

    private long tenths;

    /** So many bytes of all are written. */
    void written(long doneBytes, long totalBytes) {
        if (totalBytes > REPORTED_BYTES && doneBytes * 10 / totalBytes > tenths) {
            tenths = doneBytes * 10 / totalBytes;
            System.err.printf(Locale.ROOT, "%d%% of %.1f GB%n", tenths * 10, totalBytes / 1e9);
        }
    }
}
