package uk.ac.manchester.tornado.api.common;

import org.jspecify.annotations.Nullable;

/** A call of a function of a native library: its name and its arguments in the library's order. */
public class LibraryTaskDescriptor {
    private @Nullable String library;
    private @Nullable String function;
    private Object[] parameters = {};
    private Access[] access = {};

    /** Of this library. */
    public LibraryTaskDescriptor withLibrary(String libraryName) {
        library = libraryName;
        return this;
    }

    /** Of this function. */
    public LibraryTaskDescriptor withFunction(String functionName) {
        function = functionName;
        return this;
    }

    /** Boxed numbers, and arrays for pointers. */
    public LibraryTaskDescriptor withParameters(Object[] parameters) {
        this.parameters = parameters;
        return this;
    }

    /** One for each parameter. */
    public LibraryTaskDescriptor withAccess(Access[] access) {
        this.access = access;
        return this;
    }

    /** The library. */
    public @Nullable String getLibraryName() {
        return library;
    }

    /** The function. */
    public @Nullable String getFunctionName() {
        return function;
    }

    /** The arguments. */
    public Object[] getParameters() {
        return parameters;
    }

    /** What happens to each. */
    public Access[] getAccess() {
        return access;
    }
}
