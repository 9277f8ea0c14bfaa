package capture.figures;

import capture.analysis.Analysis;
import capture.analysis.FrameMaps;
import capture.analysis.HeadId;
import capture.analysis.Measure;
import java.awt.image.BufferedImage;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.DoubleStream;
import org.jspecify.annotations.Nullable;
import wan.op.Quantity;

/** Figures that consist of heat maps: RdBu_r with 0 in the middle, one colour bar, first frame at the lower left. */
public final class HeatMapFigures {
    private static final String NOT_ATTENDED = "masked";

    private HeatMapFigures() {}

    /** The name of a quantity on a colour bar. */
    static String title(Quantity quantity) {
        return switch (quantity) {
            case FRAME_LOGITS -> "frame logit (pre-softmax)";
            case FRAME_MASS -> "frame mass";
            default -> "key logit (pre-softmax)";
        };
    }

    /** A cell: NaN for what was not attended, infinity for a number that should be there and is none. */
    private static double cell(FrameMaps maps, int head, int q, int k) {
        float value = maps.get(head, q, k);
        return maps.attended(q, k) && !Float.isFinite(value) ? Double.POSITIVE_INFINITY : value;
    }

    private static ColourScale scale(Quantity quantity, double limit) {
        return ColourScale.of(quantity != Quantity.FRAME_MASS, limit);
    }

    /**
     * All heads of one layer, query frame by key frame.
     *
     * @param frame what figures have in common
     * @param layer 0-based
     */
    public static Figure heads(FigureFrame frame, Quantity quantity, int layer, FrameMaps maps) {
        List<String> titles = maps.heads().stream()
                .map(head -> "H" + head + " (" + new HeadId(layer, head).label() + ")")
                .toList();
        return panels(
                frame,
                "Layer " + layer + " (L" + (layer + 1) + "): every head, query frame by key frame",
                titles,
                scale(quantity, maps.limit()),
                title(quantity),
                maps.frames(),
                (panel, q, k) -> cell(maps, panel, q, k));
    }

    /**
     * One head in every pass.
     *
     * @param maps of the head's layer, by the pass's name
     */
    public static Figure passes(
            FigureFrame frame, Quantity quantity, HeadId head, SequencedMap<String, FrameMaps> maps) {
        List<FrameMaps> values = List.copyOf(maps.values());
        int index = values.getFirst().heads().indexOf(head.head());
        double limit = 0;
        for (FrameMaps map : values) {
            limit = Math.max(limit, FrameMaps.limit(map.head(index)));
        }
        return panels(
                frame,
                "Layer " + head.layer() + ", head " + head.head() + " (" + head.label() + "): every pass",
                List.copyOf(maps.keySet()),
                scale(quantity, limit),
                title(quantity),
                values.getFirst().frames(),
                (panel, q, k) -> cell(values.get(panel), index, q, k));
    }

    /**
     * One head's key tokens: each attended frame as its grid of tokens, averaged over the query frames.
     *
     * @param keyFrames absolute numbers of the panels' frames
     * @param values [K, rows, cols]
     */
    public static Figure tokens(
            FigureFrame frame, HeadId head, List<Integer> keyFrames, int rows, int cols, double[] values) {
        ColourScale scale = ColourScale.of(true, values);
        Canvas canvas = new Canvas(frame.style());
        double top = canvas.title(
                frame.width(),
                "Layer " + head.layer() + ", head " + head.head() + " (" + head.label() + "): logits of key tokens",
                frame.note());
        double barWidth = canvas.colourBarWidth();
        int columns = frame.columns(keyFrames.size(), frame.width() > 300 ? 7 : 4);
        double panelWidth = (frame.width() - 8 - barWidth - 6.0 * (columns - 1)) / columns;
        double titleHeight = frame.style().tickSize() * 1.4;
        PanelGrid grid = new PanelGrid(
                4,
                top + titleHeight,
                columns,
                keyFrames.size(),
                panelWidth,
                panelWidth * rows / cols,
                6,
                titleHeight + 4);
        for (int p = 0; p < keyFrames.size(); p++) {
            int panel = p;
            canvas.group("frame-" + keyFrames.get(p), c -> {
                c.panelTitle(
                        grid.left(panel) + grid.width() / 2, grid.top(panel) - 2.5, "frame " + keyFrames.get(panel));
                // Images have their first row at the top, unlike matrices.
                c.heatMap(
                        grid.left(panel),
                        grid.top(panel),
                        grid.width(),
                        grid.height(),
                        rows,
                        cols,
                        scale,
                        (row, col) -> values[(panel * rows + rows - 1 - row) * cols + col]);
            });
        }
        double barHeight = Math.clamp(grid.bottom() - grid.y(), 60, 160);
        canvas.colourBar(grid.right() + 8, grid.y(), barHeight, scale, title(Quantity.KEY_LOGITS), null);
        double height = Math.max(grid.bottom(), grid.y() + barHeight) + 6;
        return frame.figure(height, "Key tokens of " + head.label(), canvas);
    }

    /**
     * Maps of tokens over frames of the video, as a contact sheet.
     *
     * @param title what the maps are of
     * @param what the values are, for the colour bar
     * @param numbers latent frames, for the panels' titles
     * @param pictures of each of them
     * @param values [frames, rows, cols]
     */
    public static Figure overlays(
            FigureFrame frame,
            String title,
            String what,
            List<Integer> numbers,
            List<BufferedImage> pictures,
            int rows,
            int cols,
            double[] values) {
        ColourScale scale = ColourScale.of(true, values);
        Canvas canvas = new Canvas(frame.style());
        double top = canvas.title(frame.width(), title, frame.note());
        double barWidth = canvas.colourBarWidth();
        int columns = frame.columns(numbers.size(), frame.width() > 300 ? 4 : 2);
        double panelWidth = (frame.width() - 8 - barWidth - 6.0 * (columns - 1)) / columns;
        double titleHeight = frame.style().tickSize() * 1.4;
        BufferedImage first = pictures.getFirst();
        PanelGrid grid = new PanelGrid(
                4,
                top + titleHeight,
                columns,
                numbers.size(),
                panelWidth,
                panelWidth * first.getHeight() / first.getWidth(),
                6,
                titleHeight + 4);
        for (int p = 0; p < numbers.size(); p++) {
            int panel = p;
            BufferedImage picture = Pictures.overlay(pictures.get(p), rows, cols, values, panel * rows * cols, scale);
            canvas.group("frame-" + numbers.get(p), c -> {
                double x = grid.left(panel);
                double y = grid.top(panel);
                c.panelTitle(x + grid.width() / 2, y - 2.5, "frame " + numbers.get(panel));
                c.add(new Mark.Picture(x, y, grid.width(), grid.height(), picture));
                c.add(new Mark.Rect(
                        x, y, grid.width(), grid.height(), null, c.style().rule(), 0.5));
            });
        }
        double barHeight = Math.clamp(grid.bottom() - grid.y(), 60, 160);
        canvas.colourBar(grid.right() + 8, grid.y(), barHeight, scale, what, null);
        double height = Math.max(grid.bottom(), grid.y() + barHeight) + 6;
        return frame.figure(height, title, canvas);
    }

    /** Without what stands in brackets, where there is no room. */
    private static String shortened(Canvas canvas, String title, double room) {
        boolean fits = canvas.textWidth(title, canvas.style().tickSize()) <= room + 4;
        return fits ? title : title.replaceFirst("^.*\\((.*)\\)$", "$1");
    }

    private interface PanelValues {
        double get(int panel, int query, int key);
    }

    private static Figure panels(
            FigureFrame frame,
            String title,
            List<String> titles,
            ColourScale scale,
            String barTitle,
            int frames,
            PanelValues values) {
        Style style = frame.style();
        Canvas canvas = new Canvas(style);
        double top = canvas.title(frame.width(), title, frame.note());
        double left = style.textSize() + 6 + canvas.textWidth(String.valueOf(frames - 1), style.tickSize()) + 4;
        int columns = frame.columns(titles.size(), frame.width() > 300 && titles.size() <= 6 ? titles.size() : 4);
        double titleHeight = style.tickSize() * 1.4;
        double side = (frame.width() - left - canvas.colourBarWidth() - 4 - 7.0 * (columns - 1)) / columns;
        PanelGrid grid = new PanelGrid(left, top + titleHeight, columns, titles.size(), side, side, 7, titleHeight + 5);
        List<Integer> ticks = canvas.frameTicks(frames, side);
        for (int p = 0; p < titles.size(); p++) {
            int panel = p;
            canvas.group("panel-" + p, c -> {
                double x = grid.left(panel);
                double y = grid.top(panel);
                c.panelTitle(x + side / 2, y - 2.5, shortened(c, titles.get(panel), side));
                c.heatMap(x, y, side, side, frames, frames, scale, (q, k) -> values.get(panel, q, k));
                for (int tick : ticks) {
                    double at = (tick + 0.5) * side / frames;
                    if (grid.isLeftmost(panel)) {
                        c.line(x - 2, y + side - at, x, y + side - at, style.rule(), 0.5);
                        c.tick(x - 3.5, y + side - at + style.tickSize() * 0.35, String.valueOf(tick), Mark.Anchor.END);
                    }
                    if (grid.isLowest(panel)) {
                        c.line(x + at, y + side, x + at, y + side + 2, style.rule(), 0.5);
                        double middle = x + c.labelMiddle(tick, side / frames, side);
                        c.tick(middle, y + side + 3 + style.tickSize(), String.valueOf(tick), Mark.Anchor.MIDDLE);
                    }
                }
            });
        }
        double axisY = grid.bottom() + 3 + style.tickSize() + style.textSize() + 2;
        canvas.label((grid.x() + grid.right()) / 2, axisY, "key frame", Mark.Anchor.MIDDLE);
        canvas.labelUpwards(style.textSize() + 1, (grid.y() + grid.bottom()) / 2, "query frame");
        double barHeight = Math.clamp(grid.bottom() - grid.y(), 70, 200);
        canvas.colourBar(grid.right() + 8, grid.y(), barHeight, scale, barTitle, NOT_ATTENDED);
        return frame.figure(Math.max(axisY, grid.y() + barHeight) + 5, title, canvas);
    }

    /**
     * Every head of every layer as a thumbnail, a row per layer.
     *
     * @param maps by layer
     */
    public static Figure mosaic(FigureFrame frame, Quantity quantity, SequencedMap<Integer, FrameMaps> maps) {
        Style style = frame.style();
        FrameMaps any = maps.firstEntry().getValue();
        double limit =
                maps.values().stream().mapToDouble(FrameMaps::limit).max().orElse(0);
        ColourScale scale = scale(quantity, limit);
        Canvas canvas = new Canvas(style);
        String title = "All layers and heads, query frame by key frame";
        double top = canvas.title(frame.width(), title, frame.note()) + style.tickSize() * 1.4;
        int columns = any.heads().size();
        double left = canvas.textWidth("L00", style.tickSize()) + 6;
        double side = (frame.width() - left - canvas.colourBarWidth() - 4 - 2.0 * (columns - 1)) / columns;
        PanelGrid grid = new PanelGrid(left, top, columns, columns * maps.size(), side, side, 2, 2);
        for (int h = 0; h < columns; h++) {
            canvas.panelTitle(
                    grid.left(h) + side / 2,
                    top - 3,
                    (side > 20 ? "H" : "") + any.heads().get(h));
        }
        int row = 0;
        for (Map.Entry<Integer, FrameMaps> entry : maps.entrySet()) {
            int first = row * columns;
            int layer = entry.getKey();
            FrameMaps its = entry.getValue();
            canvas.tick(left - 4, grid.top(first) + side / 2 + style.tickSize() * 0.35, "L" + layer, Mark.Anchor.END);
            canvas.group("layer-" + layer, c -> {
                for (int h = 0; h < columns; h++) {
                    int head = h;
                    c.heatMap(
                            grid.left(first + h),
                            grid.top(first),
                            side,
                            side,
                            its.frames(),
                            its.frames(),
                            scale,
                            (q, k) -> cell(its, head, q, k));
                }
            });
            row++;
        }
        double barHeight = Math.clamp(grid.bottom() - top, 70, 200);
        canvas.colourBar(grid.right() + 8, top, barHeight, scale, title(quantity), NOT_ATTENDED);
        double noteY = Math.max(grid.bottom(), top + barHeight) + style.tickSize() + 3;
        canvas.tick(
                left,
                noteY,
                "layers and heads from 0; each square is key frame (right) by query frame (up)",
                Mark.Anchor.START);
        return frame.figure(noteY + 5, title, canvas);
    }

    /** One measure of every head, heads by layers, first layer at the bottom. */
    public static Figure matrix(FigureFrame frame, Analysis analysis, Measure measure) {
        double[] all = analysis.measure(measure);
        Map<HeadId, Double> values = new LinkedHashMap<>();
        for (int i = 0; i < all.length; i++) {
            values.put(analysis.heads().get(i).head(), all[i]);
        }
        return matrix(frame, measure.title(), measure.title(), measure.signed(), values);
    }

    /**
     * A number for each of some heads, layer by head.
     *
     * @param title of the number
     * @param unit of the number, for the colour bar
     * @param signed whether it may be negative
     */
    public static Figure matrix(
            FigureFrame frame, String title, String unit, boolean signed, Map<HeadId, Double> numbers) {
        Style style = frame.style();
        double[] values =
                numbers.values().stream().mapToDouble(Double::doubleValue).toArray();
        Map<Integer, Map<Integer, Double>> table = new TreeMap<>();
        TreeSet<Integer> headSet = new TreeSet<>();
        numbers.forEach((id, value) -> {
            table.computeIfAbsent(id.layer(), l -> new TreeMap<>()).put(id.head(), value);
            headSet.add(id.head());
        });
        List<Integer> heads = List.copyOf(headSet);
        List<Integer> layers = List.copyOf(table.keySet());
        ColourScale scale = ColourScale.of(signed, values);
        Canvas canvas = new Canvas(style);
        String heading = "Heads and layers: " + title;
        double top = canvas.title(frame.width(), heading, frame.note()) + 3;
        double left = style.textSize() + 6 + canvas.textWidth("00", style.tickSize()) + 4;
        double width = frame.width() - left - canvas.colourBarWidth() - 4;
        double cellHeight = Math.clamp(width / heads.size() * 0.6, 5, 14);
        double height = Math.max(60, cellHeight * layers.size());
        canvas.group("matrix", c -> {
            c.heatMap(left, top, width, height, layers.size(), heads.size(), scale, (row, column) -> {
                Double value = table.getOrDefault(layers.get(row), Map.of()).get(heads.get(column));
                return value == null ? Double.NaN : value;
            });
            for (int tick : c.frameTicks(heads.size(), width)) {
                double x = left + (tick + 0.5) * width / heads.size();
                c.tick(x, top + height + 3 + style.tickSize(), String.valueOf(heads.get(tick)), Mark.Anchor.MIDDLE);
            }
            for (int tick : c.frameTicks(layers.size(), height)) {
                double y = top + height - (tick + 0.5) * height / layers.size();
                c.tick(left - 3.5, y + style.tickSize() * 0.35, String.valueOf(layers.get(tick)), Mark.Anchor.END);
            }
        });
        double axisY = top + height + 3 + style.tickSize() + style.textSize() + 2;
        canvas.label(left + width / 2, axisY, "head (from 0)", Mark.Anchor.MIDDLE);
        canvas.labelUpwards(style.textSize() + 1, top + height / 2, "layer (from 0)");
        @Nullable String masked = DoubleStream.of(values).anyMatch(Double::isNaN) ? "no value" : null;
        canvas.colourBar(left + width + 8, top, Math.min(height, 200), scale, unit, masked);
        return frame.figure(axisY + 5, heading, canvas);
    }
}
