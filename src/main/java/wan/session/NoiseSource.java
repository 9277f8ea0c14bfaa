package wan.session;

import wan.op.Shape;

/** Standard normal noise, asked for in the order in which the reference's pipeline draws it ({@code pipeline/causal_inference.py}). */
public interface NoiseSource {
    /**
     * The noise that all generated frames start from; asked for once, first.
     *
     * @param shape [B, F, C, H, W]
     * @return values in C order
     */
    float[] initial(Shape shape);

    /**
     * The noise added after a denoising step; asked for in the order of the steps.
     *
     * @param frameBlock 0-based, counted over generated frame blocks
     * @param step the denoising step just done, 0-based
     * @param shape [B, f, C, H, W]; drawn with batch and frame flattened, batch slowest
     * @return values in C order
     */
    float[] renoise(int frameBlock, int step, Shape shape);

    /** What it is, for provenance: generator and seed, or file. */
    String description();
}
