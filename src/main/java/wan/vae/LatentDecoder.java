package wan.vae;

import wan.file.TensorStore;
import wan.op.FrameOps;
import wan.op.HostTensor;
import wan.op.WanException;

/** Latents to video, one latent frame after the other. A decoder is one video: for another, make another. */
public sealed interface LatentDecoder permits VaeDecoder, TinyDecoder {
    /**
     * The decoder that a file holds: Wan2.1's VAE or the small one of previews. It has seen nothing.
     *
     * @param store the weights; stays open as long as the decoder is used
     * @throws WanException if the file holds neither
     */
    static LatentDecoder of(FrameOps ops, TensorStore store) {
        return TinyDecoder.isIn(store) ? new TinyDecoder(ops, store) : new VaeDecoder(ops, store);
    }

    /** Channels of the latents. */
    int latentChannels();

    /**
     * Decodes the next latent frame; the first gives one frame of the video, every other {@link VaeDecoder#TIME}.
     *
     * @param latent [channels, rows, columns], normalised, as the transformer gives it
     * @param listener told of each frame of the video [3, 8 rows, 8 columns], values about -1 to 1, not yet clamped
     * @throws wan.op.NonFiniteException if a value is not finite
     */
    void decode(HostTensor latent, FrameListener listener);

    /** Refuses what are no latents of one frame. */
    default void require(HostTensor latent) {
        if (latent.shape().rank() != 3
                || latent.shape().dim(0) != latentChannels()
                || latent.shape().size() == 0) {
            throw WanException.mismatch("latents", "[" + latentChannels() + ", rows, columns]", latent.shape(), "");
        }
    }
}
