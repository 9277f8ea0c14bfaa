package wan.sampling;

import wan.op.HostTensor;

/** Gives the picture that takes frame 0's place where keys are recomputed without it. */
@FunctionalInterface
public interface FirstPicture extends AutoCloseable {
    /**
     * The picture before a frame block; asked for in the order of the frame blocks.
     *
     * @param firstFrame of the frame block
     * @param finished latents of all frames, [B, T, C, H, W], of which those before the frame block are finished
     * @return its latent, [B, 1, C, H, W]
     */
    HostTensor before(int frameBlock, int firstFrame, HostTensor finished);

    /** Frees what it uses. */
    @Override
    default void close() {}
}
