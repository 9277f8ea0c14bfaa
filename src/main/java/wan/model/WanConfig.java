package wan.model;

import wan.op.WanException;

/**
 * Sizes of a Wan2.1 transformer, under the reference's names ({@code wan/modules/model.py}).
 *
 * @param dim width of the residual stream
 * @param ffnDim hidden width of the feed-forward network
 * @param freqDim features of the sinusoidal time embedding; even
 * @param inDim latent channels in
 * @param outDim latent channels out
 * @param numHeads attention heads; divides dim
 * @param numLayers transformer layers
 * @param textDim features of a prompt embedding
 * @param textLen prompt embeddings per prompt, padding included
 * @param eps of every norm
 * @param imageDim features of a picture's tokens, which cross-attention attends to besides the text; 0 for a model that takes
 *     none
 * @param imagePositions tokens that the picture's features get position embeddings for; 0 for none
 */
public record WanConfig(
        int dim,
        int ffnDim,
        int freqDim,
        int inDim,
        int outDim,
        int numHeads,
        int numLayers,
        int textDim,
        int textLen,
        float eps,
        int imageDim,
        int imagePositions) {
    /** Values of a patch per channel: 1 frame x 2 rows x 2 columns. */
    public static final int PATCH_VALUES = 4;

    /** Checks that the sizes fit each other. */
    public WanConfig {
        require(dim > 0 && numHeads > 0 && dim % numHeads == 0, "num_heads", "a divisor of dim " + dim, numHeads);
        require(dim / numHeads % 2 == 0, "dim / num_heads", "an even number of channels per head", dim / numHeads);
        require(ffnDim > 0, "ffn_dim", "at least 1", ffnDim);
        require(freqDim > 0 && freqDim % 2 == 0, "freq_dim", "an even number", freqDim);
        require(inDim > 0, "in_dim", "at least 1", inDim);
        require(outDim > 0, "out_dim", "at least 1", outDim);
        require(numLayers > 0, "num_layers", "at least 1", numLayers);
        require(textDim > 0, "text_dim", "at least 1", textDim);
        require(textLen > 0, "text_len", "at least 1", textLen);
        require(eps > 0, "eps", "a positive number", eps);
        require(imageDim >= 0, "image_dim", "at least 0", imageDim);
        require(imagePositions >= 0, "pos_embed_seq_len", "at least 0", imagePositions);
    }

    /** A model that takes text alone. */
    public WanConfig(
            int dim,
            int ffnDim,
            int freqDim,
            int inDim,
            int outDim,
            int numHeads,
            int numLayers,
            int textDim,
            int textLen,
            float eps) {
        this(dim, ffnDim, freqDim, inDim, outDim, numHeads, numLayers, textDim, textLen, eps, 0, 0);
    }

    /** The same sizes with a picture's tokens in cross-attention. */
    public WanConfig withImage(int features, int positions) {
        return new WanConfig(
                dim, ffnDim, freqDim, inDim, outDim, numHeads, numLayers, textDim, textLen, eps, features, positions);
    }

    /** Wan2.1-T2V-1.3B. */
    public static WanConfig wan13b() {
        return new WanConfig(1536, 8960, 256, 16, 16, 12, 30, 4096, 512, 1e-6f);
    }

    /** Channels per attention head. */
    public int headDim() {
        return dim / numHeads;
    }

    private static void require(boolean holds, String key, String expected, Object got) {
        if (!holds) {
            throw WanException.mismatch("model configuration, " + key, expected, got, "");
        }
    }
}
