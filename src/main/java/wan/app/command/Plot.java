package wan.app.command;

import capture.IndexList;
import capture.analysis.CapturedPass;
import capture.analysis.FrameBlock;
import capture.analysis.FrameMaps;
import capture.analysis.HeadId;
import capture.analysis.Measure;
import capture.analysis.Merge;
import capture.analysis.PassSlot;
import capture.analysis.RunGroup;
import capture.analysis.RunInfo;
import capture.analysis.SavedResult;
import capture.figures.Figure;
import capture.figures.FigureFrame;
import capture.figures.HeatMapFigures;
import capture.figures.RowFigures;
import capture.figures.Shown;
import capture.figures.TokenFigures;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import wan.app.option.AnalysisOptions;
import wan.app.option.FigureOptions;
import wan.op.AttentionKind;
import wan.op.Quantity;
import wan.op.UsageException;
import wan.op.WanException;

/** Reads from the results what a figure of {@code plot} shows. */
final class Plot {
    private static final int MOST_NAMES = 50;

    private final RunGroup runs;
    private final PlotKind kind;
    private final List<Integer> layers;
    private final List<Integer> heads;
    private final @Nullable String what;
    private final String measure;
    private final AnalysisOptions analysisOptions;
    private final FigureOptions figureOptions;
    private final SavedResult first;
    private final RunInfo info;
    private final boolean severalLayers;

    Plot(
            RunGroup runs,
            PlotKind kind,
            @Nullable String layers,
            @Nullable String heads,
            @Nullable String what,
            String measure,
            AnalysisOptions analysisOptions,
            FigureOptions figureOptions) {
        this.runs = runs;
        this.kind = kind;
        this.what = what;
        this.measure = measure;
        this.analysisOptions = analysisOptions;
        this.figureOptions = figureOptions;
        this.first = runs.first();
        this.info = first.info();
        this.layers = chosen("--layer", layers, info.layers());
        this.heads = chosen("--head", heads, info.heads());
        this.severalLayers = layers != null && this.layers.size() > 1;
    }

    private static List<Integer> chosen(String option, @Nullable String list, List<Integer> captured) {
        if (list == null || list.equals("all")) {
            return captured;
        }
        List<Integer> wanted = IndexList.parse(option, list, Integer.MAX_VALUE, "a list of indices");
        for (int each : wanted) {
            if (!captured.contains(each)) {
                throw new UsageException(
                        option + ": expected one of " + captured + ", which were captured, got " + each);
            }
        }
        return wanted;
    }

    private int layer() {
        if (severalLayers) {
            throw new UsageException("--layer: --kind " + kind.id() + " shows one layer, got " + layers);
        }
        return layers.getFirst();
    }

    private HeadId head() {
        if (heads.size() > 1 && !heads.equals(info.heads())) {
            throw new UsageException("--head: --kind " + kind.id() + " shows one head, got " + heads);
        }
        return new HeadId(layer(), heads.getFirst());
    }

    /** What the figure has in common with all others. */
    FigureFrame frame() {
        return figureOptions.frame(note());
    }

    private String note() {
        List<String> all = runs.each(SavedResult::name);
        String names = first.name();
        if (runs.isMany()) {
            names = runs.merge() == Merge.DIFFERENCE
                    ? all.getLast() + " less " + first.name()
                    : all.size() + " runs: " + String.join(", ", all.subList(0, Math.min(all.size(), MOST_NAMES)))
                            + (all.size() > MOST_NAMES ? ", ..." : "");
        }
        boolean ofOnePass = kind.ofFrames() && kind != PlotKind.PASSES && kind != PlotKind.PASS_LINES;
        String model = info.metadata().containsKey("model") ? ", " + info.text("model") : "";
        return names + (ofOnePass ? ", " + slot().label() : "") + model;
    }

    private PassSlot slot() {
        return first.slot(analysisOptions.pass());
    }

    private FrameBlock block() {
        return first.frameBlock(analysisOptions.frameBlock());
    }

    /** The figure, whatever its kind but an overlay. */
    Figure figure() {
        FigureFrame frame = frame();
        return switch (kind) {
            case HEADS -> {
                Shown shown = shown();
                yield HeatMapFigures.heads(frame, shown, layer(), maps(shown.quantity(), layer(), slot()));
            }
            case MOSAIC -> {
                Shown shown = shown();
                SequencedMap<Integer, FrameMaps> maps = new LinkedHashMap<>();
                layers.forEach(l -> maps.put(l, maps(shown.quantity(), l, slot())));
                yield HeatMapFigures.mosaic(frame, shown, maps);
            }
            case PASSES -> {
                Shown shown = shown();
                HeadId head = head();
                SequencedMap<String, FrameMaps> maps = new LinkedHashMap<>();
                first.slots(shown.quantity())
                        .forEach(each -> maps.put(each.label(), maps(shown.quantity(), head.layer(), each)));
                yield HeatMapFigures.passes(frame, shown, head, maps);
            }
            case MEASURE -> measures(frame);
            case BARS -> bars(frame);
            case LINES -> lines(frame);
            case PASS_LINES -> passLines(frame);
            case TOKENS -> tokens(frame);
            case TOKEN_MATRIX -> tokenMatrix(frame);
            case PROMPT -> prompt(frame);
            case OVERLAY -> throw new IllegalStateException("an overlay has a video");
        };
    }

    private FrameMaps maps(Quantity quantity, int layer, PassSlot slot) {
        return runs.maps(quantity, layer, slot).of(heads);
    }

    private Figure measures(FigureFrame frame) {
        Measure wanted = Measure.parse(measure);
        require(
                wanted.quantity(),
                "--measure " + wanted.id(),
                "no " + wanted.quantity().option());
        Map<HeadId, Double> values =
                new LinkedHashMap<>(runs.measure(wanted, slot(), block(), analysisOptions.measures()));
        values.keySet().removeIf(id -> !layers.contains(id.layer()) || !heads.contains(id.head()));
        Shown shown = new Shown(wanted.quantity(), runs.merge(), runs.size());
        return HeatMapFigures.matrix(
                frame, wanted.title(), shown.title(wanted.title()), shown.signed(wanted.signed()), values);
    }

    private List<RunGroup.Row> rows(Quantity quantity, PassSlot slot) {
        int layer = layer();
        return runs.rows(
                view -> RowFigures.row(quantity, view),
                head -> head.layer() == layer && heads.contains(head.head()),
                slot,
                block(),
                analysisOptions.measures());
    }

    private Figure bars(FigureFrame frame) {
        Shown shown = shown();
        Map<HeadId, Double> scores = runs.merge() == Merge.MEAN
                ? runs.measure(Measure.SINK_SCORE, slot(), block(), analysisOptions.measures())
                : Map.of();
        List<RowFigures.Series> series = new ArrayList<>();
        for (RunGroup.Row row : rows(shown.quantity(), slot())) {
            double score = scores.getOrDefault(row.head(), Double.NaN);
            String sink = Double.isNaN(score) ? "" : ", sink " + RowFigures.number(score);
            series.add(new RowFigures.Series(row.head().label() + sink, row.values(), row.spread()));
        }
        return RowFigures.bars(
                frame, layerTitle() + ": attention of " + blockTitle(), shown.title(), info.frames(), series);
    }

    private Figure lines(FigureFrame frame) {
        Shown shown = shown();
        List<RowFigures.Series> series = rows(shown.quantity(), slot()).stream()
                .map(row -> new RowFigures.Series(row.head().label(), row.values(), row.spread()))
                .toList();
        return RowFigures.curves(
                frame,
                layerTitle() + ": attention of " + blockTitle(),
                shown.title(),
                "key frame",
                info.frames(),
                false,
                series);
    }

    private Figure passLines(FigureFrame frame) {
        Shown shown = shown();
        HeadId head = head();
        List<RowFigures.Series> series = new ArrayList<>();
        for (PassSlot each : first.slots(shown.quantity())) {
            rows(shown.quantity(), each).stream()
                    .filter(row -> row.head().equals(head))
                    .forEach(row -> series.add(new RowFigures.Series(each.label(), row.values(), row.spread())));
        }
        return RowFigures.curves(
                frame,
                HeatMapFigures.named(head) + ": attention of " + blockTitle() + " in every pass",
                shown.title(),
                "key frame",
                info.frames(),
                false,
                series);
    }

    private String layerTitle() {
        return "Layer " + layer() + " (L" + (layer() + 1) + ")";
    }

    private String blockTitle() {
        FrameBlock block = block();
        return block.frames() == 1 ? "frame " + block.first() : "frames " + block.first() + " to " + (block.end() - 1);
    }

    private Figure tokens(FigureFrame frame) {
        CapturedPass pass = pass(AttentionKind.SELF, Quantity.KEY_LOGITS);
        return TokenFigures.tokens(
                frame, head(), pass.keyFrames(), info.tokenRows(), info.tokenCols(), keyMeans(head(), pass));
    }

    private Figure tokenMatrix(FigureFrame frame) {
        CapturedPass pass = pass(AttentionKind.SELF, Quantity.TOKEN_LOGITS);
        HeadId head = head();
        int index = info.heads().indexOf(head.head());
        return TokenFigures.matrix(
                frame,
                head,
                pass,
                first.tokenMatrix(AttentionKind.SELF, pass, head.layer(), index, TokenFigures.MOST_PIXELS));
    }

    /** Cross-attention: the columns are the prompt's tokens and, if the file says how many there are, all padding as one. */
    private Figure prompt(FigureFrame frame) {
        boolean wantsMass = what == null
                ? !first.passes(AttentionKind.CROSS, Quantity.FRAME_MASS).isEmpty()
                : quantityOf(what) == Quantity.FRAME_MASS;
        Quantity quantity = wantsMass ? Quantity.FRAME_MASS : Quantity.FRAME_LOGITS;
        CapturedPass pass = pass(AttentionKind.CROSS, quantity);
        float[] all = first.captured(AttentionKind.CROSS, quantity, pass, layer());
        int texts = all.length / (info.heads().size() * pass.frames());
        List<String> tokens = new ArrayList<>(info.promptTokens(pass, first.sample()));
        int named = tokens.isEmpty() ? texts : Math.min(tokens.size(), texts);
        if (tokens.isEmpty()) {
            IntStream.range(0, texts).forEach(t -> tokens.add(String.valueOf(t)));
        } else if (named < texts) {
            tokens.add("(padding)");
        }
        boolean oneHead = heads.size() == 1;
        List<Integer> rows = oneHead
                ? IntStream.range(0, pass.frames())
                        .mapToObj(q -> pass.firstFrame() + q)
                        .toList()
                : heads;
        double[] values = new double[rows.size() * tokens.size()];
        for (int row = 0; row < rows.size(); row++) {
            int head = info.heads().indexOf(oneHead ? heads.getFirst() : rows.get(row));
            for (int q = oneHead ? row : 0; q < (oneHead ? row + 1 : pass.frames()); q++) {
                for (int t = 0; t < texts; t++) {
                    double value = all[(head * pass.frames() + q) * texts + t] / (oneHead ? 1.0 : pass.frames());
                    boolean meanOfPadding = t >= named && !wantsMass;
                    values[row * tokens.size() + Math.min(t, named)] += meanOfPadding ? value / (texts - named) : value;
                }
            }
        }
        String title = (oneHead ? HeatMapFigures.named(head()) : layerTitle())
                + (wantsMass ? ": attention of " : ": logits of ")
                + (pass.frames() == 1
                        ? "frame " + pass.firstFrame()
                        : "frames " + pass.firstFrame() + " to " + (pass.firstFrame() + pass.frames() - 1))
                + (wantsMass ? " to the prompt, " : " with the prompt, ")
                + pass.id();
        return TokenFigures.prompt(
                frame,
                title,
                wantsMass ? "mass" : "mean logit (pre-softmax)",
                oneHead ? "query frame" : "head (from 0)",
                rows,
                tokens,
                !wantsMass,
                values);
    }

    /** Maps of tokens over a video. */
    OverlayMaps overlay(Path video, @Nullable Integer token) {
        HeadId id = head();
        Quantity wanted = token == null ? Quantity.KEY_LOGITS : Quantity.QUERY_LOGITS;
        CapturedPass pass = pass(token == null ? AttentionKind.SELF : AttentionKind.CROSS, wanted);
        String where = HeatMapFigures.named(id);
        if (token == null) {
            return new OverlayMaps(
                    where + ": logits of key tokens, less their mean",
                    "logit \u2212 mean",
                    pass.keyFrames(),
                    info.tokenRows(),
                    info.tokenCols(),
                    keyMeans(id, pass),
                    video);
        }
        float[] towards = first.towards(wanted, pass, id.layer(), info.heads().indexOf(id.head()), token);
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

    /** The pass of the wanted slot and frame block in which a quantity was captured. */
    private CapturedPass pass(AttentionKind attention, Quantity quantity) {
        List<CapturedPass> passes = first.passes(attention, quantity);
        Optional<CapturedPass> found = Optional.empty();
        if (!passes.isEmpty()) {
            PassSlot slot = first.slot(analysisOptions.pass(), passes);
            boolean last = analysisOptions.frameBlock().equals("last");
            int firstFrame = last
                    ? passes.stream().mapToInt(CapturedPass::firstFrame).max().orElseThrow()
                    : block().first();
            found = passes.stream()
                    .filter(p -> slot.holds(p.id()) && p.firstFrame() == firstFrame)
                    .findFirst();
        }
        String needed = (attention == AttentionKind.CROSS ? "--attention cross " : "") + "--what " + quantity.option();
        return found.orElseThrow(() -> new WanException("--kind " + kind.id() + ": " + first.path() + " has no "
                + quantity.option() + (attention == AttentionKind.CROSS ? " of cross-attention" : "")
                + " of that pass and frame block; extract with " + needed));
    }

    /** A head's logits of every attended key token, mean over the pass's query frames: [key frames, rows, cols]. */
    private double[] keyMeans(HeadId id, CapturedPass pass) {
        float[] values = first.values(Quantity.KEY_LOGITS, pass, id.layer());
        int keys = pass.keyFrames().size() * info.frameSeqLen();
        double[] means = new double[keys];
        int at = info.heads().indexOf(id.head()) * pass.frames();
        for (int q = 0; q < pass.frames(); q++) {
            for (int k = 0; k < keys; k++) {
                means[k] += values[(at + q) * keys + k] / pass.frames();
            }
        }
        // What should be a number and is none is shown as what it is.
        return Arrays.stream(means)
                .map(mean -> Double.isFinite(mean) ? mean : Double.POSITIVE_INFINITY)
                .toArray();
    }

    private Shown shown() {
        Quantity quantity = what == null
                ? (first.has(Quantity.FRAME_LOGITS) ? Quantity.FRAME_LOGITS : Quantity.FRAME_MASS)
                : quantityOf(what);
        require(quantity, "--what " + quantity.option(), "none");
        return new Shown(quantity, runs.merge(), runs.size());
    }

    private void require(Quantity quantity, String option, String none) {
        List<Path> without = runs.each(run -> run.has(quantity) ? Path.of("") : run.path()).stream()
                .filter(path -> !path.toString().isEmpty())
                .toList();
        if (!without.isEmpty()) {
            throw new WanException(
                    option + ": " + without.getFirst() + " has " + none + "; extract with --what " + quantity.option());
        }
    }

    private static Quantity quantityOf(String name) {
        return switch (name.toLowerCase(Locale.ROOT)) {
            case "frame-logits" -> Quantity.FRAME_LOGITS;
            case "frame-mass" -> Quantity.FRAME_MASS;
            default -> throw new UsageException("--what: expected frame-logits or frame-mass, got " + name);
        };
    }
}
