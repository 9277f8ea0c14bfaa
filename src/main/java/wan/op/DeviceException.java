package wan.op;

/** A device stopped working: what it computed since is lost, what was handed over before is right. */
public final class DeviceException extends WanException {
    private static final long serialVersionUID = 1L;

    /**
     * @param message one line, starting with where
     */
    public DeviceException(String message) {
        super(message);
    }

    /** The same, in a part of a run: {@code block1.step0}. */
    public DeviceException in(String part) {
        return new DeviceException(part + ": " + getMessage());
    }
}
