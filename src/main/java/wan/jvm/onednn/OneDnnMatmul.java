package wan.jvm.onednn;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import org.jspecify.annotations.Nullable;
import wan.op.DType;

/** One product of oneDNN, y = x W, with W laid out as {@link OneDnn.Layout} says. Computed on the calling thread. */
final class OneDnnMatmul {
    /** What happens to the sums. */
    enum PostOp {
        /** y = sums. */
        STORE,
        /** y = sums + bias. */
        BIAS,
        /** y = gelu(sums + bias), the tanh form. */
        BIAS_GELU,
        /** y += sums. */
        ADD;

        boolean hasBias() {
            return this == BIAS || this == BIAS_GELU;
        }
    }

    /**
     * Which product: x [m, k], W [k, n], y [m, n].
     *
     * @param dtype of x and W, BF16 or F32; sums, bias and y are float32 with both
     * @param xStride elements from row to row of x
     * @param yStride elements from row to row of y
     */
    record Spec(DType dtype, int m, int k, int n, int xStride, int yStride, PostOp postOp) {}

    private static final int[] ROLES = {1, 33, 17, 80, 41}; // DNNL_ARG_SRC, WEIGHTS, DST, SCRATCHPAD, BIAS
    private static final int SCRATCHPAD = 3;
    private static final int BIAS = 4;
    private static final int GELU_TANH = 43;
    private static final int SAME_TYPE = 0;

    private final OneDnnObjects objects;
    private final MemorySegment primitive;
    /** Matrices in the order of {@link #ROLES}; the last only where there is a bias. */
    private final MemorySegment[] matrices;

    private final String implementation;
    private final MethodHandle execute;
    private final MethodHandle setHandle;
    private final @Nullable Binding[] bindings;

    OneDnnMatmul(OneDnnObjects objects, Spec spec, MemorySegment weights, int threads) {
        this.objects = objects;
        MemorySegment x = objects.matrix(spec.dtype, spec.m, spec.k, spec.xStride, 1);
        MemorySegment y = objects.matrix(DType.F32, spec.m, spec.n, spec.yStride, 1);
        MemorySegment bias =
                spec.postOp.hasBias() ? objects.matrix(DType.F32, 1, spec.n, spec.n, 1) : MemorySegment.NULL;
        MemorySegment description = objects.matmul(x, weights, bias, y, attributes(objects, spec.postOp));
        primitive = objects.primitive(description);
        implementation = objects.implementation(description);
        MemorySegment scratchpad = objects.scratchpad(description);
        matrices = spec.postOp.hasBias()
                ? new MemorySegment[] {x, weights, y, scratchpad, bias}
                : new MemorySegment[] {x, weights, y, scratchpad};
        bindings = new Binding[threads];
        execute = objects.library().function("dnnl_primitive_execute");
        setHandle = objects.library().function("dnnl_memory_set_data_handle");
    }

    private static MemorySegment attributes(OneDnnObjects objects, PostOp postOp) {
        MemorySegment operations = objects.create("dnnl_post_ops_create", "dnnl_post_ops_destroy");
        if (postOp == PostOp.BIAS_GELU) {
            objects.library().check("dnnl_post_ops_append_eltwise", operations, GELU_TANH, 0f, 0f);
        } else if (postOp == PostOp.ADD) {
            objects.library().check("dnnl_post_ops_append_sum", operations, 1f, 0, SAME_TYPE);
        }
        MemorySegment attributes = objects.attributes();
        objects.library().check("dnnl_primitive_attr_set_post_ops", attributes, operations);
        return attributes;
    }

    /** The name of oneDNN's kernel. */
    String implementation() {
        return implementation;
    }

    /** What one worker hands to the primitive: the pointers change, the objects stay. */
    private final class Binding {
        final MemorySegment stream = objects.stream();
        final MemorySegment[] memories = new MemorySegment[matrices.length];
        final MemorySegment arguments;

        Binding() {
            for (int i = 0; i < memories.length; i++) {
                MemorySegment data = i == SCRATCHPAD ? objects.allocate(matrices[i]) : MemorySegment.NULL;
                memories[i] = objects.memory(matrices[i], data);
            }
            arguments = objects.arguments(ROLES, memories);
        }

        void point(int which, MemorySegment data) throws Throwable {
            int status = (int) setHandle.invokeExact(memories[which], data);
            OneDnnLibrary.checkStatus("dnnl_memory_set_data_handle", status);
        }
    }

    /**
     * Computes. All segments are native and begin where the matrices do; {@code bias} is read only where there is one.
     *
     * @param worker no two calls at once with the same one
     */
    void run(int worker, MemorySegment x, MemorySegment weights, MemorySegment y, MemorySegment bias) {
        Binding binding = bindings[worker];
        if (binding == null) {
            binding = new Binding();
            bindings[worker] = binding;
        }
        int before = objects.library().useThisThreadOnly();
        try {
            binding.point(0, x);
            binding.point(1, weights);
            binding.point(2, y);
            if (matrices.length > BIAS) {
                binding.point(BIAS, bias);
            }
            int status = (int) execute.invokeExact(primitive, binding.stream, matrices.length, binding.arguments);
            OneDnnLibrary.checkStatus("dnnl_primitive_execute", status);
        } catch (Throwable e) {
            throw OneDnnLibrary.failed("dnnl_primitive_execute", e);
        } finally {
            objects.library().restore(before);
        }
    }
}
