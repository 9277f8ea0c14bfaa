package wan.run;

import capture.Capture;
import capture.CapturePlan;
import capture.CaptureSink;
import capture.MemorySink;
import capture.RunGeometry;
import capture.SeenKeys;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;
import wan.backend.DeviceCheck;
import wan.backend.HostMemory;
import wan.backend.MemoryPlan;
import wan.cache.Policies;
import wan.cache.PolicySchedule;
import wan.edit.EditPlan;
import wan.edit.Edits;
import wan.edit.HeadCaches;
import wan.file.PartialFolder;
import wan.file.PartialTensors;
import wan.jvm.JvmOptions;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.noise.CountedNoise;
import wan.noise.NoiseSource;
import wan.op.Grid;
import wan.op.HostTensor;
import wan.op.NonFiniteException;
import wan.op.Ops;
import wan.op.Shape;
import wan.op.UsageException;
import wan.op.WanException;
import wan.pass.Context;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.sampling.Checkpoint;
import wan.sampling.FirstPicture;
import wan.sampling.Method;
import wan.sampling.RunCost;
import wan.sampling.RunPlan;
import wan.sampling.RunSettings;
import wan.sampling.Sampler;
import wan.sampling.SamplerInputs;
import wan.selftest.SelfTestCheck;
import wan.vae.VaeFiles;

/** A run that has been checked and planned for its model, but not started. */
public final class Job {
    private final RunSpec spec;
    private final Session session;
    private final LoadedModel model;
    private final RunPlan plan;
    private final CapturePlan capture;
    private final RunGeometry geometry;
    private final @Nullable HostTensor initialLatent;
    private final Picture picture;
    private final @Nullable HeadCaches caches;

    private Job(
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

    /** Plans a run; warnings go to the monitor. */
    static Job of(RunSpec asked, Session session, RunMonitor monitor) {
        LoadedModel model = session.model();
        WanConfig config = model.config();
        noticePreset(asked, Preset.Sizes.of(config, model.highNoise() == null ? 1 : 2), monitor);
        RunSpec spec = withFirstPicture(asked, monitor);
        CapturePlan capture = new CapturePlan(
                spec.capture().layers().in("capture.layers", config.numLayers()),
                spec.capture().attention(),
                spec.capture().passes(),
                spec.capture().heads().in("capture.heads", config.numHeads()),
                spec.capture().quantities(),
                new CapturePlan.Recorded(spec.capture().sites(), config.numHeads(), config.headDim()));
        HostTensor initialLatent;
        Picture picture;
        int batch;
        int initialFrames;
        Path recording = spec.noise().replay();
        if (recording != null) {
            try (Replay replay = Replay.open(recording, spec.noise().replayRun())) {
                initialLatent = replay.initialLatent();
                initialFrames = replay.settings().numInitialFrames();
                batch = replay.promptEmbeds().shape().dim(0);
                picture = new Picture(
                        replay.inputs().imageChannels(),
                        replay.prompts().getFirst().image(),
                        null);
            }
        } else {
            Path given = spec.video().initialLatent();
            initialLatent = given == null ? null : Prompts.initialLatent(given);
            initialFrames = initialLatent == null ? 0 : initialLatent.shape().dim(1);
            batch = Prompts.count(spec.prompt());
            picture = Picture.read(spec.video().picture());
            initialLatent = picture.firstFrame() != null ? picture.firstFrame() : initialLatent;
        }
        RunSettings settings = spec.settings(model.latentHeight(), model.latentWidth(), initialFrames);
        noticeOddities(settings, monitor);
        int gridRows = settings.latentHeight() / 2;
        int gridColumns = settings.latentWidth() / 2;
        spec.capture().queries().forEach(box -> box.check(settings.totalFrames(), gridRows, gridColumns));
        capture = capture.with(new CapturePlan.Regions(spec.capture().queries(), gridRows, gridColumns));
        RunPlan plan = RunPlan.of(settings, config.numLayers());
        if (model.highNoise() == null && plan.passes().stream().anyMatch(pass -> pass.expert() > 0)) {
            throw new UsageException(
                    "sampler.method.boundary: expected a folder with low_noise_model and high_noise_model,"
                            + " since such a sampler runs both, got " + model.name());
        }
        HeadCaches caches = headCaches(spec, settings, config);
        if (caches != null) {
            plan = new RunPlan(
                    settings, plan.timesteps(), List.of(caches.layout()), caches.place(plan.passes()), plan.events());
        }
        capture.passes().check(plan.timesteps().size());
        if (spec.output().passes()) {
            plan = plan.withAllFlows(config.numLayers());
        } else if (!spec.output().toTheEnd()) {
            List<Pass> captured =
                    capture.captured(plan.passes(), plan.timesteps().size());
            plan = plan.endingAt(captured.getLast().id(), capture.layersNeeded());
        }
        if (caches != null && caches.chooses()) {
            plan = withWholeChoice(plan, caches, config.numLayers());
        }
        RunGeometry geometry = new RunGeometry(
                batch,
                settings.totalFrames(),
                settings.frameSeqLen(),
                config.textLen(),
                plan.timesteps().size(),
                picture.features() == null ? 0 : picture.features().shape().dim(1));
        Job job = new Job(spec, session, plan, capture, geometry, initialLatent, picture, caches);
        try (Edits edits = job.openEdits()) {
            edits.check(plan.passes());
        }
        return job;
    }

    /** Keys are recomputed with frame 0 where nothing is there to encode a picture in its place. */
    private static RunSpec withFirstPicture(RunSpec spec, RunMonitor monitor) {
        boolean encodes = spec.sampler().method() instanceof Method.RecomputedKeys keys && !keys.keepFirstFrame();
        Path vae = spec.video().vae();
        if (!encodes || spec.noise().replay() != null) {
            return spec;
        }
        if (vae == null) {
            monitor.notice(
                    "frame 0 stays first among the recomputed keys, because no VAE was given to re-encode the oldest"
                            + " picture; set video.vae");
            return spec.encodingBy(null);
        }
        VaeFiles.open(vae).close();
        return spec;
    }

    /** The pass in which heads are sorted runs all layers where anything follows it. */
    private static RunPlan withWholeChoice(RunPlan plan, HeadCaches caches, int numLayers) {
        List<Pass> passes = new ArrayList<>(plan.passes());
        for (int i = 0; i < passes.size() - 1; i++) {
            if (caches.choosesIn(passes.get(i))) {
                passes.set(i, passes.get(i).onlyLayers(numLayers));
            }
        }
        return new RunPlan(plan.settings(), plan.timesteps(), plan.caches(), passes, plan.events());
    }

    private static @Nullable HeadCaches headCaches(RunSpec spec, RunSettings settings, WanConfig config) {
        RunSpec.Cache cache = spec.cache();
        if (cache.policy() == null) {
            return null;
        }
        if (!settings.method().equals(Method.SELF_FORCING)) {
            throw new UsageException("cache.policy: expected Self-Forcing's sampler, got " + settings.method());
        }
        Policies policy = Policies.of(cache.policy());
        PolicySchedule schedule = PolicySchedule.of(policy, settings.blockSizes());
        schedule.check(settings.frameSeqLen());
        Grid frame = new Grid(1, settings.latentHeight() / 2, settings.latentWidth() / 2);
        if (cache.heads() == null && policy.choosingBlock() >= 0) {
            return HeadCaches.choosing(
                            schedule,
                            config.numLayers(),
                            config.numHeads(),
                            spec.noise().seed())
                    .on(frame, config.headDim());
        }
        return new HeadCaches(
                        schedule,
                        RoleGroups.parse(policy.groups(), cache.heads(), config.numLayers(), config.numHeads()),
                        config.numLayers(),
                        config.numHeads())
                .on(frame, config.headDim());
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

    /** Says what preset is used and what differs from it; or that the model looks like one of a preset. */
    private static void noticePreset(RunSpec spec, Preset.Sizes sizes, RunMonitor monitor) {
        String named = spec.model().preset();
        if (named != null) {
            Preset preset = Preset.named(named);
            monitor.notice("preset " + named + ": " + preset.title());
            preset.contradictions(spec).forEach(line -> monitor.notice("unlike preset " + named + ", " + line));
            return;
        }
        Path file = spec.model().checkpoint() != null
                ? spec.model().checkpoint()
                : spec.model().path();
        if (file == null || spec.noise().replay() != null) {
            return;
        }
        Preset.of(file).or(() -> Preset.of(sizes)).ifPresent(preset -> {
            preset.require();
            List<String> others = preset.contradictions(spec);
            if (!others.isEmpty()) {
                monitor.notice(file + " looks like a checkpoint of preset " + preset.name()
                        + ", whose settings differ, such as " + others.getFirst());
            }
        });
    }

    /** Latent frames that the published models are trained on, beyond which a run is meant to be long. */
    private static final int LONGEST_USUAL = 21;

    /** Frames of the video in one latent frame, but for the first. */
    private static final int VIDEO_FRAMES = 4;

    private static void noticeOddities(RunSettings settings, RunMonitor monitor) {
        int frames = settings.numFrames();
        if (frames > LONGEST_USUAL && frames % VIDEO_FRAMES == 1) {
            int latent = (frames - 1) / VIDEO_FRAMES + 1;
            monitor.notice(frames + " latent frames are " + (VIDEO_FRAMES * (frames - 1) + 1)
                    + " frames of video; a video of " + frames + " frames is " + latent
                    + " latent frames: video.num_frames " + latent);
        }
        int leftOut = settings.numFrames() - settings.generatedFrames();
        if (leftOut > 0) {
            monitor.notice(settings.numFrames() + " frames do not fill frame blocks of " + settings.numFramePerBlock()
                    + (settings.independentFirstFrame() ? " after the first frame" : "") + ": the last " + leftOut
                    + " are left out; frame blocks " + settings.generatedBlockSizes());
        }
        int largest =
                settings.blockSizes().stream().mapToInt(Integer::intValue).max().orElse(0);
        if (settings.localAttnSize() != -1 && settings.sinkSize() + largest > settings.localAttnSize()) {
            monitor.notice("a sink of " + settings.sinkSize() + " and frame blocks of " + largest
                    + " frames exceed the window of "
                    + settings.localAttnSize() + ": the sink keeps "
                    + Math.max(0, settings.localAttnSize() - largest) + " frames, as in the reference");
        }
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

    /** First frame of the last frame block. */
    public int lastFrameBlockStart() {
        RunSettings settings = plan.settings();
        return settings.totalFrames() - settings.blockSizes().getLast();
    }

    /**
     * What was run, for the result that came of it: with the sizes that the model decided, and without what changes nothing of it, the
     * number of threads and the files that it was written to. So repeating it replaces nothing.
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

    /** Where the noise comes from, in words. */
    String noise() {
        try (NoiseSource noise = openNoise()) {
            return noise.description();
        }
    }

    /** What the prompt is, in words. */
    String prompt() {
        return spec.noise().replay() == null ? Prompts.describe(spec.prompt()) : "(" + noise() + ")";
    }

    /** The tokens of its prompts in words, [prompt, sample, token], as {@link Prompts#tokens}; none where they were recorded. */
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

    /** Goes through all passes with their captures, for a backend that only notes what they need. */
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
        MemoryCheck.require(this, 0);
        if (session.isFirst(plan.numLayers())) {
            WeightDiagnosis.warnOfZeros(this);
        }
        monitor.started(this);
        try (Session.Lease device = session.open(this, monitor);
                Edits edits = openEdits();
                NoiseSource noise = openNoise();
                SamplerInputs given = inputs(noise);
                RunOutputs outputs = new RunOutputs(this, device.ops().backend(), leftovers, monitor)) {
            if (outputs.finished()) {
                device.keep();
                monitor.ended();
                return outputs.publish(new Capture(capture, geometry, new MemorySink()), RunResult.COMPLETE);
            }
            CountedNoise counted = new CountedNoise(given.noise());
            Follower follower = new Follower(this, edits, monitor, outputs, counted);
            boolean done = false;
            try {
                HostTensor clean = rollOut(device, noise, given.drawingFrom(counted), follower, outputs, monitor);
                if (!spec.capture().keepNonFinite()) {
                    clean.requireFinite("final latents");
                }
                monitor.ended();
                RunResult result = outputs.finish(follower.capture(), clean, RunResult.COMPLETE);
                done = true;
                device.keep();
                return result;
            } catch (CancellationException e) {
                done = true;
                return outputs.ended(follower.capture(), "interrupted in " + follower.position());
            } catch (NonFiniteException e) {
                throw WeightDiagnosis.explain(e, model.config(), model.weights())
                        .because("capture.keep_non_finite keeps such values");
            } finally {
                monitor.ended();
                if (!done) {
                    keep(outputs, follower, monitor);
                }
            }
        }
    }

    /** After a failure: what can be kept is, and a second failure must not hide the first. */
    private static void keep(RunOutputs outputs, Follower follower, RunMonitor monitor) {
        try {
            outputs.stopped("failed in " + follower.position());
        } catch (WanException e) {
            monitor.notice(String.valueOf(e.getMessage()));
        }
        Path left = outputs.left();
        if (left != null) {
            monitor.notice(
                    outputs.progress() + " are kept in " + left + "; continue the same run with leftovers.resume");
        }
    }

    private HostTensor rollOut(
            Session.Lease device,
            NoiseSource noise,
            SamplerInputs inputs,
            Follower follower,
            RunOutputs outputs,
            RunMonitor monitor) {
        Sampler sampler = Sampler.of(plan, inputs);
        List<Context> prompts = noise instanceof Replay replay ? replay.prompts() : prompts(monitor);
        outputs.inputs(prompts, inputs);
        Checkpoint from = outputs.goOn(follower.capture());
        try (PassRunner runner = sampler.open(device.models(), prompts)) {
            if (from != null) {
                monitor.resumed(from.passes(), outputs.progress());
            }
            return sampler.run(runner, from, follower);
        }
    }

    /**
     * Writes a result from the folder of an unfinished run, marked as partial. The folder stays, and the run can still be resumed.
     *
     * @param target a file other than the run's own, which is for complete results
     * @throws WanException if there is no such folder
     */
    public RunResult salvage(Path target, RunMonitor monitor) {
        Path own = spec.output().result();
        if (own == null || RunSpec.Output.same(own, target)) {
            throw new UsageException(
                    "leftovers.salvage: expected a file other than output.result, which is for complete"
                            + " results, got " + target);
        }
        Path folder = PartialFolder.of(own);
        if (!PartialFolder.is(folder)) {
            throw new WanException(
                    "leftovers.salvage: expected the folder of an interrupted run, " + folder + ", got none");
        }
        PartialRun left = PartialRun.read(folder).verified(folder);
        String backend = left.fields().path("backend").asString("");
        RunState.requireSame(folder, left.fields(), RunState.tree(RunMetadata.of(this, backend, RunResult.COMPLETE)));
        Job named = writing(target);
        try (PartialTensors captures = left.captures(folder);
                RunOutputs outputs = new RunOutputs(named, backend, Leftovers.KEEP, monitor)) {
            if (captures.names().isEmpty()) {
                throw new WanException(folder + ": contains no captures yet");
            }
            for (String name : captures.names()) {
                CaptureSink.Pieces pieces = outputs.sink().open(name, captures.shape(name));
                captures.copy(name, (first, values) -> pieces.write(first, values, values.length));
            }
            Capture rebuilt = new Capture(capture, geometry, outputs.sink(), true);
            List<String> names = captures.names();
            rebuilt.restore(plan.passes(), name -> names.contains(name) ? captures.tensor(name) : null);
            return outputs.finish(rebuilt, null, "partial: " + RunState.progress(left));
        }
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
