package wan.file;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import wan.op.DType;
import wan.op.HalfFormat;
import wan.op.WanException;

/** float32 values as the little-endian bytes of a stored type, rounded to nearest even. */
public final class FloatBytes {
    private FloatBytes() {}

    /**
     * Appends values to a buffer.
     *
     * @param dtype F64, F32, BF16 or F16
     * @param out has room for them; its byte order is set
     */
    public static void put(DType dtype, float[] values, int first, int count, ByteBuffer out) {
        out.order(ByteOrder.LITTLE_ENDIAN);
        int end = first + count;
        switch (dtype) {
            case F64 -> {
                for (int i = first; i < end; i++) {
                    out.putDouble(values[i]);
                }
            }
            case F32 -> {
                for (int i = first; i < end; i++) {
                    out.putFloat(values[i]);
                }
            }
            case BF16 -> {
                for (int i = first; i < end; i++) {
                    out.putShort(HalfFormat.BF16.narrow(values[i]));
                }
            }
            case F16 -> {
                for (int i = first; i < end; i++) {
                    out.putShort(HalfFormat.F16.narrow(values[i]));
                }
            }
            default -> throw new WanException("float32 values cannot be stored as " + dtype);
        }
    }
}
