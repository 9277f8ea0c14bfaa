package wan.app.command;

import capture.figures.Figure;
import capture.figures.SvgFigure;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import wan.run.Program;

/** A page of figures and tables in one file, which loads nothing. */
final class HtmlPage {
    private HtmlPage() {}

    /**
     * The whole page.
     *
     * @param body what comes behind the figures, HTML
     */
    static String of(String title, String note, List<Figure> figures, String body) {
        StringBuilder html = new StringBuilder();
        html.append("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
                .append("<meta name=\"generator\" content=\"wan-attn\">\n")
                .append(
                        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n")
                .append("<title>")
                .append(escaped(title))
                .append("</title>\n<style>\n")
                .append("body{font:15px/1.5 sans-serif;margin:2em auto;max-width:60em;padding:0 1em;color:#222}\n")
                .append("table{border-collapse:collapse;font-variant-numeric:tabular-nums}\n")
                .append("td,th{padding:.15em .7em;border-bottom:1px solid #ddd;text-align:right}\n")
                .append("td:first-child,th:first-child{text-align:left}\nimg{max-width:100%;height:auto}\n")
                .append("pre{white-space:pre-wrap}\n</style>\n</head>\n<body>\n<h1>")
                .append(escaped(title))
                .append("</h1>\n<p>")
                .append(escaped(note))
                .append("</p>\n");
        for (Figure figure : figures) {
            String svg =
                    Base64.getEncoder().encodeToString(SvgFigure.write(figure).getBytes(StandardCharsets.UTF_8));
            html.append("<p><img alt=\"")
                    .append(escaped(figure.title()))
                    .append("\" src=\"data:image/svg+xml;base64,")
                    .append(svg)
                    .append("\"></p>\n");
        }
        return html.append(body)
                .append("<p>wan-attn ")
                .append(escaped(Program.version()))
                .append("</p>\n</body>\n</html>\n")
                .toString();
    }

    /** Text as HTML. */
    static String escaped(String text) {
        return text.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }
}
