package wan.file;

import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import tools.jackson.core.JacksonException;
import wan.op.DType;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.WanException;

/**
 * Writes a safetensors file as its data comes: regions are reserved one behind the other, filled in any order by any thread, and
 * described by a header at the end, for which room is kept at the start.
 *
 * <p>Until {@link #finish} the data lies in a file of its own beside the target ({@link TemporaryFile}); closing without it removes that file. The format
 * allows no gaps, so a region is aligned only as the ones before it leave it: add wide element types first.
 */
public final class SafetensorsWriter implements AutoCloseable {
    /** What the format allows. */
    public static final int MAX_HEADER_BYTES = StrictJson.MAX_BYTES;

    private static final int CHUNK_BYTES = 1 << 18;
    private static final int SEGMENT_BYTES = 1 << 30;

    private final Path target;
    private final Map<String, Region> regions = new LinkedHashMap<>();
    private TemporaryFile file;
    private long headerBytes;
    private long dataBytes;

    private SafetensorsWriter(Path target, TemporaryFile file, long headerBytes) {
        this.target = target;
        this.file = file;
        this.headerBytes = headerBytes;
    }

    /**
     * Begins a file.
     *
     * @param file replaced when it is finished, not before; a link keeps pointing to it
     * @param headerCapacityBytes room for the header's JSON. Too little costs one copy of the data in {@link #finish}; about
     *     100 bytes a tensor plus the metadata is right
     * @throws WanException if the folder cannot be written, or the target is a folder
     */
    public static SafetensorsWriter create(Path file, long headerCapacityBytes) {
        Path target = Messages.destination(file);
        return over(TemporaryFile.beside(target), headerCapacityBytes, List.of());
    }

    /**
     * Goes on in a file.
     *
     * @param entries the tensors that it has; what lies behind them is cut off
     */
    static SafetensorsWriter over(TemporaryFile file, long headerCapacityBytes, List<SafetensorsHeader.Entry> entries) {
        SafetensorsWriter writer = of(file, headerCapacityBytes, entries);
        try {
            file.channel().truncate(writer.dataStart() + writer.dataBytes);
            return writer;
        } catch (IOException e) {
            throw Messages.io(file.target(), "cannot write", e);
        }
    }

    /** A writer that knows of some tensors in a file, and has not touched it. */
    static SafetensorsWriter of(TemporaryFile file, long headerCapacityBytes, List<SafetensorsHeader.Entry> entries) {
        if (headerCapacityBytes > MAX_HEADER_BYTES) { // nobody could read the file
            throw new IllegalArgumentException("a header is at most " + MAX_HEADER_BYTES + " bytes");
        }
        SafetensorsWriter writer = new SafetensorsWriter(file.target(), file, multipleOf8(headerCapacityBytes));
        for (SafetensorsHeader.Entry entry : entries) {
            Region _ = writer.add(entry.name(), entry.dtype(), entry.shape());
        }
        return writer;
    }

    private static long multipleOf8(long bytes) {
        return (bytes + 7) / 8 * 8;
    }

    /** Where tensors begin in a file with so much room for its header. */
    static long dataStart(long headerCapacityBytes) {
        return Long.BYTES + multipleOf8(headerCapacityBytes);
    }

    /** Where tensors begin in the file. */
    long dataStart() {
        return Long.BYTES + headerBytes;
    }

    FileChannel channel() {
        return file.channel();
    }

    /** Puts onto the disk what has been written, and makes the file as long as what has been reserved. */
    synchronized void sync() throws IOException {
        fill();
        file.channel().force(false);
    }

    /** The byte after the first few tensors. */
    synchronized long end(int tensors) {
        return regions.values().stream()
                .limit(tensors)
                .mapToLong(region -> region.entry.end())
                .max()
                .orElse(0);
    }

    /** A header's JSON of the tensors from one to another, as if these were all. */
    synchronized byte[] header(int first, int end) {
        List<SafetensorsHeader.Entry> entries = regions.values().stream()
                .limit(end)
                .skip(first)
                .map(r -> r.entry)
                .toList();
        long base = entries.isEmpty() ? 0 : entries.getFirst().begin();
        return SafetensorsHeader.write(
                entries.stream()
                        .map(e -> new SafetensorsHeader.Entry(
                                e.name(), e.dtype(), e.shape(), e.begin() - base, e.end() - base))
                        .toList(),
                Map.of());
    }

    synchronized List<String> names() {
        return List.copyOf(regions.keySet());
    }

    /** A float32 tensor that can be read back. */
    synchronized Region region(String name) {
        Region region = regions.get(name);
        if (region == null || region.dtype() != DType.F32) {
            throw WanException.mismatch(
                    target.toString(), "a float32 tensor " + name, region == null ? "none" : region.dtype(), "");
        }
        return region;
    }

    HostTensor tensor(String name) {
        Region region = region(name);
        float[] values = new float[region.shape().intSize()];
        region.read(0, values);
        return new HostTensor(region.shape(), values);
    }

    /**
     * Reserves the next bytes of the file for a tensor. What is never written is zero.
     *
     * @throws WanException if there is one of that name, or its size is not a whole number of bytes
     */
    public synchronized Region add(String name, DType dtype, Shape shape) {
        if (name.equals("__metadata__") || regions.containsKey(name)) {
            throw new WanException(target + ": cannot write a tensor named " + name
                    + (regions.containsKey(name) ? ": there is one already" : ": the format reserves the name"));
        }
        try {
            long end = Math.addExact(dataBytes, dtype.bytes(shape.size()));
            Region region = new Region(new SafetensorsHeader.Entry(name, dtype, shape, dataBytes, end));
            regions.put(name, region);
            dataBytes = end;
            return region;
        } catch (ArithmeticException e) {
            // Not the cause's own words: a hot method's compiled code throws it without any.
            throw new WanException(
                    target + ": tensor " + name + ": " + dtype + " " + shape
                            + " overflows or does not fill whole bytes",
                    e);
        }
    }

    /** Bytes reserved so far, the header's not counted. */
    public synchronized long dataBytes() {
        return dataBytes;
    }

    /**
     * Writes the header and moves the file into place; nothing can be written after.
     *
     * @param metadata free text about the file
     */
    public synchronized void finish(Map<String, String> metadata) {
        byte[] json = header(metadata);
        try {
            if (json.length > headerBytes) {
                moveDataBehind(multipleOf8(json.length));
            }
            byte[] padded = Arrays.copyOf(json, Math.toIntExact(headerBytes));
            Arrays.fill(padded, json.length, padded.length, (byte) ' ');
            ByteBuffer length = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            writeFully(length.putLong(0, headerBytes), 0);
            writeFully(ByteBuffer.wrap(padded), Long.BYTES);
            fill();
            file.moveIntoPlace();
        } catch (IOException e) {
            throw Messages.io(target, "cannot write", e);
        }
    }

    private void fill() throws IOException {
        long fileBytes = Long.BYTES + headerBytes + dataBytes;
        if (file.channel().size() < fileBytes) {
            writeFully(ByteBuffer.allocate(1), fileBytes - 1);
        }
    }

    private byte[] header(Map<String, String> metadata) {
        byte[] json;
        try {
            json = SafetensorsHeader.write(
                    regions.values().stream().map(r -> r.entry).toList(), metadata);
        } catch (JacksonException e) {
            throw new WanException(target + ": cannot write the header: " + Messages.shown(e.getOriginalMessage()), e);
        }
        if (json.length > StrictJson.MAX_BYTES) {
            throw new WanException(target + ": cannot write a header of " + json.length + " bytes: the format allows "
                    + StrictJson.MAX_BYTES + "; less metadata?");
        }
        return json;
    }

    /** The header turned out larger than its room: rather than lose the data, copy it behind a larger one. */
    private void moveDataBehind(long newHeaderBytes) throws IOException {
        TemporaryFile larger = TemporaryFile.beside(target);
        try {
            FileChannel out = larger.channel();
            long from = Long.BYTES + headerBytes;
            out.position(Long.BYTES + newHeaderBytes);
            while (from < file.channel().size()) {
                from += file.channel().transferTo(from, file.channel().size() - from, out);
            }
        } catch (IOException e) {
            larger.close();
            throw e;
        }
        file.close();
        file = larger;
        headerBytes = newHeaderBytes;
    }

    private void writeFully(ByteBuffer bytes, long position) throws IOException {
        long at = position;
        while (bytes.hasRemaining()) {
            at += file.channel().write(bytes, at);
        }
    }

    /** Removes what was written unless {@link #finish} has moved it into place. */
    @Override
    public synchronized void close() {
        try {
            file.close();
        } catch (IOException e) {
            throw Messages.io(file.path(), "cannot remove", e);
        }
    }

    /** The bytes of one tensor in the file. Threads may write different parts of it at once. */
    public final class Region {
        private final SafetensorsHeader.Entry entry;

        private Region(SafetensorsHeader.Entry entry) {
            this.entry = entry;
        }

        /** The tensor's name. */
        public String name() {
            return entry.name();
        }

        /** The type its elements are stored as. */
        public DType dtype() {
            return entry.dtype();
        }

        /** Its extents, outermost first. */
        public Shape shape() {
            return entry.shape();
        }

        /** Its size. */
        public long byteSize() {
            return entry.end() - entry.begin();
        }

        /**
         * Writes little-endian, C-order bytes.
         *
         * @param byteOffset from the tensor's first byte
         * @param bytes from its position to its limit; they are consumed
         * @throws IndexOutOfBoundsException if they do not lie within the tensor
         */
        public void write(long byteOffset, ByteBuffer bytes) {
            Objects.checkFromIndexSize(byteOffset, bytes.remaining(), byteSize());
            try {
                writeFully(bytes, Long.BYTES + headerBytes + entry.begin() + byteOffset);
            } catch (IOException e) {
                throw Messages.io(target, "cannot write", e);
            }
        }

        /**
         * Writes little-endian, C-order bytes.
         *
         * @param byteOffset from the tensor's first byte
         * @param bytes native, mapped, or over a {@code byte[]}
         * @throws IndexOutOfBoundsException if they do not lie within the tensor
         */
        public void write(long byteOffset, MemorySegment bytes) {
            Objects.checkFromIndexSize(byteOffset, bytes.byteSize(), byteSize());
            for (long at = 0; at < bytes.byteSize(); at += SEGMENT_BYTES) {
                long count = Math.min(SEGMENT_BYTES, bytes.byteSize() - at);
                write(byteOffset + at, bytes.asSlice(at, count).asByteBuffer());
            }
        }

        /**
         * Writes values, rounded to the tensor's type.
         *
         * @param firstElement index in C order of the first one
         * @param values any number of them; the tensor is F64, F32, BF16 or F16
         * @throws IndexOutOfBoundsException if they do not lie within the tensor
         */
        public void write(long firstElement, float[] values) {
            long elements = entry.shape().size();
            Objects.checkFromIndexSize(firstElement, values.length, elements);
            int elementBytes = entry.dtype().bits() / 8;
            int step = CHUNK_BYTES / Math.max(1, elementBytes);
            ByteBuffer chunk = ByteBuffer.allocate(Math.min(step, values.length) * elementBytes);
            for (int i = 0; i < values.length; i += step) {
                chunk.clear();
                FloatBytes.put(entry.dtype(), values, i, Math.min(step, values.length - i), chunk);
                write((firstElement + i) * elementBytes, chunk.flip());
            }
        }

        /**
         * Reads float32 values back.
         *
         * @param firstElement index in C order of the first one
         * @param values is filled
         */
        public void read(long firstElement, float[] values) {
            long elements = entry.shape().size();
            Objects.checkFromIndexSize(firstElement, values.length, elements);
            ByteBuffer chunk = ByteBuffer.allocate((int) Math.min(CHUNK_BYTES, (long) Float.BYTES * values.length))
                    .order(ByteOrder.LITTLE_ENDIAN);
            long at = dataStart() + entry.begin() + Float.BYTES * firstElement;
            try {
                for (int i = 0; i < values.length; i += chunk.limit() / Float.BYTES) {
                    chunk.clear().limit((int) Math.min(chunk.capacity(), (long) Float.BYTES * (values.length - i)));
                    while (chunk.hasRemaining()) {
                        if (file.channel().read(chunk, at + chunk.position()) < 0) {
                            throw new EOFException("the file ends");
                        }
                    }
                    at += chunk.limit();
                    chunk.flip().asFloatBuffer().get(values, i, chunk.limit() / Float.BYTES);
                }
            } catch (IOException e) {
                throw Messages.io(target, "cannot read", e);
            }
        }

        /** Writes the whole tensor, rounded to its type. */
        public void write(float[] values) {
            if (values.length != entry.shape().size()) {
                throw WanException.mismatch(entry.name(), entry.shape() + " values", values.length, "");
            }
            write(0, values);
        }
    }
}
