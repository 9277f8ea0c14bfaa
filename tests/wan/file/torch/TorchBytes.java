package wan.file.torch;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** Hand-made files, mostly hostile ones. Pickles are written as text: bytes of latin1, with \\n where an opcode ends a line. */
final class TorchBytes {
    private TorchBytes() {}

    static TorchFile open(byte[] bytes) {
        return new TorchFile("x.pt", MemorySegment.ofArray(bytes), Arena.ofAuto());
    }

    static byte[] latin1(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    static int indexOf(byte[] in, String what) {
        return new String(in, StandardCharsets.ISO_8859_1).indexOf(what);
    }

    /** A SHORT_BINSTRING. */
    static String text(String value) {
        return "U" + (char) value.length() + value;
    }

    /** A LONG_BININT of 4 bytes. */
    static String int32(int value) {
        return "J" + le(value, 4);
    }

    static String int64(long value) {
        return "\u008a\u0008" + le(value, 8);
    }

    static String le(long value, int bytes) {
        byte[] all = ByteBuffer.allocate(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(value)
                .array();
        return new String(all, 0, bytes, StandardCharsets.ISO_8859_1);
    }

    static String storage(String key, String type, long elements) {
        return "(" + text("storage") + "ctorch\n" + type + "\n" + text(key) + text("cpu") + int64(elements) + "tQ";
    }

    /** A call of {@code _rebuild_tensor_v2}; size and stride are pickled tuples. */
    static String tensor(String storage, long offset, String size, String stride) {
        return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + int64(offset) + size + stride
                + "\u0089ccollections\nOrderedDict\n)RtR";
    }

    static String tuple(long... values) {
        StringBuilder out = new StringBuilder("(");
        for (long value : values) {
            out.append(int64(value));
        }
        return out.append("t").toString();
    }

    /** A dict of one tensor of 4 floats under {@code w}. */
    static String smallDict() {
        return "}(" + text("w") + tensor(storage("0", "FloatStorage", 4), 0, tuple(2, 2), tuple(2, 1)) + "u";
    }

    static Map<String, byte[]> entries(String pickle) {
        Map<String, byte[]> entries = new LinkedHashMap<>();
        entries.put("a/data.pkl", latin1("\u0080\u0002" + pickle + "."));
        entries.put("a/data/0", new byte[16]);
        return entries;
    }

    /** A zip file of a pickle (between PROTO and STOP) and one storage of 16 bytes. */
    static byte[] zip(String pickle) {
        return zip(entries(pickle), false);
    }

    static byte[] zip(Map<String, byte[]> entries, boolean deflated) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
            for (Map.Entry<String, byte[]> e : entries.entrySet()) {
                ZipEntry entry = new ZipEntry(e.getKey());
                if (!deflated) {
                    CRC32 crc = new CRC32();
                    crc.update(e.getValue());
                    entry.setMethod(ZipEntry.STORED);
                    entry.setSize(e.getValue().length);
                    entry.setCrc(crc.getValue());
                }
                zip.putNextEntry(entry);
                zip.write(e.getValue());
                zip.closeEntry();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return bytes.toByteArray();
    }

    /** A legacy file of a pickle (between PROTO and STOP), the keys of its storages, and their bytes. */
    static byte[] legacy(String pickle, String keys, String storages) {
        String number = new String(HexFormat.of().parseHex("6cfc9c46f9206aa85019"), StandardCharsets.ISO_8859_1);
        String magic = "\u0080\u0002\u008a\n" + number + ".";
        String system = "\u0080\u0002}(" + text("little_endian") + "\u0088u.";
        return latin1(magic + "\u0080\u0002M\u00e9\u0003." + system + "\u0080\u0002" + pickle + "." + "\u0080\u0002"
                + keys + "." + storages);
    }
}
