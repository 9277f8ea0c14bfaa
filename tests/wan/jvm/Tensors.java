package wan.jvm;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import wan.op.DType;
import wan.op.Shape;
import wan.op.TensorView;

/** Made-up stored tensors. */
public final class Tensors {
    private Tensors() {}

    public static TensorView f32(String name, float[] values, long... dims) {
        return new TensorView(
                name, DType.F32, Shape.of(dims), Arena.ofAuto().allocateFrom(ValueLayout.JAVA_FLOAT, values));
    }

    public static TensorView bf16(String name, float[] values, long... dims) {
        MemorySegment data = Arena.ofAuto().allocate(2L * values.length, 2);
        for (int i = 0; i < values.length; i++) {
            data.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(values[i]) >> 16));
        }
        return new TensorView(name, DType.BF16, Shape.of(dims), data);
    }

    static TensorView f16(String name, float[] values, long... dims) {
        MemorySegment data = Arena.ofAuto().allocate(2L * values.length, 2);
        for (int i = 0; i < values.length; i++) {
            data.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(values[i]));
        }
        return new TensorView(name, DType.F16, Shape.of(dims), data);
    }

    public static float[] random(Random random, int count) {
        return random(random, count, false);
    }

    /** Normal random numbers; if asked for, such as a bfloat16 holds exactly. */
    public static float[] random(Random random, int count, boolean bfloat16) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            float value = (float) random.nextGaussian();
            values[i] = bfloat16 ? Float.intBitsToFloat(Float.floatToRawIntBits(value) & 0xffff0000) : value;
        }
        return values;
    }
}
