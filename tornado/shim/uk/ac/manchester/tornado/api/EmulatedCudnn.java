package uk.ac.manchester.tornado.api;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The backend of cuDNN as far as it makes an attention, beside {@link EmulatedCublas}, whose memory and queue it has. It refuses what cuDNN
 * 9.24 refuses: what is not described wholly, blocks that are no power of two, lengths of one kind only, other types, and heads that are no
 * multiple of 8. Only in the shim.
 */
@SuppressWarnings({"restricted", "unused"}) // called by name, from C
final class EmulatedCudnn {
    private static final int SUCCESS = 0;
    private static final int NOT_INITIALIZED = 1001;
    private static final int BAD_PARAM = 2000;
    private static final int NOT_SUPPORTED = 3000;
    private static final int EXECUTION_FAILED = 5000;

    private static final int ENGINE_CONFIG = 3;
    private static final int HEURISTICS = 4;
    private static final int PLAN = 5;
    private static final int GRAPH = 15;
    private static final int VARIANT_PACK = 16;
    private static final int TENSOR = 17;
    private static final int SDPA_FORWARD = 41;

    private static final int F32 = 0;
    private static final int F16 = 2;
    private static final int INT32 = 4;
    private static final int BF16 = 9;

    private static final int Q = 2800;
    private static final int K = 2801;
    private static final int V = 2802;
    private static final int O = 2803;
    private static final int SCALE = 2805;
    private static final int K_TABLE = 2807;
    private static final int V_TABLE = 2808;
    private static final int QUERIES = 2809;
    private static final int KEYS = 2810;

    private static final int WORKSPACE = 256;

    static final Map<String, FunctionDescriptor> SIGNATURES = Map.ofEntries(
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

    private static FunctionDescriptor status(MemoryLayout... parameters) {
        return FunctionDescriptor.of(JAVA_INT, parameters);
    }

    /** What has been set so far: integers, or pointers, by the number of the attribute. */
    private static final class Descriptor {
        private final int type;
        private final Map<Integer, long[]> attributes = new HashMap<>();
        private boolean finished;

        private Descriptor(int type) {
            this.type = type;
        }

        private long[] values(int attribute) {
            return Objects.requireNonNull(attributes.get(attribute));
        }

        private long value(int attribute) {
            return values(attribute)[0];
        }

        private boolean has(int... all) {
            return Arrays.stream(all).allMatch(attributes::containsKey);
        }
    }

    /** A tensor of an operation. */
    private record Tensor(int type, long[] dims, long[] strides, long id, long alignment) {
        private int dim(int axis) {
            return Math.toIntExact(dims[axis]);
        }

        private long place(long a, long b, long c, long d) {
            return a * strides[0] + b * strides[1] + c * strides[2] + d * strides[3];
        }

        private long bytes() {
            long last = 0;
            for (int i = 0; i < 4; i++) {
                last += (dims[i] - 1) * strides[i];
            }
            return (last + 1) * (type == F32 || type == INT32 ? 4 : 2);
        }
    }

    private final EmulatedCublas device;
    private final Map<Long, Descriptor> descriptors = new HashMap<>();
    private final Set<Long> handles = new HashSet<>();
    private long last;
    private String error = "";
    private int attentions;

    EmulatedCudnn(EmulatedCublas device) {
        this.device = device;
    }

    /** Whether everything was destroyed. */
    boolean isEmpty() {
        return descriptors.isEmpty() && handles.isEmpty();
    }

    private int refuse(int status, String why) {
        error = why;
        return status;
    }

    private @Nullable Descriptor of(MemorySegment pointer) {
        return descriptors.get(pointer.address());
    }

    private long cudnnGetVersion() {
        return Emulator.passesFor("old-cudnn") ? 90_100 : 92_400;
    }

    private void cudnnGetLastErrorString(MemorySegment text, long bytes) {
        MemorySegment to = text.reinterpret(bytes);
        to.setString(0, error.length() < bytes ? error : "");
    }

    private int cudnnCreate(MemorySegment result) {
        handles.add(++last);
        result.reinterpret(8).set(ADDRESS, 0, MemorySegment.ofAddress(last));
        return SUCCESS;
    }

    private int cudnnDestroy(MemorySegment handle) {
        return handles.remove(handle.address()) ? SUCCESS : BAD_PARAM;
    }

    private int cudnnSetStream(MemorySegment handle, MemorySegment stream) {
        return handles.contains(handle.address()) && stream.address() == 1 ? SUCCESS : BAD_PARAM;
    }

    private int cudnnBackendCreateDescriptor(int type, MemorySegment result) {
        descriptors.put(++last, new Descriptor(type));
        result.reinterpret(8).set(ADDRESS, 0, MemorySegment.ofAddress(last));
        return SUCCESS;
    }

    private int cudnnBackendDestroyDescriptor(MemorySegment descriptor) {
        return descriptors.remove(descriptor.address()) == null ? BAD_PARAM : SUCCESS;
    }

    private int cudnnBackendSetAttribute(
            MemorySegment descriptor, int attribute, int type, long count, MemorySegment values) {
        Descriptor to = of(descriptor);
        if (to == null || to.finished) {
            return refuse(BAD_PARAM, "a descriptor that is finalized, or none");
        }
        long[] all = new long[Math.toIntExact(count)];
        for (int i = 0; i < all.length; i++) {
            all[i] = switch (type) {
                case 1, 8 -> values.reinterpret(4L * count).getAtIndex(JAVA_INT, i);
                case 2 -> values.reinterpret(count).getAtIndex(JAVA_BYTE, i);
                case 0, 3, 6, 15 -> values.reinterpret(8L * count).getAtIndex(JAVA_LONG, i);
                default -> throw new IllegalArgumentException("attributes of type " + type);
            };
        }
        to.attributes.put(attribute, all);
        return SUCCESS;
    }

    private int cudnnBackendGetAttribute(
            MemorySegment descriptor, int attribute, int type, long most, MemorySegment count, MemorySegment values) {
        Descriptor from = of(descriptor);
        if (from == null || !from.finished || most < 1) {
            return refuse(NOT_INITIALIZED, "a descriptor that is not finalized");
        }
        count.reinterpret(8).set(JAVA_LONG, 0, 1);
        MemorySegment first = values.reinterpret(8);
        if (from.type == PLAN && attribute == 402) {
            first.set(JAVA_LONG, 0, WORKSPACE);
            return SUCCESS;
        }
        if (from.type != HEURISTICS || attribute != 202) {
            return refuse(BAD_PARAM, "attribute " + attribute);
        }
        String problem = problem(operation(from.value(201)));
        if (!problem.isEmpty()) {
            count.reinterpret(8).set(JAVA_LONG, 0, 0);
            error = problem;
            return SUCCESS;
        }
        Descriptor config = Objects.requireNonNull(of(first.get(ADDRESS, 0)));
        config.attributes.put(-1, new long[] {from.value(201)});
        config.finished = true;
        return SUCCESS;
    }

    private int cudnnBackendFinalize(MemorySegment descriptor) {
        Descriptor one = of(descriptor);
        if (one == null) {
            return refuse(BAD_PARAM, "no descriptor");
        }
        boolean whole = switch (one.type) {
            case TENSOR -> one.has(900, 901, 902, 903, 906) && one.values(902).length == 4;
            case SDPA_FORWARD ->
                one.has(Q, K, V, O)
                        && one.has(QUERIES) == one.has(KEYS)
                        && (one.has(KEYS) || !(one.has(K_TABLE) || one.has(V_TABLE)))
                        && isFinished(one);
            case GRAPH -> one.has(800, 801) && handles.contains(one.value(800)) && isFinished(one.value(801));
            case HEURISTICS -> one.has(200, 201) && isFinished(one.value(201));
            case PLAN -> one.has(401) && isFinished(one.value(401));
            case VARIANT_PACK -> one.has(1000, 1001, 1003) && one.values(1000).length == one.values(1001).length;
            default -> false;
        };
        if (!whole) {
            return refuse(BAD_PARAM, "a descriptor of type " + one.type + " that is not whole");
        }
        if (one.type == SDPA_FORWARD
                && one.has(K_TABLE)
                && Long.bitCount(tensor(one, K).dims()[2]) != 1) {
            return refuse(BAD_PARAM, "block size needs to be non-zero and a power of 2");
        }
        one.finished = true;
        return SUCCESS;
    }

    private boolean isFinished(long pointer) {
        Descriptor one = descriptors.get(pointer);
        return one != null && one.finished;
    }

    private boolean isFinished(Descriptor operation) {
        return operation.attributes.values().stream().allMatch(tensor -> isFinished(tensor[0]));
    }

    private Descriptor operation(long graph) {
        long operation = Objects.requireNonNull(descriptors.get(graph)).value(801);
        return Objects.requireNonNull(descriptors.get(operation));
    }

    private Tensor tensor(Descriptor operation, int attribute) {
        Descriptor tensor = Objects.requireNonNull(descriptors.get(operation.value(attribute)));
        return new Tensor(
                Math.toIntExact(tensor.value(901)),
                tensor.values(902),
                tensor.values(903),
                tensor.value(906),
                tensor.value(900));
    }

    /** Why no engine takes an attention, or empty. */
    private String problem(Descriptor operation) {
        Tensor q = tensor(operation, Q);
        Tensor k = tensor(operation, K);
        Tensor v = tensor(operation, V);
        Tensor o = tensor(operation, O);
        boolean paged = operation.has(K_TABLE);
        boolean types = (q.type() == F16 || q.type() == BF16)
                && k.type() == q.type()
                && v.type() == q.type()
                && (o.type() == F16 || o.type() == BF16 || o.type() == F32);
        if (!types) {
            return "SDPA only supports FP16/BF16/FP32 I/O";
        }
        boolean eights = q.dim(3) % 8 == 0 && q.dim(3) <= 256 && v.dim(3) % 8 == 0 && v.dim(3) <= 256;
        boolean aligned = true;
        for (Tensor each : new Tensor[] {q, k, v}) {
            aligned &= each.alignment() % 16 == 0 && each.strides()[3] == 1;
            for (int i = 0; i < 3; i++) {
                aligned &= each.strides()[i] % 8 == 0;
            }
        }
        if (!eights || !aligned) {
            return "head dimensions and strides have to be multiples of 8";
        }
        boolean heads = k.dim(1) == q.dim(1) && (v.dim(1) == q.dim(1) || v.dim(1) == 1);
        boolean samples = (paged || k.dim(0) == q.dim(0)) && (operation.has(V_TABLE) || v.dim(0) == q.dim(0));
        boolean keys = operation.has(V_TABLE) == paged ? k.dim(2) == v.dim(2) : paged;
        boolean result = o.dim(0) == q.dim(0) && o.dim(1) == q.dim(1) && o.dim(2) == q.dim(2) && o.dim(3) == v.dim(3);
        return heads && samples && keys && result && k.dim(3) == q.dim(3) ? "" : "dimensions do not fit together";
    }

    private int cudnnBackendExecute(MemorySegment handle, MemorySegment plan, MemorySegment pack) {
        if (Emulator.passesFor("fails-cudnn-" + ++attentions)) {
            return refuse(EXECUTION_FAILED, "the launch failed");
        }
        Descriptor how = of(plan);
        Descriptor with = of(pack);
        if (!handles.contains(handle.address()) || how == null || !how.finished || with == null || !with.finished) {
            return refuse(NOT_INITIALIZED, "a plan or a pack that is not finalized");
        }
        long config = how.value(401);
        Descriptor operation =
                operation(Objects.requireNonNull(descriptors.get(config)).value(-1));
        Map<Long, Long> pointers = new HashMap<>();
        for (int i = 0; i < with.values(1000).length; i++) {
            pointers.put(with.values(1000)[i], with.values(1001)[i]);
        }
        Map<Integer, Tensor> tensors = new HashMap<>();
        for (int attribute : operation.attributes.keySet()) {
            Tensor tensor = tensor(operation, attribute);
            tensors.put(attribute, tensor);
            Long pointer = pointers.get(tensor.id());
            if (pointer == null || pointer % tensor.alignment() != 0) {
                return refuse(BAD_PARAM, "tensor " + tensor.id() + " has no address, or one that is not aligned");
            }
        }
        float scale = MemorySegment.ofAddress(
                        Objects.requireNonNull(pointers.get(tensors.get(SCALE).id())))
                .reinterpret(4)
                .get(JAVA_FLOAT_UNALIGNED, 0);
        long workspace = with.value(1003);
        if (workspace % WORKSPACE != 0) {
            return refuse(BAD_PARAM, "a workspace that is not aligned");
        }
        device.queue(() -> {
            attend(tensors, pointers, scale);
            device.at(workspace, WORKSPACE).fill((byte) 0xff);
        });
        return SUCCESS;
    }

    private MemorySegment at(Map<Integer, Tensor> tensors, Map<Long, Long> pointers, int attribute) {
        Tensor tensor = Objects.requireNonNull(tensors.get(attribute));
        return device.at(Objects.requireNonNull(pointers.get(tensor.id())), tensor.bytes());
    }

    private static int integer(MemorySegment from, long index) {
        return from.get(JAVA_INT_UNALIGNED, 4 * index);
    }

    /** o = softmax(q k^T scale) v, with weights of v rounded as q is, as tensor cores take them. */
    private void attend(Map<Integer, Tensor> tensors, Map<Long, Long> pointers, float scale) {
        Tensor q = Objects.requireNonNull(tensors.get(Q));
        Tensor k = Objects.requireNonNull(tensors.get(K));
        Tensor v = Objects.requireNonNull(tensors.get(V));
        Tensor o = Objects.requireNonNull(tensors.get(O));
        MemorySegment ofQ = at(tensors, pointers, Q);
        MemorySegment ofK = at(tensors, pointers, K);
        MemorySegment ofV = at(tensors, pointers, V);
        MemorySegment ofO = at(tensors, pointers, O);
        boolean paged = tensors.containsKey(K_TABLE);
        for (int sample = 0; sample < q.dim(0); sample++) {
            int keys = k.dim(2);
            long[] rows = new long[keys];
            long[] valueRows = rows;
            if (paged) {
                keys = integer(at(tensors, pointers, KEYS), sample);
                if (integer(at(tensors, pointers, QUERIES), sample) != q.dim(2)) {
                    throw new IllegalStateException("queries beyond their length are not emulated");
                }
                Tensor table = Objects.requireNonNull(tensors.get(K_TABLE));
                MemorySegment blocks = at(tensors, pointers, K_TABLE);
                rows = new long[keys];
                valueRows = new long[keys];
                for (int key = 0; key < keys; key++) {
                    int block = integer(blocks, table.place(sample, 0, key / k.dim(2), 0));
                    if (block < 0 || block >= k.dim(0)) {
                        throw new IllegalStateException("block " + block + " of " + k.dim(0));
                    }
                    rows[key] = k.place(block, 0, key % k.dim(2), 0);
                    valueRows[key] = tensors.containsKey(V_TABLE)
                            ? v.place(block, 0, key % k.dim(2), 0)
                            : v.place(sample, 0, key, 0);
                }
            } else {
                valueRows = new long[keys];
                for (int key = 0; key < keys; key++) {
                    rows[key] = k.place(sample, 0, key, 0);
                    valueRows[key] = v.place(sample, 0, key, 0);
                }
            }
            for (int head = 0; head < q.dim(1); head++) {
                float[] keysOfHead = gather(ofK, k, rows, head * k.strides()[1]);
                float[] valuesOfHead = gather(ofV, v, valueRows, (v.dim(1) == 1 ? 0 : head) * v.strides()[1]);
                for (int query = 0; query < q.dim(2); query++) {
                    float[] one = gather(ofQ, q, new long[] {q.place(sample, head, query, 0)}, 0);
                    float[] sums = attend(one, keysOfHead, valuesOfHead, keys, v.dim(3), scale, q.type());
                    for (int c = 0; c < sums.length; c++) {
                        EmulatedCublas.set(ofO, layout(o.type()), o.place(sample, head, query, c), sums[c]);
                    }
                }
            }
        }
        if (Emulator.passesFor("wrong-cudnn")) {
            EmulatedCublas.set(ofO, layout(o.type()), 0, EmulatedCublas.get(ofO, layout(o.type()), 0) + 1);
        }
    }

    private static float[] attend(float[] q, float[] k, float[] v, int keys, int columns, float scale, int type) {
        float[] weights = new float[keys];
        float max = Float.NEGATIVE_INFINITY;
        for (int key = 0; key < keys; key++) {
            float dot = 0;
            for (int c = 0; c < q.length; c++) {
                dot += q[c] * k[key * q.length + c];
            }
            weights[key] = dot * scale;
            max = Math.max(max, weights[key]);
        }
        float total = 0;
        float[] sums = new float[columns];
        for (int key = 0; key < keys; key++) {
            float weight = (float) Math.exp(weights[key] - max);
            total += weight;
            float rounded = type == F16 ? Float.float16ToFloat(Float.floatToFloat16(weight)) : weight;
            for (int c = 0; c < columns; c++) {
                sums[c] += rounded * v[key * columns + c];
            }
        }
        for (int c = 0; c < columns; c++) {
            sums[c] /= total;
        }
        return sums;
    }

    private static float[] gather(MemorySegment from, Tensor tensor, long[] rows, long shift) {
        int channels = tensor.dim(3);
        float[] all = new float[rows.length * channels];
        for (int row = 0; row < rows.length; row++) {
            for (int c = 0; c < channels; c++) {
                all[row * channels + c] = EmulatedCublas.get(from, layout(tensor.type()), rows[row] + shift + c);
            }
        }
        return all;
    }

    /** {@code cudaDataType_t} of a {@code cudnnDataType_t}. */
    private static int layout(int type) {
        return type == BF16 ? EmulatedCublas.BF16 : type;
    }
}
