package wan.op;

/**
 * The tokens of one sample of a pass: frame slowest, then row, then column.
 *
 * @param frames latent frames
 * @param rows token rows of a frame (half the latent height)
 * @param columns token columns of a frame (half the latent width)
 */
public record Grid(int frames, int rows, int columns) {
    /** Tokens of one frame, S. */
    public int frameSeqLen() {
        return rows * columns;
    }

    /** Tokens of all frames, L. */
    public int tokens() {
        return frames * frameSeqLen();
    }
}
