package wan.text;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import wan.file.Contents;
import wan.file.TensorFiles;
import wan.file.TensorStore;
import wan.op.WanException;

/** Finds the text encoder's weights in the folders in which they come. */
final class TextEncoderFiles {
    private static final TensorFiles FILES = new TensorFiles(
            Contents.TEXT_ENCODER,
            List.of(
                    "models_t5_umt5-xxl-enc-bf16.pth",
                    "text_encoder/model.safetensors",
                    "text_encoder/model.safetensors.index.json",
                    "models_t5_umt5-xxl-enc-bf16.safetensors",
                    "model.safetensors.index.json",
                    "model.safetensors"),
            List.of("text_encoder", "text_encoders"));

    private TextEncoderFiles() {}

    /**
     * The files with the weights: one, an index, or shards without one.
     *
     * @param path a file; or a folder as Wan releases it ({@code models_t5_umt5-xxl-enc-bf16.pth}), as Diffusers has it
     *     ({@code text_encoder/}), that holds a Hugging Face model, or that has an encoder among other files
     * @throws WanException if there is none
     */
    static List<Path> find(Path path) {
        try {
            return FILES.find(path);
        } catch (WanException e) {
            throw new WanException(
                    e.getMessage() + "; prompt.text_encoder names the file, prompt.embeddings needs none", e);
        }
    }

    /** Opens what was found. */
    static TensorStore open(List<Path> files) {
        return TensorFiles.open(files);
    }

    /** Tells a file from others and from former states of itself without reading it; of a sharded model, all its files. */
    static String fingerprint(List<Path> files) {
        Path file = files.getFirst();
        try (Stream<Path> beside = file.toString().endsWith(".json")
                ? Files.list(file.toAbsolutePath().resolveSibling(""))
                : Stream.empty()) {
            Stream<Path> shards = beside.filter(other -> other.toString().endsWith(".safetensors"));
            StringBuilder text = new StringBuilder();
            for (Path part : Stream.concat(files.stream(), shards.sorted()).toList()) {
                text.append(part.toRealPath())
                        .append(' ')
                        .append(Files.size(part))
                        .append(' ')
                        .append(Files.getLastModifiedTime(part).toMillis())
                        .append('\n');
            }
            return text.toString();
        } catch (IOException e) {
            throw new WanException(file + ": cannot be read: " + e.getMessage(), e);
        }
    }
}
