package wan.text;

import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import wan.file.Messages;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * A matrix that is stored in 8 bits beside a scale, as float32: value times scale, whatever the scale's spelling.
 *
 * @param weight [out, in]
 * @param scale one value, one per row [out] or [out, 1], or one per block of 128 x 128
 * @param factor that the spelling adds
 */
record ScaledWeight(TensorView weight, TensorView scale, float factor) {
    /** Spellings of the scale of a weight: ComfyUI's, Diffusers' and compressed-tensors', DeepSeek's, bitsandbytes'. */
    static final Map<String, Float> SPELLINGS =
            Map.of("scale_weight", 1f, "weight_scale", 1f, "weight_scale_inv", 1f, "SCB", 1 / 127f);

    /** Leaves beside a weight that change none of its values: scales of activations, which are not rounded here. */
    static final Set<String> WITHOUT_EFFECT = Set.of("scale_input", "input_scale", "weight_format");

    private static final int BLOCK = 128;

    /**
     * The values of a parameter, in a type that backends take.
     *
     * @param where for messages
     * @param scale with the spelling as the last part of its name; null if there is none
     * @throws WanException if the values cannot be told
     */
    static TensorView values(Object where, TensorView weight, @Nullable TensorView scale) {
        DType dtype = weight.dtype();
        boolean plain = dtype == DType.F32 || dtype == DType.F16 || dtype == DType.BF16;
        boolean float8 = dtype == DType.F8_E4M3 || dtype == DType.F8_E5M2;
        if (scale == null && plain) {
            return weight;
        }
        if (!plain && !float8 && (dtype != DType.I8 || scale == null)) {
            throw new FormatException(
                    where,
                    Messages.shown(weight.name()) + ": " + dtype + " without a scale cannot be a parameter; use the"
                            + " bfloat16 or float16 file");
        }
        float[] values = weight.toFloats();
        if (scale != null) {
            String spelling = scale.name().substring(scale.name().lastIndexOf('.') + 1);
            new ScaledWeight(weight, scale, SPELLINGS.getOrDefault(spelling, 1f)).apply(where, values);
        }
        return new TensorView(weight.name(), DType.F32, weight.shape(), MemorySegment.ofArray(values));
    }

    private void apply(Object where, float[] values) {
        int rows = weight.shape().dim(0);
        int columns = values.length / Math.max(1, rows);
        float[] scales = scale.toFloats();
        Shape shape = scale.shape();
        int scaleColumns = shape.rank() == 2 ? shape.dim(1) : 1;
        int scaleRows = scaleColumns == 0 ? 0 : scales.length / scaleColumns;
        int rowsEach = each(rows, scaleRows);
        int columnsEach = each(columns, scaleColumns);
        if (rowsEach == 0 || columnsEach == 0 || shape.rank() > 2) {
            throw WanException.mismatch(
                    where + ": " + Messages.shown(scale.name()),
                    "one scale, or one per row or block of " + BLOCK + " x " + BLOCK + " of " + weight.shape(),
                    shape,
                    "use the bfloat16 or float16 file");
        }
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < columns; column++) {
                float s = scales[row / rowsEach * scaleColumns + column / columnsEach];
                values[row * columns + column] *= s * factor;
            }
        }
    }

    /** How many elements share a scale; 0 if nobody can tell. */
    private static int each(int elements, int scales) {
        if (scales == 1) {
            return Math.max(1, elements);
        }
        if (scales == elements) {
            return 1;
        }
        return scales == Math.ceilDiv(elements, BLOCK) ? BLOCK : 0;
    }
}
