package wan.text;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import wan.file.SafetensorsWriter;
import wan.file.TensorStore;
import wan.op.DType;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * Embeddings that were computed before, one file each, under a key made of the ids and the encoder's file.
 *
 * <p>Never a reason to fail: an entry that is broken is computed again, a folder that cannot be written is reported once.
 */
final class EmbeddingCache {
    private static final System.Logger LOG = System.getLogger(EmbeddingCache.class.getName());
    /** Raise it when the same ids begin to give other embeddings. */
    private static final String VERSION = "umt5-float32-2";

    private static final String CHECKSUM = "sha256";
    private static final int HEADER_BYTES = 1024;

    private final Path folder;
    private final String encoder;

    /**
     * A cache.
     *
     * @param folder need not exist yet
     * @param encoder says which encoder; another text, other entries
     */
    EmbeddingCache(Path folder, String encoder) {
        this.folder = folder;
        this.encoder = encoder;
    }

    /** {@code WAN_ATTN_CACHE}, or else {@code .cache/wan-attn} in the home folder. */
    static Path defaultFolder() {
        String configured = System.getenv("WAN_ATTN_CACHE");
        return configured == null || configured.isBlank()
                ? Path.of(System.getProperty("user.home"), ".cache", "wan-attn")
                : Path.of(configured);
    }

    /** What is kept for a text: [count, dim]. */
    Optional<float[]> get(TokenIds text) {
        Path file = file(text);
        if (!Files.isRegularFile(file)) {
            return Optional.empty();
        }
        try (TensorStore store = TensorStore.open(file)) {
            TensorView view = store.tensor(PromptEmbeddingFile.TENSOR);
            float[] values = view.toFloats();
            boolean whole = view.shape().rank() == 2
                    && view.shape().dim(0) == text.count()
                    && checksum(values).equals(store.metadata().get(CHECKSUM))
                    && isFinite(values);
            if (whole) {
                return Optional.of(values);
            }
            LOG.log(Level.WARNING, file + ": broken cache entry, computed again");
        } catch (WanException e) {
            LOG.log(Level.WARNING, "broken cache entry, computed again: " + e.getMessage());
        }
        return Optional.empty();
    }

    /**
     * Keeps an embedding, unless a value of it is not finite.
     *
     * @param values [count, dim]
     */
    void put(TokenIds text, float[] values) {
        if (!isFinite(values)) {
            return;
        }
        Path file = file(text);
        try {
            Files.createDirectories(folder);
            try (SafetensorsWriter writer = SafetensorsWriter.create(file, HEADER_BYTES)) {
                writer.add(PromptEmbeddingFile.TENSOR, DType.F32, Shape.of(text.count(), values.length / text.count()))
                        .write(values);
                writer.finish(Map.of(CHECKSUM, checksum(values)));
            }
        } catch (IOException | WanException e) {
            LOG.log(Level.WARNING, folder + ": embeddings cannot be cached: " + e.getMessage());
        }
    }

    /** Where the embedding of a text is kept. */
    Path file(TokenIds text) {
        ByteBuffer ids = ByteBuffer.allocate(text.count() * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        ids.asIntBuffer().put(text.ids(), 0, text.count());
        MessageDigest digest = sha256();
        digest.update((VERSION + "\n" + encoder + "\n").getBytes(StandardCharsets.UTF_8));
        digest.update(ids);
        return folder.resolve("prompt-" + HexFormat.of().formatHex(digest.digest(), 0, 16) + ".safetensors");
    }

    private static boolean isFinite(float[] values) {
        for (float value : values) {
            if (!Float.isFinite(value)) {
                return false;
            }
        }
        return true;
    }

    private static String checksum(float[] values) {
        ByteBuffer bytes = ByteBuffer.allocate(Math.multiplyExact(values.length, Float.BYTES))
                .order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        return HexFormat.of().formatHex(sha256().digest(bytes.array()));
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}
