package wan.selftest;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.Supplier;
import wan.backend.Storage;
import wan.op.DType;
import wan.op.Dyn;
import wan.op.Float8;
import wan.op.HalfFormat;
import wan.op.KvTensor;
import wan.op.Linear;
import wan.op.ObservedOps;
import wan.op.Ops;
import wan.op.Scope;
import wan.op.Tensor;
import wan.op.TensorView;

/** What a backend computes from weights, keys and values that have been rounded: what {@link Storage} means. */
public final class RoundedOps extends ObservedOps {
    private final Storage storage;

    /** Closing this closes {@code ops}. */
    public RoundedOps(Ops ops, Storage storage) {
        super(ops);
        this.storage = storage;
    }

    @Override
    protected Tensor observe(String op, double flops, Supplier<Tensor> call) {
        return call.get();
    }

    @Override
    public Linear linearWeights(TensorView weight, TensorView bias) {
        float[] values = weight.toFloats();
        if (storage.weights() == DType.F8_E4M3) {
            Float8.roundRows(values, weight.shape().dim(0));
        } else {
            values = rounded(values, storage.weights());
        }
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        return super.linearWeights(
                new TensorView(weight.name(), DType.F32, weight.shape(), MemorySegment.ofBuffer(bytes)), bias);
    }

    /** Rounded like all others. */
    @Override
    public Linear preciseLinearWeights(TensorView weight, TensorView bias) {
        return linearWeights(weight, bias);
    }

    @Override
    public void append(KvTensor cache, Tensor k, Tensor v, Dyn pages) {
        try (Scope _ = scope()) {
            super.append(cache, rounded(k), rounded(v), pages);
        }
    }

    private Tensor rounded(Tensor tensor) {
        Tensor result = scratch(tensor.shape());
        write(result, rounded(read(tensor), storage.cache()));
        return result;
    }

    private static float[] rounded(float[] values, DType dtype) {
        if (dtype != DType.F32) {
            HalfFormat format = HalfFormat.of(dtype);
            for (int i = 0; i < values.length; i++) {
                values[i] = format.round(values[i]);
            }
        }
        return values;
    }
}
