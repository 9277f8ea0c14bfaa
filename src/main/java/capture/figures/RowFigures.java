package capture.figures;

import capture.analysis.HeadView;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.op.Quantity;

/** Figures of what one frame block attends to: a value per key frame. */
public final class RowFigures {
    private RowFigures() {}

    /**
     * Numbers in a row, by key frame or another place.
     *
     * @param name for legends and panels
     * @param values NaN where there is none, infinity for a number that should be there and is none
     * @param spread half of the band around each of them; null for none
     */
    @SuppressWarnings("ArrayRecordComponent") // a view, compared by nobody
    public record Series(String name, double[] values, double @Nullable [] spread) {
        /** A series without a band. */
        public Series(String name, double[] values) {
            this(name, values, null);
        }

        double spreadAt(int place) {
            return spread != null && Double.isFinite(spread[place]) ? spread[place] : 0;
        }
    }

    /** A head's numbers by key frame, of one frame block: NaN for what was not attended, infinity for a number that should be there and is none. */
    public static double[] row(Quantity quantity, HeadView view) {
        double[] row = (quantity == Quantity.FRAME_MASS ? view.massRow() : view.logitRow()).clone();
        for (int k : view.keyFrames()) {
            row[k] = Double.isFinite(row[k]) ? row[k] : Double.POSITIVE_INFINITY;
        }
        return row;
    }

    /** A number with as many digits as a reader wants. */
    public static String number(double value) {
        return Canvas.number(value);
    }

    private static Range range(List<Series> series) {
        double low = 0;
        double high = 0;
        for (Series each : series) {
            for (int i = 0; i < each.values.length; i++) {
                if (Double.isFinite(each.values[i])) {
                    low = Math.min(low, each.values[i] - each.spreadAt(i));
                    high = Math.max(high, each.values[i] + each.spreadAt(i));
                }
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
    }

    /**
     * A bar chart for each of some heads.
     *
     * @param valueTitle what the numbers are
     * @param frames key frames
     * @param heads their numbers by key frame
     */
    public static Figure bars(FigureFrame frame, String title, String valueTitle, int frames, List<Series> heads) {
        Style style = frame.style();
        Canvas canvas = new Canvas(style);
        double top = canvas.title(frame, title);
        Range range = range(heads);
        double left = style.textSize() + 6 + canvas.textWidth("\u22120.00", style.tickSize()) + 4;
        int columns = frame.columns(heads.size(), frame.width() > 300 ? 4 : 3);
        double titleHeight = style.tickSize() * 1.4;
        double width = (frame.width() - left - 6 - 7.0 * (columns - 1)) / columns;
        PanelGrid grid =
                new PanelGrid(left, top + titleHeight, columns, heads.size(), width, width * 0.62, 7, titleHeight + 6);
        for (int p = 0; p < heads.size(); p++) {
            int panel = p;
            Series head = heads.get(p);
            canvas.group("panel-" + p, c -> {
                // Where there is no room the name alone stays.
                boolean fits = c.textWidth(head.name, style.tickSize()) <= width + 6;
                c.panelTitle(
                        grid.left(panel) + width / 2,
                        grid.top(panel) - 2.5,
                        fits ? head.name : head.name.replaceFirst(",.*", ""));
                axes(c, grid, panel, range, frames);
                double zero = range.position(0, grid.top(panel), grid.height());
                double step = width / frames;
                for (int k = 0; k < frames; k++) {
                    double value = head.values[k];
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
                        if (head.spread != null) {
                            double low = range.position(value - head.spreadAt(k), grid.top(panel), grid.height());
                            double high = range.position(value + head.spreadAt(k), grid.top(panel), grid.height());
                            c.line(x + 0.4 * step, low, x + 0.4 * step, high, style.ink(), 0.6);
                        }
                    }
                }
                c.line(grid.left(panel), zero, grid.left(panel) + width, zero, style.rule(), 0.5);
            });
        }
        return finish(frame, canvas, grid, valueTitle, "key frame", title);
    }

    /**
     * Numbers in a row, a curve each.
     *
     * @param valueTitle what they are
     * @param placeTitle what they are of, counted from 0
     * @param frames places
     * @param joined whether a line goes on where a number is missing
     * @param series drawn with their bands, if they have some
     */
    public static Figure curves(
            FigureFrame frame,
            String title,
            String valueTitle,
            String placeTitle,
            int frames,
            boolean joined,
            List<Series> series) {
        Style style = frame.style();
        Canvas canvas = new Canvas(style);
        double top = canvas.title(frame, title) + 2;
        Range range = range(series);
        double left = style.textSize() + 6 + canvas.textWidth("\u22120.00", style.tickSize()) + 4;
        double legend = series.stream()
                        .mapToDouble(each -> canvas.textWidth(each.name, style.tickSize()))
                        .max()
                        .orElse(0)
                + 24;
        double width = frame.width() - left - legend;
        double lineHeight = style.tickSize() * 1.45;
        PanelGrid grid = new PanelGrid(left, top, 1, 1, width, Math.max(width * 0.5, lineHeight * series.size()), 0, 0);
        canvas.group("axes", c -> axes(c, grid, 0, range, frames));
        for (int index = 0; index < series.size(); index++) {
            int i = index;
            Series each = series.get(i);
            canvas.group("series-" + i, c -> {
                double[] row = each.values;
                if (each.spread != null) {
                    band(c, grid, range, each, style.series(i));
                }
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
                c.tick(grid.right() + 21, y + style.tickSize() * 0.35, each.name, Mark.Anchor.START);
            });
        }
        return finish(frame, canvas, grid, valueTitle, placeTitle, title);
    }

    /** What lies between value - spread and value + spread, run by run of neighbours. */
    private static void band(Canvas c, PanelGrid grid, Range range, Series series, String colour) {
        int places = series.values.length;
        double step = grid.width() / places;
        for (int from = 0; from < places; from++) {
            if (!Double.isFinite(series.values[from])) {
                continue;
            }
            int to = from;
            while (to < places && Double.isFinite(series.values[to])) {
                to++;
            }
            List<Double> outline = new ArrayList<>();
            for (int k = from; k < to; k++) {
                outline.add(grid.x() + (k + 0.5) * step);
                outline.add(range.position(series.values[k] + series.spreadAt(k), grid.y(), grid.height()));
            }
            for (int k = to - 1; k >= from; k--) {
                outline.add(grid.x() + (k + 0.5) * step);
                outline.add(range.position(series.values[k] - series.spreadAt(k), grid.y(), grid.height()));
            }
            c.add(new Mark.Area(outline, colour, 0.2));
            from = to;
        }
    }

    private static void axes(Canvas c, PanelGrid grid, int panel, Range range, int frames) {
        Style style = c.style();
        double x = grid.left(panel);
        double y = grid.top(panel);
        for (double tick : RoundTicks.within(range.low(), range.high(), grid.height() > 100 ? 6 : 3)) {
            double at = range.position(tick, y, grid.height());
            c.line(x, at, x + grid.width(), at, style.grid(), 0.5);
            if (grid.isLeftmost(panel)) {
                c.tick(x - 3.5, at + style.tickSize() * 0.35, RoundTicks.label(tick), Mark.Anchor.END);
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

    private static Figure finish(
            FigureFrame frame, Canvas canvas, PanelGrid grid, String valueTitle, String placeTitle, String title) {
        Style style = frame.style();
        double axisY = grid.bottom() + 3 + style.tickSize() + style.textSize() + 2;
        canvas.label((grid.x() + grid.right()) / 2, axisY, placeTitle, Mark.Anchor.MIDDLE);
        canvas.labelUpwards(
                style.textSize() + 1,
                (grid.y() + grid.bottom()) / 2,
                canvas.fitting(valueTitle, grid.bottom() - grid.y() + 20));
        return frame.figure(axisY + 5, title, canvas);
    }
}
