package wan.launch;

/** The program cannot be started, for a reason the user can act on; printed as one line. */
final class LaunchException extends Exception {
    private static final long serialVersionUID = 1L;

    /** The exit code: 1 failed, 2 bad usage. */
    final int exitCode;

    LaunchException(int exitCode, String message) {
        super(message);
        this.exitCode = exitCode;
    }
}
