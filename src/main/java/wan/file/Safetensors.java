package wan.file;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.Map;
import java.util.Set;
import wan.op.FormatException;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * One memory-mapped safetensors file of any size: 8 bytes of little-endian header length N, N bytes of JSON, the data.
 *
 * <p>All dtypes of the format are accepted, and data at any alignment. A file that shrinks while it is open takes its pages away:
 * the format has no protection against that.
 */
public final class Safetensors implements TensorStore {
    private static final ValueLayout.OfLong LENGTH = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path path;
    private final Arena arena;
    private final MemorySegment data;
    private final SafetensorsHeader header;

    private Safetensors(Path path, Arena arena, MemorySegment data, SafetensorsHeader header) {
        this.path = path;
        this.arena = arena;
        this.data = data;
        this.header = header;
    }

    /**
     * Maps a file and checks its header; no tensor data is read.
     *
     * @throws WanException if there is no such file, or it cannot be read
     * @throws FormatException if it is not a whole, well-formed safetensors file
     */
    public static Safetensors open(Path file) {
        Messages.requireFile(file);
        Arena arena = Arena.ofShared();
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            MemorySegment bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
            long headerBytes = headerBytes(file, bytes);
            MemorySegment data = bytes.asSlice(Long.BYTES + headerBytes);
            byte[] json = bytes.asSlice(Long.BYTES, headerBytes).toArray(ValueLayout.JAVA_BYTE);
            return new Safetensors(file, arena, data, SafetensorsHeader.parse(file, json, data.byteSize()));
        } catch (IOException e) {
            arena.close();
            throw Messages.io(file, "cannot read", e);
        } catch (RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    private static long headerBytes(Path file, MemorySegment bytes) {
        long fileBytes = bytes.byteSize();
        if (fileBytes < Long.BYTES) {
            throw new FormatException(
                    file,
                    fileBytes == 0
                            ? "the file is empty"
                            : "not a safetensors file: " + fileBytes + " bytes, and the header's length alone takes 8");
        }
        long length = bytes.get(LENGTH, 0);
        if (length < 0 || length > StrictJson.MAX_BYTES || length > fileBytes - Long.BYTES) {
            throw new FormatException(
                    file,
                    "the first 8 bytes promise a header of " + Long.toUnsignedString(length) + " bytes, but "
                            + (Long.compareUnsigned(length, StrictJson.MAX_BYTES) > 0
                                    ? "at most " + StrictJson.MAX_BYTES + " are allowed"
                                    : "only " + (fileBytes - Long.BYTES)
                                            + " follow; an unfinished download? fetch the file again"));
        }
        return length;
    }

    @Override
    public Set<String> names() {
        return Collections.unmodifiableSet(header.tensors().sequencedKeySet());
    }

    @Override
    public TensorView tensor(String name) {
        SafetensorsHeader.Entry entry = header.tensors().get(name);
        if (entry == null) {
            throw new WanException(path + ": no tensor " + Messages.shown(name) + Messages.didYouMean(name, names()));
        }
        return new TensorView(
                name, entry.dtype(), entry.shape(), data.asSlice(entry.begin(), entry.end() - entry.begin()));
    }

    @Override
    public Map<String, String> metadata() {
        return Collections.unmodifiableMap(header.metadata());
    }

    @Override
    public Path path() {
        return path;
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
