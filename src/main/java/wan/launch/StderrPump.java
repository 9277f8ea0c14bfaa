package wan.launch;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;

/**
 * Hands the program's stderr on, as it comes, without the JVM's warning about its incubator module.
 *
 * <p>The JVM has no switch for that warning: it is written while the module graph is built, before any of our code runs, and
 * {@code -Xlog:disable}, {@code -XX:-PrintWarnings} and an AOT cache leave it in place.
 */
final class StderrPump implements Runnable {
    private static final byte[] WARNING =
            "WARNING: Using incubator modules: jdk.incubator.vector".getBytes(StandardCharsets.US_ASCII);
    private static final int NO_LINE_START = -1;

    private final InputStream in;
    private final OutputStream out;
    /** How many bytes of the warning the present line has matched; these are held back. */
    private int matched;

    private boolean passed;

    StderrPump(InputStream in, OutputStream out) {
        this.in = in;
        this.out = out;
    }

    @Override
    public void run() {
        byte[] buffer = new byte[8192];
        try {
            for (int count; (count = in.read(buffer)) >= 0; ) {
                byte[] kept = passed ? buffer : filter(buffer, count);
                write(kept, kept == buffer ? count : kept.length);
            }
        } catch (IOException e) {
            // The program has ended and its stderr with it.
        }
        write(WARNING, passed ? 0 : Math.max(0, matched));
    }

    private byte[] filter(byte[] buffer, int count) {
        ByteArrayOutputStream kept = new ByteArrayOutputStream(count);
        for (int i = 0; i < count; i++) {
            byte b = buffer[i];
            if (passed) {
                kept.write(b);
            } else if (matched == WARNING.length) {
                passed = b == '\n'; // the rest of the line is dropped
            } else if (matched != NO_LINE_START && b == WARNING[matched]) {
                matched++;
            } else {
                kept.write(WARNING, 0, Math.max(0, matched));
                kept.write(b);
                matched = b == '\n' ? 0 : NO_LINE_START;
            }
        }
        return kept.toByteArray();
    }

    private void write(byte[] bytes, int count) {
        try {
            out.write(bytes, 0, count);
        } catch (IOException e) {
            // Nobody reads our stderr any more. The program goes on, and must not block on a full pipe.
        }
    }
}
