package wan.file.torch;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import wan.op.DType;
import wan.op.Shape;
import wan.op.WanException;

/**
 * Every name that means something here, and what. This is the whole list: of any other name, and of whatever is made with it, a {@link
 * PyOpaque} stays, so that a checkpoint can be read whatever its training kept beside the weights.
 *
 * <p>The functions are those of {@code torch/_utils.py} that rebuild dense tensors, and the few of Python's own that torch.save
 * writes for plain values. They are interpreted, never looked up or run. Names that no training keeps, because they run programs, show
 * a file that means harm, which is refused as a whole.
 */
final class PickleWorld {
    /** Storage classes by the name in module {@code torch}: the types that the safetensors format has too. */
    private static final Map<String, DType> STORAGES = Map.ofEntries(
            Map.entry("DoubleStorage", DType.F64),
            Map.entry("FloatStorage", DType.F32),
            Map.entry("HalfStorage", DType.F16),
            Map.entry("BFloat16Storage", DType.BF16),
            Map.entry("LongStorage", DType.I64),
            Map.entry("IntStorage", DType.I32),
            Map.entry("ShortStorage", DType.I16),
            Map.entry("CharStorage", DType.I8),
            Map.entry("ByteStorage", DType.U8),
            Map.entry("BoolStorage", DType.BOOL),
            Map.entry("ComplexFloatStorage", DType.C64));

    /** Dtype objects, also of the types that came after storage classes and are kept in untyped storages. */
    private static final Map<String, DType> DTYPES = Map.ofEntries(
            Map.entry("float64", DType.F64),
            Map.entry("float32", DType.F32),
            Map.entry("float16", DType.F16),
            Map.entry("bfloat16", DType.BF16),
            Map.entry("float8_e4m3fn", DType.F8_E4M3),
            Map.entry("float8_e5m2", DType.F8_E5M2),
            Map.entry("float8_e8m0fnu", DType.F8_E8M0),
            Map.entry("int64", DType.I64),
            Map.entry("int32", DType.I32),
            Map.entry("int16", DType.I16),
            Map.entry("int8", DType.I8),
            Map.entry("uint64", DType.U64),
            Map.entry("uint32", DType.U32),
            Map.entry("uint16", DType.U16),
            Map.entry("uint8", DType.U8),
            Map.entry("bool", DType.BOOL),
            Map.entry("complex64", DType.C64));

    private static final Set<String> NAMES = Set.of(
            "collections.OrderedDict",
            "torch.Size",
            "torch.Tensor",
            "torch.device",
            "torch.nn.parameter.Parameter",
            "torch.serialization._get_layout",
            "torch.storage.UntypedStorage",
            "torch._utils._rebuild_tensor",
            "torch._utils._rebuild_tensor_v2",
            "torch._utils._rebuild_tensor_v3",
            "torch._utils._rebuild_parameter",
            "torch._utils._rebuild_parameter_with_state",
            "torch._tensor._rebuild_from_type_v2",
            "_codecs.encode",
            "__builtin__.set",
            "__builtin__.frozenset",
            "__builtin__.bytes",
            "__builtin__.bytearray",
            "builtins.set",
            "builtins.frozenset",
            "builtins.bytes",
            "builtins.bytearray",
            "collections.Counter",
            "collections.defaultdict");

    /** Modules whose functions run programs or code. */
    private static final Set<String> HARMFUL_MODULES = Set.of(
            "os",
            "posix",
            "nt",
            "subprocess",
            "_posixsubprocess",
            "sys",
            "socket",
            "shutil",
            "pty",
            "runpy",
            "code",
            "commands",
            "importlib",
            "ctypes",
            "webbrowser",
            "pickle",
            "_pickle",
            "marshal",
            "multiprocessing",
            "asyncio",
            "torch.hub",
            "torch.serialization",
            "torch.jit");

    private static final Set<String> HARMFUL_BUILTINS =
            Set.of("eval", "exec", "execfile", "compile", "open", "__import__", "breakpoint", "input");

    private static final int MAX_RANK = 64;
    private static final PyOpaque LAZY =
            new PyOpaque("a tensor that is stored conjugated or negated; call resolve_conj().resolve_neg() in Python");

    private final Map<String, TorchStorage> storages = new HashMap<>();
    private final Map<String, String> foreignStorages = new HashMap<>();
    private int opaqueKeys;

    /** Every storage that was named so far, by its key. */
    Map<String, TorchStorage> storages() {
        return storages;
    }

    /** The class of every storage whose type is not known, by its key. */
    Map<String, String> foreignStorages() {
        return foreignStorages;
    }

    /** The name, unless it is one that runs programs. */
    PyGlobal global(Unpickler pickle, String module, String name) {
        PyGlobal global = new PyGlobal(module, name);
        boolean builtin = module.equals("builtins") || module.equals("__builtin__");
        if (!NAMES.contains(global.toString())
                && (HARMFUL_MODULES.contains(module) || (builtin && HARMFUL_BUILTINS.contains(name)))) {
            throw pickle.broken("asks for " + ZipDirectory.printable(global.toString())
                    + ", which is not tensor data: in Python, loading this file could run code. Nothing was run;"
                    + " save it again as a dict of tensors if you trust it");
        }
        return global;
    }

    private static boolean known(PyGlobal global) {
        return NAMES.contains(global.toString())
                || (global.module().equals("torch")
                        && (STORAGES.containsKey(global.name()) || DTYPES.containsKey(global.name())));
    }

    /** What is made by a name that means nothing here. */
    private static PyOpaque opaque(PyGlobal global) {
        return new PyOpaque("an object of " + ZipDirectory.printable(global.toString()));
    }

    /** What a call of a known function with these arguments makes. */
    Object call(Unpickler pickle, Object callee, PyTuple arguments) {
        if (callee instanceof PyOpaque) {
            return new PyOpaque("what a call of " + callee + " would give");
        }
        if (!(callee instanceof PyGlobal global)) {
            throw pickle.broken("calls " + kind(callee));
        }
        if (!known(global)) {
            return opaque(global);
        }
        Arguments args = new Arguments(pickle, global, arguments);
        return switch (global.toString()) {
            case "collections.OrderedDict" -> orderedDict(pickle, args);
            case "collections.Counter" -> counter(args);
            case "collections.defaultdict" -> new LinkedHashMap<>(); // its items follow, its factory does not matter
            case "torch.Size" -> new PyTuple(args.count(0, 1).isEmpty() ? List.of() : items(pickle, args.get(0)));
            case "torch.device" -> String.valueOf(args.count(1, 2).text(0));
            case "torch.serialization._get_layout" -> args.count(1, 1).text(0);
            case "torch._utils._rebuild_tensor" -> tensor(pickle, args.count(4, 4), null);
            case "torch._utils._rebuild_tensor_v2" ->
                hasLazyBits(args.count(6, 7), 6) ? LAZY : tensor(pickle, args, null);
            case "torch._utils._rebuild_tensor_v3" ->
                hasLazyBits(args.count(7, 8), 7) ? LAZY : tensor(pickle, args, args.get(6));
            case "torch._utils._rebuild_parameter" -> args.count(3, 3).tensor(0);
            case "torch._utils._rebuild_parameter_with_state" ->
                args.count(4, 4).tensor(0);
            case "torch._tensor._rebuild_from_type_v2" -> {
                if (args.count(4, 4).get(0) instanceof PyGlobal rebuild
                        && rebuild.module().equals("torch._utils")
                        && args.get(2) instanceof PyTuple inner) {
                    yield call(pickle, rebuild, inner);
                }
                yield new PyOpaque("a tensor that " + kind(args.get(0)) + " would rebuild");
            }
            case "_codecs.encode" -> encode(pickle, args.count(1, 2));
            case "__builtin__.set", "builtins.set", "__builtin__.frozenset", "builtins.frozenset" ->
                set(pickle, args.count(0, 1).isEmpty() ? List.of() : items(pickle, args.get(0)));
            case "__builtin__.bytes", "builtins.bytes", "__builtin__.bytearray", "builtins.bytearray" -> {
                // With a number in place of bytes, Python would make that many zeros.
                if (args.count(0, 2).isEmpty()) {
                    yield new byte[0];
                }
                if (args.get(0) instanceof byte[] bytes) {
                    yield bytes;
                }
                yield encode(pickle, args);
            }
            default -> throw pickle.broken("calls " + global);
        };
    }

    /** BUILD. An OrderedDict of torch carries {@code _metadata} this way, which only matters to nn.Module. */
    void build(Unpickler pickle, Object target, Object state) {
        boolean dict =
                target instanceof LinkedHashMap<?, ?> && (state instanceof Map<?, ?> || state instanceof PyTuple);
        if (!dict && !(target instanceof PyOpaque)) {
            throw pickle.broken("sets the state of " + kind(target) + " to " + kind(state)
                    + "; only an OrderedDict may have attributes");
        }
    }

    /**
     * A persistent id, which in torch's files names a storage: ("storage", class, key, location, elements), and in the legacy
     * format a view of it too.
     */
    Object persistent(Unpickler pickle, Object id) {
        if (!(id instanceof PyTuple tuple)
                || tuple.size() < 5
                || tuple.size() > 6
                || !"storage".equals(tuple.get(0))
                || !(tuple.get(1) instanceof PyGlobal type)
                || !(tuple.get(2) instanceof String key)
                || !(tuple.get(3) instanceof String)
                || !(tuple.get(4) instanceof Long elements)) {
            throw pickle.broken("has a persistent id that names no storage");
        }
        boolean untyped = type.toString().equals("torch.storage.UntypedStorage");
        DType dtype = untyped ? DType.U8 : STORAGES.get(type.name());
        if (dtype == null && known(type)) {
            throw pickle.broken("has a storage of the class " + type);
        }
        if (dtype == null) {
            foreignStorages.put(key, type.toString());
            return new PyOpaque("a storage of " + ZipDirectory.printable(type.toString()));
        }
        if (elements < 0 || elements > Long.MAX_VALUE / 16) {
            throw pickle.broken("has a storage of " + elements + " elements");
        }
        long viewOffset = 0;
        long viewElements = elements;
        if (tuple.size() == 6 && tuple.get(5) != PyNone.NONE) {
            if (!(tuple.get(5) instanceof PyTuple view)
                    || view.size() != 3
                    || !(view.get(1) instanceof Long offset)
                    || !(view.get(2) instanceof Long count)
                    || offset < 0
                    || count < 0
                    || offset > elements
                    || count > elements - offset) {
                throw pickle.broken("has a view that does not lie within its storage of " + elements + " elements");
            }
            viewOffset = offset;
            viewElements = count;
        }
        TorchStorage whole = new TorchStorage(key, dtype, untyped, elements, 0, elements);
        TorchStorage known = storages.putIfAbsent(key, whole);
        if (known != null && !known.equals(whole)) {
            throw pickle.broken("describes the storage " + ZipDirectory.printable(key) + " in two ways");
        }
        return new TorchStorage(key, dtype, untyped, elements, viewOffset, viewElements);
    }

    private static Object tensor(Unpickler pickle, Arguments args, @Nullable Object givenType) {
        if (args.get(0) instanceof PyOpaque storage) {
            return new PyOpaque("a tensor in " + storage);
        }
        if (givenType instanceof PyGlobal type && !known(type)) {
            return new PyOpaque("a tensor of the type " + ZipDirectory.printable(type.toString()));
        }
        DType given = givenType == null ? null : dtype(pickle, givenType);
        if (!(args.get(0) instanceof TorchStorage storage) || !(args.get(1) instanceof Long offset) || offset < 0) {
            throw pickle.broken("has a tensor without a place in a storage");
        }
        long[] dims = longs(pickle, args.get(2), "size");
        long[] strides = longs(pickle, args.get(3), "stride");
        DType dtype = given == null ? storage.dtype() : given;
        if (dtype != storage.dtype() && !storage.untyped()) {
            throw pickle.broken("has a tensor of " + dtype + " in a storage of " + storage.dtype());
        }
        if (dims.length != strides.length || dims.length > MAX_RANK) {
            throw pickle.broken("has a tensor with " + dims.length + " sizes and " + strides.length + " strides");
        }
        try {
            Shape shape = shape(pickle, dims);
            long available = storage.dtype().bytes(storage.viewElements()) / dtype.bytes(1);
            if (shape.size() > 0) {
                long last = offset;
                for (int axis = 0; axis < dims.length; axis++) {
                    last = Math.addExact(last, Math.multiplyExact(dims[axis] - 1, strides[axis]));
                }
                if (last >= available) {
                    throw pickle.broken("has a tensor " + shape + " that reaches element " + last + " of a storage of "
                            + available);
                }
            } else if (offset > available) {
                throw pickle.broken("has an empty tensor at element " + offset + " of a storage of " + available);
            }
            dtype.bytes(shape.size());
            return new TorchTensor(
                    storage,
                    dtype,
                    offset,
                    shape,
                    Arrays.stream(strides).boxed().toList());
        } catch (ArithmeticException _) {
            throw pickle.broken("has a tensor whose size overflows");
        }
    }

    private static Shape shape(Unpickler pickle, long[] dims) {
        try {
            return Shape.of(dims);
        } catch (WanException _) {
            throw pickle.broken("has a tensor whose size overflows");
        }
    }

    private static long[] longs(Unpickler pickle, Object value, String what) {
        if (!(value instanceof PyTuple tuple)) {
            throw pickle.broken("has a tensor whose " + what + " is not a tuple");
        }
        long[] values = new long[tuple.size()];
        for (int i = 0; i < values.length; i++) {
            if (!(tuple.get(i) instanceof Long n) || n < 0) {
                throw pickle.broken("has a tensor whose " + what + " is not made of natural numbers");
            }
            values[i] = n;
        }
        return values;
    }

    private static DType dtype(Unpickler pickle, Object value) {
        DType dtype =
                value instanceof PyGlobal global && global.module().equals("torch") ? DTYPES.get(global.name()) : null;
        if (dtype == null) {
            throw pickle.broken("has a tensor whose dtype is " + kind(value));
        }
        return dtype;
    }

    /** Torch keeps "conjugate" and "negative" as a bit beside the data; such a tensor's stored bytes are not its values. */
    private static boolean hasLazyBits(Arguments args, int index) {
        return args.size() > index && args.get(index) instanceof Map<?, ?> bits && bits.containsValue(true);
    }

    private static Object counter(Arguments args) {
        return args.count(0, 1).isEmpty() || !(args.get(0) instanceof Map<?, ?> counts)
                ? new LinkedHashMap<>()
                : counts; // the dict itself, which nothing else refers to
    }

    private Object orderedDict(Unpickler pickle, Arguments args) {
        LinkedHashMap<Object, Object> dict = new LinkedHashMap<>();
        for (Object item : args.count(0, 1).isEmpty() ? List.of() : items(pickle, args.get(0))) {
            List<Object> pair = items(pickle, item);
            if (pair.size() != 2) {
                throw pickle.broken("makes an OrderedDict from something other than pairs");
            }
            dict.put(key(pickle, pair.get(0)), pair.get(1));
        }
        return dict;
    }

    private static byte[] encode(Unpickler pickle, Arguments args) {
        String text = args.text(0);
        String charset = args.size() > 1 ? args.text(1) : "utf-8";
        pickle.charge(0, 3L * text.length());
        return switch (charset) {
            case "latin1", "latin-1" -> {
                if (text.chars().anyMatch(c -> c > 0xff)) {
                    throw pickle.broken("encodes text beyond latin1 as latin1");
                }
                yield text.getBytes(StandardCharsets.ISO_8859_1);
            }
            case "utf-8", "utf8" -> text.getBytes(StandardCharsets.UTF_8);
            default -> throw pickle.broken("encodes text as " + ZipDirectory.printable(charset));
        };
    }

    /** A set of these members. */
    Set<Object> set(Unpickler pickle, List<Object> members) {
        Set<Object> set = new LinkedHashSet<>();
        members.forEach(member -> set.add(key(pickle, member)));
        return set;
    }

    /** Copies the elements of a list or tuple, and pays for it. */
    private static List<Object> items(Unpickler pickle, Object value) {
        List<?> items = switch (value) {
            case PyTuple tuple -> tuple.items();
            case ArrayList<?> list -> list;
            default -> throw pickle.broken("goes through the elements of " + kind(value));
        };
        pickle.charge(items.size(), 0);
        return List.copyOf(items);
    }

    /**
     * The value as a key of a dict or a member of a set. Scalars stand for themselves; anything else is known by its kind only, since
     * the hash of a container could follow a cycle.
     */
    Object key(Unpickler pickle, Object value) {
        return switch (value) {
            case String _, Long _, Boolean _, Double _, PyNone _, PyGlobal _, BigInteger _ -> value;
            case PyTuple _, PyOpaque _, byte[] _, Set<?> _, TorchTensor _ ->
                new PyOpaque(kind(value) + " #" + ++opaqueKeys);
            default -> throw pickle.broken("has " + kind(value) + " as a key or a member of a set");
        };
    }

    /** A few words for messages; never the value itself, which may be huge or contain itself. */
    static String kind(Object value) {
        return switch (value) {
            case PyNone _ -> "None";
            case Boolean _ -> "a bool";
            case Long _, BigInteger _ -> "an int";
            case Double _ -> "a float";
            case String _ -> "a str";
            case byte[] _ -> "bytes";
            case List<?> _ -> "a list";
            case PyTuple _ -> "a tuple";
            case Map<?, ?> _ -> "a dict";
            case Set<?> _ -> "a set";
            case PyGlobal global -> "the class " + global;
            case TorchStorage _ -> "a storage";
            case TorchTensor _ -> "a tensor";
            case PyOpaque opaque -> opaque.toString();
            default -> throw new IllegalStateException("no such value in a pickle: " + value.getClass());
        };
    }

    /** The arguments of one call, checked as they are taken. */
    private record Arguments(Unpickler pickle, PyGlobal callee, PyTuple values) {
        Arguments count(int least, int most) {
            if (values.size() < least || values.size() > most) {
                throw pickle.broken("calls " + callee + " with " + values.size() + " arguments");
            }
            return this;
        }

        int size() {
            return values.size();
        }

        boolean isEmpty() {
            return values.size() == 0;
        }

        Object get(int i) {
            return values.get(i);
        }

        String text(int i) {
            if (values.get(i) instanceof String text) {
                return text;
            }
            throw pickle.broken("calls " + callee + " with " + kind(values.get(i)));
        }

        Object tensor(int i) {
            if (values.get(i) instanceof TorchTensor || values.get(i) instanceof PyOpaque) {
                return values.get(i);
            }
            throw pickle.broken("calls " + callee + " with " + kind(values.get(i)));
        }
    }
}
