package uk.ac.manchester.tornado.api.exceptions;

/** Whatever went wrong at run time. */
public class TornadoRuntimeException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** With a message. */
    public TornadoRuntimeException(String message) {
        super(message);
    }
}
