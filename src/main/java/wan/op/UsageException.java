package wan.op;

/** The request is invalid (an option, a combination, a size). The command line exits with 2. */
public final class UsageException extends WanException {
    private static final long serialVersionUID = 1L;

    /**
     * A request that cannot be carried out as it is put.
     *
     * @param message one line: the option, what it takes, what was given
     */
    public UsageException(String message) {
        super(message);
    }
}
