package wan.file;

import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import wan.op.FormatException;
import wan.op.TensorView;
import wan.op.WanException;

/** Named tensors in a file or a set of files. What it hands out is valid until it is closed; it may be used by many threads. */
public interface TensorStore extends AutoCloseable {
    /** The names, in the order in which the data lies. */
    Set<String> names();

    /**
     * A view of one tensor; nothing is copied.
     *
     * @throws WanException if there is none of that name
     */
    TensorView tensor(String name);

    /** What lies in the file beside the tensors and cannot be read: what it is, by its path. Usually empty. */
    default Map<String, String> unreadable() {
        return Map.of();
    }

    /** What the file says about itself; empty if nothing. */
    Map<String, String> metadata();

    /** The file that was opened, for messages. */
    Path path();

    @Override
    void close();

    /**
     * Opens a {@code .safetensors} file, a {@code .safetensors.index.json} together with the shards beside it, or a file of PyTorch
     * ({@code .pt}, {@code .pth}), which is recognised by its first bytes whatever its name.
     *
     * @throws WanException if it cannot be read
     * @throws wan.op.FormatException if it is broken
     */
    static TensorStore open(Path file) {
        if (file.toString().endsWith(".json")) {
            return ShardedSafetensors.open(file);
        }
        if (Messages.beginsWith(file, "GGUF")) {
            throw new FormatException(
                    file,
                    "a GGUF file, whose quantised weights are not read; take the safetensors file of the same model");
        }
        return TorchStore.isOne(file) ? TorchStore.open(file) : Safetensors.open(file);
    }
}
