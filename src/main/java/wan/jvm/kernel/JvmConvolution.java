package wan.jvm.kernel;

import org.jspecify.annotations.Nullable;
import wan.op.Convolution;
import wan.op.TensorView;
import wan.op.WanException;

/** A convolution's parameters: the stored tensors, and their packed form from the first use on. */
public final class JvmConvolution implements Convolution {
    private final TensorView weight;
    private final float[] bias;
    private final int kernelFrames;
    private final int kernelRows;
    private final int kernelColumns;
    private volatile float @Nullable [] packed;

    public JvmConvolution(TensorView weight, TensorView bias) {
        int rank = weight.shape().rank();
        if ((rank != 4 && rank != 5)
                || weight.shape().size() == 0
                || weight.shape().dim(-1) % 2 == 0
                || weight.shape().dim(-2) % 2 == 0) {
            throw WanException.mismatch(
                    "convolution " + weight.name(), "[out, in, (frames,) odd, odd]", weight.shape(), "");
        }
        if (bias.shape().rank() != 1 || bias.shape().dim(0) != weight.shape().dim(0)) {
            throw WanException.mismatch(
                    "convolution " + bias.name(), "[" + weight.shape().dim(0) + "]", bias.shape(), "");
        }
        this.weight = weight;
        this.bias = bias.toFloats();
        kernelFrames = rank == 5 ? weight.shape().dim(2) : 1;
        kernelRows = weight.shape().dim(-2);
        kernelColumns = weight.shape().dim(-1);
    }

    @Override
    public int inChannels() {
        return weight.shape().dim(1);
    }

    @Override
    public int outChannels() {
        return bias.length;
    }

    @Override
    public int kernelFrames() {
        return kernelFrames;
    }

    @Override
    public int kernelRows() {
        return kernelRows;
    }

    public int kernelColumns() {
        return kernelColumns;
    }

    /** Terms of a sum over one frame of the kernel: in * rows * columns. */
    public int depth() {
        return inChannels() * kernelRows * kernelColumns;
    }

    public String name() {
        return weight.name();
    }

    /** [out, in, frames, rows, columns] in C order. */
    public TensorView weight() {
        return weight;
    }

    public float[] bias() {
        return bias;
    }

    /** What {@link Kernels#pack(JvmConvolution)} made of the weights; made now if this is the first use. */
    public float[] packed(Kernels kernels) {
        float[] present = packed;
        if (present == null) {
            synchronized (this) {
                present = packed;
                if (present == null) {
                    present = kernels.pack(this);
                    weight.unload();
                    packed = present;
                }
            }
        }
        return present;
    }
}
