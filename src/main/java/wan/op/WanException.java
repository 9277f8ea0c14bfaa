package wan.op;

import org.jspecify.annotations.Nullable;

/**
 * What went wrong, in one line that a user can act on: where, what was expected, what was got, and a hint.
 *
 * <p>The command line prints the message without a stack trace and exits with 1 ({@link UsageException}: 2).
 */
public class WanException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /**
     * A failure without a caught cause.
     *
     * @param message one line, starting with where
     */
    public WanException(String message) {
        super(message);
    }

    /**
     * A failure with what was caught.
     *
     * @param message one line, starting with where
     * @param cause what was caught, kept for {@code --stacktrace}
     */
    public WanException(String message, @Nullable Throwable cause) {
        super(message, cause);
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
