package wan.jvm.onednn;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Deque;
import wan.op.DType;

/** Objects of oneDNN with one lifetime: destroyed, last first, when this is closed. For as many threads as the arena. */
final class OneDnnObjects implements AutoCloseable {
    /** dnnl_exec_arg_t: an int, padding, a pointer. */
    private static final int ARG_BYTES = 16;
    /** DNNL_MAX_NDIMS. */
    private static final int DIMS = 12;

    private static final int FORMAT_ANY = 1;
    private static final int SCRATCHPAD_OURS = 1;
    private static final int STREAM_DEFAULT = 1;
    private static final int QUERY_IMPLEMENTATION = 8;
    private static final int QUERY_WEIGHTS = 131;
    private static final int QUERY_SCRATCHPAD = 136;

    private final OneDnnLibrary library;
    private final Arena arena;
    private final Deque<Runnable> destroyers = new ArrayDeque<>();

    /** None yet; closes the arena with them. */
    OneDnnObjects(OneDnnLibrary library, Arena arena) {
        this.library = library;
        this.arena = arena;
    }

    OneDnnLibrary library() {
        return library;
    }

    /** Calls {@code function(&object, args)}; {@code destroyer(object)} follows when this is closed. */
    synchronized MemorySegment create(String function, String destroyer, Object... args) {
        Object[] all = new Object[args.length + 1];
        System.arraycopy(args, 0, all, 1, args.length);
        try (Arena slots = Arena.ofConfined()) {
            MemorySegment slot = slots.allocate(ValueLayout.ADDRESS);
            all[0] = slot;
            int before = library.useThisThreadOnly();
            try {
                library.check(function, all);
            } finally {
                library.restore(before);
            }
            MemorySegment object = slot.get(ValueLayout.ADDRESS, 0);
            destroyers.push(() -> library.check(destroyer, object));
            return object;
        }
    }

    private static int type(DType dtype) {
        return switch (dtype) {
            case BF16 -> 2;
            case F32 -> 3;
            case I32 -> 4;
            case I8 -> 5;
            default -> throw new IllegalArgumentException("oneDNN is not given " + dtype);
        };
    }

    private static MemorySegment pair(Arena arena, long first, long second) {
        MemorySegment dims = arena.allocate(ValueLayout.JAVA_LONG, DIMS);
        dims.setAtIndex(ValueLayout.JAVA_LONG, 0, first);
        dims.setAtIndex(ValueLayout.JAVA_LONG, 1, second);
        return dims;
    }

    /** A matrix [rows, columns] with these distances, in elements. */
    MemorySegment matrix(DType dtype, int rows, int columns, int rowStride, int columnStride) {
        try (Arena dims = Arena.ofConfined()) {
            return create(
                    "dnnl_memory_desc_create_with_strides",
                    "dnnl_memory_desc_destroy",
                    2,
                    pair(dims, rows, columns),
                    type(dtype),
                    pair(dims, rowStride, columnStride));
        }
    }

    /** A matrix whose layout oneDNN may choose. */
    MemorySegment anyMatrix(DType dtype, int rows, int columns) {
        try (Arena dims = Arena.ofConfined()) {
            return create(
                    "dnnl_memory_desc_create_with_tag",
                    "dnnl_memory_desc_destroy",
                    2,
                    pair(dims, rows, columns),
                    type(dtype),
                    FORMAT_ANY);
        }
    }

    /** Bytes of a matrix. */
    long bytes(MemorySegment matrix) {
        return library.size("dnnl_memory_desc_get_size", matrix);
    }

    /** Attributes that make the scratchpad an argument: oneDNN's own is not meant for several threads. */
    MemorySegment attributes() {
        MemorySegment attributes = create("dnnl_primitive_attr_create", "dnnl_primitive_attr_destroy");
        library.check("dnnl_primitive_attr_set_scratchpad_mode", attributes, SCRATCHPAD_OURS);
        return attributes;
    }

    /** What y = x w + bias is, {@code bias} perhaps {@link MemorySegment#NULL}. */
    MemorySegment matmul(
            MemorySegment x, MemorySegment w, MemorySegment bias, MemorySegment y, MemorySegment attributes) {
        return create(
                "dnnl_matmul_primitive_desc_create",
                "dnnl_primitive_desc_destroy",
                library.engine(),
                x,
                w,
                bias,
                y,
                attributes);
    }

    /** What copying from one layout and type to another is. */
    MemorySegment reorder(MemorySegment from, MemorySegment to) {
        return create(
                "dnnl_reorder_primitive_desc_create",
                "dnnl_primitive_desc_destroy",
                from,
                library.engine(),
                to,
                library.engine(),
                attributes());
    }

    /** What has been described, ready to run. */
    MemorySegment primitive(MemorySegment description) {
        return create("dnnl_primitive_create", "dnnl_primitive_destroy", description);
    }

    /** The matrix of weights that oneDNN chose. */
    MemorySegment weights(MemorySegment description) {
        return library.pointer("dnnl_primitive_desc_query_md", description, QUERY_WEIGHTS, 0);
    }

    /** The matrix of scratch that a primitive needs. */
    MemorySegment scratchpad(MemorySegment description) {
        return library.pointer("dnnl_primitive_desc_query_md", description, QUERY_SCRATCHPAD, 0);
    }

    /** The name of oneDNN's kernel. */
    String implementation(MemorySegment description) {
        try (Arena slots = Arena.ofConfined()) {
            MemorySegment slot = slots.allocate(ValueLayout.ADDRESS);
            library.check("dnnl_primitive_desc_query", description, QUERY_IMPLEMENTATION, 0, slot);
            return OneDnnLibrary.string(slot.get(ValueLayout.ADDRESS, 0));
        }
    }

    MemorySegment stream() {
        return create("dnnl_stream_create", "dnnl_stream_destroy", library.engine(), STREAM_DEFAULT);
    }

    MemorySegment memory(MemorySegment matrix, MemorySegment data) {
        return create("dnnl_memory_create", "dnnl_memory_destroy", matrix, library.engine(), data);
    }

    /** Memory for a matrix, on a cache line. */
    MemorySegment allocate(MemorySegment matrix) {
        long bytes = bytes(matrix);
        return bytes == 0 ? MemorySegment.NULL : arena.allocate(bytes, 64);
    }

    /** The arguments of a primitive: {@code memories[i]} as what {@code roles[i]} says. */
    MemorySegment arguments(int[] roles, MemorySegment[] memories) {
        MemorySegment arguments = arena.allocate((long) ARG_BYTES * memories.length, 8);
        for (int i = 0; i < memories.length; i++) {
            arguments.set(ValueLayout.JAVA_INT, (long) ARG_BYTES * i, roles[i]);
            arguments.set(ValueLayout.ADDRESS, (long) ARG_BYTES * i + 8, memories[i]);
        }
        return arguments;
    }

    @Override
    public synchronized void close() {
        while (!destroyers.isEmpty()) {
            destroyers.pop().run();
        }
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
