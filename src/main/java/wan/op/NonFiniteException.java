package wan.op;

import java.util.Arrays;
import java.util.Locale;

/** Infinities or NaN where finite values were expected, because of a type with too small a range or broken weights. */
public final class NonFiniteException extends WanException {
    private static final long serialVersionUID = 1L;

    /**
     * @param message one line, starting with where
     */
    public NonFiniteException(String message) {
        super(message);
    }

    /**
     * Checks values.
     *
     * @param where what the values are, for the message
     * @param shape theirs
     * @throws NonFiniteException if one is not finite; says how many and where the first one is
     */
    public static void check(String where, Shape shape, float[] values) {
        int bad = 0;
        int first = -1;
        for (int i = 0; i < values.length; i++) {
            if (!Float.isFinite(values[i])) {
                first = bad == 0 ? i : first;
                bad++;
            }
        }
        if (bad > 0) {
            throw new NonFiniteException(String.format(
                    Locale.ROOT,
                    "%s: expected finite numbers, got %d of %d that are not; the first is %s at %s",
                    where,
                    bad,
                    values.length,
                    values[first],
                    Arrays.toString(shape.indices(first))));
        }
    }

    /** The same, with what it comes from or may come from. */
    public NonFiniteException because(String reason) {
        return new NonFiniteException(getMessage() + "; " + reason);
    }

    /** The same, in a part of a run: {@code block1.step0}. */
    public NonFiniteException in(String part) {
        return new NonFiniteException(part + ": " + getMessage());
    }
}
