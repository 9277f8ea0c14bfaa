package wan.run;

import capture.Indices;
import capture.PassChoice;
import capture.QueryRegion;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import wan.backend.DeviceSettings;
import wan.edit.EditPlan;
import wan.noise.CudaGeometry;
import wan.noise.Rng;
import wan.op.AttentionKind;
import wan.op.DType;
import wan.op.Quantity;
import wan.op.Site;
import wan.op.UsageException;
import wan.sampling.Method;
import wan.sampling.RunSettings;
import wan.weights.Lora;
import wan.weights.ModelLayout.Branch;

/**
 * The complete specification of a run. Two runs of the same specification on the same machine give identical results.
 *
 * <p>Relative paths are relative to the working directory of the process.
 */
public record RunSpec(
        Model model,
        Prompt prompt,
        Video video,
        Noise noise,
        Sampler sampler,
        Cache cache,
        Captures capture,
        EditPlan edits,
        Device device,
        Output output) {
    /**
     * The model.
     *
     * @param path a folder or a file; null for the built-in demo model, whose weights are random
     * @param checkpoint weights in place of the model's own, or null
     * @param branch which of a checkpoint's weights
     * @param loras files of low-rank adapters that are merged into the weights, one after the other
     * @param preset the preset from which the settings came, for the record, or null
     * @param allowZeroWeights whether all-zero parameters are intended; otherwise a warning names them
     */
    public record Model(
            @Nullable Path path,
            @Nullable Path checkpoint,
            Branch branch,
            List<Lora> loras,
            @Nullable String preset,
            boolean allowZeroWeights) {
        /** The built-in demo model. */
        public static final Model DEMO = new Model(null, null, Branch.EMA_OR_GENERATOR);

        /** Copies the list; refuses a checkpoint without the model whose sizes it has. */
        public Model {
            loras = List.copyOf(loras);
            if (path == null && checkpoint != null) {
                throw new UsageException(
                        "model.checkpoint: expected model.path with it, whose config.json has the sizes");
            }
        }

        /** Without adapters. */
        public Model(@Nullable Path path, @Nullable Path checkpoint, Branch branch) {
            this(path, checkpoint, branch, List.of(), null, false);
        }

        /** A folder or file with its own weights. */
        public static Model of(Path path) {
            return new Model(path, null, Branch.EMA_OR_GENERATOR);
        }
    }

    /**
     * The prompts. Without texts and embeddings, embeddings are drawn from the seed.
     *
     * @param texts one per sample of the batch
     * @param negative the negative prompt, or null
     * @param embeddings a file with tensor {@code prompt_embeds} instead of texts, or null
     * @param tokenizer a file or folder; null for the one in the model's folder
     * @param textEncoder likewise
     * @param keep whether embeddings are cached
     * @param later later prompts, to which the sampler switches or fades
     */
    public record Prompt(
            List<String> texts,
            @Nullable String negative,
            @Nullable Path embeddings,
            @Nullable Path tokenizer,
            @Nullable Path textEncoder,
            boolean keep,
            List<String> later) {
        /** One prompt for the whole run. */
        public Prompt(
                List<String> texts,
                @Nullable String negative,
                @Nullable Path embeddings,
                @Nullable Path tokenizer,
                @Nullable Path textEncoder,
                boolean keep) {
            this(texts, negative, embeddings, tokenizer, textEncoder, keep, List.of());
        }

        /** Embeddings drawn from the seed. */
        public static final Prompt RANDOM = new Prompt(List.of(), null, null, null, null, true);

        /** Refuses texts together with embeddings. */
        public Prompt {
            texts = List.copyOf(texts);
            later = List.copyOf(later);
            if (embeddings != null && !texts.isEmpty()) {
                throw new UsageException("prompt.embeddings: expected no prompt.texts with it");
            }
        }

        /** Texts, one per sample. */
        public static Prompt of(String... texts) {
            return new Prompt(List.of(texts), null, null, null, null, true);
        }

        /** Whether there are texts or embeddings. */
        public boolean given() {
            return !texts.isEmpty() || embeddings != null;
        }
    }

    /**
     * The size of the video.
     *
     * @param latentHeight rows of a latent frame; null for the model's own
     * @param latentWidth columns of a latent frame; null for the model's own
     * @param numFrames latent frames to generate
     * @param initialLatent a file with tensor {@code initial_latent} [B, F, C, H, W], frames that are given; null for none
     * @param picture a file with the input picture: tensors {@code y} [C, F, H, W], {@code clip_fea} [1, tokens, features] or
     *     {@code image_latent} [C, 1, H, W], as the model takes them; null for none
     * @param vae a VAE's file or folder, for methods that re-encode finished frames; null for none
     */
    public record Video(
            @Nullable Integer latentHeight,
            @Nullable Integer latentWidth,
            int numFrames,
            @Nullable Path initialLatent,
            @Nullable Path picture,
            @Nullable Path vae) {
        /** Without a VAE. */
        public Video(
                @Nullable Integer latentHeight,
                @Nullable Integer latentWidth,
                int numFrames,
                @Nullable Path initialLatent,
                @Nullable Path picture) {
            this(latentHeight, latentWidth, numFrames, initialLatent, picture, null);
        }

        /** Without a picture. */
        public Video(
                @Nullable Integer latentHeight,
                @Nullable Integer latentWidth,
                int numFrames,
                @Nullable Path initialLatent) {
            this(latentHeight, latentWidth, numFrames, initialLatent, null);
        }
    }

    /**
     * Where noise comes from.
     *
     * @param generator whose numbers
     * @param seed of all noise
     * @param bf16 whether it is drawn in bfloat16, as the reference does, rather than float32
     * @param cudaDevice the device whose order of elements {@link Rng#TORCH_CUDA} reproduces
     * @param replay a recorded run whose noise, embeddings and given latents are used instead, or null
     * @param replayRun which run of that file; empty if it holds only one
     */
    public record Noise(
            Rng generator,
            long seed,
            boolean bf16,
            CudaGeometry cudaDevice,
            @Nullable Path replay,
            String replayRun) {
        /** From a generator. */
        public Noise(Rng generator, long seed, boolean bf16, CudaGeometry cudaDevice) {
            this(generator, seed, bf16, cudaDevice, null, "");
        }
    }

    /**
     * How noise becomes latents.
     *
     * @param steps descending, on the scale 0 to 1000
     * @param shift timestep shift of the schedule
     * @param warp whether steps are positions on the shifted schedule rather than timesteps
     * @param contextNoise timestep of the context passes
     * @param numFramePerBlock latent frames of a frame block
     * @param independentFirstFrame whether the very first frame is a frame block of its own
     * @param method how noise becomes latents, and what only this method needs
     */
    public record Sampler(
            List<Float> steps,
            float shift,
            boolean warp,
            float contextNoise,
            int numFramePerBlock,
            boolean independentFirstFrame,
            Method method) {
        /** Copies the list. */
        public Sampler {
            steps = List.copyOf(steps);
        }
    }

    /**
     * Which keys are kept.
     *
     * @param localAttnSize sliding window in frames, including the sink and the current frame block; -1 for none; null for the
     *     model's own, if it has one
     * @param sinkSize first frames that the window never evicts; null for the model's own with the model's window, else none
     * @param policy the name of a cache policy that replaces the window, or null
     * @param heads the groups of the heads, as for {@code HeadGroups.parse}; null if the policy has one group or chooses them
     *     itself
     */
    public record Cache(
            @Nullable Integer localAttnSize,
            @Nullable Integer sinkSize,
            @Nullable String policy,
            @Nullable String heads) {
        /** What the model's configuration says. */
        public static final Cache OF_MODEL = new Cache(null, null, null, null);

        /** A window, or none. */
        public Cache(int localAttnSize, int sinkSize) {
            this(localAttnSize, sinkSize, null, null);
        }

        /** The same for a model without a window of its own. */
        Cache withoutModel() {
            return new Cache(
                    localAttnSize == null ? -1 : localAttnSize, sinkSize == null ? 0 : sinkSize, policy, heads);
        }

        /** Refuses a policy beside a window. */
        public Cache {
            if (policy != null && localAttnSize != null && localAttnSize != -1) {
                throw new UsageException("cache.policy: expected no window with it, got " + localAttnSize + " frames");
            }
            if (policy == null && heads != null) {
                throw new UsageException("cache.heads: expected cache.policy with it, whose groups they are");
            }
        }
    }

    /**
     * What is captured.
     *
     * @param layers of the model
     * @param heads of every layer
     * @param attention self, cross or both
     * @param passes of every frame block
     * @param quantities what of each attention
     * @param sites which activations
     * @param keepNonFinite whether values that are not finite are kept; else the first one ends the run
     * @param queries boxes of query tokens whose region logits and masses are captured
     */
    public record Captures(
            Indices layers,
            Indices heads,
            Set<AttentionKind> attention,
            PassChoice passes,
            Set<Quantity> quantities,
            Set<Site> sites,
            boolean keepNonFinite,
            List<QueryRegion> queries) {
        /** Captures without boxes of queries. */
        public Captures(
                Indices layers,
                Indices heads,
                Set<AttentionKind> attention,
                PassChoice passes,
                Set<Quantity> quantities,
                Set<Site> sites,
                boolean keepNonFinite) {
            this(layers, heads, attention, passes, quantities, sites, keepNonFinite, List.of());
        }

        /** Copies the sets, and refuses empty ones. */
        public Captures {
            attention = Set.copyOf(attention);
            quantities = Set.copyOf(quantities);
            sites = Set.copyOf(sites);
            if (attention.isEmpty() || (quantities.isEmpty() && sites.isEmpty())) {
                throw new UsageException((attention.isEmpty() ? "capture.attention" : "capture.quantities")
                        + ": expected at least one, got none");
            }
            queries = List.copyOf(queries);
            if (queries.isEmpty() == quantities.stream().anyMatch(Quantity::ofRegions)) {
                throw new UsageException("capture.queries: expected boxes of queries and, in capture.quantities,"
                        + " region-logits or region-mass, got " + queries.size() + " boxes and " + quantities);
            }
        }

        Captures withLayers(Indices other) {
            return new Captures(other, heads, attention, passes, quantities, sites, keepNonFinite, queries);
        }

        Captures withHeads(Indices other) {
            return new Captures(layers, other, attention, passes, quantities, sites, keepNonFinite, queries);
        }

        Captures withAttention(Set<AttentionKind> other) {
            return new Captures(layers, heads, other, passes, quantities, sites, keepNonFinite, queries);
        }

        Captures withPasses(PassChoice other) {
            return new Captures(layers, heads, attention, other, quantities, sites, keepNonFinite, queries);
        }

        Captures withQuantities(Set<Quantity> other) {
            return new Captures(layers, heads, attention, passes, other, sites, keepNonFinite, queries);
        }

        Captures withSites(Set<Site> other) {
            return new Captures(layers, heads, attention, passes, quantities, other, keepNonFinite, queries);
        }

        /** With boxes of queries, and the quantities of regions. */
        Captures withQueries(List<QueryRegion> boxes) {
            return new Captures(layers, heads, attention, passes, withRegions(quantities), sites, keepNonFinite, boxes);
        }

        /** The quantities, with those of regions unless one of these is among them. */
        public static Set<Quantity> withRegions(Set<Quantity> quantities) {
            if (quantities.stream().anyMatch(Quantity::ofRegions)) {
                return quantities;
            }
            Set<Quantity> more = EnumSet.of(Quantity.REGION_LOGITS, Quantity.REGION_MASS);
            more.addAll(quantities);
            return more;
        }
    }

    /**
     * What computes.
     *
     * @param name {@code jvm}, {@code onednn}, {@code tornado:DRIVER:DEVICE}, {@code auto}, ...
     * @param weights how a device stores weights
     * @param cache how it stores keys and values
     * @param libraries {@code auto}, {@code off}, or the names of the libraries that the device uses
     * @param kernels which of the backend's own kernels: {@code auto} for those that suit, {@code vector}, {@code shared}, ...
     * @param memoryBytes the memory that may be used on the device; 0 for all
     * @param threads that compute on the processor; null for all cores
     */
    public record Device(
            String name,
            DType weights,
            DType cache,
            String libraries,
            String kernels,
            long memoryBytes,
            @Nullable Integer threads) {
        /** The Vector API on all cores. */
        public static final Device JVM =
                new Device(Devices.JVM, DType.F32, DType.F32, DeviceSettings.AUTO, DeviceSettings.AUTO, 0, null);

        /** Refuses a number of threads that nothing can run on. */
        public Device {
            if (threads != null && threads < 1) {
                throw new UsageException("device.threads: expected 1 or more, got " + threads);
            }
            if (memoryBytes < 0) {
                throw new UsageException("device.memory_bytes: expected 0 or more, got " + memoryBytes);
            }
        }

        /** Threads that compute on the processor. */
        int computingThreads() {
            return threads == null ? Runtime.getRuntime().availableProcessors() : threads;
        }

        /** The same on another number of threads; null for all cores. */
        public Device onThreads(@Nullable Integer count) {
            return new Device(name, weights, cache, libraries, kernels, memoryBytes, count);
        }

        /** Other kernels, everything else as it is. */
        public Device with(String others) {
            return new Device(name, weights, cache, libraries, others, memoryBytes, threads);
        }

        /** Another device, everything else as it is. */
        public Device named(String other) {
            return new Device(other, weights, cache, libraries, kernels, memoryBytes, threads);
        }
    }

    /**
     * What is written, and how far the run goes for it.
     *
     * @param result the file of captures; null to keep them in memory
     * @param latents the file of clean latents; null for none
     * @param passes whether that file also gets the flow and x0 of every pass
     * @param complete whether to run to the end even when everything has been captured
     * @param video the decoded video, or null for none
     */
    public record Output(
            @Nullable Path result,
            @Nullable Path latents,
            boolean passes,
            boolean complete,
            @Nullable Decoded video) {
        /** In memory. */
        public static final Output MEMORY = new Output(null, null, false, false, null);

        /**
         * The first sample's video, each frame as soon as it is final.
         *
         * @param file its ending sets the format; see {@code wan.video.VideoSink}
         * @param vae the VAE's file
         */
        public record Decoded(Path file, Path vae) {}

        /** Whether the run continues to its end after everything has been captured. */
        public boolean toTheEnd() {
            return complete || latents != null || video != null;
        }

        /** Refuses contradictory settings. */
        public Output {
            if (passes && latents == null) {
                throw new UsageException(
                        "output.passes: expected output.latents with it, which the passes are added to");
            }
            if (latents != null && !latents.toString().endsWith(".safetensors")) {
                throw new UsageException("output.latents: expected a name ending in .safetensors, got " + latents);
            }
            if (latents != null && result != null && same(latents, result)) {
                throw new UsageException(
                        "output.latents: expected another file than output.result, got " + latents + " for both");
            }
        }

        static boolean same(Path a, Path b) {
            return a.toAbsolutePath().normalize().equals(b.toAbsolutePath().normalize());
        }
    }

    /** The reference script's run: 21 frames of the first layer's frame logits, with random embeddings, in memory. */
    public static RunSpec of(Model model) {
        RunSettings defaults = RunSettings.of(2, 2, 21);
        return new RunSpec(
                        model,
                        Prompt.RANDOM,
                        new Video(null, null, defaults.numFrames(), null),
                        new Noise(Rng.TORCH_CUDA, 42, true, CudaGeometry.H100),
                        new Sampler(List.of(1f), 1, true, 0, 1, true, Method.SELF_FORCING),
                        Cache.OF_MODEL,
                        new Captures(
                                Indices.of(0),
                                Indices.ALL,
                                EnumSet.of(AttentionKind.SELF),
                                PassChoice.FIRST,
                                EnumSet.of(Quantity.FRAME_LOGITS),
                                Set.of(),
                                false),
                        EditPlan.NONE,
                        Device.JVM,
                        Output.MEMORY)
                .withSampling(defaults)
                .withCache(Cache.OF_MODEL);
    }

    /** Repeats the only run of a recording; see {@link #replaying(Path, String)}. */
    public RunSpec replaying(Path replay) {
        return replaying(replay, "");
    }

    /** Every file and folder that a run of it reads by name. */
    public List<Path> inputs() {
        return Stream.of(
                        model.path(),
                        model.checkpoint(),
                        prompt.embeddings(),
                        prompt.tokenizer(),
                        prompt.textEncoder(),
                        video.initialLatent(),
                        video.picture(),
                        video.vae(),
                        noise.replay())
                .flatMap(Stream::ofNullable)
                .toList();
    }

    /**
     * The same with a VAE, with which a method that recomputes keys re-encodes its first frame.
     *
     * @param vae a file or folder; null for none, with which such a method keeps frame 0
     */
    public RunSpec encodingBy(@Nullable Path vae) {
        RunSpec same = withVideo(new Video(
                video.latentHeight(),
                video.latentWidth(),
                video.numFrames(),
                video.initialLatent(),
                video.picture(),
                vae));
        if (!(sampler.method() instanceof Method.RecomputedKeys m)) {
            return same;
        }
        Method method = new Method.RecomputedKeys(
                m.contextFrames(), vae == null, m.promptChangeBlock(), m.interpolationSteps());
        return same.withSampler(new Sampler(
                sampler.steps(),
                sampler.shift(),
                sampler.warp(),
                sampler.contextNoise(),
                sampler.numFramePerBlock(),
                sampler.independentFirstFrame(),
                method));
    }

    /**
     * Repeats a recorded run: its settings, its noise, embeddings and given latents, and its edits.
     *
     * @param replay a recording; see {@link Replay}
     * @param run which run of the file; empty where it holds one
     */
    public RunSpec replaying(Path replay, String run) {
        RunSettings settings;
        EditPlan recorded;
        try (Replay recording = Replay.open(replay, run)) {
            settings = recording.settings();
            recorded = recording.edits();
        }
        RunSpec same = withVideo(new Video(
                settings.latentHeight(), settings.latentWidth(), settings.numFrames(), video.initialLatent()));
        return same.withNoise(new Noise(noise.generator(), noise.seed(), noise.bf16(), noise.cudaDevice(), replay, run))
                .withEdits(recorded)
                .withSampling(settings);
    }

    private RunSpec withSampling(RunSettings s) {
        return withSampler(new Sampler(
                        s.denoisingSteps(),
                        s.shift(),
                        s.warp(),
                        s.contextNoise(),
                        s.numFramePerBlock(),
                        s.independentFirstFrame(),
                        s.method()))
                .withCache(new Cache(s.localAttnSize(), s.sinkSize()));
    }

    /**
     * What the sampler is to do.
     *
     * @param latentHeight of the model, where the video has none
     * @param latentWidth likewise
     * @param initialFrames latent frames that are given
     */
    RunSettings settings(int latentHeight, int latentWidth, int initialFrames) {
        Cache window = cache.withoutModel();
        // All frames at once are one frame block.
        boolean whole = sampler.method() instanceof Method.Ode ode && !ode.perFrameBlock();
        return new RunSettings(
                video.latentHeight() == null ? latentHeight : video.latentHeight(),
                video.latentWidth() == null ? latentWidth : video.latentWidth(),
                video.numFrames(),
                initialFrames,
                whole ? video.numFrames() : sampler.numFramePerBlock(),
                !whole && sampler.independentFirstFrame(),
                sampler.method() instanceof Method.Ode ? List.of() : sampler.steps(),
                sampler.shift(),
                sampler.warp(),
                Objects.requireNonNull(window.localAttnSize()),
                Objects.requireNonNull(window.sinkSize()),
                sampler.contextNoise(),
                sampler.method());
    }

    /**
     * Refuses what no model could run.
     *
     * @throws UsageException that names the wrong field
     */
    void check() {
        RunSettings _ = settings(2, 2, 0);
    }

    /** Another model, everything else as it is. */
    public RunSpec withModel(Model other) {
        return new RunSpec(other, prompt, video, noise, sampler, cache, capture, edits, device, output);
    }

    /** Another prompt, everything else as it is. */
    public RunSpec withPrompt(Prompt other) {
        return new RunSpec(model, other, video, noise, sampler, cache, capture, edits, device, output);
    }

    /** Another size, everything else as it is. */
    public RunSpec withVideo(Video other) {
        return new RunSpec(model, prompt, other, noise, sampler, cache, capture, edits, device, output);
    }

    /** Other noise, everything else as it is. */
    public RunSpec withNoise(Noise other) {
        return new RunSpec(model, prompt, video, other, sampler, cache, capture, edits, device, output);
    }

    /** Other steps, everything else as it is. */
    public RunSpec withSampler(Sampler other) {
        return new RunSpec(model, prompt, video, noise, other, cache, capture, edits, device, output);
    }

    /** Another window, everything else as it is. */
    public RunSpec withCache(Cache other) {
        return new RunSpec(model, prompt, video, noise, sampler, other, capture, edits, device, output);
    }

    /** Other captures, everything else as it is. */
    public RunSpec withCapture(Captures other) {
        return new RunSpec(model, prompt, video, noise, sampler, cache, other, edits, device, output);
    }

    /** Other interventions, everything else as it is. */
    public RunSpec withEdits(EditPlan other) {
        return new RunSpec(model, prompt, video, noise, sampler, cache, capture, other, device, output);
    }

    /** Another device, everything else as it is. */
    public RunSpec withDevice(Device other) {
        return new RunSpec(model, prompt, video, noise, sampler, cache, capture, edits, other, output);
    }

    /** Other files, everything else as it is. */
    public RunSpec withOutput(Output other) {
        return new RunSpec(model, prompt, video, noise, sampler, cache, capture, edits, device, other);
    }
}
