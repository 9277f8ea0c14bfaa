package wan.app.option;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.op.UsageException;
import wan.run.RunSpec;

/** The options that say what is generated; what is not given comes from a replayed run or the defaults. */
public final class RunOptions {
    /** Video pixels per latent cell, in each direction. */
    private static final int VAE_STRIDE = 8;

    @Option(
            names = {"--num-frames", "--num_frames", "--num-output-frames", "--num_output_frames"},
            paramLabel = "N",
            description = "Latent frames to generate (default: 21). Frames that do not fill a frame block are dropped.")
    private @Nullable Integer numFrames;

    @Option(
            names = {"--num-frame-per-block", "--num_frame_per_block"},
            paramLabel = "N",
            description = "Latent frames per frame block (default: 3).")
    private @Nullable Integer numFramePerBlock;

    @Option(
            names = "--independent-first-frame",
            negatable = true,
            description = "Whether the first frame is its own frame block (default: on). With it, 21 frames give the"
                    + " frame blocks [1,3,3,3,3,3,3]; without it [3]*7, as in Self-Forcing's shipped configuration.")
    private @Nullable Boolean independentFirstFrame;

    @Option(names = "--height", paramLabel = "PIXELS", description = "Video height, a multiple of 16 (default: 480).")
    private @Nullable Integer height;

    @Option(names = "--width", paramLabel = "PIXELS", description = "Video width, a multiple of 16 (default: 832).")
    private @Nullable Integer width;

    @Option(
            names = "--latent-size",
            paramLabel = "HxW",
            description = "Latent size instead of pixels, for example 60x104 (the demo model: 16x16).")
    private @Nullable String latentSize;

    @Option(
            names = "--steps",
            split = ",",
            paramLabel = "T",
            description = "Denoising steps in descending order (default: 1000,750,500,250).")
    private @Nullable List<Float> steps;

    @Option(
            names = {"--shift", "--sample_shift"},
            paramLabel = "S",
            description = "Timestep shift (default: 5).")
    private @Nullable Float shift;

    @Option(
            names = "--warp",
            negatable = true,
            description = "Whether --steps are positions on the shifted schedule rather than timesteps (default: on).")
    private @Nullable Boolean warp;

    @Option(
            names = {"--local-attn-size", "--local_attn_size"},
            paramLabel = "FRAMES",
            description = "Size of the sliding window, including the sink and the current frame block; -1 for no window"
                    + " (default: from the model's config.json, else no window).")
    private @Nullable Integer localAttnSize;

    @Option(
            names = {"--sink-size", "--sink_size"},
            paramLabel = "FRAMES",
            description = "Number of first frames that the window never evicts, the attention sink (default: from the"
                    + " model's config.json, else 0).")
    private @Nullable Integer sinkSize;

    @Option(
            names = "--cache-policy",
            paramLabel = "NAME",
            description = "Cache policy, instead of a window: which frames' keys each head keeps. One of full,"
                    + " self-forcing-window, streaming-llm, dummy-forcing, dummy-forcing-longlive, forcing-kv,"
                    + " pyramid-forcing, deep-forcing, reward-forcing, infinity-rope.")
    private @Nullable String policy;

    @Option(
            names = "--head-groups",
            paramLabel = "GROUPS",
            description = "Head groups of the cache policy: a list such as mid=3:5,7:0-3;dummy=9:all (all other heads"
                    + " are in the policy's first group), a CSV of roles from analyze, Forcing-KV's JSON, or a"
                    + " result of extract with frame mass. Without it, dummy-forcing selects the groups itself in"
                    + " the clean pass of the second frame block.")
    private @Nullable String headGroups;

    @Option(
            names = {"--context-noise", "--context_noise"},
            paramLabel = "T",
            description = "Timestep of the context passes (default: 0).")
    private @Nullable Float contextNoise;

    /**
     * The run that the options ask for.
     *
     * @param base what holds where no option is given
     */
    public RunSpec over(RunSpec base) {
        RunSpec.Video video = base.video();
        RunSpec.Sampler sampler = base.sampler();
        RunSpec.Cache cache = base.cache();
        int[] size = latentSize();
        return base.withVideo(new RunSpec.Video(
                        size[0] == 0 ? video.latentHeight() : Integer.valueOf(size[0]),
                        size[1] == 0 ? video.latentWidth() : Integer.valueOf(size[1]),
                        or(numFrames, video.numFrames()),
                        video.initialLatent(),
                        video.picture(),
                        video.vae()))
                .withSampler(new RunSpec.Sampler(
                        or(steps, sampler.steps()),
                        or(shift, sampler.shift()),
                        or(warp, sampler.warp()),
                        or(contextNoise, sampler.contextNoise()),
                        or(numFramePerBlock, sampler.numFramePerBlock()),
                        or(independentFirstFrame, sampler.independentFirstFrame()),
                        sampler.method()))
                .withCache(new RunSpec.Cache(
                        localAttnSize == null ? cache.localAttnSize() : localAttnSize,
                        sinkSize == null ? cache.sinkSize() : sinkSize,
                        policy == null ? cache.policy() : policy,
                        headGroups == null ? cache.heads() : headGroups));
    }

    /** The names of the options that change the shape of what is drawn or the order of passes, of those that were given. */
    public List<String> given() {
        List<String> names = new ArrayList<>();
        add(names, "--num-frames", numFrames);
        add(names, "--num-frame-per-block", numFramePerBlock);
        add(names, "--independent-first-frame", independentFirstFrame);
        add(names, "--height", height);
        add(names, "--width", width);
        add(names, "--latent-size", latentSize);
        add(names, "--steps", steps);
        return names;
    }

    private static void add(List<String> names, String name, @Nullable Object value) {
        if (value != null) {
            names.add(name);
        }
    }

    /** Height and width; 0 for what was not given. */
    private int[] latentSize() {
        if (latentSize == null) {
            return new int[] {
                height == null ? 0 : latentExtent("--height", height),
                width == null ? 0 : latentExtent("--width", width)
            };
        }
        if (height != null || width != null) {
            throw new UsageException("--latent-size: expected it alone, got it together with --height or --width");
        }
        if (!latentSize.matches("\\d{1,5}x\\d{1,5}")) {
            throw new UsageException("--latent-size: expected HEIGHTxWIDTH such as 60x104, got \"" + latentSize + "\"");
        }
        String[] extents = latentSize.split("x", -1);
        return new int[] {Integer.parseInt(extents[0]), Integer.parseInt(extents[1])};
    }

    private static int latentExtent(String option, int pixels) {
        if (pixels <= 0 || pixels % (2 * VAE_STRIDE) != 0) {
            throw new UsageException(option + ": expected a multiple of " + 2 * VAE_STRIDE + " pixels, got " + pixels);
        }
        return pixels / VAE_STRIDE;
    }

    private static <T> T or(@Nullable T given, T otherwise) {
        return given == null ? otherwise : given;
    }
}
