package tornado;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;

/** Functions of a library of C. */
@SuppressWarnings("restricted") // calling C is what it is for
final class NativeLibrary {
    private final Map<String, MethodHandle> functions = new HashMap<>();

    /**
     * The functions of a library.
     *
     * @param title what the library is called in messages
     * @throws LibraryException if some are missing
     */
    NativeLibrary(String title, SymbolLookup symbols, Map<String, FunctionDescriptor> signatures) {
        new TreeMap<>(signatures).forEach((name, signature) -> {
            MemorySegment address = symbols.find(name)
                    .orElseThrow(() -> new LibraryException(
                            title + ": expected a library with the function " + name + ", got none"));
            functions.put(name, Linker.nativeLinker().downcallHandle(address, signature));
        });
    }

    /**
     * The library in the file that a system property names, or else in the first of these where the system keeps its libraries.
     *
     * @param title what the library is called in messages
     * @param source what has it, for a message
     * @throws LibraryException if it is not there
     */
    static SymbolLookup find(String title, String property, List<String> files, String source) {
        String named = System.getProperty(property, "");
        List<String> names = named.isEmpty() ? files : List.of(named);
        return names.stream()
                .map(NativeLibrary::lookup)
                .flatMap(Optional::stream)
                .findFirst()
                .orElseThrow(() -> new LibraryException(title + ": expected " + String.join(" or ", names)
                        + " where the system finds libraries, got none; install " + source + " or name the"
                        + " file with WAN_ATTN_JAVA_OPTS=-D" + property + "=FILE"));
    }

    private static Optional<SymbolLookup> lookup(String file) {
        try {
            return Optional.of(SymbolLookup.libraryLookup(file, Arena.global()));
        } catch (IllegalArgumentException e) { // the system has none of this name
            return Optional.empty();
        }
    }

    /** Calls a function. */
    Object call(String function, Object... arguments) {
        try {
            return Objects.requireNonNull(functions.get(function)).invokeWithArguments(arguments);
        } catch (Throwable e) {
            throw new IllegalStateException(function, e);
        }
    }
}
