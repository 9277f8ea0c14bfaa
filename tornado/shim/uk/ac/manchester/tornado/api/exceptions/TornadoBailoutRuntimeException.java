package uk.ac.manchester.tornado.api.exceptions;

/** A kernel or a library that could not be compiled, loaded or launched. */
public class TornadoBailoutRuntimeException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** With a message, which TornadoVM prints in red. */
    public TornadoBailoutRuntimeException(String msg) {
        super("\u001B[31m" + msg + "\u001B[0m");
    }
}
