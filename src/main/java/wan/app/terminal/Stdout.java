package wan.app.terminal;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import wan.run.Program;

/**
 * A System.out that remembers why writing failed, which PrintStream hides: a full disk must be reported, a reader that has
 * closed the pipe ({@code | head}) must not.
 */
public final class Stdout extends FilterOutputStream {
    private @Nullable IOException failure;

    private Stdout(OutputStream out) {
        super(out);
    }

    /** Puts itself in the place of System.out. */
    public static Stdout install() {
        Stdout stdout = new Stdout(new FileOutputStream(FileDescriptor.out));
        System.setOut(new PrintStream(stdout, true, System.out.charset()));
        return stdout;
    }

    /** Writes out what is left, and tells a failure; returns whether all that had a reader was written. */
    public boolean finish() {
        System.out.flush();
        IOException e = failure;
        if (e == null || String.valueOf(e.getMessage()).toLowerCase(Locale.ROOT).contains("pipe")) {
            return true;
        }
        System.err.println(Program.NAME + ": standard output: " + e.getMessage());
        return false;
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
        try {
            out.write(bytes, offset, length);
        } catch (IOException e) {
            failure = failure == null ? e : failure;
            throw e;
        }
    }
}
