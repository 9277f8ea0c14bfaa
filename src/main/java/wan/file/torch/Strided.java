package wan.file.torch;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Copies a strided tensor into C order, whatever its element type. */
final class Strided {
    private Strided() {}

    /**
     * Copies every element.
     *
     * @param from begins with the tensor's first element
     * @param tensor its shape and strides; not empty
     * @param to as many bytes as its elements take
     */
    static void copy(MemorySegment from, TorchTensor tensor, MemorySegment to) {
        long[] dims = tensor.shape().dims();
        long[] strides = tensor.strides().stream().mapToLong(Long::longValue).toArray();
        int elementBytes = Math.toIntExact(tensor.dtype().bytes(1));
        int inner = dims.length - 1;
        long rowBytes = dims[inner] * elementBytes;
        long[] index = new long[dims.length];
        long row = 0;
        for (long at = 0; at < to.byteSize(); at += rowBytes) {
            copyRow(from, row * elementBytes, strides[inner], dims[inner], elementBytes, to, at);
            for (int axis = inner - 1; axis >= 0; axis--) {
                row += strides[axis];
                if (++index[axis] < dims[axis]) {
                    break;
                }
                row -= strides[axis] * dims[axis];
                index[axis] = 0;
            }
        }
    }

    private static void copyRow(
            MemorySegment from,
            long fromByte,
            long stride,
            long count,
            int elementBytes,
            MemorySegment to,
            long toByte) {
        if (stride == 1) {
            MemorySegment.copy(from, fromByte, to, toByte, count * elementBytes);
            return;
        }
        long step = stride * elementBytes;
        for (long i = 0; i < count; i++) {
            long source = fromByte + i * step;
            long target = toByte + i * elementBytes;
            switch (elementBytes) {
                case 1 -> to.set(ValueLayout.JAVA_BYTE, target, from.get(ValueLayout.JAVA_BYTE, source));
                case 2 ->
                    to.set(
                            ValueLayout.JAVA_SHORT_UNALIGNED,
                            target,
                            from.get(ValueLayout.JAVA_SHORT_UNALIGNED, source));
                case 4 ->
                    to.set(ValueLayout.JAVA_INT_UNALIGNED, target, from.get(ValueLayout.JAVA_INT_UNALIGNED, source));
                default ->
                    to.set(ValueLayout.JAVA_LONG_UNALIGNED, target, from.get(ValueLayout.JAVA_LONG_UNALIGNED, source));
            }
        }
    }
}
