package uk.ac.manchester.tornado.api;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.runtime.common.TornadoXPUDevice;
import uk.ac.manchester.tornado.runtime.library.spi.TornadoNativeStreamSupport;

/**
 * A device that brings the functions of cublasLt and cuDNN along, as C finds them: each is a Java method behind a pointer. What the device calls an
 * address is the number of an array and a place in it. Only in the shim.
 */
@SuppressWarnings({"restricted", "unused"}) // called by name, from C
final class EmulatedCublas implements TornadoXPUDevice, TornadoNativeStreamSupport, SymbolLookup, AutoCloseable {
    private static final int SUCCESS = 0;
    private static final int INVALID_VALUE = 7;
    private static final int EXECUTION_FAILED = 13;
    private static final int NOT_SUPPORTED = 15;

    private static final int COMPUTE_F32 = 68;
    private static final int F32 = 0;
    private static final int F16 = 2;
    static final int BF16 = 14;
    private static final int E4M3 = 28;

    private static final int TRANS_A = 3;
    private static final int TRANS_B = 4;
    private static final int EPILOGUE = 7;
    private static final int BIAS_POINTER = 8;
    private static final int A_SCALE_POINTER = 17;
    private static final int B_SCALE_POINTER = 18;
    private static final int BIAS_DATA_TYPE = 26;
    private static final int A_SCALE_MODE = 31;
    private static final int B_SCALE_MODE = 32;
    private static final int OUTER_VECTOR = 3;
    private static final int MAX_WORKSPACE = 1;
    private static final int MIN_ALIGNMENT_A = 5;
    private static final int BIAS = 4;
    private static final int GELU = 32;

    private static final int ARRAY_BITS = 40;
    /** Of TornadoVM's arrays, as long as their header. */
    private static final int ALIGNMENT = 16;

    private static final int WORKSPACE_ALIGNMENT = 256;

    private record Layout(int type, long rows, long columns, long stride) {}

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

    private static FunctionDescriptor status(MemoryLayout... parameters) {
        return FunctionDescriptor.of(JAVA_INT, parameters);
    }

    private final Arena arena = Arena.ofAuto();
    private final Map<String, MemorySegment> functions = new HashMap<>();
    /** Layouts, and attributes of descriptors and preferences by their numbers, by the pointers that callers have. */
    private final Map<Long, Object> objects = new HashMap<>();

    private long lastObject;
    private Object[] arrays = {};
    private final List<Runnable> queued = new ArrayList<>();
    private final EmulatedCudnn cudnn = new EmulatedCudnn(this);
    private int matmuls;

    @Override
    public Optional<MemorySegment> find(String name) {
        FunctionDescriptor ofCudnn = Emulator.passesFor("no-cudnn") ? null : EmulatedCudnn.SIGNATURES.get(name);
        if (ofCudnn != null) {
            return Optional.of(pointer(cudnn, name, ofCudnn));
        }
        FunctionDescriptor signature = SIGNATURES.get(name);
        if (signature == null || Emulator.passesFor("no-cublas")) {
            return Optional.empty();
        }
        return Optional.of(pointer(this, name, signature));
    }

    private MemorySegment pointer(Object of, String name, FunctionDescriptor signature) {
        return functions.computeIfAbsent(name, missing -> {
            try {
                MethodType type = signature.toMethodType();
                MethodHandle method = MethodHandles.privateLookupIn(of.getClass(), MethodHandles.lookup())
                        .bind(of, name, type);
                return Linker.nativeLinker().upcallStub(method, signature, arena);
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException(name, e);
            }
        });
    }

    /** The addresses of the arrays among arguments, and which those are. */
    static long[] addresses(Object[] arguments, boolean[] isReference) {
        long[] pointers = new long[arguments.length];
        for (int i = 0; i < arguments.length; i++) {
            isReference[i] = !(arguments[i] instanceof Number || arguments[i] instanceof Boolean);
            pointers[i] = isReference[i] ? (long) (i + 1) << ARRAY_BITS | ALIGNMENT : 0;
        }
        return pointers;
    }

    /** What has been queued since this was asked: work on arguments with the device's arrays. */
    Consumer<Object[]> takeQueued() {
        List<Runnable> work = List.copyOf(queued);
        queued.clear();
        return arguments -> {
            arrays = arguments;
            work.forEach(Runnable::run);
        };
    }

    @Override
    public void close() {
        if (!objects.isEmpty() || !cudnn.isEmpty()) {
            throw new IllegalStateException("objects of cublasLt or cuDNN were not destroyed: " + objects.size());
        }
    }

    /** Queues work. */
    void queue(Runnable work) {
        queued.add(work);
    }

    private MemorySegment at(MemorySegment address, long bytes) {
        long place = address.address();
        if (place % ALIGNMENT != 0) {
            throw new IllegalArgumentException("an address that is no multiple of " + ALIGNMENT);
        }
        return at(place, bytes);
    }

    /** Memory of the device, while queued work runs. */
    MemorySegment at(long place, long bytes) {
        Object array = arrays[Math.toIntExact(place >> ARRAY_BITS) - 1];
        MemorySegment all = switch (array) {
            case FloatArray floats -> floats.getSegment();
            case ShortArray shorts -> shorts.getSegment();
            default -> ((IntArray) array).getSegment();
        };
        return all.asSlice((place & (1L << ARRAY_BITS) - 1) - ALIGNMENT, bytes);
    }

    private int create(MemorySegment result, Object object) {
        objects.put(++lastObject, object);
        result.reinterpret(8).set(ADDRESS, 0, MemorySegment.ofAddress(lastObject));
        return SUCCESS;
    }

    private int destroy(MemorySegment object) {
        return objects.remove(object.address()) == null ? INVALID_VALUE : SUCCESS;
    }

    @SuppressWarnings("unchecked")
    private Map<Integer, Long> attributes(MemorySegment object) {
        return (Map<Integer, Long>) Objects.requireNonNull(objects.get(object.address()));
    }

    private int set(MemorySegment object, int attribute, MemorySegment value, long bytes) {
        MemorySegment there = value.reinterpret(bytes);
        attributes(object).put(attribute, bytes == 8 ? there.get(JAVA_LONG, 0) : (long) there.get(JAVA_INT, 0));
        return SUCCESS;
    }

    private long cublasLtGetVersion() {
        return Emulator.passesFor("old-cublas") ? 110_600 : Emulator.passesFor("cublas-12.8") ? 120_800 : 130_100;
    }

    private MemorySegment cublasLtGetStatusString(int status) {
        return arena.allocateFrom(status == EXECUTION_FAILED ? "CUBLAS_STATUS_EXECUTION_FAILED" : "status " + status);
    }

    private int cublasLtCreate(MemorySegment handle) {
        return create(handle, "handle");
    }

    private int cublasLtDestroy(MemorySegment handle) {
        return destroy(handle);
    }

    private int cublasLtMatmulDescCreate(MemorySegment descriptor, int compute, int scale) {
        return compute == COMPUTE_F32 && scale == F32 ? create(descriptor, new HashMap<>()) : NOT_SUPPORTED;
    }

    private int cublasLtMatmulDescSetAttribute(
            MemorySegment descriptor, int attribute, MemorySegment value, long bytes) {
        return set(descriptor, attribute, value, bytes);
    }

    private int cublasLtMatmulDescDestroy(MemorySegment descriptor) {
        return destroy(descriptor);
    }

    private int cublasLtMatrixLayoutCreate(MemorySegment layout, int type, long rows, long columns, long stride) {
        return stride < rows ? INVALID_VALUE : create(layout, new Layout(type, rows, columns, stride));
    }

    private int cublasLtMatrixLayoutDestroy(MemorySegment layout) {
        return destroy(layout);
    }

    private int cublasLtMatmulPreferenceCreate(MemorySegment preference) {
        return create(preference, new HashMap<>());
    }

    private int cublasLtMatmulPreferenceSetAttribute(
            MemorySegment preference, int attribute, MemorySegment value, long bytes) {
        return set(preference, attribute, value, bytes);
    }

    private int cublasLtMatmulPreferenceDestroy(MemorySegment preference) {
        return destroy(preference);
    }

    /** One algorithm, for callers that do not promise more of their addresses than holds. */
    private int cublasLtMatmulAlgoGetHeuristic(
            MemorySegment handle,
            MemorySegment descriptor,
            MemorySegment a,
            MemorySegment b,
            MemorySegment c,
            MemorySegment d,
            MemorySegment preference,
            int requested,
            MemorySegment results,
            MemorySegment found) {
        boolean promises = false;
        for (int i = 0; i < 4; i++) {
            promises |= attributes(preference).getOrDefault(MIN_ALIGNMENT_A + i, 256L) > ALIGNMENT;
        }
        if (!takes(attributes(descriptor), layout(a), layout(b), layout(d)) || Emulator.passesFor("no-hopper")) {
            return NOT_SUPPORTED;
        }
        boolean none = promises || !attributes(preference).containsKey(MAX_WORKSPACE);
        found.reinterpret(4).set(JAVA_INT, 0, none ? 0 : 1);
        results.reinterpret(64).fill((byte) 7);
        return SUCCESS;
    }

    private Layout layout(MemorySegment object) {
        return (Layout) Objects.requireNonNull(objects.get(object.address()));
    }

    /** Of two factors of 8 bits what cublasLt's documentation allows on a GPU of compute capability 9.0; of others all that comes. */
    private static boolean takes(Map<Integer, Long> how, Layout a, Layout b, Layout d) {
        if (a.type() != E4M3) {
            return !how.containsKey(A_SCALE_POINTER) && !how.containsKey(B_SCALE_POINTER);
        }
        return b.type() == E4M3
                && (d.type() == F32 || d.type() == BF16)
                && a.rows() % 16 == 0
                && d.rows() % 16 == 0
                && how.getOrDefault(A_SCALE_MODE, 0L) == OUTER_VECTOR
                && how.getOrDefault(B_SCALE_MODE, 0L) == OUTER_VECTOR
                && how.getOrDefault(BIAS_DATA_TYPE, (long) d.type()) == BF16;
    }

    private int cublasLtMatmul(
            MemorySegment handle,
            MemorySegment descriptor,
            MemorySegment alpha,
            MemorySegment a,
            MemorySegment aLayout,
            MemorySegment b,
            MemorySegment bLayout,
            MemorySegment beta,
            MemorySegment c,
            MemorySegment cLayout,
            MemorySegment d,
            MemorySegment dLayout,
            MemorySegment algorithm,
            MemorySegment workspace,
            long workspaceBytes,
            MemorySegment stream) {
        if (Emulator.passesFor("fails-cublas-" + ++matmuls)) {
            return EXECUTION_FAILED;
        }
        Map<Integer, Long> how = Map.copyOf(attributes(descriptor));
        if (how.get(TRANS_A) != 1
                || how.get(TRANS_B) != 0
                || algorithm.reinterpret(64).get(JAVA_INT, 60) == 0) {
            return NOT_SUPPORTED;
        }
        float alphaValue = alpha.reinterpret(4).get(JAVA_FLOAT_UNALIGNED, 0);
        float betaValue = beta.reinterpret(4).get(JAVA_FLOAT_UNALIGNED, 0);
        Layout left = layout(aLayout);
        Layout right = layout(bLayout);
        Layout result = layout(dLayout);
        if (!takes(how, left, right, result) || workspace.address() % WORKSPACE_ALIGNMENT != 0) {
            return NOT_SUPPORTED;
        }
        queued.add(() -> {
            multiply(how, alphaValue, left, a, right, b, betaValue, result, d);
            at(workspace, workspaceBytes).fill((byte) 0xff);
        });
        return SUCCESS;
    }

    /** d = epilogue(alpha a^T b + beta d), by columns. */
    private void multiply(
            Map<Integer, Long> how,
            float alpha,
            Layout a,
            MemorySegment aAt,
            Layout b,
            MemorySegment bAt,
            float beta,
            Layout d,
            MemorySegment dAt) {
        int inner = Math.toIntExact(a.rows());
        int m = Math.toIntExact(a.columns());
        int n = Math.toIntExact(b.columns());
        if (b.rows() != inner || d.rows() != m || d.columns() != n || a.type() != b.type()) {
            throw new TornadoRuntimeException("layouts that do not fit together");
        }
        float[] left = floats(a, aAt);
        float[] right = floats(b, bAt);
        MemorySegment result = at(dAt, bytes(d));
        long epilogue = how.get(EPILOGUE);
        float[] bias = (epilogue & BIAS) == 0
                ? new float[m]
                : floats(
                        new Layout(Math.toIntExact(how.getOrDefault(BIAS_DATA_TYPE, (long) d.type())), m, 1, m),
                        MemorySegment.ofAddress(how.get(BIAS_POINTER)));
        float[] rows = scales(how.get(A_SCALE_POINTER), m);
        float[] columns = scales(how.get(B_SCALE_POINTER), n);
        for (int j = 0; j < n; j++) {
            for (int i = 0; i < m; i++) {
                float sum = 0;
                for (int k = 0; k < inner; k++) {
                    sum += left[Math.toIntExact(i * a.stride() + k)] * right[Math.toIntExact(j * b.stride() + k)];
                }
                long at = j * d.stride() + i;
                float value = alpha * sum * rows[i] * columns[j]
                        + (beta == 0 ? 0 : beta * get(result, d.type(), at))
                        + bias[i];
                if ((epilogue & GELU) != 0) {
                    double u = Math.sqrt(2 / Math.PI) * (value + 0.044715 * value * value * value);
                    value = (float) (0.5 * value * (1 + Math.tanh(u)));
                }
                set(result, d.type(), at, value);
            }
        }
        if (Emulator.passesFor("wrong-cublas")) {
            set(result, d.type(), 0, get(result, d.type(), 0) + 1);
        }
    }

    private float[] scales(@Nullable Long pointer, int count) {
        if (pointer != null) {
            return floats(new Layout(F32, count, 1, count), MemorySegment.ofAddress(pointer));
        }
        float[] none = new float[count];
        Arrays.fill(none, 1);
        return none;
    }

    private static long bytes(Layout layout) {
        int bytes = layout.type() == F32 ? 4 : layout.type() == E4M3 ? 1 : 2;
        return (layout.stride() * (layout.columns() - 1) + layout.rows()) * bytes;
    }

    private float[] floats(Layout layout, MemorySegment address) {
        MemorySegment from = at(address, bytes(layout));
        float[] values = new float[Math.toIntExact(layout.stride() * (layout.columns() - 1) + layout.rows())];
        for (int i = 0; i < values.length; i++) {
            values[i] = get(from, layout.type(), i);
        }
        return values;
    }

    static float get(MemorySegment from, int type, long at) {
        return switch (type) {
            case F32 -> from.get(JAVA_FLOAT_UNALIGNED, 4 * at);
            case F16 -> Float.float16ToFloat(from.get(JAVA_SHORT_UNALIGNED, 2 * at));
            case BF16 -> Float.intBitsToFloat(from.get(JAVA_SHORT_UNALIGNED, 2 * at) << 16);
            case E4M3 -> ofE4m3(from.get(JAVA_BYTE, at) & 0xff);
            default -> throw new TornadoRuntimeException("no type " + type);
        };
    }

    private static float ofE4m3(int pattern) {
        int exponent = pattern >> 3 & 0xf;
        int mantissa = pattern & 7;
        double size = (exponent == 0 ? mantissa : 8 + mantissa) * Math.pow(2, Math.max(1, exponent) - 10);
        boolean isNan = (pattern & 0x7f) == 0x7f;
        return isNan ? Float.NaN : (float) (pattern < 0x80 ? size : -size);
    }

    static void set(MemorySegment to, int type, long at, float value) {
        switch (type) {
            case F32 -> to.set(JAVA_FLOAT_UNALIGNED, 4 * at, value);
            case F16 -> to.set(JAVA_SHORT_UNALIGNED, 2 * at, Float.floatToFloat16(value));
            default -> {
                int bits = Float.floatToRawIntBits(value);
                int roundedUp = bits + 0x7fff + ((bits >>> 16) & 1); // ties to even
                short pattern = (short) ((Float.isNaN(value) ? bits | 0x400000 : roundedUp) >>> 16);
                to.set(JAVA_SHORT_UNALIGNED, 2 * at, pattern);
            }
        }
    }

    @Override
    public long getNativeStream(long executionPlanId) {
        return 1;
    }

    @Override
    public String getDeviceName() {
        return "emulator";
    }

    @Override
    public String getDescription() {
        return getDeviceName();
    }

    @Override
    public String getPlatformName() {
        return getDeviceName();
    }

    @Override
    public TornadoDeviceType getDeviceType() {
        return TornadoDeviceType.GPU;
    }

    @Override
    public long getMaxAllocMemory() {
        return 0;
    }

    @Override
    public long getMaxGlobalMemory() {
        return 0;
    }
}
