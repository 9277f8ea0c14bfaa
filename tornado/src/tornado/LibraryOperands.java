package tornado;

import java.util.Arrays;
import uk.ac.manchester.tornado.api.common.Access;
import uk.ac.manchester.tornado.api.common.LibraryTaskDescriptor;

/** The arrays and the numbers that are recorded of one call of a library. */
sealed interface LibraryOperands permits SdpaOperands {
    /**
     * A call of a library's function.
     *
     * @param result which of the parameters it writes; it only reads the others
     */
    static LibraryTaskDescriptor call(Library library, String function, int result, Object... parameters) {
        Access[] access = new Access[parameters.length];
        Arrays.fill(access, Access.READ_ONLY);
        access[result] = Access.WRITE_ONLY;
        return new LibraryTaskDescriptor()
                .withLibrary("nvidia/"
                        + library.option()) // TornadoVM's own classes for it are only in SDKs with the CUDA backend
                .withFunction(function)
                .withParameters(parameters)
                .withAccess(access);
    }
}
