package wan.file;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import wan.op.FormatException;
import wan.op.HostTensor;
import wan.op.Shape;

/**
 * A safetensors file that grows in stages and is kept after any failure; its header is written last. A stage is what was added
 * since the previous one, with a checksum. The caller records it and can continue after it later.
 */
public final class PartialTensors implements AutoCloseable {
    private static final int CHUNK_BYTES = 1 << 20;

    private final Path file;
    private final SafetensorsWriter writer;
    private int stagedTensors;
    private long stagedBytes;

    private PartialTensors(Path file, SafetensorsWriter writer) {
        this.file = file;
        this.writer = writer;
        this.stagedTensors = writer.names().size();
        this.stagedBytes = writer.dataBytes();
    }

    /**
     * Begins a file.
     *
     * @param headerCapacityBytes as {@link SafetensorsWriter#create} takes it
     */
    public static PartialTensors create(Path file, long headerCapacityBytes) {
        try {
            FileChannel channel = FileChannel.open(
                    file,
                    StandardOpenOption.CREATE,
                    StandardOpenOption.TRUNCATE_EXISTING,
                    StandardOpenOption.READ,
                    StandardOpenOption.WRITE);
            return new PartialTensors(
                    file, SafetensorsWriter.over(TemporaryFile.kept(file, channel), headerCapacityBytes, List.of()));
        } catch (IOException e) {
            throw Messages.io(file, "cannot write", e);
        }
    }

    /** Some stages that {@link #check} has found whole, to read them. */
    public static PartialTensors read(Path file, long headerCapacityBytes, List<ObjectNode> stages) {
        try {
            FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
            return new PartialTensors(
                    file,
                    SafetensorsWriter.of(
                            TemporaryFile.kept(file, channel), headerCapacityBytes, entries(file, stages)));
        } catch (IOException e) {
            throw Messages.io(file, "cannot read", e);
        }
    }

    /** Goes on behind some stages that {@link #check} has found whole; what came after them is cut off. */
    public static PartialTensors reopen(Path file, long headerCapacityBytes, List<ObjectNode> stages) {
        try {
            FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE);
            return new PartialTensors(
                    file,
                    SafetensorsWriter.over(
                            TemporaryFile.kept(file, channel), headerCapacityBytes, entries(file, stages)));
        } catch (IOException e) {
            throw Messages.io(file, "cannot write", e);
        }
    }

    /**
     * How many of some recorded stages are there, unchanged.
     *
     * @param stages what {@link #stage} returned, in order
     */
    public static int check(Path file, long headerCapacityBytes, List<ObjectNode> stages) {
        if (!Files.isRegularFile(file)) {
            return 0;
        }
        int whole = 0;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            long base = SafetensorsWriter.dataStart(headerCapacityBytes);
            long at = 0;
            for (ObjectNode stage : stages) {
                long bytes = stage.path("bytes").asLong(-1);
                if (bytes < 0
                        || bytes > channel.size() - base - at
                        || !checksum(channel, base + at, bytes)
                                .equals(stage.path("crc32c").asString(""))) {
                    return whole;
                }
                at += bytes;
                entries(file, stages.subList(0, whole + 1));
                whole++;
            }
        } catch (FormatException e) {
            return whole;
        } catch (IOException e) {
            throw Messages.io(file, "cannot read", e);
        }
        return whole;
    }

    private static List<SafetensorsHeader.Entry> entries(Path file, List<ObjectNode> stages) {
        List<SafetensorsHeader.Entry> all = new ArrayList<>();
        long base = 0;
        for (ObjectNode stage : stages) {
            JsonNode tensors = stage.path("tensors");
            long bytes = stage.path("bytes").asLong(-1);
            if (!tensors.isObject() || bytes < 0) {
                throw new FormatException(file, "a stage without tensors or their size");
            }
            byte[] header = JsonMapper.shared().writeValueAsBytes(tensors);
            for (SafetensorsHeader.Entry e :
                    SafetensorsHeader.parse(file, header, bytes).tensors().values()) {
                all.add(new SafetensorsHeader.Entry(e.name(), e.dtype(), e.shape(), base + e.begin(), base + e.end()));
            }
            base += bytes;
        }
        return all;
    }

    /** Where tensors are added. */
    public SafetensorsWriter writer() {
        return writer;
    }

    /** The file. */
    public Path file() {
        return file;
    }

    /**
     * Ends a stage: everything added since the last one is put onto the disk.
     *
     * @return what {@link #reopen} takes
     */
    public ObjectNode stage() {
        return stage(writer.names().size());
    }

    /** How many tensors the stages have. */
    public int staged() {
        return stagedTensors;
    }

    /**
     * Ends a stage before the last tensors.
     *
     * @param tensors how many there are up to its end
     */
    public ObjectNode stage(int tensors) {
        try {
            writer.sync();
            long end = writer.end(tensors);
            ObjectNode stage = JsonMapper.shared().createObjectNode();
            stage.put("bytes", end - stagedBytes);
            stage.put("crc32c", checksum(writer.channel(), writer.dataStart() + stagedBytes, end - stagedBytes));
            stage.set("tensors", JsonMapper.shared().readTree(writer.header(stagedTensors, tensors)));
            stagedTensors = tensors;
            stagedBytes = end;
            return stage;
        } catch (IOException e) {
            throw Messages.io(file, "cannot write", e);
        }
    }

    private static String checksum(FileChannel channel, long from, long bytes) throws IOException {
        CRC32C crc = new CRC32C();
        ByteBuffer chunk = ByteBuffer.allocateDirect((int) Math.min(CHUNK_BYTES, Math.max(1, bytes)));
        for (long at = 0; at < bytes; at += chunk.limit()) {
            chunk.clear().limit((int) Math.min(chunk.capacity(), bytes - at));
            while (chunk.hasRemaining()) {
                if (channel.read(chunk, from + at + chunk.position()) < 0) {
                    return "the file ends";
                }
            }
            crc.update(chunk.flip());
        }
        return HexFormat.of().toHexDigits((int) crc.getValue());
    }

    /** Names of the tensors that are there, in order. */
    public List<String> names() {
        return writer.names();
    }

    /** The shape of one of them. */
    public Shape shape(String name) {
        return writer.region(name).shape();
    }

    /** One of them, float32. */
    public HostTensor tensor(String name) {
        return writer.tensor(name);
    }

    /** Passes one of them on in pieces, whatever its size. */
    public void copy(String name, Pieces target) {
        SafetensorsWriter.Region region = writer.region(name);
        long elements = region.shape().size();
        for (long at = 0; at < elements; at += CHUNK_BYTES) {
            float[] values = new float[(int) Math.min(CHUNK_BYTES, elements - at)];
            region.read(at, values);
            target.take(at, values);
        }
    }

    /** Takes a tensor in pieces. */
    @FunctionalInterface
    public interface Pieces {
        /** Takes some elements from one on. */
        void take(long firstElement, float[] values);
    }

    /** Writes the header and puts the whole file onto the disk, where it is. */
    public void finish(Map<String, String> metadata) {
        writer.finish(metadata);
    }

    @Override
    public void close() {
        writer.close();
    }
}
