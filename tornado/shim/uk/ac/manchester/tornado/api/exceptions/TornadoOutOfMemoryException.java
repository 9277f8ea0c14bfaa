package uk.ac.manchester.tornado.api.exceptions;

/** The device has no room for an array. */
public class TornadoOutOfMemoryException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** With a message. */
    public TornadoOutOfMemoryException(String msg) {
        super(msg);
    }
}
