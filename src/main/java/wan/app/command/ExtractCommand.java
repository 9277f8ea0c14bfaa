package wan.app.command;

import capture.FrameMatrix;
import capture.ResultOutput;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import wan.app.guard.DefaultOutput;
import wan.app.guard.Force;
import wan.app.guard.OutputKind;
import wan.app.guard.Reads;
import wan.app.guard.Writes;
import wan.app.option.CaptureOptions;
import wan.app.option.EditOptions;
import wan.app.option.OptionNames;
import wan.app.option.SpecOptions;
import wan.app.terminal.Cancellation;
import wan.app.terminal.TerminalMonitor;
import wan.op.Quantity;
import wan.op.UsageException;
import wan.run.Job;
import wan.run.Leftovers;
import wan.run.Program;
import wan.run.RunResult;
import wan.run.RunSpec;
import wan.run.SpecJson;
import wan.run.Wan;
import wan.sampling.Method;

/** {@code wan-attn extract}: runs the model and captures attention on the way. */
@Command(
        name = "extract",
        description = "Runs the model on noise and captures attention of any layers, heads and passes in one run.",
        footer = {
            "",
            "Examples:",
            "  wan-attn extract --layer 3",
            "      the built-in demo model with random weights; takes seconds",
            "  wan-attn extract --model weights/Wan2.1-T2V-1.3B \\",
            "      --prompt \"a cat walks\" --layer all --pass all \\",
            "      --what frame-logits,frame-mass --output run.safetensors",
            "      every layer, pass and head of 19 frames from one run",
            "  wan-attn extract --model DIR --layer 0-5,9 --num-frames 21 \\",
            "      --no-independent-first-frame",
            "      Self-Forcing's shipped layout, seven frame blocks of three",
            "  wan-attn extract --model model.safetensors --complete \\",
            "      --replay pytorch-run.safetensors",
            "      repeats a recorded PyTorch run with its noise",
            "  wan-attn extract --spec run.safetensors --seed 43 -o other.safetensors",
            "      repeats the run that made this file, with another seed",
            "  wan-attn extract --model DIR --layer 3 --what token-logits --dry-run",
            "      shows what would run and how large the result would be",
            "",
            "The assembled matrices (full_frame_attention) come from the batch's first",
            "sample and the first captured pass of each frame block. The tensors of",
            "single passes have all samples."
        })
public final class ExtractCommand implements Callable<Integer>, DefaultOutput {
    private static final int INTERRUPTED = 130;

    /** Layers up to which every head's line is printed. */
    private static final int DETAILED_LAYERS = 4;

    @Mixin
    private SpecOptions specOptions = new SpecOptions();

    @Mixin
    private CaptureOptions captureOptions = new CaptureOptions();

    @Mixin
    private EditOptions editOptions = new EditOptions();

    @Writes(OutputKind.RESULT)
    @Option(
            names = {"-o", "--output", "--out", "--output_path"},
            paramLabel = "FILE",
            description = "The result file (default: attention-layer<LIST>.safetensors). The ending sets the format:"
                    + " .safetensors, .npz for NumPy, or .pt as the reference's script saves it (for several"
                    + " layers, a folder with layer{l}.pt).")
    private @Nullable Path output;

    @Writes(OutputKind.PAGE)
    @Option(
            names = "--report",
            paramLabel = "FILE",
            description = "Also write the interactive HTML report of the result, like the command report.")
    private @Nullable Path report;

    @Writes(OutputKind.LATENTS)
    @Option(
            names = "--save-latents",
            paramLabel = "FILE",
            description = "Also write the clean latents, as tensor output [B,T,C,H,W]. The run then continues to the"
                    + " end.")
    private @Nullable Path saveLatents;

    @Option(names = "--save-passes", description = "Add the flow and x0 of every pass to the file of --save-latents.")
    private boolean savePasses;

    @Writes(OutputKind.VIDEO)
    @Option(
            names = "--video",
            paramLabel = "FILE",
            description = "Also decode the first sample during the run, into video.mp4, a folder of pictures or a"
                    + " .safetensors; see decode --help. Needs --vae. The run then continues to the end.")
    private @Nullable Path video;

    @Reads
    @Option(
            names = "--vae",
            paramLabel = "FILE",
            description = "The VAE of Wan2.1 for --video, as for decode. Krea's method also encodes its first picture"
                    + " with it.")
    private @Nullable Path vae;

    @Reads
    @Option(
            names = "--replay",
            paramLabel = "FILE",
            description = "Repeat a recorded run: noise, prompt_embeds, initial_latent, every re-noise tensor and the"
                    + " settings come from this safetensors file.")
    private @Nullable Path replayFile;

    @Option(
            names = "--replay-run",
            paramLabel = "NAME",
            description = "Name of the run in a --replay file that holds several, with the changes of that run.")
    private @Nullable String replayRun;

    @Option(names = "--print-spec", description = "Print the specification of the run as JSON, for --spec, then stop.")
    private boolean printSpec;

    @Mixin
    @SuppressWarnings("UnusedVariable") // the guard asks picocli for it
    private Force force = new Force();

    @Option(names = "--complete", description = "Run to the end, even after everything has been captured.")
    private boolean complete;

    @Option(
            names = "--resume",
            description = "Continue an interrupted run of the same command from OUTPUT.partial; start from the"
                    + " beginning if there is none. The result is the same, bit for bit.")
    private boolean resume;

    @Option(names = "--restart", description = "Delete OUTPUT.partial of an interrupted run and start again.")
    private boolean restart;

    @Writes(OutputKind.PARTIAL_RESULT)
    @Option(
            names = "--salvage",
            paramLabel = "FILE",
            description = "Run nothing; write the captures of an interrupted run to FILE, marked as partial.")
    private @Nullable Path salvage;

    @Option(names = "--profile", description = "Print the time per operation and layer on stderr.")
    private boolean profile;

    @Option(names = "--dry-run", description = "Print what would run and be written, then stop.")
    private boolean dryRun;

    @Option(
            names = {"--quiet", "-q"},
            description = "Print no progress and no notices on stderr.")
    private boolean quiet;

    private @Nullable RunSpec spec;

    @Override
    public Integer call() {
        RunSpec asked = spec();
        if (printSpec) {
            System.out.print(SpecJson.write(asked));
            return 0;
        }
        Path target = Objects.requireNonNull(asked.output().result());
        if ((resume ? 1 : 0) + (restart ? 1 : 0) + (salvage == null ? 0 : 1) > 1) {
            throw new UsageException("--resume, --restart, --salvage: expected at most one of them");
        }
        if (report != null && !target.toString().endsWith(".safetensors")) {
            throw new UsageException(
                    "--report: expected --output with a name ending in .safetensors, which it is made from, got "
                            + target);
        }
        TerminalMonitor monitor = new TerminalMonitor(System.err, quiet, profile);
        try (Wan wan = Wan.open(asked.model(), monitor)) {
            Job job = wan.prepare(asked, monitor);
            if (dryRun) {
                new DryRun(System.out, job, target).print();
                job.memoryProblem()
                        .map(OptionNames::inPlaceOfFields)
                        .ifPresent(why -> System.err.println(Program.NAME + ": the run would be refused: " + why));
                return 0;
            }
            if (salvage != null) {
                RunResult partial = job.salvage(salvage, monitor);
                summarize(System.out, partial);
                System.out.println("Saved to " + partial.file() + ", " + partial.state());
                return 0;
            }
            Leftovers leftovers = resume ? Leftovers.RESUME : restart ? Leftovers.DISCARD : Leftovers.KEEP;
            try (Cancellation cancellation = new Cancellation()) {
                return finish(job.execute(monitor.endingOn(cancellation), leftovers), monitor);
            }
        }
    }

    @Override
    public Map<Path, OutputKind> outputs() {
        return specOptions.file() == null || output != null ? outputs(target(null, captureOptions.layers())) : Map.of();
    }

    @Override
    public List<Path> furtherInputs() {
        return specOptions.file() == null ? List.of() : spec().inputs();
    }

    @Override
    public Map<Path, OutputKind> furtherOutputs() {
        if (specOptions.file() == null) {
            return Map.of();
        }
        RunSpec.Output written = spec().output();
        Map<Path, OutputKind> outputs =
                output != null ? new LinkedHashMap<>() : outputs(Objects.requireNonNull(written.result()));
        if (saveLatents == null && written.latents() != null) {
            outputs.put(written.latents(), OutputKind.LATENTS);
        }
        return outputs;
    }

    private Map<Path, OutputKind> outputs(Path target) {
        Map<Path, OutputKind> outputs = new LinkedHashMap<>(Map.of(target, OutputKind.RESULT));
        outputs.putIfAbsent(
                ResultOutput.place(target, specOptions.file() == null && captureOptions.isOneLayer()),
                OutputKind.RESULT_FOLDER);
        return outputs;
    }

    /** What the options ask for; read once, since prompts and specifications may come through pipes. */
    private RunSpec spec() {
        if (spec == null) {
            spec = specOfOptions();
        }
        return spec;
    }

    /** What the options ask for, over a specification if there is one. */
    private RunSpec specOfOptions() {
        if (video != null && vae == null) {
            throw new UsageException("--video: expected --vae FILE with it, which decodes it, got none");
        }
        RunSpec base = specOptions.base();
        if (replayRun != null && replayFile == null) {
            throw new UsageException("--replay-run: expected --replay with it, whose run it names");
        }
        if (replayFile != null) {
            List<String> given = specOptions.given();
            if (!given.isEmpty()) {
                throw new UsageException(String.join(", ", given)
                        + ": expected no option that changes the noise, because --replay contains it");
            }
            if (specOptions.saysWhatIsRecorded()) {
                throw new UsageException(
                        "--replay: expected no prompt, initial latent, seed or generator with it, because the"
                                + " recording has its own");
            }
            base = base.replaying(replayFile, replayRun == null ? "" : replayRun);
        }
        RunSpec.Captures captures = captureOptions.over(base.capture());
        RunSpec run = specOptions.over(base);
        boolean encodes = run.sampler().method() instanceof Method.RecomputedKeys && replayFile == null;
        if (video == null && vae != null && !encodes) {
            throw new UsageException(
                    "--vae: expected --video FILE, which is decoded by it, or a method that encodes by it,"
                            + " as --preset krea-realtime-14b has, got neither");
        }
        return (encodes && vae != null ? run.encodingBy(vae) : run)
                .withCapture(captures)
                .withEdits(editOptions.plan(base.edits()))
                .withOutput(output(base.output(), captures));
    }

    private RunSpec.Output output(RunSpec.Output base, RunSpec.Captures captures) {
        String layers = captureOptions.layers();
        return new RunSpec.Output(
                target(base.result(), layers == null ? captures.layers().toString() : layers),
                saveLatents != null ? saveLatents : base.latents(),
                savePasses || base.passes(),
                complete || base.complete(),
                video == null || vae == null ? base.video() : new RunSpec.Output.Decoded(video, vae));
    }

    private Path target(@Nullable Path base, @Nullable String layers) {
        if (output != null) {
            return output;
        }
        return base != null ? base : Path.of("attention-layer" + (layers == null ? "0" : layers) + ".safetensors");
    }

    private int finish(RunResult result, TerminalMonitor monitor) {
        Path file = result.file();
        if (!result.complete()) {
            Path left = result.partial();
            System.err.println("wan-attn: " + result.state()
                    + (left == null
                            ? " before anything was captured; nothing is kept"
                            : "; finished work is kept in " + left + "; continue with the same command and --resume"));
            return INTERRUPTED;
        }
        summarize(System.out, result);
        System.out.println("Saved to " + file);
        if (video != null) {
            System.out.println("Video in " + video);
        }
        monitor.printTime(result.job());
        if (report != null && file != null) {
            ReportCommand.write(List.of(file), report);
            System.out.println("Report in " + report);
        }
        monitor.printProfile();
        return 0;
    }

    private static void summarize(PrintStream out, RunResult result) {
        RunSpec spec = result.job().spec();
        boolean drawn = spec.prompt().texts().isEmpty() && spec.prompt().embeddings() == null;
        if (drawn && spec.model().path() != null && spec.noise().replay() == null) {
            out.println("Prompt: none; its embeddings are random numbers drawn from the seed");
        }
        Map<Integer, FrameMatrix> matrices = result.matrices(Quantity.FRAME_LOGITS);
        boolean detailed = matrices.size() <= DETAILED_LAYERS;
        matrices.forEach((layer, matrix) -> new Summary(
                        layer,
                        matrix,
                        result.job().capture().heads(),
                        result.job().lastFrameBlockStart())
                .print(out, detailed));
    }
}
