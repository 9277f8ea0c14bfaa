package capture.figures;

import capture.analysis.FrameMaps;
import capture.analysis.HeadId;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.DoubleStream;
import org.jspecify.annotations.Nullable;
import wan.op.Quantity;

/** Figures that consist of heat maps: one colour bar, first frame and first layer at the lower left. */
public final class HeatMapFigures {
    private static final String NOT_ATTENDED = "masked";
    private static final String HEAD_AXIS = "head (from 0)";
    private static final String LAYER_AXIS = "layer (from 0)";

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

    /**
     * Heads of one layer, query frame by key frame.
     *
     * @param frame what figures have in common
     * @param layer 0-based
     * @param maps of the heads that are shown
     */
    public static Figure heads(FigureFrame frame, Shown shown, int layer, FrameMaps maps) {
        List<String> titles = maps.heads().stream()
                .map(head -> new HeadId(layer, head).label())
                .toList();
        return panels(
                frame,
                "Layer " + layer + " (L" + (layer + 1) + "): query frame by key frame",
                titles,
                frame.colours().scale(shown.signed(), maps.telling(shown.leastKeys())),
                shown.title(),
                maps.frames(),
                (panel, q, k) -> cell(maps, panel, q, k));
    }

    /**
     * One head in every pass.
     *
     * @param maps of the head's layer, by the pass's name
     */
    public static Figure passes(FigureFrame frame, Shown shown, HeadId head, SequencedMap<String, FrameMaps> maps) {
        List<FrameMaps> values =
                maps.values().stream().map(map -> map.of(List.of(head.head()))).toList();
        double[] all = values.stream()
                .flatMapToDouble(map -> DoubleStream.of(map.telling(shown.leastKeys())))
                .toArray();
        return panels(
                frame,
                named(head) + ": every pass",
                List.copyOf(maps.keySet()),
                frame.colours().scale(shown.signed(), all),
                shown.title(),
                values.getFirst().frames(),
                (panel, q, k) -> cell(values.get(panel), 0, q, k));
    }

    /** A head as titles name it. */
    public static String named(HeadId head) {
        return "Layer " + head.layer() + ", head " + head.head() + " (" + head.label() + ")";
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
        double top = canvas.title(frame, title);
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
                c.panelTitle(x + side / 2, y - 2.5, titles.get(panel));
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
     * Heads by layers as thumbnails, first layer at the bottom.
     *
     * @param maps by layer, ascending; the same heads of each
     */
    public static Figure mosaic(FigureFrame frame, Shown shown, SequencedMap<Integer, FrameMaps> maps) {
        Style style = frame.style();
        List<Integer> layers = List.copyOf(maps.keySet());
        List<Integer> heads = maps.firstEntry().getValue().heads();
        double[] all = maps.values().stream()
                .flatMapToDouble(map -> DoubleStream.of(map.telling(shown.leastKeys())))
                .toArray();
        ColourScale scale = frame.colours().scale(shown.signed(), all);
        Canvas canvas = new Canvas(style);
        String title = "Layers and heads, query frame by key frame";
        double top = canvas.title(frame, title) + 3;
        double left = style.textSize() + 6 + canvas.textWidth("00", style.tickSize()) + 4;
        double side = (frame.width() - left - canvas.colourBarWidth() - 4 - 2.0 * (heads.size() - 1)) / heads.size();
        PanelGrid grid = new PanelGrid(left, top, heads.size(), heads.size() * layers.size(), side, side, 2, 2);
        double width = grid.right() - left;
        double height = grid.bottom() - top;
        for (int tick : canvas.frameTicks(heads.size(), width)) {
            double x = grid.left(tick) + side / 2;
            canvas.tick(x, grid.bottom() + 3 + style.tickSize(), String.valueOf(heads.get(tick)), Mark.Anchor.MIDDLE);
        }
        for (int tick : canvas.frameTicks(layers.size(), height)) {
            double y = grid.top((layers.size() - 1 - tick) * heads.size()) + side / 2;
            canvas.tick(left - 3.5, y + style.tickSize() * 0.35, String.valueOf(layers.get(tick)), Mark.Anchor.END);
        }
        for (int row = 0; row < layers.size(); row++) {
            int layer = layers.get(layers.size() - 1 - row);
            int first = row * heads.size();
            FrameMaps its = Objects.requireNonNull(maps.get(layer));
            canvas.group("layer-" + layer, c -> {
                for (int h = 0; h < heads.size(); h++) {
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
        }
        double axisY = grid.bottom() + 3 + style.tickSize() + style.textSize() + 2;
        canvas.label(left + width / 2, axisY, HEAD_AXIS, Mark.Anchor.MIDDLE);
        canvas.labelUpwards(style.textSize() + 1, top + height / 2, LAYER_AXIS);
        double barHeight = Math.clamp(height, 70, 200);
        canvas.colourBar(grid.right() + 8, top, barHeight, scale, shown.title(), NOT_ATTENDED);
        double noteY = Math.max(axisY, top + barHeight) + style.tickSize() + 3;
        canvas.tick(left, noteY, "in each square: key frame to the right, query frame upwards", Mark.Anchor.START);
        return frame.figure(noteY + 5, title, canvas);
    }

    /**
     * A number for each of some heads, heads by layers, first layer at the bottom.
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
        ColourScale scale = frame.colours().scale(signed, values);
        Canvas canvas = new Canvas(style);
        String heading = "Heads and layers: " + title;
        double top = canvas.title(frame, heading) + 3;
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
        canvas.label(left + width / 2, axisY, HEAD_AXIS, Mark.Anchor.MIDDLE);
        canvas.labelUpwards(style.textSize() + 1, top + height / 2, LAYER_AXIS);
        @Nullable String masked = DoubleStream.of(values).anyMatch(Double::isNaN) ? "no value" : null;
        canvas.colourBar(left + width + 8, top, Math.min(height, 200), scale, unit, masked);
        return frame.figure(axisY + 5, heading, canvas);
    }
}
