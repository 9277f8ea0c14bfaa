package wan.op;

/**
 * Keys and values of one attention, in pages of equally many tokens, as vLLM's paged attention keeps them.
 *
 * <p>A page is one latent frame for self-attention and the whole text for cross-attention. Which pages are attended, in
 * which order, is a {@link Dyn} of the call, so that a sliding window moves page numbers, never keys. Keys and values of one
 * token are [numHeads, headDim].
 */
public interface KvTensor {
    /** Independent samples. */
    int batch();

    /** Pages per sample. */
    int pages();

    /** Tokens per page. */
    int pageTokens();

    /** Attention heads. */
    int numHeads();

    /** Channels per head. */
    int headDim();
}
