package jmh;

import java.lang.foreign.MemorySegment;
import java.util.Random;
import wan.op.DType;
import wan.op.Ops;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;

/** Random operands. */
final class Operands {
    private Operands() {}

    private static float[] values(Shape shape) {
        Random random = new Random(shape.size());
        float[] values = new float[shape.intSize()];
        for (int i = 0; i < values.length; i++) {
            values[i] = 2 * random.nextFloat() - 1;
        }
        return values;
    }

    /** In the innermost scope. */
    static Tensor scratch(Ops ops, long... dims) {
        Tensor tensor = ops.scratch(Shape.of(dims));
        ops.write(tensor, values(tensor.shape()));
        return tensor;
    }

    /** Parameters, F32 or BF16. */
    static TensorView stored(DType dtype, long... dims) {
        Shape shape = Shape.of(dims);
        float[] values = values(shape);
        if (dtype == DType.F32) {
            return new TensorView("random", dtype, shape, MemorySegment.ofArray(values));
        }
        short[] upper = new short[values.length];
        for (int i = 0; i < upper.length; i++) {
            upper[i] = (short) (Float.floatToRawIntBits(values[i]) >> 16);
        }
        return new TensorView("random", dtype, shape, MemorySegment.ofArray(upper));
    }
}
