package wan.model;

import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.op.KvTensor;

/**
 * Keys and values that a pass reads and writes, one entry per layer that runs.
 *
 * @param frames of the latent frames, one page a frame; the same one for all layers where nothing is kept from pass to pass
 * @param context of the text, one page
 * @param image of a picture's tokens, one page; empty without one
 * @param workspace where keys that are kept unrotated are turned to their positions, shared by all layers; null without such keys
 */
public record Caches(
        List<KvTensor> frames,
        List<KvTensor> context,
        List<KvTensor> image,
        @Nullable KvTensor workspace) {
    /** Caches of keys that are kept rotated, without a picture. */
    public Caches(List<KvTensor> frames, List<KvTensor> context) {
        this(frames, context, List.of(), null);
    }
}
