package wan.app.command;

import capture.analysis.Merge;
import capture.analysis.RunGroup;
import capture.figures.Figure;
import capture.figures.FigureFile;
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
import wan.app.option.AnalysisOptions;
import wan.app.option.FigureOptions;
import wan.op.UsageException;

/** {@code wan-attn plot}: figures for papers and slides. */
@Command(
        name = "plot",
        description = {
            "Draws one figure of one or more results: SVG and PDF with real text, or PNG.",
            "",
            "For several runs with the same layers, heads and frames, the figure shows their mean; bars"
                    + " and lines also show the standard deviation. --over selects another statistic."
        },
        footer = {
            "",
            "Kinds:",
            "  heads         heat maps of a layer's heads, query frame by key frame",
            "  bars          attention of a frame block by key frame, one bar chart per head",
            "  lines         the same, all heads in one diagram",
            "  mosaic        thumbnails of all heads of all layers",
            "  measure       a measure of every head, by layer and head (--measure)",
            "  passes        heat maps of one head in every pass",
            "  pass-lines    the same as lines over key frames",
            "  tokens        one head's key logits on the token grid of every attended frame",
            "  token-matrix  one head's logits, query token by key token; needs",
            "                extract --what token-logits",
            "  prompt        cross-attention of a layer's heads to each token of the prompt;",
            "                with one --head, by query frame; needs",
            "                extract --attention cross --what frame-mass (or frame-logits)",
            "  overlay       key logits drawn over the key frames of the video (--video);",
            "                with --token, which regions attend to that token of the prompt;",
            "                an .mp4 output is a video",
            "All kinds take --layer and --head.",
            "",
            "The first frame and the first layer are at the lower left. Frame pairs that were",
            "not attended are hatched.",
            "Plain numbers count from 0; labels count from 1, as in papers: L4H10 is head 9",
            "of layer 3.",
            "",
            "Examples:",
            "  wan-attn plot run.safetensors --kind heads --layer 3 --output layer3.svg",
            "  wan-attn plot run.safetensors --kind heads --layer 3 --head 0-3 \\",
            "      --what frame-mass --scale log --output a.pdf",
            "  wan-attn plot run.safetensors --kind measure --measure sink_score \\",
            "      --style print --width-mm 84 --title \"\" --output sink.pdf",
            "  wan-attn plot seed1.safetensors seed2.safetensors --kind lines --layer 3 \\",
            "      --head 0,1 --output seeds.svg",
            "  wan-attn plot a.safetensors b.safetensors --over difference --kind measure \\",
            "      --output change.svg",
            "  wan-attn plot run.safetensors --kind mosaic --pass context --limits 1%%,99%% \\",
            "      --output all.png --dpi 300",
            "  wan-attn plot run.safetensors --kind overlay --video cat.mp4 --layer 3 \\",
            "      --head 0 --output overlay.png"
        })
public final class PlotCommand implements Callable<Integer> {
    @Reads
    @Parameters(
            paramLabel = "RESULT",
            arity = "1..*",
            description = "Results of extract or of the reference's script, or the folder of a sweep, for all of its"
                    + " results.")
    private List<Path> files = new ArrayList<>();

    @Option(
            names = "--kind",
            paramLabel = "KIND",
            description = "Kind of figure, see below (default: ${DEFAULT-VALUE}).")
    private String kind = "heads";

    @Writes(OutputKind.FIGURE)
    @Option(
            names = {"-o", "--output", "--out"},
            paramLabel = "FILE",
            required = true,
            description = "The figure file: .svg, .pdf or .png, or .mp4 for an overlay. Required.")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private Path out;

    @Option(
            names = "--layer",
            paramLabel = "LIST",
            description = "Layers, counted from 0, such as 3 or 0-5,9 (default: all captured layers, or the first one"
                    + " for figures of one layer).")
    private @Nullable String layers;

    @Option(
            names = "--head",
            paramLabel = "LIST",
            description = "Heads, counted from 0, such as 3 or 0-5,9 (default: all captured heads, or the first one for"
                    + " figures of one head).")
    private @Nullable String heads;

    @Option(
            names = "--what",
            paramLabel = "QUANTITY",
            description = "Quantity: frame-logits or frame-mass (default: frame-logits if captured).")
    private @Nullable String what;

    @Option(
            names = "--measure",
            paramLabel = "NAME",
            description = "Measure for --kind measure; see analyze --help (default: ${DEFAULT-VALUE}).")
    private String measure = "sink_score";

    @Option(
            names = "--over",
            paramLabel = "WAY",
            description = "Statistic over several runs: mean, sd (standard deviation) or difference (the second minus"
                    + " the first) (default: ${DEFAULT-VALUE}).")
    private String over = "mean";

    @Mixin
    private AnalysisOptions analysisOptions = new AnalysisOptions();

    @Mixin
    private FigureOptions figureOptions = new FigureOptions();

    @Mixin
    @SuppressWarnings("UnusedVariable") // the guard asks picocli for it
    private Force force = new Force();

    @Reads
    @Option(
            names = "--video",
            paramLabel = "VIDEO",
            description = "For --kind overlay: the video of the run, from decode or extract --video.")
    private @Nullable Path video;

    @Option(
            names = "--token",
            paramLabel = "N",
            description = "For --kind overlay: a token of the prompt, by the number that tokenize prints; needs extract"
                    + " --attention cross --what query-logits.")
    private @Nullable Integer token;

    @Override
    public Integer call() {
        PlotKind wanted = PlotKind.parse(kind);
        boolean film = wanted == PlotKind.OVERLAY
                && out.toString().toLowerCase(Locale.ROOT).endsWith(".mp4");
        if (!film) {
            FigureFile.check("--output", out);
        }
        try (RunGroup runs =
                new RunGroup(SweepResults.inPlaceOfFolders(files), analysisOptions::open, Merge.parse(over))) {
            if (runs.isMany() && wanted.ofOneRun()) {
                throw new UsageException("--kind " + kind + ": expected one result, got " + runs.size());
            }
            Plot plot = new Plot(runs, wanted, layers, heads, what, measure, analysisOptions, figureOptions);
            if (film) {
                overlay(plot).write(out);
            } else {
                Figure figure = wanted == PlotKind.OVERLAY ? overlay(plot).figure(plot.frame()) : plot.figure();
                FigureFile.write(out, figure, figureOptions.dpi());
            }
        }
        System.out.println("Saved to " + out);
        return 0;
    }

    private OverlayMaps overlay(Plot plot) {
        if (video == null) {
            throw new UsageException("--kind overlay: expected --video VIDEO, which decode writes, got none");
        }
        return plot.overlay(video, token);
    }
}
