package capture.analysis;

/**
 * A frame block of a rollout; given ones (initial latents) are counted in.
 *
 * @param index 0-based, in the order of the frames
 * @param first absolute number of its first frame
 * @param frames how many frames
 */
public record FrameBlock(int index, int first, int frames) {
    /** One past the absolute number of its last frame. */
    public int end() {
        return first + frames;
    }
}
