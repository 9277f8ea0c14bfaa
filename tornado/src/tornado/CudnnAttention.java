package tornado;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.op.DType;

/**
 * One attention of cuDNN, described and compiled once and run on any addresses: o = softmax(q k^T / sqrt(headDim)) v, with q, k and v in
 * float16, and logits and sums in float32. Everything is read and written where our kernels have it, by strides.
 *
 * <ul>
 *   <li>q: [batch, queries, heads, headDim]
 *   <li>k and v: rows [heads, headDim] of tokens. Either as many rows as there are keys, one after the other, or, with a
 *       {@link Shape#block}, blocks of so many rows in any order, listed in a table on the device.
 *   <li>o: [batch, queries, heads, headDim]
 * </ul>
 *
 * <p>For {@link Shape#masses}, v is [batch, keys, columns], the same for all heads, and o is [batch, heads, queries, columns].
 */
final class CudnnAttention implements AutoCloseable {
    /** Floats of workspace that there are for it; NVIDIA's engines ask for 256 bytes at most (9.24). */
    static final int WORKSPACE = 1 << 16;

    /** An address in the workspace is a multiple of it. */
    private static final int WORKSPACE_ALIGNMENT = 256;

    /** Most rows of a block; it is a power of two. */
    static final int LARGEST_BLOCK = 128;

    private static final int MOST_ENGINES = 8;

    /**
     * What it attends to.
     *
     * @param queries of one sample
     * @param keys of one sample
     * @param sampleRows rows of k and v from one sample to the next
     * @param block rows of a block, or 0 where all follow one another
     * @param columns channels of v and o
     * @param result the type of o
     * @param masses whether v says which group a key is in
     */
    record Shape(
            int batch,
            int heads,
            int headDim,
            int queries,
            int keys,
            int sampleRows,
            int block,
            int columns,
            DType result,
            boolean masses) {
        @Override
        public String toString() {
            return "q [" + batch + ", " + queries + ", " + heads + ", " + headDim + "], " + keys + " keys"
                    + (block > 0 ? " in blocks of " + block : "") + (masses ? ", masses of " + columns : "") + ", to "
                    + result.option();
        }

        int blocks() {
            return keys / block;
        }
    }

    /**
     * Where everything is on the device.
     *
     * @param table with blocks: queries of each sample, keys of each sample, and blocks of each sample, counted from k
     */
    record Places(long q, long k, long v, long o, long table, long workspace, long workspaceBytes) {}

    /**
     * What plans are made for.
     *
     * @param handle of the device, or null
     * @param properties a finalised descriptor of the properties of a device that is not there, or null
     */
    record Device(@Nullable MemorySegment handle, @Nullable MemorySegment properties) {}

    /** {@code cudnnBackendDescriptorType_t}. */
    private static final int ENGINE_CONFIG = 3;

    private static final int HEURISTICS = 4;
    private static final int PLAN = 5;
    private static final int GRAPH = 15;
    private static final int VARIANT_PACK = 16;
    private static final int TENSOR = 17;
    private static final int SDPA_FORWARD = 41;

    /** {@code cudnnBackendAttributeType_t}. */
    private static final int HANDLE = 0;

    private static final int DATA_TYPE = 1;
    private static final int BOOLEAN = 2;
    private static final int INT64 = 3;
    private static final int VOID_PTR = 6;
    private static final int HEURISTICS_MODE = 8;
    private static final int DESCRIPTOR = 15;

    /** {@code cudnnBackendAttributeName_t}. */
    private static final int HEURISTICS_MODE_OF = 200;

    private static final int HEURISTICS_GRAPH = 201;
    private static final int HEURISTICS_RESULTS = 202;
    private static final int HEURISTICS_DEVICE = 204;
    private static final int PLAN_HANDLE = 400;
    private static final int PLAN_CONFIG = 401;
    private static final int PLAN_WORKSPACE = 402;
    private static final int PLAN_DEVICE = 407;
    private static final int GRAPH_HANDLE = 800;
    private static final int GRAPH_OPERATIONS = 801;
    private static final int TENSOR_ALIGNMENT = 900;
    private static final int TENSOR_TYPE = 901;
    private static final int TENSOR_DIMENSIONS = 902;
    private static final int TENSOR_STRIDES = 903;
    private static final int TENSOR_ID = 906;
    private static final int TENSOR_BY_VALUE = 908;
    private static final int PACK_IDS = 1000;
    private static final int PACK_POINTERS = 1001;
    private static final int PACK_WORKSPACE = 1003;

    /** {@code CUDNN_HEUR_MODE_A}. */
    private static final int MODE_A = 3;

    /** Of {@code cudnnDataType_t}; {@link #type} has the others. */
    private static final int TYPE_INT32 = 4;

    /** Tensors, and attributes of the operation that they are. */
    private enum Operand {
        Q(2800),
        K(2801),
        V(2802),
        O(2803),
        SCALE(2805),
        K_TABLE(2807),
        V_TABLE(2808),
        QUERIES(2809),
        KEYS(2810);

        private final int attribute;

        Operand(int attribute) {
            this.attribute = attribute;
        }

        /** Of a tensor in the graph: any number, if each has its own. */
        long id() {
            return attribute;
        }
    }

    private final Cudnn library;
    private final Device device;
    private final Shape shape;
    private final Arena arena = Arena.ofShared();
    private final List<MemorySegment> descriptors = new ArrayList<>();
    private final List<Operand> operands = new ArrayList<>();
    private final MemorySegment operation;
    private final MemorySegment scale;
    private final MemorySegment plan;
    private long workspaceBytes;

    /**
     * Has it compiled.
     *
     * @throws LibraryException if cuDNN has no engine for it
     */
    CudnnAttention(Cudnn library, Device device, Shape shape) {
        this.library = library;
        this.device = device;
        this.shape = shape;
        scale = arena.allocateFrom(JAVA_FLOAT, (float) (1 / Math.sqrt(shape.headDim())));
        operation = descriptor(SDPA_FORWARD);
        describe();
        finish(operation);
        MemorySegment graph = descriptor(GRAPH);
        setDevice(graph, GRAPH_HANDLE, -1);
        set(graph, GRAPH_OPERATIONS, DESCRIPTOR, 1, arena.allocateFrom(ADDRESS, operation));
        finish(graph);
        plan = plan(graph);
    }

    /** Adds the tensors to the operation. */
    private void describe() {
        long batch = shape.batch();
        long heads = shape.heads();
        long dim = shape.headDim();
        long columns = shape.columns();
        long queries = shape.queries();
        long row = heads * dim;
        add(Operand.Q, type(DType.F16), new long[] {batch, heads, queries, dim}, queries * row, dim, row);
        boolean blocks = shape.block() > 0;
        long[] keys = blocks
                ? new long[] {batch * shape.sampleRows() / shape.block(), heads, shape.block(), dim}
                : new long[] {batch, heads, shape.keys(), dim};
        long outer = (blocks ? shape.block() : shape.sampleRows()) * row;
        add(Operand.K, type(DType.F16), keys, outer, dim, row);
        long[] result = {batch, heads, queries, columns};
        if (shape.masses()) {
            long[] values = {batch, 1, shape.keys(), columns};
            add(Operand.V, type(DType.F16), values, shape.keys() * columns, columns, columns);
            add(Operand.O, type(shape.result()), result, heads * queries * columns, queries * columns, columns);
        } else {
            add(Operand.V, type(DType.F16), keys, outer, dim, row);
            add(Operand.O, type(shape.result()), result, queries * row, dim, row);
        }
        add(Operand.SCALE, type(DType.F32), new long[] {1, 1, 1, 1}, 1, 1, 1);
        if (blocks) {
            add(Operand.QUERIES, TYPE_INT32, new long[] {batch, 1, 1, 1}, 1, 1, 1);
            add(Operand.KEYS, TYPE_INT32, new long[] {batch, 1, 1, 1}, 1, 1, 1);
            long[] table = {batch, 1, shape.blocks(), 1};
            add(Operand.K_TABLE, TYPE_INT32, table, shape.blocks(), shape.blocks(), 1);
            if (!shape.masses()) {
                add(Operand.V_TABLE, TYPE_INT32, table, shape.blocks(), shape.blocks(), 1);
            }
        }
    }

    private void add(Operand operand, int type, long[] dimensions, long... strides) {
        MemorySegment tensor = descriptor(TENSOR);
        set(tensor, TENSOR_TYPE, DATA_TYPE, 1, arena.allocateFrom(JAVA_INT, type));
        set(tensor, TENSOR_DIMENSIONS, INT64, 4, arena.allocateFrom(JAVA_LONG, dimensions));
        set(tensor, TENSOR_STRIDES, INT64, 4, arena.allocateFrom(JAVA_LONG, strides[0], strides[1], strides[2], 1));
        set(tensor, TENSOR_ID, INT64, 1, arena.allocateFrom(JAVA_LONG, operand.id()));
        // TornadoVM's arrays begin behind a header of 16 bytes, and so does all that has channels; a table may begin at
        // any int.
        boolean channels = type != TYPE_INT32 && operand != Operand.SCALE;
        set(tensor, TENSOR_ALIGNMENT, INT64, 1, arena.allocateFrom(JAVA_LONG, channels ? 16 : 4));
        if (operand == Operand.SCALE) {
            set(tensor, TENSOR_BY_VALUE, BOOLEAN, 1, arena.allocateFrom(JAVA_BYTE, (byte) 1));
        }
        finish(tensor);
        set(operation, operand.attribute, DESCRIPTOR, 1, arena.allocateFrom(ADDRESS, tensor));
        operands.add(operand);
    }

    /** Of the engines that are recommended, the first that takes the graph and our workspace. */
    private MemorySegment plan(MemorySegment graph) {
        MemorySegment heuristics = descriptor(HEURISTICS);
        set(heuristics, HEURISTICS_GRAPH, DESCRIPTOR, 1, arena.allocateFrom(ADDRESS, graph));
        set(heuristics, HEURISTICS_MODE_OF, HEURISTICS_MODE, 1, arena.allocateFrom(JAVA_INT, MODE_A));
        setDevice(heuristics, -1, HEURISTICS_DEVICE);
        finish(heuristics);
        MemorySegment configs = arena.allocate(ADDRESS, MOST_ENGINES);
        for (int i = 0; i < MOST_ENGINES; i++) {
            configs.setAtIndex(ADDRESS, i, descriptor(ENGINE_CONFIG));
        }
        MemorySegment found = arena.allocate(JAVA_LONG);
        get(heuristics, HEURISTICS_RESULTS, DESCRIPTOR, MOST_ENGINES, found, configs);
        for (int i = 0; i < Math.min(found.get(JAVA_LONG, 0), MOST_ENGINES); i++) {
            MemorySegment candidate = descriptor(PLAN);
            setDevice(candidate, PLAN_HANDLE, PLAN_DEVICE);
            set(candidate, PLAN_CONFIG, DESCRIPTOR, 1, arena.allocateFrom(ADDRESS, configs.getAtIndex(ADDRESS, i)));
            if (library.succeeds("cudnnBackendFinalize", candidate)) {
                MemorySegment bytes = arena.allocate(JAVA_LONG);
                get(candidate, PLAN_WORKSPACE, INT64, 1, found.asSlice(0), bytes);
                if (bytes.get(JAVA_LONG, 0) <= 4L * WORKSPACE - WORKSPACE_ALIGNMENT) {
                    workspaceBytes = bytes.get(JAVA_LONG, 0);
                    return candidate;
                }
            }
        }
        String why = library.lastError();
        throw new LibraryException("cuDNN: expected an engine for attention " + shape + ", got none"
                + (why.isEmpty() ? "" : " (" + why + ")"));
    }

    /** {@code cudnnDataType_t}. */
    static int type(DType dtype) {
        return switch (dtype) {
            case F16 -> 2;
            case BF16 -> 9;
            default -> 0;
        };
    }

    /** The other way round. */
    static DType dtype(int type) {
        return switch (type) {
            case 2 -> DType.F16;
            case 9 -> DType.BF16;
            default -> DType.F32;
        };
    }

    private MemorySegment descriptor(int type) {
        MemorySegment fresh = library.descriptor(shape.toString(), type);
        descriptors.add(fresh);
        return fresh;
    }

    private void set(MemorySegment descriptor, int attribute, int type, long count, MemorySegment values) {
        library.check(shape.toString(), "cudnnBackendSetAttribute", descriptor, attribute, type, count, values);
    }

    private void get(
            MemorySegment descriptor, int attribute, int type, long most, MemorySegment count, MemorySegment values) {
        library.check(shape.toString(), "cudnnBackendGetAttribute", descriptor, attribute, type, most, count, values);
    }

    /** Says for which device a descriptor is; -1 where it does not take the one or the other. */
    private void setDevice(MemorySegment descriptor, int byHandle, int byProperties) {
        MemorySegment handle = device.handle();
        MemorySegment properties = device.properties();
        if (handle != null && byHandle >= 0) {
            set(descriptor, byHandle, HANDLE, 1, arena.allocateFrom(ADDRESS, handle));
        }
        if (properties != null && byProperties >= 0) {
            set(descriptor, byProperties, DESCRIPTOR, 1, arena.allocateFrom(ADDRESS, properties));
        }
    }

    private void finish(MemorySegment descriptor) {
        library.check(shape.toString(), "cudnnBackendFinalize", descriptor);
    }

    /** Bytes of workspace that it takes. */
    long workspaceBytes() {
        return workspaceBytes;
    }

    /** Queues it. */
    void run(Places places) {
        long workspace = (places.workspace() + WORKSPACE_ALIGNMENT - 1) & -WORKSPACE_ALIGNMENT;
        if (workspace + workspaceBytes > places.workspace() + places.workspaceBytes()) {
            throw new LibraryException("cuDNN: expected " + workspaceBytes + " bytes of workspace for attention "
                    + shape + ", got " + places.workspaceBytes());
        }
        MemorySegment pack = library.descriptor(shape.toString(), VARIANT_PACK);
        try (Arena call = Arena.ofConfined()) {
            MemorySegment ids = call.allocate(JAVA_LONG, operands.size());
            MemorySegment pointers = call.allocate(ADDRESS, operands.size());
            for (int i = 0; i < operands.size(); i++) {
                ids.setAtIndex(JAVA_LONG, i, operands.get(i).id());
                pointers.setAtIndex(ADDRESS, i, MemorySegment.ofAddress(address(operands.get(i), places)));
            }
            set(pack, PACK_IDS, INT64, operands.size(), ids);
            set(pack, PACK_POINTERS, VOID_PTR, operands.size(), pointers);
            MemorySegment room = call.allocateFrom(ADDRESS, MemorySegment.ofAddress(workspace));
            set(pack, PACK_WORKSPACE, VOID_PTR, 1, room);
            finish(pack);
            MemorySegment handle = device.handle();
            library.check(
                    shape.toString(), "cudnnBackendExecute", handle == null ? MemorySegment.NULL : handle, plan, pack);
        } finally {
            library.check(shape.toString(), "cudnnBackendDestroyDescriptor", pack);
        }
    }

    private long address(Operand operand, Places places) {
        return switch (operand) {
            case Q -> places.q();
            case K -> places.k();
            case V -> places.v();
            case O -> places.o();
            case SCALE -> scale.address();
            case QUERIES -> places.table();
            case KEYS -> places.table() + 4L * shape.batch();
            case K_TABLE, V_TABLE -> places.table() + 8L * shape.batch();
        };
    }

    @Override
    public void close() {
        descriptors.reversed().forEach(each -> library.check(shape.toString(), "cudnnBackendDestroyDescriptor", each));
        arena.close();
    }
}
