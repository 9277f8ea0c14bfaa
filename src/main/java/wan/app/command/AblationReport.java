package wan.app.command;

import static wan.app.command.HtmlPage.escaped;

import capture.analysis.Difference;
import capture.analysis.HeadId;
import capture.figures.Figure;
import capture.figures.FigureFrame;
import capture.figures.HeatMapFigures;
import capture.figures.RowFigures;
import capture.figures.ScaleChoice;
import capture.figures.Style;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;
import wan.run.Outcome;

/** Outcomes of edits for readers: a table, CSV, figures, a page. */
final class AblationReport {
    private static final int SHOWN = 24;
    private static final int CURVES = 8;
    private static final double WIDTH = 178 / 25.4 * 72;

    private final List<Outcome> outcomes;
    private final String note;

    /**
     * Reports.
     *
     * @param outcomes in the order of the edits
     * @param note where the numbers come from
     */
    AblationReport(List<Outcome> outcomes, String note) {
        this.outcomes = List.copyOf(outcomes);
        this.note = note;
    }

    /** The strongest effects first; those that are left out are counted. */
    private List<Outcome> strongest() {
        return outcomes.stream()
                .sorted(Comparator.comparingDouble((Outcome outcome) ->
                                outcome.failure().isEmpty() ? -outcome.latents().relativeL2() : 1)
                        .thenComparingInt(outcomes::indexOf))
                .toList();
    }

    void table(PrintStream out) {
        List<HeadId> watched = watched();
        int width = Math.max(
                4,
                outcomes.stream()
                        .mapToInt(outcome -> outcome.variant().name().length())
                        .max()
                        .orElse(4));
        out.printf(
                Locale.ROOT,
                "%-" + width + "s  %11s  %9s  %8s  %11s  %9s",
                "edit",
                "relative L2",
                "cosine",
                "PSNR dB",
                "last frame",
                "computed");
        watched.forEach(head -> out.printf(Locale.ROOT, "  logits %d:%d", head.layer(), head.head()));
        out.println();
        List<Outcome> sorted = isCurve() ? outcomes : strongest();
        for (Outcome outcome : sorted.subList(0, Math.min(SHOWN, sorted.size()))) {
            out.printf(Locale.ROOT, "%-" + width + "s", outcome.variant().name());
            if (outcome.failure().isEmpty()) {
                out.printf(
                        Locale.ROOT,
                        "  %11.3e  %9.6f  %8s  %11.3e  %8.1f%%",
                        outcome.latents().relativeL2(),
                        outcome.latents().cosine(),
                        decibels(outcome.latents()),
                        outcome.frames().getLast().relativeL2(),
                        100 * outcome.computed());
                for (HeadId head : watched) {
                    String name = "logits " + head.layer() + ":" + head.head();
                    out.printf(
                            Locale.ROOT,
                            "  %" + name.length() + ".1e",
                            outcome.watched()
                                    .getOrDefault(head, Difference.NONE)
                                    .relativeL2());
                }
                out.println();
            } else {
                out.println("  " + outcome.failure());
            }
        }
        if (sorted.size() > SHOWN) {
            out.println("... and " + (sorted.size() - SHOWN) + " more, with less effect");
        }
    }

    private static String decibels(Difference difference) {
        return Double.isFinite(difference.psnr()) ? String.format(Locale.ROOT, "%.2f", difference.psnr()) : "inf";
    }

    private List<HeadId> watched() {
        return outcomes.stream()
                .filter(outcome -> !outcome.watched().isEmpty())
                .findFirst()
                .map(outcome -> List.copyOf(outcome.watched().keySet()))
                .orElse(List.of());
    }

    /** A row per edit: its effect, then the relative L2 of every frame. */
    String csv() {
        List<HeadId> watched = watched();
        int frames = outcomes.stream()
                .mapToInt(outcome -> outcome.frames().size())
                .max()
                .orElse(0);
        StringBuilder text = new StringBuilder("edit,layer,head,from,computed,seconds,relative_l2,cosine,psnr,largest");
        watched.forEach(head ->
                text.append(",frame_logits_").append(head.layer()).append('_').append(head.head()));
        for (int frame = 0; frame < frames; frame++) {
            text.append(",frame_").append(frame);
        }
        text.append('\n');
        for (Outcome outcome : outcomes) {
            List<String> cells = new ArrayList<>(List.of(
                    quoted(outcome.variant().name()),
                    outcome.variant().layer() < 0
                            ? ""
                            : String.valueOf(outcome.variant().layer()),
                    outcome.variant().head() < 0
                            ? ""
                            : String.valueOf(outcome.variant().head()),
                    outcome.from(),
                    number(outcome.computed()),
                    number(outcome.seconds())));
            if (outcome.failure().isEmpty()) {
                cells.addAll(List.of(
                        number(outcome.latents().relativeL2()),
                        number(outcome.latents().cosine()),
                        number(outcome.latents().psnr()),
                        number(outcome.latents().largest())));
                watched.forEach(head -> cells.add(number(
                        outcome.watched().getOrDefault(head, Difference.NONE).relativeL2())));
                outcome.frames().forEach(frame -> cells.add(number(frame.relativeL2())));
            }
            text.append(String.join(",", cells)).append('\n');
        }
        return text.toString();
    }

    private static String number(double value) {
        return Double.isFinite(value) ? String.valueOf(value) : value > 0 ? "inf" : "nan";
    }

    private static String quoted(String name) {
        return name.matches("[\\w :.-]*") ? name : '"' + name.replace("\"", "\"\"") + '"';
    }

    /** Whether edits are of more and more heads. */
    private boolean isCurve() {
        return outcomes.size() > 1
                && outcomes.stream()
                        .allMatch(outcome -> outcome.variant().name().matches("\\d+ heads?"));
    }

    private FigureFrame frame() {
        return new FigureFrame(Style.LIGHT, WIDTH, 0, note);
    }

    /** Effect by layer and head; or by the number of heads; null where edits are of neither. */
    @Nullable
    Figure effects() {
        if (isCurve()) {
            int most = outcomes.stream().mapToInt(AblationReport::heads).max().orElse(0);
            double[] all = new double[most + 1];
            double[] last = new double[most + 1];
            Arrays.fill(all, Double.NaN);
            Arrays.fill(last, Double.NaN);
            all[0] = 0;
            last[0] = 0;
            for (Outcome outcome : outcomes) {
                all[heads(outcome)] = value(outcome, o -> o.latents().relativeL2());
                last[heads(outcome)] = value(outcome, o -> o.frames().getLast().relativeL2());
            }
            return RowFigures.curves(
                    frame(),
                    "Change of the latents",
                    "relative L2",
                    "heads edited",
                    most + 1,
                    true,
                    List.of(new RowFigures.Series("all frames", all), new RowFigures.Series("last frame", last)));
        }
        Map<HeadId, Double> values = new LinkedHashMap<>();
        for (Outcome outcome : outcomes) {
            if (outcome.variant().head() >= 0) {
                values.put(
                        new HeadId(outcome.variant().layer(), outcome.variant().head()),
                        value(outcome, o -> o.latents().relativeL2()));
            }
        }
        return values.isEmpty()
                ? null
                : HeatMapFigures.matrix(
                        frame().with(ScaleChoice.fromZero(
                                values.values().stream().mapToDouble(Double::doubleValue))),
                        "change of the latents",
                        "relative L2",
                        false,
                        values);
    }

    private static int heads(Outcome outcome) {
        return Integer.parseInt(outcome.variant().name().split(" ", -1)[0]);
    }

    private static double value(Outcome outcome, ToDoubleFunction<Outcome> of) {
        return outcome.failure().isEmpty() ? of.applyAsDouble(outcome) : Double.POSITIVE_INFINITY;
    }

    /** The drift of frames under the strongest edits. */
    @Nullable
    Figure drift() {
        List<RowFigures.Series> series = new ArrayList<>();
        for (Outcome outcome : strongest()) {
            if (outcome.failure().isEmpty() && series.size() < CURVES) {
                series.add(new RowFigures.Series(
                        outcome.variant().name(),
                        outcome.frames().stream()
                                .mapToDouble(Difference::relativeL2)
                                .toArray()));
            }
        }
        if (series.isEmpty()) {
            return null;
        }
        return RowFigures.curves(
                frame(),
                "Drift of frames from the unedited run, the strongest edits",
                "relative L2 of the frame",
                "frame",
                series.getFirst().values().length,
                false,
                series);
    }

    /** A page with the figures and all numbers, which needs nothing else. */
    String page(String title, String run) {
        StringBuilder html = new StringBuilder();
        html.append("<h2>Every edit</h2>\n<table>\n<tr><th>edit</th><th>relative L2</th><th>cosine</th>")
                .append("<th>PSNR dB</th><th>last frame</th><th>computed</th>");
        List<HeadId> watched = watched();
        watched.forEach(head -> html.append("<th>logits of ")
                .append(head.layer())
                .append(':')
                .append(head.head())
                .append("</th>"));
        html.append("</tr>\n");
        for (Outcome outcome : isCurve() ? outcomes : strongest()) {
            html.append("<tr><td>").append(escaped(outcome.variant().name())).append("</td>");
            if (outcome.failure().isEmpty()) {
                html.append(String.format(
                        Locale.ROOT,
                        "<td>%.3e</td><td>%.6f</td><td>%s</td><td>%.3e</td><td>%.1f%%</td>",
                        outcome.latents().relativeL2(),
                        outcome.latents().cosine(),
                        decibels(outcome.latents()),
                        outcome.frames().getLast().relativeL2(),
                        100 * outcome.computed()));
                watched.forEach(head -> html.append(String.format(
                        Locale.ROOT,
                        "<td>%.1e</td>",
                        outcome.watched().getOrDefault(head, Difference.NONE).relativeL2())));
            } else {
                html.append("<td>").append(escaped(outcome.failure())).append("</td>");
            }
            html.append("</tr>\n");
        }
        html.append("</table>\n<h2>The run</h2>\n<pre>").append(escaped(run)).append("</pre>\n");
        return HtmlPage.of(title, note, figures(), html.toString());
    }

    private List<Figure> figures() {
        List<Figure> figures = new ArrayList<>();
        Figure effects = effects();
        if (effects != null) {
            figures.add(effects);
        }
        Figure drift = drift();
        if (drift != null) {
            figures.add(drift);
        }
        return figures;
    }
}
