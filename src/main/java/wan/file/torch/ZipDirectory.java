package wan.file.torch;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.NavigableSet;
import java.util.SequencedMap;
import java.util.TreeSet;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;
import org.jspecify.annotations.Nullable;
import wan.op.FormatException;

/**
 * The entries of a zip file that lies in memory, usually mapped: where each one's bytes are, in place.
 *
 * <p>The JDK's readers copy what they read; a checkpoint's storages are gigabytes that must stay where they are. The central
 * directory is the truth, as the format says (PKWARE's APPNOTE 6.3). The local headers lie scattered over the whole file, so each is
 * checked against it when its entry is first asked for: opening reads the end of the file only. Entries may be stored or deflated,
 * and beyond 4 GB.
 */
final class ZipDirectory {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private static final int LOCAL_SIGNATURE = 0x04034b50;
    private static final int CENTRAL_SIGNATURE = 0x02014b50;
    private static final int END_SIGNATURE = 0x06054b50;
    private static final int END64_SIGNATURE = 0x06064b50;
    private static final int LOCATOR64_SIGNATURE = 0x07064b50;
    private static final int LOCAL_BYTES = 30;
    private static final int CENTRAL_BYTES = 46;
    private static final int END_BYTES = 22;
    private static final int END64_BYTES = 56;
    private static final int LOCATOR64_BYTES = 20;
    private static final int COMMENT_MAX_BYTES = 0xffff;
    private static final long SEE_ZIP64 = 0xffff_ffffL;
    private static final int ENCRYPTED = 1;
    private static final int SIZES_FOLLOW = 1 << 3;
    private static final int STORED = 0;
    private static final int DEFLATED = 8;
    private static final int ZIP64_EXTRA = 1;

    /** Far above the tensors of any model; a directory of this length is read in well under a second. */
    private static final long MAX_ENTRIES = 1 << 20;

    private final Object file;
    private final MemorySegment bytes;
    private final SequencedMap<String, Entry> entries = new LinkedHashMap<>();
    /** Where entries may begin and end: the offsets of all local headers, then that of the directory. */
    private final NavigableSet<Long> bounds = new TreeSet<>();

    /** One entry, which occupies {@code packedBytes} after its header and is {@code sizeBytes} long when it is inflated. */
    record Entry(String name, int method, int crc, long packedBytes, long sizeBytes, long headerOffset) {
        boolean stored() {
            return method == STORED;
        }
    }

    /**
     * Reads the directory.
     *
     * @param file for messages
     * @param bytes the whole file
     * @throws FormatException if it is not a sound zip file
     */
    ZipDirectory(Object file, MemorySegment bytes) {
        this.file = file;
        this.bytes = bytes;
        End end = findEnd();
        readEntries(end);
        bounds.add(end.directoryOffset());
        entries.values().forEach(entry -> requireRoom(entry, entry.headerOffset() + LOCAL_BYTES));
    }

    /** Whether these are the first bytes of a zip file. */
    static boolean looksLikeZip(MemorySegment bytes) {
        return bytes.byteSize() >= END_BYTES && bytes.get(INT, 0) == LOCAL_SIGNATURE;
    }

    /** All entries, in the order of the directory. */
    SequencedMap<String, Entry> entries() {
        return entries;
    }

    @Nullable
    Entry find(String name) {
        return entries.get(name);
    }

    /**
     * The whole content of an entry, after a check of its CRC: in place if it is stored, else inflated into {@code target}.
     *
     * @param target of {@link Entry#sizeBytes()} bytes; not used if stored
     * @throws FormatException if the content is not what the directory says
     */
    MemorySegment checked(Entry entry, MemorySegment target) {
        MemorySegment content = entry.stored() ? data(entry) : inflate(entry, target);
        CRC32 crc = new CRC32();
        for (long at = 0; at < content.byteSize(); at += 1 << 24) {
            crc.update(content.asSlice(at, Math.min(1 << 24, content.byteSize() - at))
                    .asByteBuffer());
        }
        if ((int) crc.getValue() != entry.crc()) {
            throw broken(entry.name()
                    + String.format(
                            Locale.ROOT,
                            " is damaged: its checksum is %08x, not %08x as the zip directory says",
                            (int) crc.getValue(),
                            entry.crc()));
        }
        return content;
    }

    private MemorySegment inflate(Entry entry, MemorySegment target) {
        MemorySegment packed = data(entry);
        Inflater inflater = new Inflater(true);
        try {
            ByteBuffer in = ByteBuffer.allocate(0);
            long taken = 0;
            long made = 0;
            while (!inflater.finished()) {
                if (inflater.needsInput() && taken < packed.byteSize()) {
                    long n = Math.min(1 << 24, packed.byteSize() - taken);
                    in = packed.asSlice(taken, n).asByteBuffer();
                    inflater.setInput(in);
                    taken += n;
                }
                long room = Math.min(1 << 24, target.byteSize() - made);
                ByteBuffer out = room > 0 ? target.asSlice(made, room).asByteBuffer() : ByteBuffer.allocate(1);
                int n = inflater.inflate(out);
                if (room == 0 && n > 0) {
                    throw broken(
                            entry.name() + " inflates to more than the " + entry.sizeBytes() + " bytes it declares");
                }
                made += n;
                if (n == 0 && !inflater.finished() && (!inflater.needsInput() || taken == packed.byteSize())) {
                    break;
                }
            }
            if (!inflater.finished() || made != entry.sizeBytes()) {
                throw broken(entry.name() + " inflates to " + made + " bytes, not " + entry.sizeBytes());
            }
            return target;
        } catch (DataFormatException e) {
            throw new FormatException(file, entry.name() + " is not a sound deflate stream: " + e.getMessage(), e);
        } finally {
            inflater.end();
        }
    }

    /** What the end record, or its zip64 twin, says of the central directory. */
    private record End(long entries, long directoryOffset, long directoryBytes) {}

    private End findEnd() {
        long earliest = Math.max(0, bytes.byteSize() - END_BYTES - COMMENT_MAX_BYTES);
        for (long at = bytes.byteSize() - END_BYTES; at >= earliest; at--) {
            if (bytes.get(INT, at) == END_SIGNATURE && at + END_BYTES + u16(at + 20) == bytes.byteSize()) {
                return readEnd(at);
            }
        }
        throw broken(
                "the zip directory at the end of the file is missing; an unfinished download? fetch the file again");
    }

    private End readEnd(long at) {
        if (at >= LOCATOR64_BYTES && bytes.get(INT, at - LOCATOR64_BYTES) == LOCATOR64_SIGNATURE) {
            long end64 = bytes.get(LONG, at - LOCATOR64_BYTES + 8);
            if (end64 < 0
                    || end64 > at - LOCATOR64_BYTES - END64_BYTES
                    || bytes.get(INT, end64) != END64_SIGNATURE
                    || bytes.get(INT, end64 + 16) != 0
                    || bytes.get(INT, end64 + 20) != 0) {
                throw broken("the zip64 end record is not where its locator says");
            }
            return end(bytes.get(LONG, end64 + 32), bytes.get(LONG, end64 + 48), bytes.get(LONG, end64 + 40), end64);
        }
        if (u16(at + 4) != 0 || u16(at + 6) != 0) {
            throw broken("a zip file in several parts is not supported");
        }
        return end(u16(at + 10), u32(at + 16), u32(at + 12), at);
    }

    private End end(long count, long offset, long sizeBytes, long endRecord) {
        if (count < 0 || count > MAX_ENTRIES) {
            throw broken(
                    "the zip directory claims " + Long.toUnsignedString(count) + " entries; at most " + MAX_ENTRIES);
        }
        if (offset < 0 || sizeBytes < 0 || offset > endRecord || sizeBytes != endRecord - offset) {
            throw broken("the zip directory is claimed at byte " + Long.toUnsignedString(offset) + " with "
                    + Long.toUnsignedString(sizeBytes) + " bytes, but has to end at byte " + endRecord);
        }
        return new End(count, offset, sizeBytes);
    }

    private void readEntries(End end) {
        long at = end.directoryOffset();
        long limit = at + end.directoryBytes();
        for (long i = 0; i < end.entries(); i++) {
            if (limit - at < CENTRAL_BYTES || bytes.get(INT, at) != CENTRAL_SIGNATURE) {
                throw broken("the zip directory breaks off at entry " + i + " of " + end.entries());
            }
            int nameBytes = u16(at + 28);
            int extraBytes = u16(at + 30);
            long next = at + CENTRAL_BYTES + nameBytes + extraBytes + u16(at + 32);
            if (next > limit) {
                throw broken("the zip directory breaks off at entry " + i + " of " + end.entries());
            }
            String name = name(at + CENTRAL_BYTES, nameBytes);
            Entry entry = readEntry(name, at, at + CENTRAL_BYTES + nameBytes, extraBytes, end.directoryOffset());
            if (entries.put(name, entry) != null) {
                throw broken("the zip directory has the entry " + name + " twice");
            }
            at = next;
        }
        if (at != limit) {
            throw broken(
                    "the zip directory has " + (limit - at) + " bytes more than its " + end.entries() + " entries");
        }
    }

    private Entry readEntry(String name, long at, long extra, int extraBytes, long directoryOffset) {
        int flags = u16(at + 8);
        int method = u16(at + 10);
        if ((flags & ENCRYPTED) != 0) {
            throw broken(name + " is encrypted");
        }
        if (method != STORED && method != DEFLATED) {
            throw broken(name + " is compressed with method " + method + "; only stored and deflated entries are read");
        }
        long packedBytes = u32(at + 20);
        long sizeBytes = u32(at + 24);
        long header = u32(at + 42);
        if (packedBytes == SEE_ZIP64 || sizeBytes == SEE_ZIP64 || header == SEE_ZIP64) {
            long field = zip64Extra(name, extra, extraBytes);
            long fieldEnd = field + u16(field - 2);
            if (sizeBytes == SEE_ZIP64) {
                sizeBytes = zip64Value(name, field, fieldEnd);
                field += 8;
            }
            if (packedBytes == SEE_ZIP64) {
                packedBytes = zip64Value(name, field, fieldEnd);
                field += 8;
            }
            if (header == SEE_ZIP64) {
                header = zip64Value(name, field, fieldEnd);
            }
        }
        if (method == STORED && packedBytes != sizeBytes) {
            throw broken(name + " is stored but claims " + packedBytes + " and " + sizeBytes + " bytes");
        }
        if (header > directoryOffset - LOCAL_BYTES || !bounds.add(header)) {
            throw broken(name + " has no local header of its own at byte " + header);
        }
        return new Entry(name, method, bytes.get(INT, at + 16), packedBytes, sizeBytes, header);
    }

    /** The offset of the zip64 field's values. */
    private long zip64Extra(String name, long extra, int extraBytes) {
        long end = extra + extraBytes;
        for (long at = extra; at + 4 <= end; at += 4 + u16(at + 2)) {
            if (u16(at) == ZIP64_EXTRA && at + 4 + u16(at + 2) <= end) {
                return at + 4;
            }
        }
        throw broken(name + " lacks its zip64 sizes");
    }

    private long zip64Value(String name, long at, long end) {
        if (at + 8 > end) {
            throw broken(name + " lacks its zip64 sizes");
        }
        long value = bytes.get(LONG, at);
        if (value < 0) {
            throw broken(name + " claims " + Long.toUnsignedString(value) + " bytes");
        }
        return value;
    }

    /**
     * The bytes of an entry, in place, still deflated if it is.
     *
     * @throws FormatException if its local header contradicts the directory
     */
    MemorySegment data(Entry entry) {
        long at = entry.headerOffset();
        if (bytes.get(INT, at) != LOCAL_SIGNATURE) {
            throw broken(entry.name() + " has no local header of its own at byte " + at);
        }
        int nameBytes = u16(at + 26);
        long dataOffset = at + LOCAL_BYTES + nameBytes + u16(at + 28);
        requireRoom(entry, dataOffset);
        boolean sizesHere = (u16(at + 6) & SIZES_FOLLOW) == 0 && u32(at + 18) != SEE_ZIP64;
        if (u16(at + 8) != entry.method()
                || !name(at + LOCAL_BYTES, nameBytes).equals(entry.name())
                || (sizesHere && u32(at + 18) != entry.packedBytes())) {
            throw broken(entry.name() + " has a local header that contradicts the zip directory");
        }
        return bytes.asSlice(dataOffset, entry.packedBytes());
    }

    private void requireRoom(Entry entry, long dataOffset) {
        Long next = bounds.higher(entry.headerOffset());
        if (next == null || dataOffset > next || entry.packedBytes() > next - dataOffset) {
            throw broken(entry.name() + " claims " + entry.packedBytes() + " bytes from byte " + dataOffset
                    + ", and overlaps what begins at byte " + next);
        }
    }

    /** Names are never used as paths; odd ones are refused because nothing honest writes them. */
    private String name(long at, int nameBytes) {
        byte[] raw = bytes.asSlice(at, nameBytes).toArray(ValueLayout.JAVA_BYTE);
        String name;
        try {
            name = StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(raw))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new FormatException(file, "the zip entry at byte " + at + " has a name that is not UTF-8", e);
        }
        if (name.isEmpty()
                || name.startsWith("/")
                || name.contains("\\")
                || List.of(name.split("/", -1)).contains("..")
                || name.chars().anyMatch(Character::isISOControl)) {
            throw broken("the zip entry at byte " + at + " has the odd name \"" + printable(name) + "\"");
        }
        return name;
    }

    /** For messages: control characters replaced, long names cut. */
    static String printable(String text) {
        String cut = text.length() > 80 ? text.substring(0, 80) + "..." : text;
        return cut.replaceAll("\\p{Cntrl}", "?");
    }

    private int u16(long at) {
        return bytes.get(SHORT, at) & 0xffff;
    }

    private long u32(long at) {
        return bytes.get(INT, at) & 0xffff_ffffL;
    }

    private FormatException broken(String problem) {
        return new FormatException(file, problem);
    }
}
