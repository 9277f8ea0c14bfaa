package wan.app.command;

import capture.analysis.Measure;
import capture.analysis.RoleRule;
import java.util.ArrayList;
import java.util.List;

/** The definitions of all measures and rules, as {@code analyze --help} and docs/MEASURES.md have them. */
final class MeasureHelp {
    private MeasureHelp() {}

    /** Lines for the end of the help. Percent signs are doubled for picocli. */
    static List<String> footer() {
        List<String> lines = new ArrayList<>();
        lines.add("");
        lines.add("Measures: l(q,k) is a frame logit, m(q,k) a frame mass; r(k) and p(k) are their means over the frame"
                + " block's query frames, K its attended key frames, e the newest of them. Heads are 0-based; labels such"
                + " as L1H1 are 1-based, as in the papers.");
        for (Measure measure : Measure.values()) {
            lines.add("  " + measure.id() + "  (" + measure.quantity().option() + ")");
            lines.add("      " + measure.definition());
            lines.add("      = " + measure.formula());
            lines.add("      Source: " + measure.source() + ".");
        }
        lines.add("");
        lines.add("Rules for roles:");
        for (RoleRule rule : RoleRule.values()) {
            lines.add("  " + rule.id() + ": " + String.join(", ", rule.names()) + "  ("
                    + rule.quantity().option() + ")");
            lines.add("      " + rule.definition());
            lines.add("      Source: " + rule.source() + ".");
        }
        lines.add("");
        lines.add("Agreement: Spearman's rank correlation and top-k Jaccard index per measure, adjusted Rand index per"
                + " rule, each with a 95 % percentile bootstrap interval over heads.");
        lines.add("Tokens: importance of a cached token is the sum of q.k over the recent queries; a head keeps the C"
                + " most important ones (Deep Forcing, arXiv 2512.05081). The table shows how often each frame's tokens"
                + " are kept.");
        lines.add("");
        lines.add("Examples:");
        lines.add("  wan-attn extract --layer all --what frame-logits,frame-mass \\");
        lines.add("      --output run.safetensors");
        lines.add("  wan-attn analyze run.safetensors");
        lines.add("  wan-attn analyze run.safetensors --format csv --output heads.csv");
        lines.add("  wan-attn analyze seed1.safetensors seed2.safetensors --top 20");
        lines.add("      the agreement of two runs on every measure and role");
        lines.add("  wan-attn analyze run.safetensors --roles forcing-kv \\");
        lines.add("      --roles-csv roles.csv --head-map heads.json");
        lines.add("  wan-attn analyze run.safetensors --tokens --skip-sink 1 --skip-recent 4");
        return lines.stream().map(line -> line.replace("%", "%%")).toList();
    }
}
