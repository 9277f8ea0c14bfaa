package wan.sampling;

import java.util.ArrayList;
import java.util.List;
import wan.op.UsageException;

/**
 * What to generate and how, under the reference's names.
 *
 * @param latentHeight rows of a latent frame; even
 * @param latentWidth columns of a latent frame; even
 * @param numFrames latent frames to generate
 * @param numInitialFrames latent frames that are given (image to video, continuation); 0 for none
 * @param numFramePerBlock frames of a frame block
 * @param independentFirstFrame whether the very first frame is a frame block of its own
 * @param denoisingSteps descending, on the scale 0 to 1000
 * @param shift timestep shift of the schedule
 * @param warp whether denoisingSteps are positions on the shifted table rather than timesteps
 * @param localAttnSize sliding window in frames, including the sink and the current frame block; -1 for none
 * @param sinkSize first frames that the window never evicts
 * @param contextNoise timestep of the context passes; 0 in the reference's configurations
 * @param method how noise becomes video
 */
public record RunSettings(
        int latentHeight,
        int latentWidth,
        int numFrames,
        int numInitialFrames,
        int numFramePerBlock,
        boolean independentFirstFrame,
        List<Float> denoisingSteps,
        float shift,
        boolean warp,
        int localAttnSize,
        int sinkSize,
        float contextNoise,
        Method method) {
    /** Eight times a 4K video's; beyond it tokens times channels no longer fit an array. */
    private static final int MAX_LATENT_CELLS = 1 << 20;

    /** Four hours of video; the frame matrices grow with its square. */
    private static final int MAX_FRAMES = 1 << 16;

    /** Checks that the settings can be run. */
    public RunSettings {
        denoisingSteps = List.copyOf(denoisingSteps);
        require(
                latentHeight > 0 && latentHeight % 2 == 0,
                "video.latent_height",
                "an even number of rows above 0",
                latentHeight);
        require(
                latentWidth > 0 && latentWidth % 2 == 0,
                "video.latent_width",
                "an even number of columns above 0",
                latentWidth);
        require(
                (long) latentHeight * latentWidth <= MAX_LATENT_CELLS,
                "latent size",
                "at most " + MAX_LATENT_CELLS + " cells a frame",
                latentHeight + "x" + latentWidth);
        require(
                numFrames <= MAX_FRAMES && numInitialFrames <= MAX_FRAMES,
                "video.num_frames",
                "at most " + MAX_FRAMES + " frames",
                Math.max(numFrames, numInitialFrames));
        require(numFrames > 0, "video.num_frames", "at least 1", numFrames);
        require(numInitialFrames >= 0, "initial latent frames", "at least 0", numInitialFrames);
        require(numFramePerBlock > 0, "sampler.num_frame_per_block", "at least 1", numFramePerBlock);
        require(
                !denoisingSteps.isEmpty() || method instanceof Method.Ode,
                "sampler.steps",
                "at least one step",
                "none");
        for (int i = 0; i < denoisingSteps.size(); i++) {
            float step = denoisingSteps.get(i);
            require(step >= 0 && step <= 1000, "sampler.steps[" + i + "]", "a number from 0 to 1000", step);
            require(i == 0 || step < denoisingSteps.get(i - 1), "sampler.steps", "falling steps", denoisingSteps);
        }
        require(shift > 0 && shift < Float.POSITIVE_INFINITY, "sampler.shift", "a positive number", shift);
        require(
                localAttnSize == -1 || localAttnSize > 0,
                "cache.local_attn_size",
                "-1 (none) or frames",
                localAttnSize);
        require(sinkSize >= 0, "cache.sink_size", "at least 0", sinkSize);
        require(contextNoise >= 0 && contextNoise <= 1000, "sampler.context_noise", "from 0 to 1000", contextNoise);
        List<Integer> initial = split(numInitialFrames, numFramePerBlock, independentFirstFrame);
        int initialUsed = initial.stream().mapToInt(Integer::intValue).sum();
        require(
                initialUsed == numInitialFrames,
                "initial latent",
                "frames that fill frame blocks of " + numFramePerBlock
                        + (independentFirstFrame ? " after the first" : ""),
                numInitialFrames);
        List<Integer> generated = split(numFrames, numFramePerBlock, independentFirstFrame && numInitialFrames == 0);
        require(!generated.isEmpty(), "video.num_frames", "at least one frame block of " + numFramePerBlock, numFrames);
        int largest = Math.max(max(initial), max(generated));
        require(
                localAttnSize == -1 || largest <= localAttnSize,
                "cache.local_attn_size",
                "at least the largest frame block, " + largest,
                localAttnSize);
    }

    /** Settings of Self-Forcing. */
    public RunSettings(
            int latentHeight,
            int latentWidth,
            int numFrames,
            int numInitialFrames,
            int numFramePerBlock,
            boolean independentFirstFrame,
            List<Float> denoisingSteps,
            float shift,
            boolean warp,
            int localAttnSize,
            int sinkSize,
            float contextNoise) {
        this(
                latentHeight,
                latentWidth,
                numFrames,
                numInitialFrames,
                numFramePerBlock,
                independentFirstFrame,
                denoisingSteps,
                shift,
                warp,
                localAttnSize,
                sinkSize,
                contextNoise,
                Method.SELF_FORCING);
    }

    /** The same settings with another method. */
    public RunSettings with(Method other) {
        return new RunSettings(
                latentHeight,
                latentWidth,
                numFrames,
                numInitialFrames,
                numFramePerBlock,
                independentFirstFrame,
                denoisingSteps,
                shift,
                warp,
                localAttnSize,
                sinkSize,
                contextNoise,
                other);
    }

    /** The defaults: Self-Forcing's four steps and shift, frame blocks of three after an independent first frame, no window. */
    public static RunSettings of(int latentHeight, int latentWidth, int numFrames) {
        List<Float> steps = List.of(1000f, 750f, 500f, 250f);
        return new RunSettings(latentHeight, latentWidth, numFrames, 0, 3, true, steps, 5, true, -1, 0, 0);
    }

    /** The same settings with latent frames given. */
    public RunSettings withInitialFrames(int frames) {
        return new RunSettings(
                latentHeight,
                latentWidth,
                numFrames,
                frames,
                numFramePerBlock,
                independentFirstFrame,
                denoisingSteps,
                shift,
                warp,
                localAttnSize,
                sinkSize,
                contextNoise,
                method);
    }

    /** Frames of each given frame block: [1, n, n, ...] with an independent first frame, else [n, n, ...]. */
    public List<Integer> initialBlockSizes() {
        return split(numInitialFrames, numFramePerBlock, independentFirstFrame);
    }

    /**
     * Frames of each generated frame block: [1, n, n, ...] with an independent first frame and nothing given, else [n, n, ...].
     * Frames that do not fill a frame block are left out.
     */
    public List<Integer> generatedBlockSizes() {
        return split(numFrames, numFramePerBlock, independentFirstFrame && numInitialFrames == 0);
    }

    /** All frame blocks, given ones first. */
    public List<Integer> blockSizes() {
        List<Integer> all = new ArrayList<>(initialBlockSizes());
        all.addAll(generatedBlockSizes());
        return List.copyOf(all);
    }

    /** Latent frames that are generated: those of complete frame blocks. */
    public int generatedFrames() {
        return generatedBlockSizes().stream().mapToInt(Integer::intValue).sum();
    }

    /** Latent frames of the result, given ones included. */
    public int totalFrames() {
        return numInitialFrames + generatedFrames();
    }

    /** Frames that the KV cache holds. */
    public int cacheFrames() {
        return localAttnSize == -1 ? totalFrames() : localAttnSize;
    }

    /** Tokens of a frame, S. */
    public int frameSeqLen() {
        return (latentHeight / 2) * (latentWidth / 2);
    }

    private static List<Integer> split(int frames, int perBlock, boolean independentFirst) {
        List<Integer> sizes = new ArrayList<>();
        int left = frames;
        if (independentFirst && left > 0) {
            sizes.add(1);
            left--;
        }
        for (; left >= perBlock; left -= perBlock) {
            sizes.add(perBlock);
        }
        return List.copyOf(sizes);
    }

    private static int max(List<Integer> sizes) {
        return sizes.stream().mapToInt(Integer::intValue).max().orElse(0);
    }

    private static void require(boolean holds, String field, String expected, Object got) {
        if (!holds) {
            throw new UsageException(field + ": expected " + expected + ", got " + got);
        }
    }
}
