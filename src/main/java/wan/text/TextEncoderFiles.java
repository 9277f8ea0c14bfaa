package wan.text;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import wan.op.WanException;

/** Finds the text encoder's weights in the folders in which they come. */
final class TextEncoderFiles {
    private static final List<String> NAMES = List.of(
            "models_t5_umt5-xxl-enc-bf16.pth",
            "models_t5_umt5-xxl-enc-bf16.safetensors",
            "text_encoder/model.safetensors.index.json",
            "text_encoder/model.safetensors",
            "model.safetensors.index.json",
            "model.safetensors");

    private TextEncoderFiles() {}

    /**
     * The file with the weights.
     *
     * @param path the file itself; or a folder as Wan releases it ({@code models_t5_umt5-xxl-enc-bf16.pth}), as Diffusers has it
     *     ({@code text_encoder/}), or that holds a Hugging Face model
     * @throws WanException if there is none
     */
    static Path find(Path path) {
        if (Files.isRegularFile(path)) {
            return path;
        }
        return NAMES.stream()
                .map(path::resolve)
                .filter(Files::isRegularFile)
                .findFirst()
                .orElseThrow(() -> WanException.mismatch(
                        path.toString(),
                        "the text encoder, " + NAMES.getFirst() + " or text_encoder/model.safetensors",
                        Files.isDirectory(path) ? "a folder without it" : "no such file or folder",
                        "prompt.text_encoder names the file; prompt.embeddings needs none"));
    }

    /** Tells a file from others and from former states of itself without reading it; of a sharded model, all its files. */
    static String fingerprint(Path file) {
        try (Stream<Path> beside = file.toString().endsWith(".json")
                ? Files.list(file.toAbsolutePath().resolveSibling(""))
                : Stream.empty()) {
            Stream<Path> shards = beside.filter(other -> other.toString().endsWith(".safetensors"));
            StringBuilder text = new StringBuilder();
            for (Path part : Stream.concat(Stream.of(file), shards.sorted()).toList()) {
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
