package tornado;

import wan.op.WanException;

/**
 * A library is missing, or has refused a call. One line, beginning with the library's name. Not one of TornadoVM's exceptions, whose
 * messages it replaces by its own.
 */
final class LibraryException extends WanException {
    private static final long serialVersionUID = 1L;

    LibraryException(String message) {
        super(message);
    }
}
