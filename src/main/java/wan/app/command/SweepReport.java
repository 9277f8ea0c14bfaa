package wan.app.command;

import static wan.app.command.HtmlPage.escaped;

import capture.analysis.Analysis;
import capture.analysis.Measure;
import capture.analysis.MeasureOptions;
import capture.analysis.RoleOptions;
import capture.analysis.RoleRule;
import capture.analysis.Roles;
import capture.analysis.RunsSummary;
import capture.analysis.SavedResult;
import capture.figures.Figure;
import capture.figures.FigureFrame;
import capture.figures.HeatMapFigures;
import capture.figures.ScaleChoice;
import capture.figures.Style;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.DoubleStream;
import wan.op.WanException;
import wan.sweep.SweepFolder;
import wan.sweep.SweepRun;

/**
 * Head measures over a sweep: measures over its runs, how far these agree, roles that are stable and roles that are not.
 *
 * @param note what was run
 * @param summary of the results that are there
 */
record SweepReport(SweepFolder folder, String note, RunsSummary summary) {
    private static final int MOST_RUNS = 1000;
    private static final double PAGE_WIDTH = 620;

    /** Reads all results, one after the other. */
    static SweepReport of(Path root, String pass, String frameBlock, MeasureOptions measures, RoleOptions options) {
        SweepFolder folder = SweepFolder.open(root);
        List<RunsSummary.Run> runs = new ArrayList<>();
        for (Path file : SweepResults.inPlaceOfFolders(List.of(root))) {
            try (SavedResult result = SavedResult.open(file)) {
                Analysis analysis = Analysis.of(result, result.slot(pass), result.frameBlock(frameBlock), measures);
                List<Roles> roles = Arrays.stream(RoleRule.values())
                        .map(rule -> rule.of(analysis, options))
                        .filter(each -> each.roles().stream().anyMatch(Objects::nonNull))
                        .toList();
                runs.add(RunsSummary.Run.of(
                        analysis, analysis.measures(), roles, result.info().text("prompt")));
            }
        }
        if (runs.size() < 2) {
            throw new WanException(root + ": expected two results or more to compare, got " + runs.size());
        }
        String note = runs.size() + " of " + folder.runs().size() + " runs of the sweep "
                + String.valueOf(root.toAbsolutePath().normalize().getFileName()) + ", "
                + (pass.equals("first") ? "first pass" : "pass " + pass) + ", mean over runs";
        return new SweepReport(folder, note, RunsSummary.of(runs));
    }

    /** A measure of every head, mean over the runs. */
    Figure measure(FigureFrame frame, Measure wanted) {
        RunsSummary.OfMeasure found = summary.measures().stream()
                .filter(each -> each.measure() == wanted)
                .findFirst()
                .orElseThrow(() -> new WanException("--measure " + wanted.id() + ": " + folder.root()
                        + " has no value for it in all runs; extract with --what "
                        + wanted.quantity().option()));
        return HeatMapFigures.matrix(
                frame, wanted.title(), wanted.title(), wanted.signed(), summary.byHead(found.means()));
    }

    /** How many of the runs agree on each head's role. */
    Figure stability(FigureFrame frame) {
        return HeatMapFigures.matrix(
                frame.with(ScaleChoice.fromZero(DoubleStream.of(1))),
                "share of the runs that agree on the role",
                "share of runs",
                false,
                summary.stability());
    }

    /** The page: its overview is the sweep. */
    String page(Style style) {
        FigureFrame frame = new FigureFrame(style, PAGE_WIDTH, 0, note);
        List<Figure> figures = new ArrayList<>();
        if (!summary.rules().isEmpty()) {
            figures.add(stability(frame));
        }
        summary.measures().forEach(each -> figures.add(measure(frame, each.measure())));
        StringWriter text = new StringWriter();
        PrintWriter table = new PrintWriter(text);
        new RunsReport(summary).table(table);
        table.flush();
        StringBuilder html = new StringBuilder();
        html.append("<h2>Agreement</h2>\n<pre>")
                .append(escaped(text.toString()))
                .append("</pre>\n");
        html.append("<h2>Runs</h2>\n<table>\n<tr><th>run</th>");
        folder.sweep()
                .axes()
                .forEach(
                        axis -> html.append("<th>").append(escaped(axis.name())).append("</th>"));
        html.append("<th>state</th></tr>\n");
        Set<String> done = new HashSet<>(folder.done());
        for (SweepRun run : folder.runs().stream().limit(MOST_RUNS).toList()) {
            html.append("<tr><td>").append(run.id()).append("</td>");
            run.point()
                    .values()
                    .forEach(label -> html.append("<td>").append(escaped(label)).append("</td>"));
            html.append("<td>")
                    .append(done.contains(run.id()) ? "done" : "not done")
                    .append("</td></tr>\n");
        }
        html.append("</table>\n");
        if (folder.runs().size() > MOST_RUNS) {
            html.append("<p>and ").append(folder.runs().size() - MOST_RUNS).append(" more</p>\n");
        }
        html.append("<p>wan-attn report runs/ID.safetensors opens one run with all its heads.</p>\n");
        return HtmlPage.of("Head measures over a sweep", note, figures, html.toString());
    }
}
