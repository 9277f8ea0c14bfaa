package tornado;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The functions of cuBLAS's library cublasLt that we call, as cublasLt.h declares them: enums are ints, objects pointers.
 *
 * <p>Looked for in the file that the system property {@value #PROPERTY} names, and where the system keeps its libraries.
 */
@SuppressWarnings("restricted") // calling C is what it is for
final class CublasLt {
    /** Names the library's file. */
    static final String PROPERTY = "wan.cublas.library";

    /** The first with 16-bit results of tensor cores behind every epilogue that is used. */
    private static final long LOWEST_VERSION = 120_000;

    private static final List<String> FILES = System.getProperty("os.name", "").startsWith("Windows")
            ? List.of("cublasLt64_13.dll", "cublasLt64_12.dll")
            : List.of("libcublasLt.so.13", "libcublasLt.so.12");

    private static final Map<String, FunctionDescriptor> SIGNATURES = Map.ofEntries(
            Map.entry("cublasLtGetVersion", FunctionDescriptor.of(JAVA_LONG)),
            Map.entry("cublasLtGetStatusString", FunctionDescriptor.of(ADDRESS, JAVA_INT)),
            Map.entry("cublasLtCreate", status(ADDRESS)),
            Map.entry("cublasLtDestroy", status(ADDRESS)),
            Map.entry("cublasLtMatmulDescCreate", status(ADDRESS, JAVA_INT, JAVA_INT)),
            Map.entry("cublasLtMatmulDescSetAttribute", status(ADDRESS, JAVA_INT, ADDRESS, JAVA_LONG)),
            Map.entry("cublasLtMatmulDescDestroy", status(ADDRESS)),
            Map.entry("cublasLtMatrixLayoutCreate", status(ADDRESS, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
            Map.entry("cublasLtMatrixLayoutDestroy", status(ADDRESS)),
            Map.entry("cublasLtMatmulPreferenceCreate", status(ADDRESS)),
            Map.entry("cublasLtMatmulPreferenceSetAttribute", status(ADDRESS, JAVA_INT, ADDRESS, JAVA_LONG)),
            Map.entry("cublasLtMatmulPreferenceDestroy", status(ADDRESS)),
            Map.entry(
                    "cublasLtMatmulAlgoGetHeuristic",
                    status(ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, JAVA_INT, ADDRESS, ADDRESS)),
            Map.entry(
                    "cublasLtMatmul",
                    status(
                            ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS,
                            ADDRESS, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS)));

    private static @Nullable CublasLt loaded;

    private final NativeLibrary functions;
    private final long version;

    private static FunctionDescriptor status(MemoryLayout... parameters) {
        return FunctionDescriptor.of(JAVA_INT, parameters);
    }

    /**
     * The functions of a library.
     *
     * @throws LibraryException if some are missing, or it is too old
     */
    CublasLt(SymbolLookup symbols) {
        functions = new NativeLibrary(Library.CUBLAS.title(), symbols, SIGNATURES);
        version = (long) functions.call("cublasLtGetVersion");
        if (version < LOWEST_VERSION) {
            throw new LibraryException(
                    "cuBLAS: expected version " + LOWEST_VERSION / 10_000 + " or newer, got " + version);
        }
    }

    /** As cuBLAS counts it: 130101 is 13.1.1. */
    long version() {
        return version;
    }

    /**
     * The system's library, loaded once per process.
     *
     * @throws LibraryException if it is not there or cannot be used
     */
    static synchronized CublasLt get() {
        CublasLt present = loaded;
        if (present == null) {
            present = new CublasLt(
                    NativeLibrary.find(Library.CUBLAS.title(), PROPERTY, FILES, "the CUDA toolkit's cuBLAS"));
            loaded = present;
        }
        return present;
    }

    /** Why the system's library cannot be used, or empty. */
    static String problem() {
        try {
            CublasLt _ = get();
            return "";
        } catch (LibraryException e) {
            return String.valueOf(e.getMessage());
        }
    }

    /**
     * Calls a function that says how it went.
     *
     * @param what it is for, for a message
     * @throws LibraryException if it went wrong
     */
    void check(String what, String function, Object... arguments) {
        int status = (int) functions.call(function, arguments);
        if (status != 0) {
            String text = ((MemorySegment) functions.call("cublasLtGetStatusString", status))
                    .reinterpret(200)
                    .getString(0);
            throw new LibraryException("cuBLAS: " + function + " of " + what + ": expected success, got status "
                    + status + " (" + text + ")");
        }
    }

    /** Makes an object by a function whose first parameter is where it goes. */
    MemorySegment create(String what, String function, Object... arguments) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment result = arena.allocate(ADDRESS);
            Object[] all = new Object[arguments.length + 1];
            all[0] = result;
            System.arraycopy(arguments, 0, all, 1, arguments.length);
            check(what, function, all);
            return result.get(ADDRESS, 0);
        }
    }
}
