package capture;

/**
 * The sizes of a run that decide what a capture delivers.
 *
 * @param batch samples, B
 * @param totalFrames frames of the rollout, given ones included, T
 * @param frameSeqLen tokens of a frame, S
 * @param textLen text tokens
 * @param numSteps denoising steps
 */
public record RunGeometry(int batch, int totalFrames, int frameSeqLen, int textLen, int numSteps) {}
