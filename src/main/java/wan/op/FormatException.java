package wan.op;

import org.jspecify.annotations.Nullable;

/** A file is broken, truncated, malicious, or of an unknown format. */
public final class FormatException extends WanException {
    private static final long serialVersionUID = 1L;

    /**
     * A broken file.
     *
     * @param file the file, as the user named it
     * @param problem what is wrong, where in the file, and a hint
     */
    public FormatException(Object file, String problem) {
        super(file + ": " + problem);
    }

    /**
     * A broken file, with what was caught.
     *
     * @param file the file, as the user named it
     * @param problem what is wrong, where in the file, and a hint
     * @param cause what was caught
     */
    public FormatException(Object file, String problem, @Nullable Throwable cause) {
        super(file + ": " + problem, cause);
    }
}
