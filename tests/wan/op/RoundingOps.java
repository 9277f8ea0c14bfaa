package wan.op;

import java.lang.foreign.MemorySegment;
import java.util.function.Supplier;

/**
 * What a model in bfloat16 does at the least: parameters and the result of every operation rounded to it, sums float32 inside. (PyTorch
 * rounds more often: its modulated norm is four operations.)
 */
public final class RoundingOps extends ObservedOps {
    public RoundingOps(Ops ops) {
        super(ops);
    }

    private static TensorView rounded(TensorView view) {
        float[] values = view.toFloats();
        for (int i = 0; i < values.length; i++) {
            values[i] = HalfFormat.BF16.round(values[i]);
        }
        return new TensorView(view.name(), DType.F32, view.shape(), MemorySegment.ofArray(values));
    }

    private Tensor round(Tensor tensor) {
        float[] values = observed().read(tensor);
        for (int i = 0; i < values.length; i++) {
            values[i] = HalfFormat.BF16.round(values[i]);
        }
        observed().write(tensor, values);
        return tensor;
    }

    @Override
    protected Tensor observe(String op, double flops, Supplier<Tensor> call) {
        return round(call.get());
    }

    @Override
    public Tensor parameter(TensorView view) {
        return super.parameter(rounded(view));
    }

    @Override
    public Linear linearWeights(TensorView weight, TensorView bias) {
        return super.linearWeights(rounded(weight), rounded(bias));
    }

    @Override
    public Linear preciseLinearWeights(TensorView weight, TensorView bias) {
        return linearWeights(weight, bias);
    }

    @Override
    public void linearResidual(Tensor residual, Tensor x, Linear weights) {
        add(residual, linear(x, weights), new float[] {1}, 1, 1);
    }

    @Override
    public void linearGatedResidual(Tensor residual, Tensor x, Linear weights, Tensor modulation, int gateRow) {
        Shape shape = modulation.shape();
        float[] table = observed().read(modulation);
        float[] gates = new float[shape.dim(0) * shape.dim(2)];
        for (int entry = 0; entry < shape.dim(0); entry++) {
            System.arraycopy(
                    table, (entry * shape.dim(1) + gateRow) * shape.dim(2), gates, entry * shape.dim(2), shape.dim(2));
        }
        add(residual, linear(x, weights), gates, shape.dim(0), shape.dim(2));
    }

    /** residual += y * gate, with every step rounded; the gate is [entries, width]. */
    private void add(Tensor residual, Tensor y, float[] gates, int entries, int width) {
        float[] sums = observed().read(residual);
        float[] added = observed().read(y);
        int dim = residual.shape().dim(1);
        int rowsPerEntry = residual.shape().dim(0) / entries;
        for (int i = 0; i < sums.length; i++) {
            float gate = gates[i / dim / rowsPerEntry * width + i % dim % width];
            sums[i] = HalfFormat.BF16.round(sums[i] + HalfFormat.BF16.round(added[i] * gate));
        }
        observed().write(residual, sums);
    }
}
