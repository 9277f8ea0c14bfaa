package capture.figures;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Collects marks in one style. */
final class Canvas {
    /** Mean width of a character of the fonts, as a share of their size; on the safe side. */
    private static final double CHARACTER = 0.6;

    private final Style style;
    private final List<Mark> marks = new ArrayList<>();

    Canvas(Style style) {
        this.style = style;
    }

    Style style() {
        return style;
    }

    List<Mark> marks() {
        return marks;
    }

    void add(Mark mark) {
        marks.add(mark);
    }

    void group(String id, Consumer<Canvas> content) {
        Canvas inner = new Canvas(style);
        content.accept(inner);
        add(new Mark.Group(id, inner.marks));
    }

    void line(double x1, double y1, double x2, double y2, String stroke, double width) {
        add(Mark.Line.of(x1, y1, x2, y2, stroke, width));
    }

    /** The figure's title and a smaller line below it; returns the height they take. */
    double title(double width, String title, String note) {
        double y = style.titleSize() + 3;
        for (String line : wrapped(title, width - 8, style.titleSize())) {
            add(new Mark.Text(4, y, line, style.titleSize(), Mark.Anchor.START, true, false, style.ink()));
            y += style.titleSize() * 1.25;
        }
        for (String line : wrapped(note, width - 8, style.tickSize())) {
            add(new Mark.Text(4, y, line, style.tickSize(), Mark.Anchor.START, false, false, style.muted()));
            y += style.tickSize() * 1.35;
        }
        return y + 1;
    }

    void label(double x, double y, String text, Mark.Anchor anchor) {
        add(new Mark.Text(x, y, text, style.textSize(), anchor, false, false, style.muted()));
    }

    void panelTitle(double x, double y, String text) {
        add(new Mark.Text(x, y, text, style.tickSize(), Mark.Anchor.MIDDLE, true, false, style.ink()));
    }

    void labelUpwards(double x, double y, String text) {
        add(new Mark.Text(x, y, text, style.textSize(), Mark.Anchor.MIDDLE, false, true, style.muted()));
    }

    void tick(double x, double y, String text, Mark.Anchor anchor) {
        add(new Mark.Text(x, y, text, style.tickSize(), anchor, false, false, style.ink()));
    }

    /** A frame-by-frame matrix, first row at the bottom; what is NaN shows the hatching behind. */
    void heatMap(double x, double y, double width, double height, int rows, int columns, ColourScale scale, Values at) {
        add(new Mark.Hatch(x, y, width, height));
        List<@Nullable String> colours = new ArrayList<>();
        for (int row = rows - 1; row >= 0; row--) {
            for (int column = 0; column < columns; column++) {
                colours.add(scale.colour(at.get(row, column)));
            }
        }
        add(new Mark.Cells(x, y, width / columns, height / rows, columns, colours));
        add(new Mark.Rect(x, y, width, height, null, style.rule(), 0.5));
    }

    /** One value of a matrix. */
    interface Values {
        double get(int row, int column);
    }

    /** The one colour bar of a figure, with what hatching means below. */
    void colourBar(double x, double y, double height, ColourScale scale, String title, @Nullable String masked) {
        group("colour-bar", bar -> {
            double width = 8;
            double barHeight = masked == null ? height : height - 14;
            bar.heatMap(
                    x,
                    y,
                    width,
                    barHeight,
                    100,
                    1,
                    scale,
                    (row, column) -> scale.low() + (scale.limit() - scale.low()) * (row + 0.5) / 100);
            double[] ticks = scale.signed()
                    ? new double[] {-scale.limit(), -scale.limit() / 2, 0, scale.limit() / 2, scale.limit()}
                    : new double[] {0, scale.limit() / 2, scale.limit()};
            for (double tick : ticks) {
                double at = y + barHeight * (1 - (tick - scale.low()) / (scale.limit() - scale.low()));
                bar.line(x + width, at, x + width + 2, at, style.rule(), 0.5);
                bar.tick(x + width + 4, at + style.tickSize() * 0.35, number(tick), Mark.Anchor.START);
            }
            double titleX = x + width + 8 + style.tickSize() * CHARACTER * 5 + style.textSize();
            bar.labelUpwards(titleX, y + barHeight / 2, title);
            if (masked != null) {
                bar.add(new Mark.Hatch(x, y + height - 8, width, 8));
                bar.add(new Mark.Rect(x, y + height - 8, width, 8, null, style.rule(), 0.5));
                bar.tick(x + width + 4, y + height - 1.5, masked, Mark.Anchor.START);
            }
        });
    }

    /** Room that a colour bar takes. */
    double colourBarWidth() {
        return 8 + 8 + style.tickSize() * CHARACTER * 5 + style.textSize() * 1.6 + 6;
    }

    double textWidth(String text, double size) {
        return text.length() * size * CHARACTER;
    }

    /** Indices to put ticks at so that their labels, placed by {@link #labelMiddle}, fit: the last one has one, none has if that is wider than the axis. */
    List<Integer> frameTicks(int count, double length) {
        int last = count - 1;
        double cell = length / count;
        double room = textWidth(String.valueOf(last), style.tickSize()) + style.tickSize() * 0.6;
        List<Integer> ticks = new ArrayList<>();
        if (textWidth(String.valueOf(last), style.tickSize()) > length) {
            return ticks;
        }
        int step = step(room / cell);
        for (long i = 0; i < last; i += step) {
            ticks.add((int) i);
        }
        double end = labelMiddle(last, cell, length);
        while (!ticks.isEmpty() && end - labelMiddle(ticks.getLast(), cell, length) < room) {
            ticks.removeLast();
        }
        ticks.add(last);
        return ticks;
    }

    /** The smallest of the steps 1, 2, 3, 5, 10, 20, 50, 100, ... that is wide enough. */
    private static int step(double least) {
        for (int decade = 1; decade < 1_000_000_000; decade *= 10) {
            for (int digit : new int[] {1, 2, 3, 5}) {
                if (digit * decade >= least && (digit != 3 || decade == 1)) {
                    return digit * decade;
                }
            }
        }
        return Integer.MAX_VALUE;
    }

    /**
     * Where the middle of a tick's label stands: at its cell, but within the axis, so that it keeps clear of what lies beside it.
     *
     * @param index of the cell
     * @param cell width of a cell
     * @param length of the axis
     * @return from the beginning of the axis
     */
    double labelMiddle(int index, double cell, double length) {
        double half = textWidth(String.valueOf(index), style.tickSize()) / 2;
        return Math.clamp((index + 0.5) * cell, half, Math.max(half, length - half));
    }

    /** A number with as many digits as a reader wants. */
    static String number(double value) {
        double size = Math.abs(value);
        String text = size == 0
                ? "0"
                : size >= 100
                        ? String.format(Locale.ROOT, "%.0f", value)
                        : size >= 10
                                ? String.format(Locale.ROOT, "%.1f", value)
                                : size >= 0.01
                                        ? String.format(Locale.ROOT, "%.2f", value)
                                        : String.format(Locale.ROOT, "%.1e", value);
        return text.replace("-", "\u2212");
    }

    private static List<String> wrapped(String text, double width, double size) {
        List<String> lines = new ArrayList<>();
        int most = Math.max(8, (int) (width / (size * CHARACTER)));
        StringBuilder line = new StringBuilder();
        for (String word : text.split(" ", -1)) {
            if (!line.isEmpty() && line.length() + 1 + word.length() > most) {
                lines.add(line.toString());
                line.setLength(0);
            }
            line.append(line.isEmpty() ? "" : " ").append(word);
        }
        if (!line.isEmpty()) {
            lines.add(line.length() > most ? line.substring(0, most - 1) + "\u2026" : line.toString());
        }
        return lines;
    }
}
