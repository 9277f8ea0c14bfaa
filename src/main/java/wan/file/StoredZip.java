package wan.file;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.time.LocalDateTime;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * Writes zip files of uncompressed entries whose data begins at a multiple of 64 bytes, so that readers can map them, as torch and
 * numpy write theirs. Beyond 4 GB it is a zip64 file.
 */
final class StoredZip implements AutoCloseable {
    private static final int ALIGNMENT_BYTES = 64;
    private static final int LOCAL_HEADER_BYTES = 30;
    private static final int EXTRA_HEADER_BYTES = 4;
    /** As torch does it: a field that no program knows, of the length that is missing. */
    private static final short PADDING_ID = 0x4246;

    /** The first date that the JDK writes without a field for times before 1980. */
    private static final LocalDateTime EPOCH = LocalDateTime.of(1980, 1, 2, 0, 0);

    private static final int STEP_BYTES = 1 << 24;

    private final Counting counting;
    private final ZipOutputStream zip;

    StoredZip(OutputStream out) {
        counting = new Counting(out);
        zip = new ZipOutputStream(counting);
    }

    /** Adds an entry whose content is these parts, one behind the other. */
    void add(String name, MemorySegment... parts) throws IOException {
        CRC32 crc = new CRC32();
        long sizeBytes = 0;
        for (MemorySegment part : parts) {
            sizeBytes += part.byteSize();
            forEachStep(part, crc::update);
        }
        ZipEntry entry = new ZipEntry(name);
        entry.setMethod(ZipEntry.STORED);
        entry.setSize(sizeBytes);
        entry.setCompressedSize(sizeBytes);
        entry.setCrc(crc.getValue());
        // The same content makes the same file, whenever it is written.
        entry.setTimeLocal(EPOCH);
        entry.setExtra(padding(name, sizeBytes));
        zip.putNextEntry(entry);
        WritableByteChannel channel = Channels.newChannel(zip);
        for (MemorySegment part : parts) {
            forEachStep(part, channel::write);
        }
        zip.closeEntry();
    }

    void add(String name, byte[] content) throws IOException {
        add(name, MemorySegment.ofArray(content));
    }

    private byte[] padding(String name, long sizeBytes) {
        // From 4 GB on, the JDK puts 20 bytes of zip64 sizes into the header.
        int zip64Bytes = sizeBytes >= 0xffff_ffffL ? 20 : 0;
        long start = counting.written
                + LOCAL_HEADER_BYTES
                + name.getBytes(StandardCharsets.UTF_8).length
                + zip64Bytes
                + EXTRA_HEADER_BYTES;
        int gap = (int) Math.floorMod(-start, (long) ALIGNMENT_BYTES);
        return ByteBuffer.allocate(EXTRA_HEADER_BYTES + gap)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putShort(PADDING_ID)
                .putShort((short) gap)
                .array();
    }

    /** Does something with a stretch of bytes. */
    @FunctionalInterface
    private interface Step {
        void accept(ByteBuffer bytes) throws IOException;
    }

    private static void forEachStep(MemorySegment part, Step step) throws IOException {
        for (long at = 0; at < part.byteSize(); at += STEP_BYTES) {
            step.accept(
                    part.asSlice(at, Math.min(STEP_BYTES, part.byteSize() - at)).asByteBuffer());
        }
    }

    @Override
    public void close() throws IOException {
        zip.close();
    }

    /** Knows how far the file has come. */
    private static final class Counting extends FilterOutputStream {
        private long written;

        Counting(OutputStream out) {
            super(out);
        }

        @Override
        public void write(int b) throws IOException {
            out.write(b);
            written++;
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            out.write(bytes, offset, length);
            written += length;
        }
    }
}
