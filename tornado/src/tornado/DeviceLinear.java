package tornado;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import wan.op.DType;
import wan.op.Float8;
import wan.op.HalfFormat;
import wan.op.Linear;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/** Parameters of y = x W^T + b: where they come from and where they lie on the device. */
final class DeviceLinear implements Linear {
    private final TensorView weight;
    private final TensorView biasView;
    private final int inFeatures;
    private final int outFeatures;
    private final int bias;
    private @Nullable WeightShard shard;
    private int vector;

    /**
     * Not yet on the device.
     *
     * @param weight [out, in...]
     * @param biasView [out]
     * @param bias where the bias lies among the parameters, and behind it the {@link #scales}, if there are any
     */
    DeviceLinear(TensorView weight, TensorView biasView, int outFeatures, int bias) {
        Shape shape = weight.shape();
        if (shape.rank() < 2 || shape.dim(0) != outFeatures || outFeatures == 0) {
            throw WanException.mismatch(
                    "linear " + weight.name(), "[" + outFeatures + ", in]", shape, "is the bias of another layer?");
        }
        this.weight = weight;
        this.biasView = biasView;
        this.outFeatures = outFeatures;
        this.inFeatures = Math.toIntExact(shape.size() / outFeatures);
        this.bias = bias;
    }

    /** The name with every number replaced: the same for one kind of layer. */
    String kind() {
        return weight.name().replaceAll("[0-9]+", "#") + weight.shape();
    }

    String name() {
        return weight.name();
    }

    /** The layer's name, as messages show it. */
    String layer() {
        return name().replaceFirst("\\.weight$", "");
    }

    boolean placed() {
        return shard != null;
    }

    void place(WeightShard where) {
        vector = where.add(this);
        shard = where;
    }

    WeightShard shard() {
        if (shard == null) {
            throw new IllegalStateException(name() + " is not placed");
        }
        return shard;
    }

    /** Where it lies in its shard, in vectors of 16. */
    int vector() {
        return vector;
    }

    /** Where the bias lies among the parameters. */
    int bias() {
        return bias;
    }

    @Override
    public int inFeatures() {
        return inFeatures;
    }

    @Override
    public int outFeatures() {
        return outFeatures;
    }

    private int panels() {
        return Math.ceilDiv(outFeatures, LinearKernels.PANEL);
    }

    int packedElements() {
        return Math.multiplyExact(panels() * LinearKernels.PANEL, inFeatures);
    }

    /** What it takes in a shard. */
    int elements(DType dtype, boolean plain) {
        // With 8 bits the bias is in bfloat16, in as many elements of two bytes.
        int ofBias = dtype == DType.F8_E4M3 ? 2 * outFeatures : outFeatures;
        return plain ? Math.addExact(biasAfter(inFeatures, outFeatures), aligned(ofBias)) : packedElements();
    }

    /** How far behind plain weights the bias is, in elements of their type. */
    static int biasAfter(int in, int out) {
        return aligned(Math.multiplyExact(in, out));
    }

    private static int aligned(int elements) {
        return Math.ceilDiv(elements, 16) * 16;
    }

    /**
     * Writes [out, in] and the bias of the same type, or in bfloat16 behind 8 bits; or [out / 32][in][32]; the last panel is filled up with zeros.
     *
     * @throws WanException if a finite weight is none in {@code dtype}
     */
    void pack(MemorySegment to, DType dtype, boolean plain) {
        float[] values = weight.toFloats(); // [out, in]
        if (dtype == DType.F8_E4M3) {
            divide(values, scales(values, outFeatures));
        } else if (dtype != DType.F32) {
            checkRange(values, HalfFormat.of(dtype));
        }
        if (plain) {
            write(to, dtype, dtype.bytes(16L * vector), values);
            write(
                    to,
                    dtype == DType.F8_E4M3 ? DType.BF16 : dtype,
                    dtype.bytes(16L * vector + biasAfter(inFeatures, outFeatures)),
                    biasView.toFloats());
            return;
        }
        float[] panel = new float[inFeatures * LinearKernels.PANEL];
        for (int p = 0; p < panels(); p++) {
            for (int column = 0; column < LinearKernels.PANEL; column++) {
                int feature = p * LinearKernels.PANEL + column;
                for (int k = 0; k < inFeatures; k++) {
                    panel[k * LinearKernels.PANEL + column] =
                            feature < outFeatures ? values[feature * inFeatures + k] : 0;
                }
            }
            write(to, dtype, dtype.bytes(16L * vector + (long) p * panel.length), panel);
        }
    }

    private static void write(MemorySegment to, DType dtype, long at, float[] values) {
        if (dtype == DType.F32) {
            MemorySegment.copy(values, 0, to, ValueLayout.JAVA_FLOAT, at, values.length);
            return;
        }
        if (dtype == DType.F8_E4M3) {
            for (int i = 0; i < values.length; i++) {
                to.set(ValueLayout.JAVA_BYTE, at + i, Float8.narrow(values[i]));
            }
            return;
        }
        HalfFormat format = HalfFormat.of(dtype);
        for (int i = 0; i < values.length; i++) {
            to.set(ValueLayout.JAVA_SHORT, at + 2L * i, format.narrow(values[i]));
        }
    }

    /** The scale of each output channel in 8 bits; as many as the panels have columns. */
    static float[] scales(float[] values, int outFeatures) {
        int in = values.length / outFeatures;
        float[] scales = new float[Math.ceilDiv(outFeatures, LinearKernels.PANEL) * LinearKernels.PANEL];
        Arrays.fill(scales, 1);
        for (int feature = 0; feature < outFeatures; feature++) {
            scales[feature] = Float8.scale(values, feature * in, in);
        }
        return scales;
    }

    private void divide(float[] values, float[] scales) {
        for (int i = 0; i < values.length; i++) {
            values[i] /= scales[i / inFeatures];
        }
    }

    private void checkRange(float[] values, HalfFormat format) {
        int count = 0;
        float largest = 0;
        for (float value : values) {
            float size = Math.abs(value);
            if (size >= format.limit() && size < Float.POSITIVE_INFINITY) {
                count++;
                largest = Math.max(largest, size);
            }
        }
        if (count > 0) {
            throw WanException.mismatch(
                    "linear " + weight.name(),
                    "weights up to " + format.max() + " for device.weights "
                            + DType.valueOf(format.name()).option(),
                    count + " larger ones, up to " + largest,
                    "device.weights bf16 has the range of f32");
        }
    }
}
