package wan.op;

/** Infinities or NaN where numbers were expected: a type without the range, or broken weights. */
public final class NonFiniteException extends WanException {
    private static final long serialVersionUID = 1L;

    /**
     * @param message one line, starting with where
     */
    public NonFiniteException(String message) {
        super(message);
    }

    /** The same, in a part of a run: {@code block1.step0}. */
    public NonFiniteException in(String part) {
        return new NonFiniteException(part + ": " + getMessage());
    }
}
