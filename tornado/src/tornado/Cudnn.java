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
 * The functions of cuDNN's backend that we call, as cudnn_graph.h declares them: enums are ints, objects pointers.
 *
 * <p>Looked for in the file that the system property {@value #PROPERTY} names, and where the system keeps its libraries.
 */
final class Cudnn {
    /** Names the library's file. */
    static final String PROPERTY = "wan.cudnn.library";

    /** 9.15: the first whose attention takes page tables and lengths. */
    private static final long LOWEST_VERSION = 91_500;

    private static final List<String> FILES = System.getProperty("os.name", "").startsWith("Windows")
            ? List.of("cudnn64_9.dll")
            : List.of("libcudnn.so.9");

    private static final int MESSAGE_BYTES = 1024;

    private static final Map<String, FunctionDescriptor> SIGNATURES = Map.ofEntries(
            Map.entry("cudnnGetVersion", FunctionDescriptor.of(JAVA_LONG)),
            Map.entry("cudnnGetLastErrorString", FunctionDescriptor.ofVoid(ADDRESS, JAVA_LONG)),
            Map.entry("cudnnCreate", status(ADDRESS)),
            Map.entry("cudnnDestroy", status(ADDRESS)),
            Map.entry("cudnnSetStream", status(ADDRESS, ADDRESS)),
            Map.entry("cudnnBackendCreateDescriptor", status(JAVA_INT, ADDRESS)),
            Map.entry("cudnnBackendDestroyDescriptor", status(ADDRESS)),
            Map.entry("cudnnBackendSetAttribute", status(ADDRESS, JAVA_INT, JAVA_INT, JAVA_LONG, ADDRESS)),
            Map.entry("cudnnBackendGetAttribute", status(ADDRESS, JAVA_INT, JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS)),
            Map.entry("cudnnBackendFinalize", status(ADDRESS)),
            Map.entry("cudnnBackendExecute", status(ADDRESS, ADDRESS, ADDRESS)));

    private static @Nullable Cudnn loaded;

    private final NativeLibrary functions;

    private static FunctionDescriptor status(MemoryLayout... parameters) {
        return FunctionDescriptor.of(JAVA_INT, parameters);
    }

    /**
     * The functions of a library.
     *
     * @throws LibraryException if some are missing, or it is too old
     */
    Cudnn(SymbolLookup symbols) {
        functions = new NativeLibrary(Library.CUDNN.title(), symbols, SIGNATURES);
        long version = (long) functions.call("cudnnGetVersion");
        if (version < LOWEST_VERSION) {
            throw new LibraryException("cuDNN: expected version 9.15 or newer, got " + version);
        }
    }

    /**
     * The system's library, loaded once per process.
     *
     * @throws LibraryException if it is not there or cannot be used
     */
    static synchronized Cudnn get() {
        Cudnn present = loaded;
        if (present == null) {
            present = new Cudnn(NativeLibrary.find(Library.CUDNN.title(), PROPERTY, FILES, "cuDNN 9"));
            loaded = present;
        }
        return present;
    }

    /** Why the system's library cannot be used, or empty. */
    static String problem() {
        try {
            Cudnn _ = get();
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
            throw new LibraryException("cuDNN: " + function + " of " + what + ": expected success, got status " + status
                    + " (" + lastError() + ")");
        }
    }

    /** As {@link #check}, for what may fail. */
    boolean succeeds(String function, Object... arguments) {
        return (int) functions.call(function, arguments) == 0;
    }

    /** What cuDNN says of the last call that went wrong, in one line. */
    String lastError() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocate(MESSAGE_BYTES);
            functions.call("cudnnGetLastErrorString", text, (long) MESSAGE_BYTES - 1);
            return text.getString(0).strip().replaceAll("\\s+", " ");
        }
    }

    /** A handle for the current device, whose work goes to a stream. */
    MemorySegment handle(long stream) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment result = arena.allocate(ADDRESS);
            check("a device", "cudnnCreate", result);
            MemorySegment handle = result.get(ADDRESS, 0);
            check("a device", "cudnnSetStream", handle, MemorySegment.ofAddress(stream));
            return handle;
        }
    }

    /** A new descriptor of a type. */
    MemorySegment descriptor(String what, int type) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment result = arena.allocate(ADDRESS);
            check(what, "cudnnBackendCreateDescriptor", type, result);
            return result.get(ADDRESS, 0);
        }
    }
}
