package wan.sampling;

import org.jspecify.annotations.Nullable;
import wan.noise.NoiseSource;
import wan.op.HostTensor;

/**
 * What a sampler starts from besides its plan.
 *
 * @param noise all that is drawn
 * @param initialLatent clean latents of the given frames, [B, F0, C, H, W]; for a solver over all frames, of the picture that stays
 *     the first frame
 * @param imageChannels what is appended to the latents' channels in every pass, [B, F, Cy, H, W]: mask and latent of a given picture
 * @param reencoded the picture that takes frame 0's place before a frame block, where keys are recomputed without it
 */
public record SamplerInputs(
        NoiseSource noise,
        @Nullable HostTensor initialLatent,
        @Nullable HostTensor imageChannels,
        @Nullable FirstPicture reencoded)
        implements AutoCloseable {
    /** Noise and given frames. */
    public SamplerInputs(NoiseSource noise, @Nullable HostTensor initialLatent) {
        this(noise, initialLatent, null, null);
    }

    @Override
    public void close() {
        if (reencoded != null) {
            reencoded.close();
        }
    }

    /** The same, with other noise. */
    public SamplerInputs drawingFrom(NoiseSource other) {
        return new SamplerInputs(other, initialLatent, imageChannels, reencoded);
    }
}
