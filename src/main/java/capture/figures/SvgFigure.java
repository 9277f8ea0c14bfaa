package capture.figures;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/** Figures as SVG: text stays text, groups keep their names, cells of one colour share a path. */
public final class SvgFigure {
    private static final int HATCH_STEP = 4;

    private final StringBuilder out = new StringBuilder();
    private final Figure figure;

    private SvgFigure(Figure figure) {
        this.figure = figure;
    }

    /** The document; its size is given in points, so that it prints at its true size. */
    public static String write(Figure figure) {
        return new SvgFigure(figure).document();
    }

    private String document() {
        Style style = figure.style();
        out.append(String.format(
                Locale.ROOT,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%spt\" height=\"%spt\" viewBox=\"0 0 %1$s %2$s\""
                        + " role=\"img\" font-family=\"%s\">%n",
                number(figure.width()),
                number(figure.height()),
                escape(Style.FONTS)));
        out.append("<!-- wan-attn -->\n");
        out.append("<title>").append(escape(figure.title())).append("</title>\n");
        out.append(String.format(
                Locale.ROOT,
                "<defs><pattern id=\"masked\" width=\"%1$d\" height=\"%1$d\" patternUnits=\"userSpaceOnUse\">"
                        + "<path d=\"M-1 1l2-2M0 %1$dl%1$d-%1$dM%2$d %3$dl2-2\" stroke=\"%4$s\" stroke-width=\"0.5\"/>"
                        + "</pattern></defs>%n",
                HATCH_STEP,
                HATCH_STEP - 1,
                HATCH_STEP + 1,
                style.hatch()));
        out.append(String.format(
                Locale.ROOT,
                "<rect id=\"background\" width=\"100%%\" height=\"100%%\" fill=\"%s\"/>%n",
                style.background()));
        figure.marks().forEach(this::write);
        return out.append("</svg>\n").toString();
    }

    private void write(Mark mark) {
        switch (mark) {
            case Mark.Group group -> {
                out.append("<g id=\"").append(escape(group.id())).append("\">\n");
                group.marks().forEach(this::write);
                out.append("</g>\n");
            }
            case Mark.Rect rect ->
                out.append(String.format(
                        Locale.ROOT,
                        "<rect x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\" fill=\"%s\"%s/>%n",
                        number(rect.x()),
                        number(rect.y()),
                        number(rect.width()),
                        number(rect.height()),
                        rect.fill() == null ? "none" : rect.fill(),
                        rect.stroke() == null
                                ? ""
                                : " stroke=\"" + rect.stroke() + "\" stroke-width=\"" + number(rect.strokeWidth())
                                        + '"'));
            case Mark.Hatch hatch ->
                out.append(String.format(
                        Locale.ROOT,
                        "<rect class=\"masked\" x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\" fill=\"url(#masked)\"/>%n",
                        number(hatch.x()),
                        number(hatch.y()),
                        number(hatch.width()),
                        number(hatch.height())));
            case Mark.Cells cells -> write(cells);
            case Mark.Picture picture ->
                out.append(String.format(
                        Locale.ROOT,
                        "<image x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\" preserveAspectRatio=\"none\"%s"
                                + " href=\"%s\"/>%n",
                        number(picture.x()),
                        number(picture.y()),
                        number(picture.width()),
                        number(picture.height()),
                        picture.exact() ? " style=\"image-rendering:pixelated\"" : "",
                        picture.exact() ? Pictures.exactDataUri(picture.image()) : Pictures.dataUri(picture.image())));
            case Mark.Line line -> write(line);
            case Mark.Area area ->
                out.append(String.format(
                        Locale.ROOT,
                        "<polygon points=\"%s\" fill=\"%s\" fill-opacity=\"%s\"/>%n",
                        area.points().stream().map(SvgFigure::number).collect(Collectors.joining(" ")),
                        area.fill(),
                        number(area.opacity())));
            case Mark.Dot dot ->
                out.append(String.format(
                        Locale.ROOT,
                        "<circle cx=\"%s\" cy=\"%s\" r=\"%s\" fill=\"%s\"/>%n",
                        number(dot.x()),
                        number(dot.y()),
                        number(dot.radius()),
                        dot.fill()));
            case Mark.Text text -> write(text);
        }
    }

    /** One path for each colour, in units of cells, drawn without smoothing: no seams between cells. */
    private void write(Mark.Cells cells) {
        Map<String, StringBuilder> paths = new LinkedHashMap<>();
        int columns = cells.columns();
        for (int i = 0; i < cells.colours().size(); ) {
            String colour = cells.colours().get(i);
            int end = i + 1;
            while (end < cells.colours().size()
                    && end % columns != 0
                    && colour != null
                    && colour.equals(cells.colours().get(end))) {
                end++;
            }
            if (colour != null) {
                paths.computeIfAbsent(colour, c -> new StringBuilder())
                        .append('M')
                        .append(i % columns)
                        .append(' ')
                        .append(i / columns)
                        .append('h')
                        .append(end - i)
                        .append("v1h-")
                        .append(end - i)
                        .append('z');
            }
            i = end;
        }
        out.append(String.format(
                Locale.ROOT,
                "<g class=\"cells\" shape-rendering=\"crispEdges\" transform=\"matrix(%s 0 0 %s %s %s)\">%n",
                number(cells.cellWidth()),
                number(cells.cellHeight()),
                number(cells.x()),
                number(cells.y())));
        paths.forEach((colour, path) -> out.append("<path fill=\"")
                .append(colour)
                .append("\" d=\"")
                .append(path)
                .append("\"/>\n"));
        out.append("</g>\n");
    }

    private void write(Mark.Line line) {
        String points = line.points().stream().map(SvgFigure::number).collect(Collectors.joining(" "));
        out.append(String.format(
                Locale.ROOT,
                "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"%s\""
                        + " stroke-linejoin=\"round\"%s/>%n",
                points,
                line.stroke(),
                number(line.width()),
                line.dash() > 0 ? " stroke-dasharray=\"" + number(line.dash()) + "\"" : ""));
    }

    private void write(Mark.Text text) {
        String anchor = switch (text.anchor()) {
            case START -> "";
            case MIDDLE -> " text-anchor=\"middle\"";
            case END -> " text-anchor=\"end\"";
        };
        String x = number(text.x());
        String y = number(text.y());
        out.append(String.format(
                Locale.ROOT,
                "<text x=\"%s\" y=\"%s\" font-size=\"%s\" fill=\"%s\"%s%s%s>%s</text>%n",
                x,
                y,
                number(text.size()),
                text.fill(),
                anchor,
                text.bold() ? " font-weight=\"bold\"" : "",
                text.upwards() ? " transform=\"rotate(-90 " + x + " " + y + ")\"" : "",
                escape(text.text())));
    }

    /** At most three decimals, no trailing zeros. */
    static String number(double value) {
        double rounded = Math.rint(value * 1000) / 1000;
        return rounded == Math.rint(rounded) ? String.valueOf((long) rounded) : String.valueOf(rounded);
    }

    /** Text for element content and attributes; characters that XML does not have become U+FFFD. */
    static String escape(String text) {
        StringBuilder escaped = new StringBuilder();
        text.codePoints().forEach(c -> {
            switch (c) {
                case '&' -> escaped.append("&amp;");
                case '<' -> escaped.append("&lt;");
                case '>' -> escaped.append("&gt;");
                case '"' -> escaped.append("&quot;");
                default -> {
                    boolean control = c < 0x20 && c != '\t' && c != '\n' && c != '\r';
                    boolean surrogate = c >= 0xd800 && c <= 0xdfff;
                    boolean allowed = !control && !surrogate && c != 0xfffe && c != 0xffff;
                    escaped.appendCodePoint(allowed ? c : 0xfffd);
                }
            }
        });
        return escaped.toString();
    }
}
