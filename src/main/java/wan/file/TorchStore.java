package wan.file;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Set;
import wan.file.torch.TorchFile;
import wan.op.FormatException;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * A memory-mapped PyTorch file (.pt, .pth) of any size. Names are the keys of the nested dicts joined by {@code /}.
 *
 * <p>Contiguous tensors are views of the mapped file; others are copied once, outside the heap.
 */
public final class TorchStore implements TensorStore {
    private static final int HEADER_BYTES = 256;

    private final Path path;
    private final Arena arena;
    private final TorchFile torch;

    private TorchStore(Path path, Arena arena, TorchFile torch) {
        this.path = path;
        this.arena = arena;
        this.torch = torch;
    }

    /**
     * Maps a file and reads its pickle; no tensor data is read, and nothing in it is run.
     *
     * @throws WanException if there is no such file, or it cannot be read
     * @throws FormatException if it is broken, or holds anything but data
     */
    public static TorchStore open(Path file) {
        Messages.requireFile(file);
        Arena arena = Arena.ofShared();
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            MemorySegment bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
            TorchFile torch = new TorchFile(file, bytes, arena);
            // The headers of the storages lie all over the file. A page that is missing when the mapping is touched is
            // read with
            // its whole neighbourhood, which takes seconds on a cold disk; read like this, it comes alone.
            ByteBuffer header = ByteBuffer.allocate(HEADER_BYTES);
            for (long at : torch.headers()) {
                channel.read(header.clear(), at);
            }
            return new TorchStore(file, arena, torch);
        } catch (IOException e) {
            arena.close();
            throw Messages.io(file, "cannot read", e);
        } catch (RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    /** What torch.load would return, as {@link TorchFile#values()} says: the plain values beside the tensors. */
    public Object values() {
        return torch.values();
    }

    /** For people: {@code PyTorch zip} or {@code PyTorch legacy}. */
    public String format() {
        return torch.format();
    }

    @Override
    public Set<String> names() {
        return torch.names();
    }

    @Override
    public TensorView tensor(String name) {
        if (!torch.names().contains(name)) {
            throw new WanException(path + ": no tensor " + Messages.shown(name) + Messages.didYouMean(name, names()));
        }
        return torch.tensor(name);
    }

    @Override
    public Map<String, String> unreadable() {
        return torch.unreadable();
    }

    /** Empty: such a file says nothing about itself but its values. */
    @Override
    public Map<String, String> metadata() {
        return Map.of();
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
