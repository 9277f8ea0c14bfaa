package capture;

/**
 * The sizes of a run that determine the shapes of captures.
 *
 * @param batch samples, B
 * @param totalFrames frames of the rollout, given ones included, T
 * @param frameSeqLen tokens of a frame, S
 * @param textLen text tokens
 * @param numSteps denoising steps
 * @param imageTokens tokens of a picture that cross-attention attends to besides the text; 0 without one
 */
public record RunGeometry(int batch, int totalFrames, int frameSeqLen, int textLen, int numSteps, int imageTokens) {
    /** A run without a picture. */
    public RunGeometry(int batch, int totalFrames, int frameSeqLen, int textLen, int numSteps) {
        this(batch, totalFrames, frameSeqLen, textLen, numSteps, 0);
    }
}
