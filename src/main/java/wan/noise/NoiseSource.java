package wan.noise;

import wan.op.Shape;

/**
 * Where a run's Gaussian noise comes from: a seeded generator ({@link #of}), or a recording of one.
 *
 * <p>The reference seeds the default generator once per process ({@code set_seed} in {@code utils/misc.py}) and then
 * draws, for every prompt in turn, exactly this ({@code inference.py}, {@code pipeline/causal_inference.py}):
 *
 * <ol>
 *   <li>{@code torch.randn([B, F, 16, H, W], dtype=bfloat16)}: the initial noise of all generated frames, that is without
 *       the frames of an initial latent; B samples of one prompt are one draw;
 *   <li>for each frame block, after each denoising step but the last: {@code torch.randn_like} of the prediction
 *       flattened to {@code [B * f, 16, H, W]}, batch outermost, in working precision (bfloat16).
 * </ol>
 *
 * <p>Nothing else in a run draws: not the passes over an initial latent, not the context pass, not the text encoder or
 * the VAE decoder. (Training adds a draw per context pass; inference does not.) The reference draws on the CUDA device, so
 * {@link Rng#TORCH_CUDA} with {@code bf16} is what it sees; a port of it to the CPU sees {@link Rng#TORCH_CPU}.
 *
 * <p>A run calls {@link #initial} once and then {@link #renoise} in the order above. Not thread-safe.
 */
public interface NoiseSource extends AutoCloseable {
    /**
     * The noise a run starts from.
     *
     * @param shape {@code [B, F, C, H, W]}
     * @return row-major values of the shape
     */
    float[] initial(Shape shape);

    /**
     * The noise that takes a prediction back to the next step's level.
     *
     * @param frameBlock 0-based, counted over generated frame blocks
     * @param step 0-based denoising step whose prediction gets the noise; never the last one
     * @param shape {@code [B, f, C, H, W]}; drawn with batch and frame flattened, batch outermost
     * @return row-major values of the shape
     */
    float[] renoise(int frameBlock, int step, Shape shape);

    /**
     * The noise that takes one frame block of a rolling window back to its next step's level.
     *
     * @param window 0-based number of the window
     * @param frameBlock 0-based number of the frame block
     * @param place the frame block's place within the window
     * @param shape {@code [B, n, C, H, W]} of the frame block
     * @param blocks frame blocks of the window: the reference draws noise for all of them, flattened as above, and uses one
     * @return row-major values of the shape
     */
    float[] renoiseWindow(int window, int frameBlock, int place, Shape shape, int blocks);

    /** Generator, seed and precision in a few words, enough to draw the same noise again. */
    String description();

    /** Closes what a recording lies in; a generator has nothing to close. */
    @Override
    default void close() {}

    /**
     * A source that draws from one generator, call after call, as PyTorch's default generator is drawn from.
     *
     * <p>The same source serves several prompts in turn, as in the reference: each starts with {@link #initial}. A call
     * that goes back to an earlier frame block or step without that is refused, because what it would return is not the
     * noise of that step.
     *
     * @param rng which generator
     * @param seed what {@code torch.manual_seed} takes, as 64 bits. The Mersenne Twister of {@code TORCH_CPU} uses the low
     *     32 only; the reference's {@code set_seed} accepts no more than those either, because NumPy does not
     * @param bf16 draw in bfloat16 as the reference does, widened to float; else in float32. On CUDA (and for
     *     {@code JAVA}) these are the rounded float32 numbers; PyTorch's CPU kernel computes in bfloat16 throughout, from
     *     uniform numbers of 8 bits, and gives other, much coarser ones
     * @param geometry the device whose order of elements {@code TORCH_CUDA} reproduces; the other generators ignore it
     */
    static NoiseSource of(Rng rng, long seed, boolean bf16, CudaGeometry geometry) {
        String description = rng + ", seed " + Long.toUnsignedString(seed) + (bf16 ? ", bf16" : ", f32");
        return switch (rng) {
            case TORCH_CPU ->
                new SequentialNoise(bf16 ? new TorchCpuNormals.Bf16(seed) : new TorchCpuNormals.F32(seed), description);
            case TORCH_CUDA ->
                new SequentialNoise(new TorchCudaNormals(seed, bf16, geometry), description + ", device " + geometry);
            case JAVA -> new SequentialNoise(new JavaNormals(seed, bf16), description);
        };
    }
}
