package wan.jvm.kernel;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;
import wan.op.DType;
import wan.op.Linear;
import wan.op.TensorView;
import wan.op.WanException;

/** A linear layer's parameters: the stored tensors, and their packed form from the first use on. */
public final class JvmLinear implements Linear {
    private final TensorView weight;
    private final float[] bias;
    private final int inFeatures;
    private final boolean precise;
    private volatile MemorySegment @Nullable [] packed;

    public JvmLinear(TensorView weight, TensorView bias) {
        this(weight, bias, false);
    }

    /** @param precise whether the layer is not to be multiplied in 8 bits */
    public JvmLinear(TensorView weight, TensorView bias, boolean precise) {
        if (weight.shape().rank() < 2 || weight.shape().size() == 0) {
            throw WanException.mismatch("linear " + weight.name(), "[out, in]", weight.shape(), "");
        }
        if (bias.shape().rank() != 1 || bias.shape().dim(0) != weight.shape().dim(0)) {
            throw WanException.mismatch(
                    "linear " + bias.name(), "[" + weight.shape().dim(0) + "]", bias.shape(), "");
        }
        this.weight = weight;
        this.bias = bias.toFloats();
        this.precise = precise;
        this.inFeatures = Math.toIntExact(weight.shape().size() / weight.shape().dim(0));
    }

    @Override
    public int inFeatures() {
        return inFeatures;
    }

    @Override
    public int outFeatures() {
        return bias.length;
    }

    public String name() {
        return weight.name();
    }

    /** [out, in] in C order, whatever the axes of the stored tensor. */
    public TensorView weight() {
        return weight;
    }

    public float[] bias() {
        return bias;
    }

    /** Whether the layer is not to be multiplied in 8 bits. */
    public boolean isPrecise() {
        return precise;
    }

    /** Whether the stored weights are bfloat16, which kernels may keep. */
    public boolean isBfloat16() {
        return weight.dtype() == DType.BF16;
    }

    /** What {@link Kernels#pack} made of the weights; made now if this is the first use. */
    public MemorySegment[] packed(Kernels kernels) {
        MemorySegment[] present = packed;
        if (present == null) {
            synchronized (this) {
                present = packed;
                if (present == null) {
                    present = kernels.pack(this);
                    packed = present;
                }
            }
        }
        return present;
    }
}
