package wan.op;

/** A device stopped working. Values that it delivered earlier are correct; later ones are lost. */
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
