package wan.app.command;

import capture.analysis.HeadExports;
import capture.analysis.MeasureOptions;
import capture.analysis.RoleOptions;
import capture.analysis.SavedResult;
import capture.figures.Pictures;
import capture.figures.Report;
import capture.figures.Style;
import java.awt.image.BufferedImage;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import wan.app.guard.Force;
import wan.app.guard.OutputKind;
import wan.app.guard.Reads;
import wan.app.guard.Writes;
import wan.file.OutputFile;
import wan.op.UsageException;
import wan.op.WanException;
import wan.run.Program;
import wan.sweep.SweepFolder;
import wan.vae.VaeDecoder;
import wan.video.RgbFrame;
import wan.video.VideoSource;

/** {@code wan-attn report}: an interactive page of one or more runs. */
@Command(
        name = "report",
        description = "Writes one self-contained HTML file for exploring runs offline in a browser.",
        footer = {
            "",
            "The file contains every captured pass: an overview of layers and heads by any",
            "measure, each head's heat map, rows, passes and token map, and up to four runs",
            "with their differences. With --video, it shows attention on the frames. It loads",
            "nothing from the network.",
            "",
            "Examples:",
            "  wan-attn extract --layer all --pass all \\",
            "      --what frame-logits,frame-mass,key-logits --output run.safetensors",
            "  wan-attn report run.safetensors --output report.html",
            "  wan-attn report run.safetensors --video cat.mp4 --output report.html",
            "  wan-attn report seed1.safetensors seed2.safetensors --output seeds.html"
        })
public final class ReportCommand implements Callable<Integer> {
    /** The page needs no more. */
    private static final int MOST_WIDTH = 320;

    @Reads
    @Parameters(
            paramLabel = "RESULT",
            arity = "1..*",
            description = "Results of extract (.safetensors, .npz), or of the reference's script: layer3.pt, or a"
                    + " folder of layer0.pt, layer1.pt, ...; or the folder of a sweep, for an overview page.")
    private List<Path> files = new ArrayList<>();

    @Reads
    @Option(
            names = "--video",
            paramLabel = "VIDEO",
            description = "The video of the first run, from decode or extract --video. The page then shows key-logits,"
                    + " --query and cross-attention query-mass on the frames.")
    private @Nullable Path video;

    @Writes(OutputKind.PAGE)
    @Option(
            names = {"-o", "--output", "--out"},
            paramLabel = "FILE",
            description = "The HTML file (default: ${DEFAULT-VALUE}).")
    private Path out = Path.of("report.html");

    @Mixin
    @SuppressWarnings("UnusedVariable") // the guard asks picocli for it
    private Force force = new Force();

    @Mixin
    private RoleConstants constants = new RoleConstants();

    @Override
    public Integer call() {
        if (files.size() == 1 && SweepFolder.is(files.getFirst())) {
            if (video != null) {
                throw new UsageException("--video: expected one run, got the folder of a sweep");
            }
            SweepReport sweep =
                    SweepReport.of(files.getFirst(), "first", "last", MeasureOptions.DEFAULT, constants.options());
            HeadExports.text(out, sweep.page(Style.parse("light")));
            System.out.println("Saved to " + out);
            return 0;
        }
        write(SweepResults.inPlaceOfFolders(files), out, constants.options(), video);
        System.out.println("Saved to " + out
                + (video == null
                        ? ""
                        : String.format(
                                Locale.ROOT,
                                " (%.1f MB with the frames)",
                                out.toFile().length() / 1e6)));
        return 0;
    }

    /** Writes the report of finished result files, with the published constants of the role rules. */
    static void write(List<Path> results, Path out) {
        write(results, out, RoleOptions.DEFAULT, null);
    }

    private static void write(List<Path> files, Path out, RoleOptions roles, @Nullable Path video) {
        List<SavedResult> results = new ArrayList<>();
        try {
            for (Path file : files) {
                results.add(SavedResult.open(file));
            }
            List<BufferedImage> frames = video == null
                    ? List.of()
                    : frames(video, results.getFirst().info().frames());
            byte[] page = Report.write(results, MeasureOptions.DEFAULT, roles, Program.version(), frames);
            OutputFile.write(out, stream -> stream.write(page));
        } finally {
            results.forEach(SavedResult::close);
        }
    }

    /** Of each latent frame the last frame of the video that it gives. */
    private static List<BufferedImage> frames(Path video, int latentFrames) {
        List<BufferedImage> frames = new ArrayList<>();
        int[] seen = {0};
        VideoSource.read(video, frame -> {
            int at = seen[0]++;
            if (at % VaeDecoder.TIME == 0 && frames.size() < latentFrames) {
                frames.add(Pictures.scaled(
                        RgbFrame.of(frame).toImage(),
                        Math.min(MOST_WIDTH, frame.shape().dim(2))));
            }
        });
        int needed = VaeDecoder.frames(latentFrames);
        if (seen[0] < needed) {
            throw WanException.mismatch(
                    video.toString(),
                    needed + " frames or more, for " + latentFrames + " latent frames",
                    seen[0],
                    "is it the video of this run?");
        }
        return frames;
    }
}
