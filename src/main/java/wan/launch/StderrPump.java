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
    /** What the JVM says where it cannot start at all; the reason is the next line. */
    private static final String NO_START = "Error occurred during initialization of VM";

    private static final int NO_LINE_START = -1;

    private final InputStream in;
    private final OutputStream out;
    /** How many bytes of the warning the present line has matched; these are held back. */
    private int matched;

    private boolean passed;

    /** What came first, as long as it may be the JVM's last words; then null. */
    private ByteArrayOutputStream first = new ByteArrayOutputStream();

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
                offer(kept, kept == buffer ? count : kept.length);
            }
        } catch (IOException e) {
            // The program has ended and its stderr with it.
        }
        if (first != null && first.size() > 0) {
            byte[] line = oneLine(first.toString(StandardCharsets.UTF_8)).getBytes(StandardCharsets.UTF_8);
            write(line, line.length);
        }
        write(WARNING, passed ? 0 : Math.max(0, matched));
    }

    private void offer(byte[] bytes, int count) {
        if (first == null) {
            write(bytes, count);
            return;
        }
        first.write(bytes, 0, count);
        String text = first.toString(StandardCharsets.ISO_8859_1);
        if (!NO_START.startsWith(text) && !text.startsWith(NO_START)) {
            write(first.toByteArray(), first.size());
            first = null;
        }
    }

    private static String oneLine(String text) {
        if (!text.startsWith(NO_START)) {
            return text;
        }
        String reason = text.substring(NO_START.length()).strip().split("\\R", 2)[0];
        boolean memory = reason.contains("reserve") || reason.contains("allocate") || reason.contains("heap");
        return "wan-attn: Java cannot start: " + reason
                + (memory
                        ? "; allow it more memory (ulimit -v counts what it reserves), or less heap with --heap SIZE"
                        : "")
                + "\n";
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
