package wan.jvm.onednn;

import java.lang.foreign.MemorySegment;
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
     * @param dtype of x and W, BF16, F32 or I8; bias is float32, y as {@link #sums} says
     * @param xStride elements from row to row of x
     * @param yStride elements from row to row of y
     */
    record Spec(DType dtype, int m, int k, int n, int xStride, int yStride, PostOp postOp) {}

    private static final int[] ROLES = {1, 33, 17}; // DNNL_ARG_SRC, WEIGHTS, DST
    private static final int[] ROLES_WITH_BIAS = {1, 33, 17, 41}; // and BIAS
    private static final int GELU_TANH = 43;
    private static final int SAME_TYPE = 0;

    private final OneDnnPrimitive primitive;
    private final boolean hasBias;
    private final String implementation;
    private final OneDnnPrimitive.@Nullable Binding[] bindings;

    OneDnnMatmul(OneDnnObjects objects, Spec spec, MemorySegment weights, int threads) {
        MemorySegment x = objects.matrix(spec.dtype, spec.m, spec.k, spec.xStride, 1);
        MemorySegment y = objects.matrix(sums(spec.dtype), spec.m, spec.n, spec.yStride, 1);
        MemorySegment bias =
                spec.postOp.hasBias() ? objects.matrix(DType.F32, 1, spec.n, spec.n, 1) : MemorySegment.NULL;
        MemorySegment description = objects.matmul(x, weights, bias, y, attributes(objects, spec.postOp));
        hasBias = spec.postOp.hasBias();
        primitive = hasBias
                ? new OneDnnPrimitive(objects, description, ROLES_WITH_BIAS, new MemorySegment[] {x, weights, y, bias})
                : new OneDnnPrimitive(objects, description, ROLES, new MemorySegment[] {x, weights, y});
        implementation = objects.implementation(description);
        bindings = new OneDnnPrimitive.Binding[threads];
    }

    /** What products of numbers of that type are summed as. */
    static DType sums(DType dtype) {
        return dtype == DType.I8 ? DType.I32 : DType.F32;
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

    /**
     * Computes. All segments are native and begin where the matrices do; {@code bias} is read only where there is one.
     *
     * @param worker no two calls at once with the same one
     */
    void run(int worker, MemorySegment x, MemorySegment weights, MemorySegment y, MemorySegment bias) {
        OneDnnPrimitive.Binding binding = bindings[worker];
        if (binding == null) {
            binding = primitive.new Binding();
            bindings[worker] = binding;
        }
        if (hasBias) {
            binding.run(x, weights, y, bias);
        } else {
            binding.run(x, weights, y);
        }
    }
}
