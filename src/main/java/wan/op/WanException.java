package wan.op;

import org.jspecify.annotations.Nullable;

/**
 * A failure, described in one line that helps the user: where, what was expected, what was found, and a hint.
 *
 * <p>The command line prints the message without a stack trace and exits with 1 ({@link UsageException}: 2).
 */
public class WanException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private static final int MOST_CHARACTERS = 1500;

    /**
     * A failure without a caught cause.
     *
     * @param message one line, starting with where
     */
    public WanException(String message) {
        super(cut(message));
    }

    /**
     * A failure with what was caught.
     *
     * @param message one line, starting with where
     * @param cause what was caught, kept for {@code --stacktrace}
     */
    public WanException(String message, @Nullable Throwable cause) {
        super(cut(message), cause);
    }

    /** A message quotes what users and files hold, which may be of any length. */
    public static String cut(String message) {
        return message.length() <= MOST_CHARACTERS
                ? message
                : message.substring(0, MOST_CHARACTERS) + "... (" + message.length() + " characters)";
    }

    /**
     * The usual form: {@code where: expected E, got G; hint}.
     *
     * @param hint what to try or check, or empty for none
     */
    public static WanException mismatch(String where, Object expected, Object got, String hint) {
        return new WanException(
                where + ": expected " + expected + ", got " + got + (hint.isEmpty() ? "" : "; " + hint));
    }
}
