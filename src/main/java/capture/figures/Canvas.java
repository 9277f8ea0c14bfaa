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

    /** The figure's title and a smaller line below it, unless the frame has another one or none; returns the height they take. */
    double title(FigureFrame frame, String own) {
        String title = frame.title() == null ? own : frame.title();
        String note = frame.title() == null ? frame.note() : "";
        if (title.isEmpty()) {
            return 4;
        }
        double y = style.titleSize() + 3;
        for (String line : wrapped(title, frame.width() - 8, style.titleSize())) {
            add(new Mark.Text(4, y, line, style.titleSize(), Mark.Anchor.START, true, false, style.ink()));
            y += style.titleSize() * 1.25;
        }
        for (String line : wrapped(note, frame.width() - 8, style.tickSize())) {
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

    /** A tick's label below an axis, read upwards; y is where it ends. */
    void tickUpwards(double x, double y, String text) {
        add(new Mark.Text(x, y, text, style.tickSize(), Mark.Anchor.END, false, true, style.ink()));
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
            bar.heatMap(x, y, width, barHeight, 100, 1, scale, (row, column) -> scale.at((row + 0.5) / 100));
            double labels = 0;
            for (double tick : scale.ticks(Math.clamp(Math.round(barHeight / 25), 2, 8))) {
                labels = Math.max(labels, textWidth(RoundTicks.label(tick), style.tickSize()));
                double at = y + barHeight * (1 - scale.position(tick));
                bar.line(x + width, at, x + width + 2, at, style.rule(), 0.5);
                bar.tick(x + width + 4, at + style.tickSize() * 0.35, RoundTicks.label(tick), Mark.Anchor.START);
            }
            String shown = fitting(title, height);
            boolean isLong = textWidth(shown, style.textSize()) > barHeight;
            if (isLong && masked != null) { // beside the word below the bar, too
                labels = Math.max(labels, textWidth(masked, style.tickSize()));
            }
            double titleX = x + width + 8 + labels + style.textSize();
            bar.labelUpwards(titleX, y + (isLong ? height : barHeight) / 2, shown);
            if (masked != null) {
                bar.add(new Mark.Hatch(x, y + height - 8, width, 8));
                bar.add(new Mark.Rect(x, y + height - 8, width, 8, null, style.rule(), 0.5));
                bar.tick(x + width + 4, y + height - 1.5, masked, Mark.Anchor.START);
            }
        });
    }

    /** A label of an axis, without what stands in brackets if there is no room for that. */
    String fitting(String label, double length) {
        return textWidth(label, style.textSize()) <= length ? label : label.replaceAll(" \\([^)]*\\)", "");
    }

    /** Room that a colour bar takes. */
    double colourBarWidth() {
        return 8 + 8 + style.tickSize() * CHARACTER * 5 + style.textSize() * 1.6 + 6;
    }

    double textWidth(String text, double size) {
        return text.length() * size * CHARACTER;
    }

    /** Round indices, from 0 on, to put ticks at so that their labels, placed by {@link #labelMiddle}, keep clear of each other. */
    List<Integer> frameTicks(int count, double length) {
        double cell = length / count;
        double gap = style.tickSize() * 0.6;
        int step = step((textWidth(String.valueOf(count - 1), style.tickSize()) + gap) / cell);
        List<Integer> ticks = new ArrayList<>();
        double end = -gap;
        for (long i = 0; i < count; i += step) {
            // At the ends labels move inwards, so that they may come closer than their cells.
            double wide = textWidth(String.valueOf(i), style.tickSize());
            double start = labelMiddle((int) i, cell, length) - wide / 2;
            if (start >= end + gap && wide <= length) {
                ticks.add((int) i);
                end = start + wide;
            }
        }
        return ticks;
    }

    /** The smallest of the steps 1, 2, 5, 10, 20, 50, 100, ... that is wide enough. */
    private static int step(double least) {
        for (int decade = 1; decade < 1_000_000_000; decade *= 10) {
            for (int digit : new int[] {1, 2, 5}) {
                if (digit * decade >= least) {
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
