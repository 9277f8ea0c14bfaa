package wan.jvm.onednn;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import wan.op.UsageException;
import wan.op.WanException;

/**
 * The C library oneDNN 3 and how its functions are called; loaded on first use, once per process.
 *
 * <p>Looked for in the file that the system property {@value #PROPERTY} names, in the folder {@code onednn} beside our jar, and
 * where the system keeps its libraries.
 */
@SuppressWarnings("restricted") // calling C is what it is for
final class OneDnnLibrary {
    /** Names the library's file. */
    static final String PROPERTY = "wan.onednn.library";

    static final String HOW_TO = "mvn -Ponednn -DskipTests package puts it into the folder onednn beside wan-attn.jar"
            + " (Linux on x86-64); elsewhere install oneDNN 3 and name it with WAN_ATTN_JAVA_OPTS=-D" + PROPERTY
            + "=FILE";

    private static final String FILE = System.getProperty("os.name", "").startsWith("Linux")
            ? "libdnnl.so.3"
            : System.getProperty("os.name", "").startsWith("Mac") ? "libdnnl.3.dylib" : "dnnl.dll";

    /** dnnl_version_t: three ints, a string, two unsigned: the runtimes of CPU and GPU. */
    private static final int VERSION_BYTES = 32;

    private static final int CPU_RUNTIME_OFFSET = 24;
    private static final int RUNTIME_SEQUENTIAL = 1;
    private static final int RUNTIME_OPENMP = 2;
    private static final int ENGINE_CPU = 1;
    private static final int ISA_BF16 = 0x80;
    private static final int ISA_VNNI = 0x48; // AVX512_VNNI or AVX_VNNI
    private static final int ISA_AMX = 0xe00;

    private static @Nullable OneDnnLibrary loaded;

    /** All functions that we call, as dnnl.h declares them: enums are ints, objects pointers. */
    private static final Map<String, FunctionDescriptor> SIGNATURES = Map.ofEntries(
            Map.entry("dnnl_version", FunctionDescriptor.of(ADDRESS)),
            Map.entry("dnnl_get_effective_cpu_isa", FunctionDescriptor.of(JAVA_INT)),
            Map.entry("dnnl_engine_create", status(ADDRESS, JAVA_INT, JAVA_LONG)),
            Map.entry("dnnl_stream_create", status(ADDRESS, ADDRESS, JAVA_INT)),
            Map.entry("dnnl_stream_destroy", status(ADDRESS)),
            Map.entry("dnnl_memory_desc_create_with_strides", status(ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, ADDRESS)),
            Map.entry("dnnl_memory_desc_create_with_tag", status(ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT)),
            Map.entry("dnnl_memory_desc_destroy", status(ADDRESS)),
            Map.entry("dnnl_memory_desc_get_size", FunctionDescriptor.of(JAVA_LONG, ADDRESS)),
            Map.entry("dnnl_memory_create", status(ADDRESS, ADDRESS, ADDRESS, ADDRESS)),
            Map.entry("dnnl_memory_set_data_handle", status(ADDRESS, ADDRESS)),
            Map.entry("dnnl_memory_destroy", status(ADDRESS)),
            Map.entry("dnnl_post_ops_create", status(ADDRESS)),
            Map.entry("dnnl_post_ops_append_eltwise", status(ADDRESS, JAVA_INT, JAVA_FLOAT, JAVA_FLOAT)),
            Map.entry("dnnl_post_ops_append_sum", status(ADDRESS, JAVA_FLOAT, JAVA_INT, JAVA_INT)),
            Map.entry("dnnl_post_ops_destroy", status(ADDRESS)),
            Map.entry("dnnl_primitive_attr_create", status(ADDRESS)),
            Map.entry("dnnl_primitive_attr_set_scratchpad_mode", status(ADDRESS, JAVA_INT)),
            Map.entry("dnnl_primitive_attr_set_post_ops", status(ADDRESS, ADDRESS)),
            Map.entry("dnnl_primitive_attr_destroy", status(ADDRESS)),
            Map.entry(
                    "dnnl_matmul_primitive_desc_create",
                    status(ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS)),
            Map.entry(
                    "dnnl_reorder_primitive_desc_create", status(ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS)),
            Map.entry("dnnl_primitive_desc_query", status(ADDRESS, JAVA_INT, JAVA_INT, ADDRESS)),
            Map.entry("dnnl_primitive_desc_query_md", FunctionDescriptor.of(ADDRESS, ADDRESS, JAVA_INT, JAVA_INT)),
            Map.entry("dnnl_primitive_desc_destroy", status(ADDRESS)),
            Map.entry("dnnl_primitive_create", status(ADDRESS, ADDRESS)),
            Map.entry("dnnl_primitive_execute", status(ADDRESS, ADDRESS, JAVA_INT, ADDRESS)),
            Map.entry("dnnl_primitive_destroy", status(ADDRESS)));

    private final Map<String, MethodHandle> functions;
    private final @Nullable MethodHandle getThreads;
    private final @Nullable MethodHandle setThreads;
    private final String version;
    private final int isa;
    private final MemorySegment engine;

    private static FunctionDescriptor status(MemoryLayout... parameters) {
        return FunctionDescriptor.of(JAVA_INT, parameters);
    }

    private OneDnnLibrary(SymbolLookup symbols, String origin) {
        Map<String, MethodHandle> found = new HashMap<>();
        SIGNATURES.forEach((name, signature) -> found.put(
                name,
                handle(symbols, name, signature)
                        .orElseThrow(() -> new UsageException(
                                "expected oneDNN 3, got a library without the function " + name + " in " + origin))));
        functions = Map.copyOf(found);
        MemorySegment about = pointer("dnnl_version").reinterpret(VERSION_BYTES);
        version = about.get(JAVA_INT, 0) + "." + about.get(JAVA_INT, 4) + "." + about.get(JAVA_INT, 8);
        int runtime = about.get(JAVA_INT, CPU_RUNTIME_OFFSET);
        boolean usable = runtime == RUNTIME_SEQUENTIAL || runtime == RUNTIME_OPENMP;
        if (about.get(JAVA_INT, 0) != 3 || !usable) {
            throw new UsageException("expected oneDNN 3 built for OpenMP or one thread, got " + version
                    + " with CPU runtime " + runtime + " in " + origin);
        }
        getThreads = handle(symbols, "omp_get_max_threads", FunctionDescriptor.of(JAVA_INT))
                .orElse(null);
        setThreads = handle(symbols, "omp_set_num_threads", FunctionDescriptor.ofVoid(JAVA_INT))
                .orElse(null);
        isa = integer("dnnl_get_effective_cpu_isa");
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment slot = arena.allocate(ADDRESS);
            check("dnnl_engine_create", slot, ENGINE_CPU, 0L);
            engine = slot.get(ADDRESS, 0);
        }
    }

    private static Optional<MethodHandle> handle(SymbolLookup symbols, String name, FunctionDescriptor signature) {
        return symbols.find(name).map(address -> Linker.nativeLinker().downcallHandle(address, signature));
    }

    /**
     * The library.
     *
     * @throws UsageException if it is not there or is another one than we can use
     */
    static synchronized OneDnnLibrary get() {
        OneDnnLibrary present = loaded;
        if (present == null) {
            present = load();
            loaded = present;
        }
        return present;
    }

    private static OneDnnLibrary load() {
        String named = System.getProperty(PROPERTY, "");
        Path file = named.isEmpty() ? besideJar() : Path.of(named);
        if (!named.isEmpty() && !Files.isRegularFile(file)) {
            throw new UsageException("no file " + named + ", which " + PROPERTY + " names");
        }
        boolean known = Files.isRegularFile(file);
        try {
            SymbolLookup symbols = known
                    ? SymbolLookup.libraryLookup(file, Arena.global())
                    : SymbolLookup.libraryLookup(FILE, Arena.global());
            return new OneDnnLibrary(symbols, known ? file.toString() : FILE);
        } catch (IllegalArgumentException e) {
            throw new UsageException(
                    known
                            ? file + " does not load: " + e.getMessage()
                            : "the library oneDNN is not there: neither " + file + " nor " + FILE
                                    + " among the system's; " + HOW_TO);
        }
    }

    private static Path besideJar() {
        try {
            Path code = Path.of(OneDnnLibrary.class
                    .getProtectionDomain()
                    .getCodeSource()
                    .getLocation()
                    .toURI());
            return code.resolveSibling("onednn").resolve(FILE);
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    /** {@code 3.11.0}. */
    String version() {
        return version;
    }

    /** Whether the processor multiplies bfloat16 itself; else oneDNN emulates it, slowly. */
    boolean hasBfloat16() {
        return (isa & ISA_BF16) != 0;
    }

    /**
     * Whether the processor sums four products of bytes in 32 bits. Without that oneDNN adds pairs of them in 16 bits, which
     * overflow and saturate.
     */
    boolean hasInt8() {
        return (isa & ISA_VNNI) != 0;
    }

    /** What of the processor oneDNN uses, in its own words. */
    String isa() {
        if ((isa & ISA_AMX) == ISA_AMX) {
            return "avx512_core_amx";
        }
        if (hasBfloat16()) {
            return "avx512_core_bf16";
        }
        return switch (isa) {
            case 0x67 -> "avx512_core_vnni";
            case 0x27 -> "avx512_core";
            case 0xf, 0x1f -> "avx2_vnni";
            case 0x7 -> "avx2";
            default -> "isa 0x" + Integer.toHexString(isa);
        };
    }

    /** The engine: the processor. */
    MemorySegment engine() {
        return engine;
    }

    /**
     * Calls a function that returns a status.
     *
     * @param args of the types in {@link #SIGNATURES}
     * @throws WanException if the status says so
     */
    void check(String function, Object... args) {
        int status;
        try {
            status = (int) function(function).invokeWithArguments(args);
        } catch (Throwable e) {
            throw failed(function, e);
        }
        checkStatus(function, status);
    }

    static void checkStatus(String function, int status) {
        if (status != 0) {
            String words = switch (status) {
                case 1 -> "out of memory";
                case 2 -> "invalid arguments";
                case 3 -> "not implemented";
                default -> "status " + status;
            };
            throw new WanException("oneDNN " + function + ": " + words);
        }
    }

    /** Calls a function that returns a pointer. */
    MemorySegment pointer(String function, Object... args) {
        try {
            return (MemorySegment) function(function).invokeWithArguments(args);
        } catch (Throwable e) {
            throw failed(function, e);
        }
    }

    /** Calls a function that returns a size. */
    long size(String function, Object... args) {
        try {
            return (long) function(function).invokeWithArguments(args);
        } catch (Throwable e) {
            throw failed(function, e);
        }
    }

    /** What a char pointer points to. */
    static String string(MemorySegment pointer) {
        return pointer.reinterpret(Long.MAX_VALUE).getString(0);
    }

    private int integer(String function) {
        try {
            return (int) function(function).invokeWithArguments();
        } catch (Throwable e) {
            throw failed(function, e);
        }
    }

    /**
     * Sees to it that what this thread executes or creates until {@link #restore} runs on it alone: the threads are ours, and with
     * one of oneDNN's own a result depends on nothing else.
     *
     * @return what to restore: the thread may be that of a program which uses OpenMP itself
     */
    int useThisThreadOnly() {
        if (getThreads == null || setThreads == null) {
            return 0;
        }
        try {
            int before = (int) getThreads.invokeExact();
            if (before != 1) {
                setThreads.invokeExact(1);
            }
            return before;
        } catch (Throwable e) {
            throw failed("omp_set_num_threads", e);
        }
    }

    /** Gives the calling thread back what it had before {@link #useThisThreadOnly}. */
    void restore(int before) {
        if (before > 1 && setThreads != null) {
            try {
                setThreads.invokeExact(before);
            } catch (Throwable e) {
                throw failed("omp_set_num_threads", e);
            }
        }
    }

    /** The function of that name, with the types that C declares. */
    MethodHandle function(String name) {
        return Objects.requireNonNull(functions.get(name), name);
    }

    static RuntimeException failed(String function, Throwable e) {
        return e instanceof RuntimeException runtime ? runtime : new IllegalStateException(function, e);
    }
}
