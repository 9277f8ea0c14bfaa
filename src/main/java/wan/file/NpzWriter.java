package wan.file;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Collection;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import wan.op.DType;
import wan.op.TensorView;
import wan.op.WanException;

/** Writes NumPy's .npz: an uncompressed zip file of one .npy (version 1.0) per array, as {@code numpy.savez} does. */
public final class NpzWriter {
    private static final int ALIGNMENT_BYTES = 64;
    private static final int PREAMBLE_BYTES = 10;

    private NpzWriter() {}

    /**
     * Writes arrays under the tensors' names.
     *
     * @param target replaced when the file is whole, not before
     * @param tensors of types that NumPy has; BF16 is not among them
     * @throws WanException if a type or name does not fit, or the file cannot be written
     */
    public static void write(Path target, Collection<TensorView> tensors) {
        tensors.forEach(NpzWriter::header);
        OutputFile.write(target, out -> {
            try (StoredZip zip = new StoredZip(out)) {
                for (TensorView tensor : tensors) {
                    zip.add(tensor.name() + ".npy", MemorySegment.ofArray(header(tensor)), tensor.data());
                }
            }
        });
    }

    /** The bytes before the data (numpy/lib/format.py): magic, version, length, a Python dict padded to 64 bytes. */
    private static byte[] header(TensorView tensor) {
        String shape = LongStream.of(tensor.shape().dims())
                .mapToObj(Long::toString)
                .collect(Collectors.joining(", ", "(", tensor.shape().rank() == 1 ? ",)" : ")"));
        String dict = "{'descr': '" + type(tensor) + "', 'fortran_order': False, 'shape': " + shape + ", }";
        int bytes = PREAMBLE_BYTES + dict.length() + 1;
        int padded = (bytes + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
        String text = dict + " ".repeat(padded - bytes) + "\n";
        return ByteBuffer.allocate(padded)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put((byte) 0x93)
                .put("NUMPY".getBytes(StandardCharsets.US_ASCII))
                .put((byte) 1)
                .put((byte) 0)
                .putShort((short) text.length())
                .put(text.getBytes(StandardCharsets.US_ASCII))
                .array();
    }

    private static String type(TensorView tensor) {
        DType dtype = tensor.dtype();
        return switch (dtype) {
            case BOOL -> "|b1";
            case U8 -> "|u1";
            case I8 -> "|i1";
            case F16, F32, F64 -> "<f" + dtype.bits() / 8;
            case I16, I32, I64 -> "<i" + dtype.bits() / 8;
            case U16, U32, U64 -> "<u" + dtype.bits() / 8;
            case C64 -> "<c8";
            default ->
                throw new WanException(
                        tensor.name() + ": NumPy has no type for " + dtype + "; write .safetensors, or convert to F32");
        };
    }
}
