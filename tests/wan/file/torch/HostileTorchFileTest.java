package wan.file.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static wan.file.torch.TorchBytes.indexOf;
import static wan.file.torch.TorchBytes.int32;
import static wan.file.torch.TorchBytes.int64;
import static wan.file.torch.TorchBytes.latin1;
import static wan.file.torch.TorchBytes.le;
import static wan.file.torch.TorchBytes.legacy;
import static wan.file.torch.TorchBytes.open;
import static wan.file.torch.TorchBytes.smallDict;
import static wan.file.torch.TorchBytes.storage;
import static wan.file.torch.TorchBytes.tensor;
import static wan.file.torch.TorchBytes.text;
import static wan.file.torch.TorchBytes.tuple;
import static wan.file.torch.TorchBytes.zip;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import wan.op.DType;
import wan.op.FormatException;

/** Files made to run code, to fill the memory, or to read where nothing belongs to them: one clear error each. */
class HostileTorchFileTest {
    private static final String OS_SYSTEM = "cos\nsystem\n";

    private static void refused(byte[] file, String message) {
        assertThatThrownBy(() -> {
                    TorchFile torch = open(file);
                    torch.names().forEach(torch::tensor);
                })
                .isInstanceOf(FormatException.class)
                .message()
                .startsWith("x.pt: ")
                .doesNotContain("\n")
                .contains(message);
    }

    static Stream<Arguments> pickles() {
        return Stream.of(
                // Code
                Arguments.of("GLOBAL", OS_SYSTEM + "(" + text("true") + "tR", "asks for os.system"),
                Arguments.of("GLOBAL alone", OS_SYSTEM, "asks for os.system"),
                Arguments.of("GLOBAL popped", OS_SYSTEM + "0N", "asks for os.system"),
                Arguments.of("STACK_GLOBAL", text("os") + text("system") + "\u0093", "asks for os.system"),
                Arguments.of(
                        "STACK_GLOBAL from memo",
                        text("system") + "q\u0001" + "0" + text("posix") + "h\u0001\u0093",
                        "asks for posix.system"),
                Arguments.of("STACK_GLOBAL of numbers", "K\u0001K\u0002\u0093", "is not text"),
                Arguments.of("INST", "(" + text("true") + "ios\nsystem\n", "asks for os.system"),
                Arguments.of("OBJ", "(ctorch\nSize\no", "opcode OBJ"),
                Arguments.of("builtins.eval", "cbuiltins\neval\n", "asks for builtins.eval"),
                Arguments.of("subprocess beside tensors", "](" + "csubprocess\nPopen\ne", "asks for subprocess.Popen"),
                Arguments.of("an object alone", "cmymodel\nWan\n)\u0081", "is an object of mymodel.Wan, not a dict"),
                Arguments.of("torch.load again", "ctorch.serialization\nload\n", "asks for torch.serialization.load"),
                Arguments.of("name with an escape sequence", "cos\n\u001b[2Jsystem\n", "asks for os.?[2Jsystem"),
                Arguments.of("EXT1", "\u0082\u0001", "opcode EXT"),
                Arguments.of(
                        "nested REDUCE",
                        "ctorch._tensor\n_rebuild_from_type_v2\n(" + "ctorch._tensor\n_rebuild_from_type_v2\n"
                                + "ctorch\nTensor\n)NtR",
                        "is a tensor that the class torch._tensor._rebuild_from_type_v2 would rebuild, not a dict"),
                Arguments.of("a call of a str", text("os.system") + ")R", "calls a str"),
                Arguments.of("a call of a call", "ctorch\nSize\n)R)R", "calls a tuple"),
                Arguments.of("a call of a dtype", "ctorch\nfloat16\n)R", "calls torch.float16"),
                Arguments.of("a call without a tuple", "ctorch\nSize\n]R", "not a tuple"),
                Arguments.of("BUILD on a tuple", ")}b", "sets the state of a tuple"),
                Arguments.of("BUILD on a class", "ctorch\nTensor\n}b", "sets the state of the class torch.Tensor"),
                Arguments.of("BUILD with a str", "ccollections\nOrderedDict\n)R" + text("x") + "b", "to a str"),
                Arguments.of("persistent id that is a str", text("0") + "Q", "names no storage"),
                Arguments.of("persistent id of a module", "(" + text("module") + "NNNNtQ", "names no storage"),
                Arguments.of("persistent id without a class", "(" + text("storage") + "NNNNtQ", "names no storage"),
                Arguments.of(
                        "persistent id with a dtype as class",
                        "(" + text("storage") + "ctorch\nfloat32\n" + text("0") + text("cpu") + "K\u0004tQ",
                        "of the class torch.float32"),
                Arguments.of("PERSID", "P0\n", "opcode PERSID"),
                // Size
                Arguments.of("memo bomb", bomb(30), "written out"),
                Arguments.of("endless text", "X" + le(-1, 4) + "x", "claims 4294967295 bytes"),
                Arguments.of("negative text", "T" + le(-1, 4) + "x", "claims -1 bytes"),
                Arguments.of("text of 2^63 bytes", "\u008d" + le(Long.MIN_VALUE, 8), "claims -9223372036854775808"),
                Arguments.of("endless LONG4", "\u008b" + le(Integer.MAX_VALUE, 4), "integer of 2147483647 bytes"),
                Arguments.of("negative LONG4", "\u008b" + le(-5, 4), "integer of 4294967291 bytes"),
                Arguments.of("INT line without end", "I" + "9".repeat(5000), "line without an end"),
                Arguments.of("frame beyond the end", "\u0095" + le(1L << 40, 8), "claims a frame"),
                Arguments.of("nested marks", "(".repeat(2000), "nested more than 1000 deep"),
                Arguments.of("nested lists", nestedLists(500), "nested more than 100 deep"),
                Arguments.of("copies of a long list", copies(), "more than 2000000 objects"),
                Arguments.of("copies of a long text", textCopies(), "64 MiB of text"),
                Arguments.of("bytes(huge)", "c__builtin__\nbytes\n(" + int32(Integer.MAX_VALUE) + "tR", "with an int"),
                // Shape
                Arguments.of("a list as key", "}]Ns", "a list as a key"),
                Arguments.of("key without value", "}(Nu", "a key without a value"),
                Arguments.of("append to a dict", "}Na", "appends to a dict"),
                Arguments.of("append to a tuple", ")Na", "appends to a tuple"),
                Arguments.of("put into a list", "]NNs", "puts an item into a list"),
                Arguments.of("add to a list", "](N\u0090", "adds to a list"),
                Arguments.of("empty stack", "0", "empty stack"),
                Arguments.of("value below a mark", "N(0", "empty stack"),
                Arguments.of("tuple of nothing", "\u0087", "takes 3 values"),
                Arguments.of("mark that is not there", "t", "mark that was never set"),
                Arguments.of("memo that is not there", "h\u0007", "recalls value 7"),
                Arguments.of("two values", "NN", "ends with 2 values"),
                Arguments.of("open mark", "(N", "ends with 1 values"),
                Arguments.of("protocol 6", "\u0080\u0006", "protocol 6"),
                Arguments.of("no opcode", "\u00ff", "opcode 0xff"),
                Arguments.of("no UTF-8", "X\u0002\0\0\0\u00c3(", "not UTF-8"),
                Arguments.of("float that is none", "Fnull\n", "a float that is none"),
                // Tensors
                Arguments.of("offset beyond", one(4, 1, tuple(2, 2), tuple(2, 1)), "reaches element 4"),
                Arguments.of("offset negative", one(4, -1, tuple(2), tuple(1)), "without a place"),
                Arguments.of("size beyond", one(4, 0, tuple(5), tuple(1)), "reaches element 4 of a storage of 4"),
                Arguments.of("size negative", one(4, 0, tuple(-2), tuple(1)), "natural numbers"),
                Arguments.of("stride negative", one(4, 3, tuple(4), tuple(-1)), "natural numbers"),
                Arguments.of("stride beyond", one(4, 0, tuple(2), tuple(4)), "reaches element 4"),
                Arguments.of("size overflows", one(4, 0, tuple(1L << 40, 1L << 40), tuple(0, 0)), "overflow"),
                Arguments.of("bytes overflow", one(4, 0, tuple(Long.MAX_VALUE / 2), tuple(0)), "overflow"),
                Arguments.of(
                        "stride overflows", one(4, 0, tuple(Long.MAX_VALUE, 1), tuple(Long.MAX_VALUE, 1)), "overflow"),
                Arguments.of("expansion bomb", one(4, 0, tuple(1L << 40), tuple(0)), "expands 16 bytes"),
                Arguments.of("stride missing", one(4, 0, tuple(2, 2), tuple(2)), "2 sizes and 1 strides"),
                Arguments.of("storage of -1", one(-1, 0, tuple(0), tuple(1)), "storage of -1 elements"),
                Arguments.of("storage of 2^62", one(1L << 62, 0, tuple(1), tuple(1)), "storage of 4611686018427387904"),
                Arguments.of("storage larger than its file", one(5, 0, tuple(1), tuple(1)), "has 16 bytes, not the 20"),
                Arguments.of(
                        "storage that is not there",
                        tensor(storage("../../etc", "FloatStorage", 4), 0, tuple(1), tuple(1)),
                        "lacks the storage a/data/../../etc"),
                Arguments.of(
                        "storage in two ways",
                        "](" + one(4, 0, tuple(1), tuple(1))
                                + tensor(storage("0", "LongStorage", 2), 0, tuple(1), tuple(1)) + "e",
                        "in two ways"),
                Arguments.of("quantized", storage("0", "QInt8Storage", 16), "torch.QInt8Storage"),
                Arguments.of("bare storage", storage("0", "FloatStorage", 4), "bare storage"),
                Arguments.of(
                        "two tensors at one path",
                        "}(K\u0001" + one(4, 0, tuple(1), tuple(1)) + text("1") + one(4, 1, tuple(1), tuple(1)) + "u",
                        "two tensors at the path 1"));
    }

    private static String one(long elements, long offset, String size, String stride) {
        return tensor(storage("0", "FloatStorage", elements), offset, size, stride);
    }

    /** Lists of two references to the list before: 2^depth values in a few bytes each. */
    private static String bomb(int depth) {
        StringBuilder out = new StringBuilder("]q\0");
        for (int i = 0; i < depth; i++) {
            out.append("0](h")
                    .append((char) i)
                    .append("h")
                    .append((char) i)
                    .append("eq")
                    .append((char) (i + 1));
        }
        return out.toString();
    }

    private static String nestedLists(int depth) {
        return "]".repeat(depth) + "a".repeat(depth - 1);
    }

    private static String copies() {
        String list = "](" + "K\u0001".repeat(100_000) + "eq\u0001";
        return list + ("ctorch\nSize\n(" + "h\u0001tR0").repeat(50);
    }

    private static String textCopies() {
        String text = "X" + le(1 << 20, 4) + "x".repeat(1 << 20) + "q\u0001" + text("latin1") + "q\u0002";
        return text + "c_codecs\nencode\nq\u0003" + "0h\u0003h\u0001h\u0002\u0086R".repeat(100);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("pickles")
    void open_refuses_whenThePickleIsHostile(String what, String pickle, String message) {
        refused(zip(pickle), message);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("pickles")
    void open_refuses_whenALegacyPickleIsHostile(String what, String pickle, String message) {
        boolean stored = pickle.contains("Storage");
        String storage = stored ? le(4, 8) + "\0".repeat(16) : "";
        boolean zipOnly = message.startsWith("has 16 bytes") || message.startsWith("lacks the storage a/");
        refused(legacy(pickle, stored ? "](" + text("0") + "e" : "]", storage), zipOnly ? "storage" : message);
    }

    static Stream<Arguments> damages() {
        byte[] sound = zip(smallDict());
        int directory = indexOf(sound, "PK\u0001\u0002");
        int end = indexOf(sound, "PK\u0005\u0006");
        return Stream.of(
                damage("a letter of the pickle", sound, indexOf(sound, "FloatStorage"), 1, 'f', "is damaged"),
                damage("CRC in the directory", sound, directory + 16, 4, 7, "is damaged"),
                damage("encrypted", sound, directory + 8, 2, 1, "encrypted"),
                damage("method", sound, directory + 10, 2, 12, "method 12"),
                damage("sizes that differ", sound, directory + 20, 4, 3, "claims 3 and"),
                damage("header offset", sound, directory + 42, 4, 3, "no local header of its own at byte 3"),
                damage("header offset beyond", sound, directory + 42, 4, 1 << 30, "no local header"),
                damage("zip64 without its field", sound, directory + 20, 4, -1, "lacks its zip64 sizes"),
                damage("local name", sound, 30, 1, 'b', "contradicts"),
                damage("local method", sound, 8, 2, 8, "contradicts"),
                damage("local size", sound, 18, 4, 8, "contradicts"),
                damage("local name length", sound, 26, 2, 0xffff, "overlaps"),
                damage("entry count", sound, end + 10, 2, 3, "breaks off at entry 2 of 3"),
                damage("entry count low", sound, end + 10, 2, 1, "more than its 1 entries"),
                damage("directory offset", sound, end + 16, 4, 3, "has to end at byte"),
                damage("disk number", sound, end + 4, 2, 1, "several parts"),
                damage("comment length", sound, end + 20, 2, 5, "directory at the end of the file is missing"),
                damage("name length", sound, directory + 28, 2, 0xffff, "breaks off at entry 0"),
                Arguments.of("an empty name", zipNamed(""), "odd name"),
                Arguments.of("a path upwards", zipNamed("a/../../x"), "odd name"),
                Arguments.of("an absolute path", zipNamed("/etc/passwd"), "odd name"),
                Arguments.of("a backslash", zipNamed("a\\x"), "odd name"),
                Arguments.of("a control character", zipNamed("a/\u0007"), "odd name \"a/?\""),
                Arguments.of("no pickle", zip(Map.of("a/x", new byte[1]), false), "without NAME/data.pkl"),
                Arguments.of("two pickles", zipWith("b/data.pkl", "N."), "2 pickles"),
                Arguments.of("TorchScript", zipWith("a/constants.pkl", "N."), "TorchScript"),
                Arguments.of("big-endian", zipWith("a/byteorder", "big"), "big-endian"),
                Arguments.of("odd byte order", zipWith("a/byteorder", "PDP"), "byte order \"PDP\""),
                Arguments.of("endless byte order", zipWith("a/byteorder", "big".repeat(1000)), "3000 bytes"),
                Arguments.of("a name twice", twice(), "a/data/0 twice"),
                Arguments.of("entries that overlap", overlapping(), "overlaps"),
                Arguments.of("an entry count of 2^60", zip64(1L << 60, 0), "claims 1152921504606846976 entries"),
                Arguments.of("a negative zip64 offset", zip64(2, -5), "has to end at byte"),
                Arguments.of("nothing", new byte[0], "neither a zip file nor its pickle"),
                Arguments.of("a web page", latin1("<!DOCTYPE html>"), "neither a zip file nor its pickle"),
                Arguments.of(
                        "some other pickle",
                        latin1("\u0080\u0002\u008a\n0123456789."),
                        "not one that torch.save wrote"),
                Arguments.of("legacy without storages", legacy(smallDict(), "]", ""), "lacks the storage 0"),
                Arguments.of(
                        "legacy cut", legacy(smallDict(), "](" + text("0") + "e", le(4, 8)), "an unfinished download?"),
                Arguments.of(
                        "legacy count",
                        legacy(smallDict(), "](" + text("0") + "e", le(1L << 61, 8) + "\0".repeat(16)),
                        "has 2305843009213693952 elements"),
                Arguments.of(
                        "legacy storage twice",
                        legacy(smallDict(), "](" + text("0").repeat(2) + "e", (le(4, 8) + "\0".repeat(16)).repeat(2)),
                        "twice"),
                Arguments.of(
                        "legacy storage of nobody", legacy("}", "](" + text("0") + "e", le(4, 8)), "no tensor uses"),
                Arguments.of("legacy keys", legacy("}", "N", ""), "list of its storages"));
    }

    private static Arguments damage(String what, byte[] sound, int at, int bytes, int value, String message) {
        byte[] damaged = sound.clone();
        byte[] little = ByteBuffer.allocate(4)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(value)
                .array();
        System.arraycopy(little, 0, damaged, at, bytes);
        return Arguments.of(what, damaged, message);
    }

    private static byte[] replaced(byte[] in, UnaryOperator<String> change) {
        return latin1(change.apply(new String(in, StandardCharsets.ISO_8859_1)));
    }

    private static byte[] zipWith(String name, String content) {
        Map<String, byte[]> entries = TorchBytes.entries(smallDict());
        entries.put(name, latin1(content));
        return zip(entries, false);
    }

    private static byte[] zipNamed(String name) {
        return zipWith(name, "");
    }

    private static byte[] twice() {
        return replaced(zipWith("a/data/1", ""), all -> all.replace("a/data/1", "a/data/0"));
    }

    /** The second entry's header lies in the first one's data, and says the truth about itself. */
    private static byte[] overlapping() {
        Map<String, byte[]> inner = new LinkedHashMap<>();
        inner.put("a/data/0", new byte[16]);
        byte[] nested = zip(inner, false);
        Map<String, byte[]> outer = new LinkedHashMap<>();
        outer.put("a/data.pkl", nested);
        outer.put("a/data/0", new byte[16]);
        byte[] file = zip(outer, false);
        int second = new String(file, StandardCharsets.ISO_8859_1).lastIndexOf("PK\u0001\u0002");
        ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).putInt(second + 42, indexOf(file, "a/data.pkl") + 10);
        return file;
    }

    private static byte[] zip64(long count, long offset) {
        return replaced(zip(smallDict()), all -> {
            int end = all.indexOf("PK\u0005\u0006");
            String record = "PK\u0006\u0006" + le(44, 8) + le(45, 2) + le(45, 2) + le(0, 8) + le(count, 8)
                    + le(count, 8) + le(0, 8) + le(offset, 8);
            return all.substring(0, end) + record + "PK\u0006\u0007" + le(0, 4) + le(end, 8) + le(1, 4)
                    + all.substring(end);
        });
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("damages")
    void open_refuses_whenTheFileIsDamaged(String what, byte[] file, String message) {
        refused(file, message);
    }

    @Test
    void open_refuses_whenTheFileIsCutAnywhere() {
        byte[] sound = zip(smallDict());
        for (int length = 0; length < sound.length; length++) {
            refused(Arrays.copyOf(sound, length), "");
        }
        byte[] legacy = legacy(smallDict(), "](" + text("0") + "e", le(4, 8) + "\0".repeat(16));
        for (int length = 0; length < legacy.length; length++) {
            refused(Arrays.copyOf(legacy, length), "");
        }
        assertThat(open(sound).names()).containsExactly("w");
        assertThat(open(legacy).names()).containsExactly("w");
    }

    /** As trainers keep themselves in their state: what is beside it is read. */
    @Test
    void open_passesOverAContainer_thatContainsItself() {
        String weight = text("w") + tensor(storage("0", "FloatStorage", 4), 0, tuple(4), tuple(1)) + "s";
        assertThat(open(zip("}q\u0001" + text("k") + "h\u0001s" + weight)).names())
                .containsExactly("w");
        assertThat(open(zip("}" + weight + text("l") + "]q\u0001h\u0001as")).names())
                .containsExactly("w");
        assertThat(open(zip("]q\u0001h\u0001a")).names()).isEmpty();
    }

    @Test
    void open_refuses_whenACompressedEntryIsABomb() {
        Map<String, byte[]> entries = TorchBytes.entries(
                "}(" + text("w") + tensor(storage("0", "ByteStorage", 1L << 40), 0, tuple(1), tuple(1)) + "u");
        byte[] file = zip(entries, true);
        int second = new String(file, StandardCharsets.ISO_8859_1).lastIndexOf("PK\u0001\u0002");
        // The size that the directory claims is what a reader would allocate.
        ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).putInt(second + 24, Integer.MAX_VALUE);
        Map<String, byte[]> honest = TorchBytes.entries(smallDict());
        byte[] claim = zip(honest, true);
        int pickle = indexOf(claim, "PK\u0001\u0002");
        ByteBuffer.wrap(claim).order(ByteOrder.LITTLE_ENDIAN).putInt(pickle + 24, 200 << 20);

        refused(file, "has 2147483647 bytes, not the 1099511627776");
        refused(claim, "claims to inflate");
    }

    @Test
    void tensor_isRead_whenItsStorageIsCompressed() {
        Map<String, byte[]> entries = TorchBytes.entries(smallDict());
        ByteBuffer.wrap(entries.get("a/data/0")).order(ByteOrder.LITTLE_ENDIAN).putFloat(4, 1.5f);

        assertThat(open(zip(entries, true)).tensor("w").toFloats()).containsExactly(0, 1.5f, 0, 0);
    }

    @Test
    void tensor_refuses_whenACompressedStorageIsDamaged() {
        Map<String, byte[]> entries = TorchBytes.entries(smallDict());
        byte[] file = zip(entries, true);
        int second = new String(file, StandardCharsets.ISO_8859_1).lastIndexOf("PK\u0001\u0002");
        file[second + 16] ^= 1;
        refused(file, "a/data/0 is damaged");

        byte[] longer = zip(entries, true);
        int at = new String(longer, StandardCharsets.ISO_8859_1).lastIndexOf("PK\u0001\u0002");
        ByteBuffer.wrap(longer).order(ByteOrder.LITTLE_ENDIAN).putInt(at + 24, 12);
        refused(longer, "has 12 bytes, not the 16");
    }

    @Test
    void values_areAllKinds_whenThePickleIsOfProtocol5() {
        String pickle = "\u0095" + le(4, 8) + "}\u0094(" + "\u008c\u0001s" + "\u008f(K\u0001K\u0001\u0090"
                + "\u008c\u0001f" + "(K\u0002\u0091" + "\u008c\u0001b" + "C\u0002ab" + "\u008c\u0001B" + "\u0096"
                + le(1, 8) + "c" + "\u008c\u0001t" + "\u008c\u0005torch\u008c\u0007float16\u0093" + "\u008c\u0001i"
                + int64(Long.MIN_VALUE) + "\u008c\u0001z\u008a\0u";
        Map<?, ?> values = (Map<?, ?>) open(zip(pickle)).values();

        assertThat(values.get("s")).isEqualTo(Set.of(1L));
        assertThat(values.get("f")).isEqualTo(Set.of(2L));
        assertThat((byte[]) values.get("b")).containsExactly('a', 'b');
        assertThat((byte[]) values.get("B")).containsExactly('c');
        assertThat(values.get("t")).isEqualTo(new PyGlobal("torch", "float16"));
        assertThat(values.get("i")).isEqualTo(Long.MIN_VALUE);
        assertThat(values.get("z")).isEqualTo(0L);
    }

    @Test
    void values_areRead_whenThePickleIsOfProtocol1() {
        Map<?, ?> values = (Map<?, ?>)
                open(zip("}(" + text("t") + "I01\n" + text("l") + "L12345678901L\n" + text("f") + "F-inf\nu"))
                        .values();

        assertThat(values.get("t")).isEqualTo(true);
        assertThat(values.get("l")).isEqualTo(12345678901L);
        assertThat(values.get("f")).isEqualTo(Double.NEGATIVE_INFINITY);
    }

    @Test
    void tensor_hasTheGivenType_whenTheStorageIsUntyped() {
        String untyped =
                "(" + text("storage") + "ctorch.storage\nUntypedStorage\n" + text("0") + text("cpu") + "K\u0010tQ";
        String v3 = "ctorch._utils\n_rebuild_tensor_v3\n(" + untyped + "K\u0002" + tuple(6) + tuple(1)
                + "\u0089ccollections\nOrderedDict\n)Rctorch\nuint16\ntR";
        TorchFile torch = open(zip(v3));

        assertThat(torch.tensor("tensor").dtype()).isEqualTo(DType.U16);
        assertThat(torch.tensor("tensor").data().byteSize()).isEqualTo(12);
    }
}
