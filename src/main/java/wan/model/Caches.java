package wan.model;

import java.util.List;
import wan.op.KvTensor;

/**
 * Keys and values that a run keeps, one entry per layer that runs.
 *
 * @param frames of the latent frames, one page a frame
 * @param context of the text, one page
 */
public record Caches(List<KvTensor> frames, List<KvTensor> context) {}
