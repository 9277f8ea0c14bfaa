package wan.file;

import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import wan.op.FormatException;
import wan.op.TensorView;
import wan.op.WanException;

/** Named tensors in a file or a set of files. What it hands out is valid until it is closed; it may be used by many threads. */
public interface TensorStore extends AutoCloseable {
    /** The names, in the order of the data. */
    Set<String> names();

    /**
     * A view of one tensor; nothing is copied.
     *
     * @throws WanException if there is none of that name
     */
    TensorView tensor(String name);

    /** Other values in the file, which cannot be read as tensors: what each is, by its path. Usually empty. */
    default Map<String, String> unreadable() {
        return Map.of();
    }

    /** The metadata of the file; empty if there is none. */
    Map<String, String> metadata();

    /** The file that was opened, for messages. */
    Path path();

    @Override
    void close();

    /**
     * Opens a safetensors file, a file of PyTorch ({@code .pt}, {@code .pth}, {@code .bin}) or NumPy ({@code .npy},
     * {@code .npz}), or an index ({@code .index.json}) together
     * with the files beside it that it names. The first bytes decide which of them it is, not the name.
     *
     * @throws WanException if it cannot be read
     * @throws wan.op.FormatException if it is broken, or something else, which is named
     */
    static TensorStore open(Path file) {
        FileKind kind = FileKind.of(file);
        if (kind == FileKind.JSON || kind == FileKind.OTHER || FileKind.isUnfinished(file)) {
            FileKind.foreign(file).ifPresent(what -> {
                throw new FormatException(file, "expected a file of tensors, got " + what);
            });
        }
        String name = String.valueOf(file.getFileName());
        return switch (kind) {
            case SAFETENSORS -> Safetensors.open(file);
            case TORCH -> TorchStore.open(file);
            case NUMPY -> NumpyStore.open(file);
            case JSON -> ShardedStore.open(file);
            case OTHER -> {
                if (name.endsWith(".json")) {
                    yield ShardedStore.open(file);
                }
                throw new FormatException(
                        file,
                        "expected a file of tensors, got bytes that are neither safetensors nor PyTorch's; a damaged or"
                                + " unfinished download? fetch the file again");
            }
        };
    }
}
