package wan.app.command;

import capture.analysis.HeadId;
import capture.analysis.RunsSummary;
import java.io.PrintWriter;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/** How {@code analyze} shows many runs: on one screen, or as JSON with every head. */
record RunsReport(RunsSummary summary) {
    private static final int MOST_MEASURES = 22;
    private static final int MOST_HEADS = 8;

    /** At most 40 lines. */
    void table(PrintWriter out) {
        out.printf(
                Locale.ROOT,
                "%d runs of %d prompts, %d heads that all have%n%n",
                summary.runs(),
                summary.prompts(),
                summary.heads().size());
        out.println(
                "                              sd between  sd between   Spearman of two runs [95 % interval over prompts]");
        out.println("measure                 mean       heads        runs  same prompt             other prompt");
        summary.measures().stream()
                .limit(MOST_MEASURES)
                .forEach(each -> out.printf(
                        Locale.ROOT,
                        "%-18s %9s %11s %11s  %-23s %s%n",
                        each.measure().id(),
                        number(each.mean()),
                        number(each.betweenHeads()),
                        number(each.betweenRuns()),
                        number(each.spearman().within(), each.spearman().withinInterval()),
                        number(each.spearman().across(), each.spearman().acrossInterval())));
        if (!summary.rules().isEmpty()) {
            out.printf(
                    Locale.ROOT,
                    "%n                 stable   adjusted Rand of two runs%nroles             heads  same prompt"
                            + "             other prompt            consensus%n");
            summary.rules()
                    .forEach(rule -> out.printf(
                            Locale.ROOT,
                            "%-16s %6d  %-23s %-23s %s%n",
                            rule.rule().id(),
                            rule.stable(),
                            number(
                                    rule.adjustedRand().within(),
                                    rule.adjustedRand().withinInterval()),
                            number(
                                    rule.adjustedRand().across(),
                                    rule.adjustedRand().acrossInterval()),
                            rule.consensus().entrySet().stream()
                                    .map(entry -> entry.getValue() + " " + entry.getKey())
                                    .collect(Collectors.joining(", "))));
            String heads = summary.unstable(MOST_HEADS).stream()
                    .map(entry -> entry.getKey().label() + " "
                            + String.format(Locale.ROOT, "%.0f %%", 100 * entry.getValue()))
                    .collect(Collectors.joining(", "));
            out.printf(
                    Locale.ROOT,
                    "%nleast stable heads (runs that agree on their role, mean over rules): %s%n",
                    heads.isEmpty() ? "none" : heads);
        }
        out.printf(
                Locale.ROOT,
                "stable: the same role in %.0f %% of the runs. --compare runs shows every pair, --format csv every head.%n",
                100 * RunsSummary.STABLE);
    }

    /** Everything, unrounded. */
    void json(ObjectNode node) {
        node.put("runs", summary.runs()).put("prompts", summary.prompts());
        ObjectNode measures = node.putObject("measures");
        for (RunsSummary.OfMeasure each : summary.measures()) {
            ObjectNode measure = measures.putObject(each.measure().id())
                    .put("mean", finite(each.mean()))
                    .put("sd_between_heads", finite(each.betweenHeads()))
                    .put("sd_between_runs", finite(each.betweenRuns()));
            pairs(measure.putObject("spearman"), each.spearman());
        }
        ObjectNode rules = node.putObject("rules");
        for (RunsSummary.OfRule each : summary.rules()) {
            ObjectNode rule = rules.putObject(each.rule().id()).put("stable_heads", each.stable());
            ObjectNode consensus = rule.putObject("consensus");
            each.consensus().forEach(consensus::put);
            pairs(rule.putObject("adjusted_rand"), each.adjustedRand());
            ObjectNode shares = rule.putObject("share_of_runs");
            for (int h = 0; h < summary.heads().size(); h++) {
                shares.put(summary.heads().get(h).label(), each.shares().get(h));
            }
        }
        ObjectNode unstable = node.putObject("unstable");
        for (Map.Entry<HeadId, Double> entry : summary.unstable(summary.heads().size())) {
            unstable.put(entry.getKey().label(), entry.getValue());
        }
    }

    private static void pairs(ObjectNode node, RunsSummary.Pairs pairs) {
        node.put("same_prompt", finite(pairs.within())).put("other_prompt", finite(pairs.across()));
        node.putArray("same_prompt_interval")
                .add(finite(pairs.withinInterval().low()))
                .add(finite(pairs.withinInterval().high()));
        node.putArray("other_prompt_interval")
                .add(finite(pairs.acrossInterval().low()))
                .add(finite(pairs.acrossInterval().high()));
    }

    private static @Nullable Double finite(double value) {
        return Double.isNaN(value) ? null : (Double) value;
    }

    private static String number(double value, RunsSummary.Interval interval) {
        return Double.isNaN(interval.low())
                ? number(value)
                : String.format(Locale.ROOT, "%.4f [%.3f, %.3f]", value, interval.low(), interval.high());
    }

    private static String number(double value) {
        return Double.isNaN(value) ? "-" : String.format(Locale.ROOT, "%.4f", value);
    }
}
