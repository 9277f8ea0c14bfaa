package wan.file.torch;

import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import wan.op.DType;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * Writes plain values and tensors as the pickle of a {@code torch.save} file: protocol 2, without a memo, since nothing is
 * shared. Tensors become storages of their own, numbered in the order in which they are met.
 */
public final class Pickler {
    private static final Map<DType, String> STORAGES = Map.ofEntries(
            Map.entry(DType.F64, "DoubleStorage"),
            Map.entry(DType.F32, "FloatStorage"),
            Map.entry(DType.F16, "HalfStorage"),
            Map.entry(DType.BF16, "BFloat16Storage"),
            Map.entry(DType.I64, "LongStorage"),
            Map.entry(DType.I32, "IntStorage"),
            Map.entry(DType.I16, "ShortStorage"),
            Map.entry(DType.I8, "CharStorage"),
            Map.entry(DType.U8, "ByteStorage"),
            Map.entry(DType.BOOL, "BoolStorage"));

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final List<TensorView> storages = new ArrayList<>();

    /**
     * The pickle of a value.
     *
     * @param value a Boolean, Integer, Long, BigInteger, Float, Double, String, {@link TensorView}, {@link PyNone},
     *     {@link PyTuple}, or a List or Map of such
     * @throws WanException if it is or contains anything else
     */
    public byte[] pickle(Object value) {
        out.reset();
        storages.clear();
        op(0x80).op(2);
        write(value);
        op('.');
        return out.toByteArray();
    }

    /** The tensors of the last pickle: storage {@code i} is number {@code i} of the list. */
    public List<TensorView> storages() {
        return List.copyOf(storages);
    }

    private void write(Object value) {
        switch (value) {
            case PyNone _ -> op('N');
            case Boolean flag -> op(flag ? 0x88 : 0x89);
            case Integer number -> integer(number);
            case Long number -> integer(number);
            case BigInteger number -> bigInteger(number);
            case Float number -> real(number);
            case Double number -> real(number);
            case String text -> text(text);
            case TensorView tensor -> tensor(tensor);
            case PyTuple tuple -> tuple(tuple.items());
            case List<?> list -> {
                op(']').op('(');
                list.forEach(this::write);
                op('e');
            }
            case Map<?, ?> map -> {
                op('}').op('(');
                map.forEach((key, item) -> {
                    write(key);
                    write(item);
                });
                op('u');
            }
            default ->
                throw new WanException(
                        "a PyTorch file cannot hold a " + value.getClass().getSimpleName());
        }
    }

    private void tensor(TensorView tensor) {
        String type = STORAGES.get(tensor.dtype());
        if (type == null) {
            throw new WanException(tensor.name() + ": a PyTorch file cannot hold elements of " + tensor.dtype());
        }
        String key = String.valueOf(storages.size());
        storages.add(tensor);
        global("torch._utils", "_rebuild_tensor_v2").op('(');
        op('(');
        text("storage");
        global("torch", type);
        text(key);
        text("cpu");
        integer(tensor.shape().size());
        op('t').op('Q');
        integer(0);
        long[] dims = tensor.shape().dims();
        List<Object> size = new ArrayList<>();
        List<Object> strides = new ArrayList<>();
        long stride = 1;
        for (int axis = dims.length - 1; axis >= 0; axis--) {
            size.addFirst(dims[axis]);
            strides.addFirst(stride);
            stride *= Math.max(1, dims[axis]);
        }
        tuple(size);
        tuple(strides);
        op(0x89);
        global("collections", "OrderedDict").op(')').op('R');
        op('t').op('R');
    }

    private void tuple(List<?> items) {
        op('(');
        items.forEach(this::write);
        op('t');
    }

    private void integer(long value) {
        if (value == (int) value) {
            op('J').little(value, Integer.BYTES);
        } else {
            op(0x8a).op(Long.BYTES).little(value, Long.BYTES);
        }
    }

    private void bigInteger(BigInteger value) {
        byte[] bigEndian = value.toByteArray();
        if (bigEndian.length > 255) {
            throw new WanException("a PyTorch file cannot hold an integer of " + bigEndian.length + " bytes");
        }
        op(0x8a).op(bigEndian.length);
        for (int i = bigEndian.length - 1; i >= 0; i--) {
            op(bigEndian[i]);
        }
    }

    private void real(double value) {
        op('G');
        out.writeBytes(ByteBuffer.allocate(Double.BYTES).putDouble(value).array());
    }

    private void text(String text) {
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        op('X').little(utf8.length, Integer.BYTES);
        out.writeBytes(utf8);
    }

    private Pickler global(String module, String name) {
        op('c');
        out.writeBytes((module + "\n" + name + "\n").getBytes(StandardCharsets.US_ASCII));
        return this;
    }

    private Pickler op(int opcode) {
        out.write(opcode);
        return this;
    }

    private void little(long value, int bytes) {
        byte[] all = ByteBuffer.allocate(Long.BYTES)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(value)
                .array();
        out.write(all, 0, bytes);
    }
}
