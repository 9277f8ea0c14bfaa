package wan.app.command;

import capture.Capture;
import capture.CapturePlan;
import capture.FrameMatrix;
import capture.MemorySink;
import capture.ResultFile;
import capture.ResultOutput;
import capture.RunGeometry;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tornado.MemoryPlan;
import wan.app.option.CaptureOptions;
import wan.app.option.DeviceOptions;
import wan.app.option.EncoderOptions;
import wan.app.option.ModelOptions;
import wan.app.option.NoiseOptions;
import wan.app.option.PromptInput;
import wan.app.option.RunOptions;
import wan.app.terminal.Cancellation;
import wan.app.terminal.Profile;
import wan.app.terminal.Progress;
import wan.app.terminal.Terminal;
import wan.jvm.JvmOptions;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.noise.NoiseSource;
import wan.op.AttentionKind;
import wan.op.AttentionTap;
import wan.op.HostTensor;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Quantity;
import wan.op.Shape;
import wan.op.UsageException;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.run.LatentsFile;
import wan.run.LoadedModel;
import wan.run.MemoryCheck;
import wan.run.Replay;
import wan.run.RunMetadata;
import wan.sampling.CausalSampler;
import wan.sampling.RunCost;
import wan.sampling.RunListener;
import wan.sampling.RunPlan;
import wan.sampling.RunSettings;
import wan.text.Umt5Encoder;

/** {@code wan-attn extract}: runs the model and captures attention on the way. */
@Command(
        name = "extract",
        description = "Runs the model on noise and captures attention of any layers, heads and passes in one run.",
        footer = {
            "",
            "Examples:",
            "  wan-attn extract --layer 3",
            "      the built-in demo model: random weights, at once",
            "  wan-attn extract --model weights/Wan2.1-T2V-1.3B \\",
            "      --prompt \"a cat walks\" --layer all --pass all \\",
            "      --what frame-logits,frame-mass --output run.safetensors",
            "      every layer, pass and head of 19 frames from one run",
            "  wan-attn extract --model DIR --layer 0-5,9 --num-frames 21 \\",
            "      --no-independent-first-frame",
            "      Self-Forcing's shipped layout, seven frame blocks of three",
            "  wan-attn extract --model model.safetensors --complete \\",
            "      --replay pytorch-run.safetensors",
            "      repeats a PyTorch run with its own noise",
            "  wan-attn extract --model DIR --layer 3 --what token-logits --dry-run",
            "      what would be run and written, and how large it would be",
            "",
            "The assembled matrices (full_frame_attention) are of the batch's first",
            "sample and of the first captured pass of each frame block; the tensors",
            "of the passes have every sample."
        })
public final class ExtractCommand implements Callable<Integer> {
    private static final int INTERRUPTED = 130;

    /** Layers up to which every head's line is printed. */
    private static final int DETAILED_LAYERS = 4;

    @Mixin
    private ModelOptions modelOptions = new ModelOptions();

    @Mixin
    private PromptInput promptInput = new PromptInput();

    @Mixin
    private RunOptions runOptions = new RunOptions();

    @Mixin
    private NoiseOptions noiseOptions = new NoiseOptions();

    @Mixin
    private CaptureOptions captureOptions = new CaptureOptions();

    @Mixin
    private DeviceOptions deviceOptions = new DeviceOptions();

    @Option(
            names = {"--output", "--output_path", "-o"},
            paramLabel = "FILE",
            description =
                    "The result file (default: attention-layer<LIST>.safetensors). A name ending in .pt gives what the"
                            + " reference's script saves, layer{l}.pt in a folder for several layers; .npz is for NumPy.")
    private @Nullable Path output;

    @Option(
            names = "--report",
            paramLabel = "FILE",
            description = "Also write the interactive HTML report of the result, as the command report does.")
    private @Nullable Path report;

    @Option(
            names = "--save-latents",
            paramLabel = "FILE",
            description = "Also write the clean latents, tensor output [B,T,C,H,W]. Runs to the end.")
    private @Nullable Path saveLatents;

    @Option(names = "--save-passes", description = "Add the flow and x0 of every pass to --save-latents.")
    private boolean savePasses;

    @Option(
            names = "--replay",
            paramLabel = "FILE",
            description =
                    "Repeat a recorded run: noise, prompt_embeds, initial_latent, every re-noise tensor and the settings"
                            + " come from this safetensors file.")
    private @Nullable Path replayFile;

    @Option(names = "--complete", description = "Run to the end even when everything has been captured.")
    private boolean complete;

    @Option(names = "--threads", paramLabel = "N", description = "Threads that compute (default: all cores).")
    private @Nullable Integer threads;

    @Option(names = "--profile", description = "Print where the time went, per operation and layer, on stderr.")
    private boolean profile;

    @Option(names = "--dry-run", description = "Print what would be run and written, and stop.")
    private boolean dryRun;

    @Option(
            names = {"--quiet", "-q"},
            description = "No progress and no notices on stderr.")
    private boolean quiet;

    /** Everything that a run is made of. */
    private record Job(
            LoadedModel model,
            RunPlan plan,
            CapturePlan capture,
            RunGeometry geometry,
            Function<Umt5Encoder.Progress, HostTensor> promptEmbeds,
            @Nullable HostTensor initialLatent,
            NoiseSource noise,
            String prompt) {}

    @Override
    public Integer call() {
        try (Replay replay = replayFile == null ? null : Replay.open(replayFile);
                LoadedModel model = modelOptions.open(this::notice)) {
            Job job = plan(model, replay);
            Path target =
                    output != null ? output : Path.of("attention-layer" + captureOptions.layers() + ".safetensors");
            MemoryPlan memory = deviceOptions.memoryPlan(ops -> rehearse(job, ops));
            if (dryRun) {
                new DryRun(System.out, job.plan(), job.capture(), job.geometry(), model.config(), target, memory)
                        .print();
                return 0;
            }
            return run(job, target, memory);
        }
    }

    private Path target() {
        return output != null ? output : Path.of("attention-layer" + captureOptions.layers() + ".safetensors");
    }

    private Job plan(LoadedModel model, @Nullable Replay replay) {
        WanConfig config = model.config();
        CapturePlan capture = captureOptions.plan(config);
        HostTensor initialLatent = replay != null ? replay.initialLatent() : promptInput.initialLatent();
        RunSettings base = replay != null
                ? replay.settings()
                : RunSettings.of(model.latentHeight(), model.latentWidth(), RunOptions.NUM_FRAMES)
                        .withInitialFrames(
                                initialLatent == null
                                        ? 0
                                        : initialLatent.shape().dim(1));
        if (replay != null && !runOptions.given().isEmpty()) {
            throw new UsageException(String.join(", ", runOptions.given())
                    + ": expected no option that changes what is drawn beside --replay, which holds the noise");
        }
        if (replay != null && (promptInput.given() || noiseOptions.given())) {
            throw new UsageException(
                    "--replay: expected no prompt, initial latent, seed or generator beside it, since the"
                            + " recording has its own");
        }
        if (saveLatents != null
                && saveLatents
                        .toAbsolutePath()
                        .normalize()
                        .equals(target().toAbsolutePath().normalize())) {
            throw new UsageException(
                    "--save-latents: expected another file than --output, got " + saveLatents + " for both");
        }
        RunSettings settings = runOptions.resolve(base);
        noticeOddities(settings);
        RunPlan plan = RunPlan.of(settings, config.numLayers());
        capture.passes().check(plan.timesteps().size());
        if (report != null && !target().toString().endsWith(".safetensors")) {
            throw new UsageException(
                    "--report: expected --output with a name ending in .safetensors, which it is made from, got "
                            + target());
        }
        if (saveLatents != null && !saveLatents.toString().endsWith(".safetensors")) {
            throw new UsageException("--save-latents: expected a name ending in .safetensors, got " + saveLatents);
        }
        if (savePasses && saveLatents == null) {
            throw new UsageException(
                    "--save-passes: expected --save-latents FILE with it, which the passes are added to");
        }
        if (savePasses) {
            plan = plan.withAllFlows(config.numLayers());
        } else if (!complete && saveLatents == null) {
            List<Pass> captured =
                    capture.captured(plan.passes(), plan.timesteps().size());
            plan = plan.endingAt(captured.getLast().id(), capture.layersNeeded());
        }
        Function<Umt5Encoder.Progress, HostTensor> embeds = replay != null
                ? progress -> replay.promptEmbeds()
                : progress -> promptInput.embeds(model.path(), config, noiseOptions.seed(), this::notice, progress);
        RunGeometry geometry = new RunGeometry(
                replay != null ? replay.promptEmbeds().shape().dim(0) : promptInput.count(),
                settings.totalFrames(),
                settings.frameSeqLen(),
                config.textLen(),
                plan.timesteps().size());
        return new Job(
                model,
                plan,
                capture,
                geometry,
                embeds,
                initialLatent,
                replay != null ? replay : noiseOptions.source(),
                replay != null ? "(" + replay.description() + ")" : promptInput.describe());
    }

    private void noticeOddities(RunSettings settings) {
        int leftOut = settings.numFrames() - settings.generatedFrames();
        if (leftOut > 0) {
            notice(settings.numFrames() + " frames do not fill frame blocks of " + settings.numFramePerBlock()
                    + (settings.independentFirstFrame() ? " after the first frame" : "") + ": the last " + leftOut
                    + " are left out; frame blocks " + settings.generatedBlockSizes());
        }
        int largest =
                settings.blockSizes().stream().mapToInt(Integer::intValue).max().orElse(0);
        if (settings.localAttnSize() != -1 && settings.sinkSize() + largest > settings.localAttnSize()) {
            notice("a sink of " + settings.sinkSize() + " and frame blocks of " + largest
                    + " frames exceed the window of "
                    + settings.localAttnSize() + ": the sink keeps "
                    + Math.max(0, settings.localAttnSize() - largest) + " frames, as in the reference");
        }
    }

    private int run(Job job, Path target, @Nullable MemoryPlan memory) {
        RunPlan plan = job.plan();
        WanConfig config = job.model().config();
        RunCost cost =
                new RunCost(config, job.geometry().batch(), job.geometry().frameSeqLen());
        if (memory == null) {
            MemoryCheck.require(cost, plan);
        } else {
            MemoryCheck.require(memory);
        }
        JvmOptions defaults = JvmOptions.defaults();
        JvmOptions options = threads == null ? defaults : new JvmOptions(threads, defaults.kernels());
        Progress progress = new Progress(System.err, progressMode(), cost, plan);
        int plannedTensors = 6 * job.capture().layers().size();
        for (Pass pass : plan.passes()) {
            plannedTensors += job.capture().items(pass, job.geometry()).size();
        }
        try (Cancellation cancellation = new Cancellation();
                Ops ops = profile ? new Profile(deviceOptions.open(options)) : deviceOptions.open(options);
                ResultOutput file = ResultOutput.open(
                        target,
                        job.capture(),
                        plannedTensors,
                        metadataBytes(metadata(job, ops.backend(), "complete")));
                LatentsFile latents = saveLatents == null ? null : new LatentsFile(saveLatents, plan, savePasses)) {
            Capture capture = new Capture(job.capture(), job.geometry(), file);
            Profile times = ops instanceof Profile wrapped ? wrapped : null;
            Follower follower = new Follower(capture, progress, cancellation, latents, times);
            String state = "complete";
            HostTensor clean = null;
            try {
                clean = rollOut(job, ops, encoding(cancellation), follower);
            } catch (CancellationException e) {
                state = "interrupted in " + follower.position();
            }
            progress.finish();
            boolean interrupted = !state.equals("complete");
            if (interrupted && file.tensors() == 0) {
                System.err.println("wan-attn: " + state + " before anything was captured; nothing written");
                return INTERRUPTED;
            }
            file.finish(
                    capture,
                    plan.settings().totalFrames() - plan.settings().blockSizes().getLast(),
                    metadata(job, ops.backend(), state));
            if (interrupted) {
                System.err.println("wan-attn: " + state + "; what was captured is in " + file.target());
                return INTERRUPTED;
            }
            if (latents != null && clean != null) {
                latents.finish(clean, ResultFile.strings(metadata(job, ops.backend(), state)));
            }
            summarize(System.out, capture, job, file.target(), progress);
            if (report != null) {
                ReportCommand.write(List.of(file.target()), report);
                System.out.println("Report in " + report);
            }
            if (times != null) {
                times.print(System.err, progress.seconds());
            }
            return 0;
        }
    }

    /** Goes through all passes with their captures, for a backend that only notes what they need. */
    private static void rehearse(Job job, Ops ops) {
        WanConfig config = job.model().config();
        WanModel model = new WanModel(config, job.model().weights(), ops);
        RunSettings settings = job.plan().settings();
        long batch = job.geometry().batch();
        Capture capture = new Capture(job.capture(), job.geometry(), new MemorySink());
        HostTensor noEmbeds = HostTensor.zeros(Shape.of(batch, config.textLen(), config.textDim()));
        CausalSampler sampler = new CausalSampler(job.plan(), job.noise(), job.initialLatent());
        try (PassRunner runner = sampler.open(model, noEmbeds)) {
            for (Pass pass : job.plan().passes()) {
                Shape latents =
                        Shape.of(batch, pass.frames(), config.inDim(), settings.latentHeight(), settings.latentWidth());
                HostTensor _ = runner.run(pass, HostTensor.zeros(latents), capture.observe(pass));
            }
        }
    }

    /** Shows how far the text encoder is, and ends it when the user asks for that. */
    private Umt5Encoder.Progress encoding(Cancellation cancellation) {
        Umt5Encoder.Progress shown = quiet ? (done, layers) -> {} : EncoderOptions.progress();
        return (done, layers) -> {
            cancellation.check();
            shown.layerDone(done, layers);
        };
    }

    private static HostTensor rollOut(Job job, Ops ops, Umt5Encoder.Progress encoding, RunListener listener) {
        WanModel model = new WanModel(job.model().config(), job.model().weights(), ops);
        CausalSampler sampler = new CausalSampler(job.plan(), job.noise(), job.initialLatent());
        try (PassRunner runner = sampler.open(model, job.promptEmbeds().apply(encoding))) {
            return sampler.run(runner, listener);
        }
    }

    private static SequencedMap<String, Object> metadata(Job job, String backend, String state) {
        return RunMetadata.of(
                job.plan(),
                job.capture(),
                job.model().config(),
                job.model().name(),
                job.model().fingerprint(),
                job.prompt(),
                job.noise().description(),
                backend,
                state);
    }

    /** Room for the metadata as it will be written, with its escapes and for a longer state. */
    private static int metadataBytes(SequencedMap<String, Object> fields) {
        return 1024
                + 2
                        * ResultFile.strings(fields).entrySet().stream()
                                .mapToInt(e ->
                                        e.getKey().length() + e.getValue().getBytes(StandardCharsets.UTF_8).length + 8)
                                .sum();
    }

    private void summarize(PrintStream out, Capture capture, Job job, Path target, Progress progress) {
        Map<Integer, FrameMatrix> matrices = capture.matrices(Quantity.FRAME_LOGITS);
        int lastStart = job.plan().settings().totalFrames()
                - job.plan().settings().blockSizes().getLast();
        boolean detailed = matrices.size() <= DETAILED_LAYERS;
        matrices.forEach(
                (layer, matrix) -> new Summary(layer, matrix, job.capture().heads(), lastStart).print(out, detailed));
        out.println("Saved to " + target);
        if (!quiet) {
            System.err.printf(
                    Locale.ROOT,
                    "%d pass%s in %.1f s, %s%n",
                    job.plan().passes().size(),
                    job.plan().passes().size() == 1 ? "" : "es",
                    progress.seconds(),
                    progress.rate());
        }
    }

    private Progress.Mode progressMode() {
        if (quiet) {
            return Progress.Mode.QUIET;
        }
        return Terminal.stderrIsTerminal() ? Progress.Mode.TERMINAL : Progress.Mode.LINES;
    }

    private void notice(String text) {
        if (!quiet) {
            System.err.println("wan-attn: " + text);
        }
    }

    /** Passes the run on to the capture, the progress line and the latents file, and ends it when the user asks for that. */
    private static final class Follower implements RunListener {
        private final Capture capture;
        private final Progress progress;
        private final Cancellation cancellation;
        private final @Nullable LatentsFile latents;
        private final @Nullable Profile times;
        private String position = "the first pass";

        Follower(
                Capture capture,
                Progress progress,
                Cancellation cancellation,
                @Nullable LatentsFile latents,
                @Nullable Profile times) {
            this.capture = capture;
            this.progress = progress;
            this.cancellation = cancellation;
            this.latents = latents;
            this.times = times;
        }

        String position() {
            return position;
        }

        @Override
        public PassObserver passStarted(Pass pass) {
            cancellation.check();
            position = pass.id().label();
            progress.passStarted(pass);
            if (times != null) {
                times.passStarted();
            }
            PassObserver captured = capture.observe(pass);
            return new PassObserver() {
                @Override
                public AttentionTap tap(int layer, AttentionKind kind) {
                    cancellation.check();
                    return captured.tap(layer, kind);
                }

                @Override
                public void layerDone(int layer) {
                    progress.layerDone(layer);
                    if (times != null) {
                        times.layerDone(layer);
                    }
                }
            };
        }

        @Override
        public void passDone(Pass pass, HostTensor input, @Nullable HostTensor flow, @Nullable HostTensor x0) {
            if (latents != null) {
                latents.passDone(pass, flow, x0);
            }
        }
    }
}
