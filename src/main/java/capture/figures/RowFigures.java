package capture.figures;

import capture.analysis.HeadId;
import capture.analysis.HeadView;
import capture.analysis.Measure;
import capture.analysis.MeasureOptions;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import wan.op.Quantity;

/** Figures of what one frame block attends: a value per key frame. */
public final class RowFigures {
    private RowFigures() {}

    /** By key frame: NaN for what was not attended, infinity for a number that should be there and is none. */
    private static double[] row(Quantity quantity, HeadView view) {
        double[] row = (quantity == Quantity.FRAME_MASS ? view.massRow() : view.logitRow()).clone();
        for (int k : view.keyFrames()) {
            row[k] = Double.isFinite(row[k]) ? row[k] : Double.POSITIVE_INFINITY;
        }
        return row;
    }

    private static Range range(List<double[]> rows) {
        double low = 0;
        double high = 0;
        for (double[] row : rows) {
            for (double value : row) {
                low = Double.isFinite(value) ? Math.min(low, value) : low;
                high = Double.isFinite(value) ? Math.max(high, value) : high;
            }
        }
        double margin = high > low ? (high - low) * 0.05 : 1;
        return new Range(low < 0 ? low - margin : 0, high > 0 || low == 0 ? high + margin : 0);
    }

    /** Values that an axis spans, 0 among them. */
    private record Range(double low, double high) {
        double position(double value, double top, double height) {
            return top + height * (1 - (value - low) / (high - low));
        }

        /** Round numbers, a few of them. */
        List<Double> ticks(int most) {
            double raw = (high - low) / most;
            double step = Math.pow(10, Math.floor(Math.log10(raw)));
            for (double factor : new double[] {1, 2, 5, 10}) {
                if (step * factor >= raw) {
                    step *= factor;
                    break;
                }
            }
            List<Double> ticks = new ArrayList<>();
            for (double tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) {
                ticks.add(Math.abs(tick) < step * 1e-9 ? 0 : tick);
            }
            return ticks;
        }
    }

    /**
     * Bars of every head of a layer, with its sink score.
     *
     * @param heads of one layer
     */
    public static Figure bars(FigureFrame frame, Quantity quantity, List<HeadView> heads) {
        Style style = frame.style();
        HeadView any = heads.getFirst();
        int layer = any.head().layer();
        int frames = any.frames();
        Canvas canvas = new Canvas(style);
        String title = "Layer " + layer + " (L" + (layer + 1) + "): what frames "
                + any.block().first() + " to " + (any.block().end() - 1) + " attend";
        double top = canvas.title(frame.width(), title, frame.note());
        List<double[]> rows = heads.stream().map(view -> row(quantity, view)).toList();
        Range range = range(rows);
        double left = style.textSize() + 6 + canvas.textWidth("\u22120.00", style.tickSize()) + 4;
        int columns = frame.columns(heads.size(), frame.width() > 300 ? 4 : 3);
        double titleHeight = style.tickSize() * 1.4 * (columns > 3 && frame.width() < 300 ? 2 : 1);
        double width = (frame.width() - left - 6 - 7.0 * (columns - 1)) / columns;
        PanelGrid grid =
                new PanelGrid(left, top + titleHeight, columns, heads.size(), width, width * 0.62, 7, titleHeight + 6);
        for (int p = 0; p < heads.size(); p++) {
            int panel = p;
            HeadView view = heads.get(p);
            double score = Measure.SINK_SCORE.of(view, MeasureOptions.DEFAULT);
            canvas.group("head-" + view.head().head(), c -> {
                String sink = Double.isNaN(score) ? "" : ", sink " + Canvas.number(score);
                c.panelTitle(
                        grid.left(panel) + width / 2,
                        grid.top(panel) - 2.5,
                        (width > 90
                                        ? "H" + view.head().head() + " ("
                                                + view.head().label() + ")"
                                        : view.head().label())
                                + sink);
                axes(c, grid, panel, range, frames);
                double zero = range.position(0, grid.top(panel), grid.height());
                double step = width / frames;
                for (int k = 0; k < frames; k++) {
                    double value = rows.get(panel)[k];
                    double x = grid.left(panel) + (k + 0.1) * step;
                    if (Double.isNaN(value)) {
                        c.add(new Mark.Hatch(grid.left(panel) + k * step, grid.top(panel), step, grid.height()));
                    } else if (Double.isInfinite(value)) {
                        c.add(new Mark.Rect(
                                x, grid.top(panel), 0.8 * step, grid.height(), ColourScale.NOT_FINITE, null, 0));
                    } else {
                        double y = range.position(value, grid.top(panel), grid.height());
                        c.add(new Mark.Rect(
                                x, Math.min(y, zero), 0.8 * step, Math.abs(zero - y), style.series(0), null, 0));
                    }
                }
                c.line(grid.left(panel), zero, grid.left(panel) + width, zero, style.rule(), 0.5);
            });
        }
        return finish(frame, canvas, grid, HeatMapFigures.title(quantity), "key frame", title);
    }

    /**
     * All heads of a layer in one diagram.
     *
     * @param heads of one layer
     */
    public static Figure lines(FigureFrame frame, Quantity quantity, List<HeadView> heads) {
        HeadView any = heads.getFirst();
        int layer = any.head().layer();
        SequencedMap<String, double[]> series = new LinkedHashMap<>();
        heads.forEach(view -> series.put(view.head().label(), row(quantity, view)));
        String title = "Layer " + layer + " (L" + (layer + 1) + "): every head, frames "
                + any.block().first() + " to " + (any.block().end() - 1);
        return diagram(frame, quantity, title, any.frames(), series);
    }

    /**
     * One head in every pass, in one diagram.
     *
     * @param passes the head by the pass's name
     */
    public static Figure passes(
            FigureFrame frame, Quantity quantity, HeadId head, SequencedMap<String, HeadView> passes) {
        SequencedMap<String, double[]> series = new LinkedHashMap<>();
        passes.forEach((pass, view) -> series.put(pass, row(quantity, view)));
        HeadView any = passes.firstEntry().getValue();
        String title = "Layer " + head.layer() + ", head " + head.head() + " (" + head.label() + "): frames "
                + any.block().first() + " to " + (any.block().end() - 1) + " in every pass";
        return diagram(frame, quantity, title, any.frames(), series);
    }

    private static Figure diagram(
            FigureFrame frame, Quantity quantity, String title, int frames, SequencedMap<String, double[]> series) {
        return curves(frame, title, HeatMapFigures.title(quantity), "key frame", frames, false, series);
    }

    /**
     * Numbers in a row, a curve each.
     *
     * @param valueTitle what they are
     * @param placeTitle what they are of, counted from 0
     * @param frames places
     * @param joined whether a line goes on where a number is missing
     * @param series by name; NaN where there is none
     */
    public static Figure curves(
            FigureFrame frame,
            String title,
            String valueTitle,
            String placeTitle,
            int frames,
            boolean joined,
            SequencedMap<String, double[]> series) {
        Style style = frame.style();
        Canvas canvas = new Canvas(style);
        double top = canvas.title(frame.width(), title, frame.note()) + 2;
        Range range = range(List.copyOf(series.values()));
        double left = style.textSize() + 6 + canvas.textWidth("\u22120.00", style.tickSize()) + 4;
        double legend = series.keySet().stream()
                        .mapToDouble(name -> canvas.textWidth(name, style.tickSize()))
                        .max()
                        .orElse(0)
                + 24;
        double width = frame.width() - left - legend;
        double lineHeight = style.tickSize() * 1.45;
        PanelGrid grid = new PanelGrid(left, top, 1, 1, width, Math.max(width * 0.5, lineHeight * series.size()), 0, 0);
        canvas.group("axes", c -> axes(c, grid, 0, range, frames));
        int index = 0;
        for (var entry : series.entrySet()) {
            int i = index++;
            canvas.group("series-" + i, c -> {
                double[] row = entry.getValue();
                List<Double> points = new ArrayList<>();
                for (int k = 0; k <= frames; k++) {
                    if (k < frames && Double.isInfinite(row[k])) {
                        c.add(new Mark.Dot(
                                left + (k + 0.5) * width / frames,
                                top + grid.height(),
                                style.line() * 2,
                                ColourScale.NOT_FINITE));
                    }
                    if (k < frames && Double.isFinite(row[k])) {
                        double x = left + (k + 0.5) * width / frames;
                        double y = range.position(row[k], top, grid.height());
                        points.add(x);
                        points.add(y);
                        c.add(new Mark.Dot(x, y, style.line() * 1.3, style.series(i)));
                    } else if (!points.isEmpty() && (!joined || k == frames)) {
                        c.add(new Mark.Line(points, style.series(i), style.line(), style.dash(i)));
                        points = new ArrayList<>();
                    }
                }
                double y = top + lineHeight * (i + 0.5);
                c.add(new Mark.Line(
                        List.of(grid.right() + 6, y, grid.right() + 18, y),
                        style.series(i),
                        style.line(),
                        style.dash(i)));
                c.tick(grid.right() + 21, y + style.tickSize() * 0.35, entry.getKey(), Mark.Anchor.START);
            });
        }
        return finish(frame, canvas, grid, valueTitle, placeTitle, title);
    }

    private static void axes(Canvas c, PanelGrid grid, int panel, Range range, int frames) {
        Style style = c.style();
        double x = grid.left(panel);
        double y = grid.top(panel);
        for (double tick : range.ticks(grid.height() > 100 ? 6 : 3)) {
            double at = range.position(tick, y, grid.height());
            c.line(x, at, x + grid.width(), at, style.grid(), 0.5);
            if (grid.isLeftmost(panel)) {
                c.tick(x - 3.5, at + style.tickSize() * 0.35, tickLabel(tick), Mark.Anchor.END);
            }
        }
        c.add(new Mark.Rect(x, y, grid.width(), grid.height(), null, style.rule(), 0.5));
        for (int tick : c.frameTicks(frames, grid.width())) {
            double at = x + (tick + 0.5) * grid.width() / frames;
            c.line(at, y + grid.height(), at, y + grid.height() + 2, style.rule(), 0.5);
            if (grid.isLowest(panel)) {
                double middle = x + c.labelMiddle(tick, grid.width() / frames, grid.width());
                c.tick(middle, y + grid.height() + 3 + style.tickSize(), String.valueOf(tick), Mark.Anchor.MIDDLE);
            }
        }
    }

    /** As short as round numbers allow. */
    private static String tickLabel(double tick) {
        return SvgFigure.number(tick).replace("-", "\u2212");
    }

    private static Figure finish(
            FigureFrame frame, Canvas canvas, PanelGrid grid, String valueTitle, String placeTitle, String title) {
        Style style = frame.style();
        double axisY = grid.bottom() + 3 + style.tickSize() + style.textSize() + 2;
        canvas.label((grid.x() + grid.right()) / 2, axisY, placeTitle, Mark.Anchor.MIDDLE);
        canvas.labelUpwards(style.textSize() + 1, (grid.y() + grid.bottom()) / 2, valueTitle);
        return frame.figure(axisY + 5, title, canvas);
    }
}
