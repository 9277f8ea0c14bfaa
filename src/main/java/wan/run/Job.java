package wan.run;

import capture.Capture;
import capture.CapturePlan;
import capture.CaptureSink;
import capture.RunGeometry;
import capture.SeenKeys;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;
import wan.backend.DeviceCheck;
import wan.backend.HostMemory;
import wan.backend.MemoryPlan;
import wan.edit.EditPlan;
import wan.edit.Edits;
import wan.edit.HeadCaches;
import wan.jvm.JvmOptions;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.noise.NoiseSource;
import wan.op.Grid;
import wan.op.HostTensor;
import wan.op.Ops;
import wan.op.Shape;
import wan.op.WanException;
import wan.pass.Context;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.sampling.FirstPicture;
import wan.sampling.Method;
import wan.sampling.RunCost;
import wan.sampling.RunPlan;
import wan.sampling.RunSettings;
import wan.sampling.Sampler;
import wan.sampling.SamplerInputs;
import wan.selftest.SelfTestCheck;

/** A run that has been checked and planned for its model, but not started. */
public final class Job {
    /** Of a layer for one frame. */
    private static final double LEAST_MEASURED_FLOPS = 1e10;

    private final RunSpec spec;
    private final Session session;
    private final LoadedModel model;
    private final RunPlan plan;
    private final CapturePlan capture;
    private final RunGeometry geometry;
    private final @Nullable HostTensor initialLatent;
    private final Picture picture;
    private final @Nullable HeadCaches caches;

    Job(
            RunSpec spec,
            Session session,
            RunPlan plan,
            CapturePlan capture,
            RunGeometry geometry,
            @Nullable HostTensor initialLatent,
            Picture picture,
            @Nullable HeadCaches caches) {
        this.spec = spec;
        this.session = session;
        this.model = session.model();
        this.plan = plan;
        this.capture = capture;
        this.geometry = geometry;
        this.initialLatent = initialLatent;
        this.picture = picture;
        this.caches = caches;
    }

    /** What each head keeps in the KV cache, or null if all heads keep the same. */
    public @Nullable HeadCaches caches() {
        return caches;
    }

    /** Which keys the heads see. */
    SeenKeys seenKeys() {
        return caches == null ? SeenKeys.ALL : caches::seenKeys;
    }

    Edits openEdits() {
        return openEdits(spec.edits(), caches);
    }

    /** Other edits of the same run. */
    Edits openEdits(EditPlan edits, @Nullable HeadCaches caches) {
        WanConfig config = model.config();
        return new Edits(
                edits,
                caches,
                new Edits.Sizes(
                        config.numLayers(),
                        config.numHeads(),
                        config.headDim(),
                        geometry.frameSeqLen(),
                        config.textLen()));
    }

    /** The specification of the run. */
    public RunSpec spec() {
        return spec;
    }

    /** Every pass. */
    public RunPlan plan() {
        return plan;
    }

    /** The captures, with the layers and heads of this model. */
    public CapturePlan capture() {
        return capture;
    }

    /** The sizes that determine the shapes of captures. */
    public RunGeometry geometry() {
        return geometry;
    }

    /** The model's sizes. */
    public WanConfig config() {
        return model.config();
    }

    LoadedModel model() {
        return model;
    }

    /** The operations of the run. */
    public RunCost cost() {
        return new RunCost(model.config(), geometry.batch(), geometry.frameSeqLen());
    }

    /** Bytes of the captured tensors, without the assembled matrices. */
    public long captureBytes() {
        long bytes = 0;
        for (Pass pass : plan.passes()) {
            if (capture.passes().includes(pass.id(), geometry.numSteps())) {
                for (CapturePlan.Item item : capture.items(pass, geometry)) {
                    bytes += Float.BYTES * item.shape().size();
                }
            }
        }
        return bytes;
    }

    /** What a device that prepares for a run prepares for: jobs for which this is equal do the same, with other numbers. */
    Object work() {
        // How heads are kept can change in the run.
        return caches != null ? this : List.of(plan, capture, geometry, spec.edits());
    }

    /** Measures at the run's sizes, where one device is to be chosen of some. */
    DeviceCheck speedCheck() {
        long frames = 0;
        long attended = 0;
        for (Pass pass : plan.passes()) {
            frames += pass.frames();
            attended += (long) pass.frames() * pass.placement().attended().size();
        }
        RunSettings settings = plan.settings();
        Grid frame = new Grid(1, settings.latentHeight() / 2, settings.latentWidth() / 2);
        WanConfig config = model.config();
        double keyFrames = frames == 0 ? 1 : Math.max(1, (double) attended / frames);
        return SelfTestCheck.ofRun(
                frame, config.numHeads(), config.headDim(), config.ffnDim(), keyFrames, SpeedFile.ofThisMachine());
    }

    /**
     * About how long the run will compute on this machine, from what a layer of its sizes was measured to take, now or before. Opening the
     * model, encoding the prompt and writing the result come on top.
     *
     * @return seconds; empty where a device computes, or where layers are so small that a measurement is mostly of Java's compiler
     */
    public OptionalDouble estimatedSeconds() {
        double layers = plan.passes().stream()
                .mapToDouble(pass -> (double) geometry.batch() * pass.frames() * pass.numLayers())
                .sum();
        if (cost().flops(plan) < LEAST_MEASURED_FLOPS * layers) {
            return OptionalDouble.empty();
        }
        OptionalDouble seconds = Devices.layerSeconds(spec.device(), speedCheck());
        return seconds.isEmpty() ? seconds : OptionalDouble.of(layers * seconds.getAsDouble());
    }

    /**
     * Whether the run would be refused for want of memory, on this machine with this heap or on its device.
     *
     * @return why, for people
     */
    public Optional<String> memoryProblem() {
        try {
            MemoryCheck.require(this, 0);
            return Optional.empty();
        } catch (WanException e) {
            return Optional.of(String.valueOf(e.getMessage()));
        }
    }

    /** First frame of the last frame block. */
    public int lastFrameBlockStart() {
        RunSettings settings = plan.settings();
        return settings.totalFrames() - settings.blockSizes().getLast();
    }

    /**
     * The specification that a result records: with the actual sizes, and without the number of threads and the output files,
     * which do not affect the values. So repeating the run replaces no file.
     */
    RunSpec resolved() {
        RunSettings settings = plan.settings();
        RunSpec.Output output = spec.output();
        return spec.withVideo(new RunSpec.Video(
                        settings.latentHeight(),
                        settings.latentWidth(),
                        settings.numFrames(),
                        spec.video().initialLatent(),
                        spec.video().picture(),
                        spec.video().vae()))
                .withDevice(spec.device().onThreads(null))
                .withOutput(new RunSpec.Output(null, null, false, output.toTheEnd(), null));
    }

    /** The source of the noise, in words. */
    String noise() {
        try (NoiseSource noise = openNoise()) {
            return noise.description();
        }
    }

    /** What the prompt is, in words. */
    String prompt() {
        return spec.noise().replay() == null ? Prompts.describe(spec.prompt()) : "(" + noise() + ")";
    }

    /** The tokens of its prompts in words, [prompt, sample, token], as {@link Prompts#tokens}; none if the run is replayed. */
    List<List<List<String>>> promptTokens() {
        return spec.noise().replay() != null ? List.of() : session.promptTokens(spec.prompt(), guided());
    }

    private boolean guided() {
        return spec.sampler().method() instanceof Method.Ode ode && ode.guided();
    }

    /** The same job, its captures written to a file. */
    Job writing(Path result) {
        RunSpec.Output output =
                new RunSpec.Output(result, null, false, spec.output().complete(), null);
        return new Job(spec.withOutput(output), session, plan, capture, geometry, initialLatent, picture, caches);
    }

    /** Memory that the run needs on its device, found by a rehearsal without running anything; null if no device is used. */
    public @Nullable MemoryPlan deviceMemory() {
        return Devices.memoryPlan(spec.device(), speedCheck(), this::rehearse);
    }

    /** Memory that the run needs on this machine, found in the same way; null if a device is used. */
    public @Nullable HostMemory hostMemory() {
        return Devices.hostMemory(spec.device(), speedCheck(), this::rehearse);
    }

    /** Bytes of captures in the heap: the assembled matrices and all tensors, or only the largest tensor if they are streamed to a file. */
    public long capturedBytes() {
        long all = 0;
        long largest = 0;
        for (Pass pass : capture.captured(plan.passes(), geometry.numSteps())) {
            for (CapturePlan.Item item : capture.items(pass, geometry)) {
                long bytes = Float.BYTES * item.shape().size();
                all += bytes;
                largest = Math.max(largest, bytes);
            }
        }
        return (spec.output().result() == null ? all : largest) + Capture.matrixBytes(capture, geometry);
    }

    private static PassRunner openFor(Sampler sampler, List<WanModel> models, Context prompt) {
        return sampler.open(models, Collections.nCopies(sampler.prompts(), prompt));
    }

    /** Goes through all passes with their captures, on a backend that only counts what they need. */
    void rehearse(Ops ops) {
        WanConfig config = model.config();
        RunSettings settings = plan.settings();
        long batch = geometry.batch();
        Capture taps = new Capture(capture, geometry, CaptureSink.NONE);
        Context nothing =
                new Context(HostTensor.zeros(Shape.of(batch, config.textLen(), config.textDim())), picture.features());
        try (NoiseSource noise = openNoise();
                Edits edits = openEdits();
                SamplerInputs given = inputs(noise);
                PassRunner runner = openFor(Sampler.of(plan, given), models(ops), nothing)) {
            for (Pass pass : plan.passes()) {
                Shape latents =
                        Shape.of(batch, pass.frames(), config.inDim(), settings.latentHeight(), settings.latentWidth());
                HostTensor _ = runner.run(
                        pass, HostTensor.zeros(latents), Edits.watched(edits.observe(pass), taps.observe(pass)));
            }
        }
    }

    /** Runs like {@link #execute(RunMonitor, Leftovers)}, but refuses to touch the folder of an unfinished run. */
    public RunResult execute(RunMonitor monitor) {
        return execute(monitor, Leftovers.KEEP);
    }

    /**
     * Checks memory, opens the device, runs, and writes the files. If a run that writes a result ends early, for whatever reason, its
     * data stays in the folder {@code NAME.partial} beside the result, and an older result is not touched.
     *
     * @param leftovers what to do with such a folder of an earlier run
     * @return the result, also if the monitor stopped the run; see {@link RunResult#complete}
     */
    public RunResult execute(RunMonitor monitor, Leftovers leftovers) {
        return new Execution(this, session, monitor).run(leftovers);
    }

    /**
     * Writes a result from the folder of an unfinished run, marked as partial. The folder stays, and the run can still be resumed.
     *
     * @param target a file other than the run's own, which is for complete results
     * @throws WanException if there is no such folder
     */
    public RunResult salvage(Path target, RunMonitor monitor) {
        return Salvage.of(this, target, monitor);
    }

    /** The model, or the expert of low noise and that of high noise. */
    List<WanModel> models(Ops ops) {
        List<WanModel> models = new ArrayList<>();
        for (LoadedModel each = model; each != null; each = each.highNoise()) {
            models.add(new WanModel(each.config(), each.weights(), ops));
        }
        return models;
    }

    /** The prompt, then later ones, or the negative one. */
    List<Context> prompts(RunMonitor monitor) {
        List<HostTensor> texts = session.prompts(spec, guided(), monitor);
        return texts.stream().map(text -> new Context(text, picture.features())).toList();
    }

    SamplerInputs inputs(NoiseSource noise) {
        return noise instanceof Replay replay
                ? replay.inputs()
                : new SamplerInputs(noise, initialLatent, picture.channels(), firstPicture());
    }

    private @Nullable FirstPicture firstPicture() {
        Path vae = spec.video().vae();
        if (vae == null || !(spec.sampler().method() instanceof Method.RecomputedKeys keys) || keys.keepFirstFrame()) {
            return null;
        }
        JvmOptions defaults = JvmOptions.defaults();
        Integer threads = spec.device().threads();
        return new EncodedPicture(
                vae, threads == null ? defaults : new JvmOptions(threads, defaults.kernels()), keys.contextFrames());
    }

    NoiseSource openNoise() {
        RunSpec.Noise noise = spec.noise();
        return noise.replay() != null
                ? Replay.open(noise.replay(), noise.replayRun())
                : NoiseSource.of(noise.generator(), noise.seed(), noise.bf16(), noise.cudaDevice());
    }
}
