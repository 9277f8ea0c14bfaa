package wan.app.command;

import capture.analysis.Analysis;
import capture.analysis.CapturedPass;
import capture.analysis.FrameBlock;
import capture.analysis.FrameMaps;
import capture.analysis.HeadId;
import capture.analysis.HeadView;
import capture.analysis.Measure;
import capture.analysis.PassSlot;
import capture.analysis.RunInfo;
import capture.analysis.RunResult;
import capture.figures.Figure;
import capture.figures.FigureFrame;
import capture.figures.HeatMapFigures;
import capture.figures.RowFigures;
import capture.figures.Style;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
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
import wan.op.Quantity;
import wan.op.UsageException;
import wan.op.WanException;

/** {@code wan-attn plot}: figures for papers and slides. */
@Command(
        name = "plot",
        description = "Draws one figure of a result file, as SVG with real text or as PNG.",
        footer = {
            "",
            "Kinds:",
            "  heads    every head of a layer, query frame by key frame (--layer)",
            "  bars     what the last frame block attends, a bar chart per head, with the sink score (--layer)",
            "  lines    the same, all heads of a layer in one diagram (--layer)",
            "  mosaic   every head of every layer as a thumbnail",
            "  measure  a measure of every head, heads by layers (--measure)",
            "  passes   one head in every pass, as heat maps (--layer, --head)",
            "  pass-lines  the same as lines over the key frames (--layer, --head)",
            "  tokens   one head's key logits on the token grid of every attended frame (--layer, --head)",
            "  overlay  the same over the frames of the video (--video); with --token N, where the queries of a frame",
            "           block look for that token of the prompt; a name ending in .mp4 gives a video",
            "",
            "Heat maps have RdBu_r colours with 0 in the middle and the first frame at the lower left. What was not"
                    + " attended",
            "is hatched.",
            "",
            "Examples:",
            "  wan-attn plot run.safetensors --kind heads --layer 3 --out layer3.svg",
            "  wan-attn plot run.safetensors --kind measure --measure sink_score --style print --width-mm 84 --out"
                    + " sink.svg",
            "  wan-attn plot run.safetensors --kind mosaic --pass context --out all.png --dpi 300",
            "  wan-attn plot run.safetensors --kind tokens --layer 3 --head 0 --out tokens.png",
            "  wan-attn plot run.safetensors --kind overlay --video cat.mp4 --layer 3 --head 0 --out overlay.png"
        })
public final class PlotCommand implements Callable<Integer> {
    private static final double POINTS_PER_MM = 72 / 25.4;

    private enum Kind {
        HEADS,
        BARS,
        LINES,
        MOSAIC,
        MEASURE,
        PASSES,
        PASS_LINES,
        TOKENS,
        OVERLAY
    }

    @Reads
    @Parameters(paramLabel = "RESULT", description = "A file that extract wrote.")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private Path file;

    @Option(names = "--kind", paramLabel = "KIND", description = "Which figure, see below (default: ${DEFAULT-VALUE}).")
    private String kind = "heads";

    @Writes(OutputKind.FIGURE)
    @Option(
            names = {"-o", "--out", "--output"},
            paramLabel = "FILE",
            required = true,
            description = "The figure; .svg or .png, or .mp4 for an overlay.")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private Path out;

    @Option(names = "--layer", paramLabel = "N", description = "0-based (default: the first that was captured).")
    private @Nullable Integer layer;

    @Option(names = "--head", paramLabel = "N", description = "0-based (default: the first that was captured).")
    private @Nullable Integer head;

    @Option(
            names = "--what",
            paramLabel = "QUANTITY",
            description = "frame-logits or frame-mass (default: frame-logits if captured).")
    private @Nullable String what;

    @Option(
            names = "--measure",
            paramLabel = "NAME",
            description = "For --kind measure; analyze --help has the list (default: ${DEFAULT-VALUE}).")
    private String measure = "sink_score";

    @Mixin
    private AnalysisOptions analysisOptions = new AnalysisOptions();

    @Mixin
    @SuppressWarnings("UnusedVariable") // the guard asks picocli for it
    private Force force = new Force();

    @Option(names = "--style", paramLabel = "STYLE", description = "light or print (default: ${DEFAULT-VALUE}).")
    private String style = "light";

    @Option(
            names = "--width-mm",
            paramLabel = "MM",
            description = "Width of the figure; one column of a paper has about 84 (default: ${DEFAULT-VALUE}).")
    private double widthMm = 178;

    @Option(names = "--columns", paramLabel = "N", description = "Panels side by side (default: what fits).")
    private int columns;

    @Option(names = "--dpi", paramLabel = "N", description = "Pixels per inch of a .png (default: ${DEFAULT-VALUE}).")
    private int dpi = FigureFile.DPI;

    @Reads
    @Option(
            names = "--video",
            paramLabel = "VIDEO",
            description = "For --kind overlay: the run's video, as decode or extract --video wrote it.")
    private @Nullable Path video;

    @Option(
            names = "--token",
            paramLabel = "N",
            description = "For --kind overlay: a token of the prompt, 0-based as tokenize prints them; needs"
                    + " extract --attention cross --what query-logits.")
    private @Nullable Integer token;

    @Override
    public Integer call() {
        if (kind() == Kind.OVERLAY && out.toString().toLowerCase(Locale.ROOT).endsWith(".mp4")) {
            try (RunResult result = analysisOptions.open(file)) {
                overlay(result).write(out);
            }
            System.out.println("Saved to " + out);
            return 0;
        }
        FigureFile.check("--out", out);
        if (!(widthMm >= 50 && widthMm <= 1200) || columns < 0) {
            throw new UsageException("--width-mm: expected 50 to 1200, got " + widthMm);
        }
        try (RunResult result = analysisOptions.open(file)) {
            FigureFile.write(out, figure(result), dpi);
        }
        System.out.println("Saved to " + out);
        return 0;
    }

    private Figure figure(RunResult result) {
        RunInfo info = result.info();
        int theLayer = index("--layer", layer, info.layers());
        int theHead = index("--head", head, info.heads());
        PassSlot slot = result.slot(analysisOptions.pass());
        Quantity quantity = quantity(result);
        Kind wanted = kind();
        boolean allPasses = wanted == Kind.PASSES || wanted == Kind.PASS_LINES;
        FigureFrame frame = new FigureFrame(
                Style.parse(style),
                widthMm * POINTS_PER_MM,
                columns,
                result.name()
                        + (allPasses ? "" : ", " + slot.label())
                        + (info.metadata().containsKey("model") ? ", " + info.text("model") : ""));
        HeadId id = new HeadId(theLayer, theHead);
        return switch (wanted) {
            case HEADS -> HeatMapFigures.heads(frame, quantity, theLayer, result.maps(quantity, theLayer, slot));
            case BARS -> RowFigures.bars(frame, quantity, heads(result, theLayer));
            case LINES -> RowFigures.lines(frame, quantity, heads(result, theLayer));
            case MOSAIC -> {
                SequencedMap<Integer, FrameMaps> maps = new LinkedHashMap<>();
                info.layers().forEach(l -> maps.put(l, result.maps(quantity, l, slot)));
                yield HeatMapFigures.mosaic(frame, quantity, maps);
            }
            case MEASURE -> HeatMapFigures.matrix(frame, analysisOptions.analysis(result), measure(result));
            case PASSES -> {
                SequencedMap<String, FrameMaps> maps = new LinkedHashMap<>();
                result.slots(quantity).forEach(each -> maps.put(each.label(), result.maps(quantity, theLayer, each)));
                yield HeatMapFigures.passes(frame, quantity, id, maps);
            }
            case PASS_LINES -> {
                FrameBlock block = result.frameBlock(analysisOptions.frameBlock());
                SequencedMap<String, HeadView> views = new LinkedHashMap<>();
                for (PassSlot each : result.slots(quantity)) {
                    Analysis analysis = Analysis.of(result, each, block, analysisOptions.measures());
                    int at = Objects.requireNonNull(analysis.positions().get(id));
                    views.put(each.label(), analysis.heads().get(at));
                }
                yield RowFigures.passes(frame, quantity, id, views);
            }
            case TOKENS -> tokens(result, frame, id, slot);
            case OVERLAY -> overlay(result).figure(frame);
        };
    }

    private OverlayMaps overlay(RunResult result) {
        RunInfo info = result.info();
        HeadId id = new HeadId(index("--layer", layer, info.layers()), index("--head", head, info.heads()));
        if (video == null) {
            throw new UsageException("--kind overlay: expected --video VIDEO, which decode writes, got none");
        }
        Quantity wanted = token == null ? Quantity.KEY_LOGITS : Quantity.QUERY_LOGITS;
        List<CapturedPass> passes = token == null ? result.passes(wanted) : result.crossPasses(wanted);
        FrameBlock block = result.frameBlock(analysisOptions.frameBlock());
        PassSlot slot = passes.stream()
                .filter(p -> p.firstFrame() == block.first())
                .map(p -> PassSlot.of(p.id()))
                .filter(s -> analysisOptions.pass().equals("first") || s.equals(result.slot(analysisOptions.pass())))
                .findFirst()
                .orElseThrow(() -> new WanException("--kind overlay: " + file + " has no "
                        + (token == null ? "key logits" : "query logits of cross-attention")
                        + " of that frame block and pass; extract with "
                        + (token == null ? "--what key-logits" : "--attention cross --what query-logits")));
        CapturedPass pass = pass(passes, slot, block).orElseThrow();
        String where = "Layer " + id.layer() + ", head " + id.head() + " (" + id.label() + ")";
        if (token == null) {
            return new OverlayMaps(
                    where + ": logits of key tokens, less their mean",
                    "logit \u2212 mean",
                    pass.keyFrames(),
                    info.tokenRows(),
                    info.tokenCols(),
                    keyMeans(result, id, pass),
                    video);
        }
        float[] towards = result.towards(wanted, pass, id.layer(), info.heads().indexOf(id.head()), token);
        double[] values = new double[towards.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = towards[i];
        }
        return new OverlayMaps(
                where + ": logits towards token " + token + " of the prompt, less their mean",
                "logit \u2212 mean",
                IntStream.range(0, pass.frames())
                        .mapToObj(i -> pass.firstFrame() + i)
                        .toList(),
                info.tokenRows(),
                info.tokenCols(),
                values,
                video);
    }

    private static Optional<CapturedPass> pass(List<CapturedPass> passes, PassSlot slot, FrameBlock block) {
        return passes.stream()
                .filter(p -> slot.holds(p.id()) && p.firstFrame() == block.first())
                .findFirst();
    }

    private Figure tokens(RunResult result, FigureFrame frame, HeadId id, PassSlot slot) {
        RunInfo info = result.info();
        FrameBlock block = result.frameBlock(analysisOptions.frameBlock());
        CapturedPass pass = pass(result.passes(Quantity.KEY_LOGITS), slot, block)
                .orElseThrow(() -> new WanException(
                        "--kind tokens: " + file + " has no key logits of that pass; extract with --what key-logits"));
        return HeatMapFigures.tokens(
                frame, id, pass.keyFrames(), info.tokenRows(), info.tokenCols(), keyMeans(result, id, pass));
    }

    /** A head's logits of every attended key token, mean over the pass's query frames: [key frames, rows, cols]. */
    private static double[] keyMeans(RunResult result, HeadId id, CapturedPass pass) {
        RunInfo info = result.info();
        float[] values = result.values(Quantity.KEY_LOGITS, pass, id.layer());
        int keys = pass.keyFrames().size() * info.frameSeqLen();
        double[] means = new double[keys];
        int first = info.heads().indexOf(id.head()) * pass.frames();
        for (int q = 0; q < pass.frames(); q++) {
            for (int k = 0; k < keys; k++) {
                means[k] += values[(first + q) * keys + k] / pass.frames();
            }
        }
        for (int k = 0; k < keys; k++) {
            means[k] = Double.isFinite(means[k]) ? means[k] : Double.POSITIVE_INFINITY; // shown as what it is
        }
        return means;
    }

    private Kind kind() {
        for (Kind each : Kind.values()) {
            if (each.name().toLowerCase(Locale.ROOT).replace('_', '-').equals(kind)) {
                return each;
            }
        }
        throw new UsageException(
                "--kind: expected heads, bars, lines, mosaic, measure, passes, pass-lines, tokens or overlay, got "
                        + kind);
    }

    private Measure measure(RunResult result) {
        Measure wanted = Measure.parse(measure);
        if (!result.has(wanted.quantity())) {
            throw new WanException("--measure " + wanted.id() + ": " + file + " has no "
                    + wanted.quantity().option() + "; extract with --what "
                    + wanted.quantity().option());
        }
        return wanted;
    }

    private List<HeadView> heads(RunResult result, int theLayer) {
        return analysisOptions.analysis(result).heads().stream()
                .filter(view -> view.head().layer() == theLayer)
                .toList();
    }

    private Quantity quantity(RunResult result) {
        Quantity quantity = switch (what == null ? "" : what) {
            case "frame-logits" -> Quantity.FRAME_LOGITS;
            case "frame-mass" -> Quantity.FRAME_MASS;
            case "" -> result.has(Quantity.FRAME_LOGITS) ? Quantity.FRAME_LOGITS : Quantity.FRAME_MASS;
            default -> throw new UsageException("--what: expected frame-logits or frame-mass, got " + what);
        };
        if (!result.has(quantity)) {
            throw new WanException("--what " + quantity.option() + ": " + file + " has none; extract with --what "
                    + quantity.option());
        }
        return quantity;
    }

    private static int index(String option, @Nullable Integer wanted, List<Integer> captured) {
        if (wanted != null && !captured.contains(wanted)) {
            throw new UsageException(option + ": expected one of " + captured + ", which were captured, got " + wanted);
        }
        return wanted != null ? wanted : captured.getFirst();
    }
}
