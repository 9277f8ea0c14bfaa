package wan.app.command;

import capture.analysis.Agreement;
import capture.analysis.Analysis;
import capture.analysis.HeadId;
import capture.analysis.HeadView;
import capture.analysis.Measure;
import capture.analysis.RoleOptions;
import capture.analysis.RoleRule;
import capture.analysis.Roles;
import capture.analysis.TokenImportance;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import wan.op.WanException;

/**
 * The findings of {@code analyze}, in three output formats.
 *
 * @param looks the runs
 * @param roleOptions the constants of the rules
 * @param pairs compared looks
 * @param rounds of the bootstrap
 * @param seed of the bootstrap
 * @param tokens one for each run, or none
 */
record AnalysisReport(
        List<Heads> looks,
        RoleOptions roleOptions,
        List<Pair> pairs,
        int rounds,
        long seed,
        List<TokenImportance> tokens) {
    /**
     * The heads of one run in one pass.
     *
     * @param measures that are shown
     * @param roles by every rule that is shown
     */
    record Heads(Analysis analysis, List<Measure> measures, List<Roles> roles) {
        String name() {
            return analysis.run() + " " + analysis.slot();
        }
    }

    /**
     * How two looks agree.
     *
     * @param top heads of the Jaccard index
     * @param spearman by measure
     * @param jaccard by measure
     * @param rand adjusted, by rule
     */
    record Pair(
            String a,
            String b,
            int top,
            Map<Measure, Agreement.Estimate> spearman,
            Map<Measure, Agreement.Estimate> jaccard,
            Map<RoleRule, Agreement.Estimate> rand) {
        static Pair of(Heads a, Heads b, @Nullable Integer wantedTop, int rounds, long seed) {
            Map<HeadId, Integer> inA = a.analysis().positions();
            Map<HeadId, Integer> inB = b.analysis().positions();
            List<HeadId> shared = inA.keySet().stream().filter(inB::containsKey).toList();
            if (shared.size() < 2) {
                throw new WanException(a.name() + ", " + b.name() + ": expected at least two heads that both have, got "
                        + shared.size());
            }
            int[] atA = shared.stream().mapToInt(inA::get).toArray();
            int[] atB = shared.stream().mapToInt(inB::get).toArray();
            int top = wantedTop != null ? wantedTop : Math.max(1, Math.round(shared.size() / 10f));
            Map<Measure, Agreement.Estimate> spearman = new LinkedHashMap<>();
            Map<Measure, Agreement.Estimate> jaccard = new LinkedHashMap<>();
            for (Measure measure : a.measures()) {
                double[] x = Agreement.pick(a.analysis().measure(measure), atA);
                double[] y = Agreement.pick(b.analysis().measure(measure), atB);
                int[] known = Agreement.pairs(x, y);
                double[] left = Agreement.pick(x, known);
                double[] right = Agreement.pick(y, known);
                spearman.put(
                        measure,
                        Agreement.bootstrap(
                                known.length,
                                rounds,
                                seed,
                                at -> Agreement.spearman(Agreement.pick(left, at), Agreement.pick(right, at))));
                jaccard.put(
                        measure,
                        Agreement.bootstrap(
                                known.length,
                                rounds,
                                seed,
                                at -> Agreement.topJaccard(Agreement.pick(left, at), Agreement.pick(right, at), top)));
            }
            Map<RoleRule, Agreement.Estimate> rand = new LinkedHashMap<>();
            for (Roles roles : a.roles()) {
                b.roles().stream()
                        .filter(other -> other.rule() == roles.rule())
                        .findFirst()
                        .ifPresent(other -> {
                            List<@Nullable String> x = Agreement.pick(roles.roles(), atA);
                            List<@Nullable String> y = Agreement.pick(other.roles(), atB);
                            rand.put(
                                    roles.rule(),
                                    Agreement.bootstrap(
                                            x.size(),
                                            rounds,
                                            seed,
                                            at -> Agreement.adjustedRand(
                                                    Agreement.pick(x, at), Agreement.pick(y, at))));
                        });
            }
            return new Pair(a.name(), b.name(), top, spearman, jaccard, rand);
        }
    }

    /** Everything as tables for a terminal. */
    void table(PrintWriter out) {
        for (int i = 0; i < looks.size(); i++) {
            Heads look = looks.get(i);
            Analysis analysis = look.analysis();
            out.printf(
                    Locale.ROOT,
                    "%s: %d heads, %s, queries of frame block %d (frames %d to %d)%n",
                    analysis.run(),
                    analysis.heads().size(),
                    analysis.slot(),
                    analysis.block().index(),
                    analysis.block().first(),
                    analysis.block().end() - 1);
            List<List<String>> rows = rows(look, false);
            print(out, rows);
            for (Roles roles : look.roles()) {
                out.printf(Locale.ROOT, "%n%s: %s%n", roles.rule().id(), counts(roles));
                out.println("  " + constants(roles.rule()));
            }
            if (i < tokens.size()) {
                out.println();
                tokenTable(out, tokens.get(i));
            }
            out.println();
        }
        for (Pair pair : pairs) {
            out.printf(
                    Locale.ROOT,
                    "agreement of %s and %s, 95 %% intervals from %d draws of heads%n",
                    pair.a(),
                    pair.b(),
                    rounds);
            List<List<String>> rows = new ArrayList<>();
            rows.add(List.of("", "Spearman", "interval", "Jaccard of top " + pair.top(), "interval", "heads"));
            pair.spearman().forEach((measure, rho) -> {
                Agreement.Estimate overlap =
                        Objects.requireNonNull(pair.jaccard().get(measure));
                rows.add(List.of(
                        measure.id(),
                        number(rho.value()),
                        interval(rho),
                        number(overlap.value()),
                        interval(overlap),
                        String.valueOf(rho.heads())));
            });
            print(out, rows);
            List<List<String>> rand = new ArrayList<>();
            rand.add(List.of("", "adj. Rand", "interval", "heads"));
            pair.rand()
                    .forEach((rule, index) -> rand.add(
                            List.of(rule.id(), number(index.value()), interval(index), String.valueOf(index.heads()))));
            if (rand.size() > 1) {
                out.println();
                print(out, rand);
            }
            out.println();
        }
    }

    private static void tokenTable(PrintWriter out, TokenImportance tokens) {
        out.printf(
                Locale.ROOT,
                "tokens kept in %s by %d heads, %d each: share by key frame%n",
                tokens.pass().id(),
                tokens.heads(),
                tokens.kept());
        double[] shares = tokens.frameShares();
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("frame", "share"));
        for (int k = 0; k < shares.length; k++) {
            rows.add(List.of(
                    String.valueOf(tokens.pass().keyFrames().get(k)),
                    tokens.candidate()[k] ? number(shares[k]) : "(no candidate)"));
        }
        print(out, rows);
    }

    /** One row for every head: for spreadsheets. */
    void csv(PrintWriter out) {
        for (int i = 0; i < looks.size(); i++) {
            List<List<String>> rows = rows(looks.get(i), true);
            if (i > 0 && !rows.getFirst().equals(rows(looks.getFirst(), true).getFirst())) {
                throw new WanException("--format csv: the runs have different measures; choose some with --measure");
            }
            rows.subList(i == 0 ? 0 : 1, rows.size()).forEach(row -> out.println(String.join(",", row)));
        }
    }

    /** Everything, unrounded. */
    ObjectNode json() {
        ObjectNode root = JsonMapper.shared().createObjectNode();
        ArrayNode runs = root.putArray("runs");
        for (int i = 0; i < looks.size(); i++) {
            runs.add(json(looks.get(i), i < tokens.size() ? tokens.get(i) : null));
        }
        ArrayNode agreement = root.putArray("agreement");
        for (Pair pair : pairs) {
            ObjectNode entry = agreement
                    .addObject()
                    .put("a", pair.a())
                    .put("b", pair.b())
                    .put("top", pair.top())
                    .put("bootstrap", rounds)
                    .put("seed", seed);
            ObjectNode spearman = entry.putObject("spearman");
            pair.spearman().forEach((measure, rho) -> json(spearman.putObject(measure.id()), rho));
            ObjectNode jaccard = entry.putObject("jaccard");
            pair.jaccard().forEach((measure, overlap) -> json(jaccard.putObject(measure.id()), overlap));
            ObjectNode rand = entry.putObject("adjusted_rand");
            pair.rand().forEach((rule, index) -> json(rand.putObject(rule.id()), index));
        }
        return root;
    }

    private ObjectNode json(Heads look, @Nullable TokenImportance importance) {
        Analysis analysis = look.analysis();
        ObjectNode node = JsonMapper.shared()
                .createObjectNode()
                .put("run", analysis.run())
                .put("pass", analysis.slot().label())
                .put("frame_block", analysis.block().index());
        ObjectNode options = node.putObject("options");
        options.put("sink_frames", analysis.options().sinkFrames());
        options.put("recent_frames", analysis.options().recentFrames());
        options.put("skip_frames", analysis.options().skipFrames());
        ArrayNode rules = node.putArray("rules");
        for (Roles roles : look.roles()) {
            ObjectNode rule = rules.addObject().put("rule", roles.rule().id());
            ObjectNode counts = rule.putObject("counts");
            roles.counts().forEach(counts::put);
            ArrayNode constants = rule.putArray("constants");
            roles.rule()
                    .constants(roleOptions)
                    .forEach(constant -> constants
                            .addObject()
                            .put("name", constant.name())
                            .put("value", constant.value())
                            .put("published", constant.published()));
        }
        ArrayNode heads = node.putArray("heads");
        List<double[]> columns = look.measures().stream().map(analysis::measure).toList();
        for (int h = 0; h < analysis.heads().size(); h++) {
            HeadId id = analysis.heads().get(h).head();
            ObjectNode head = heads.addObject()
                    .put("layer", id.layer())
                    .put("head", id.head())
                    .put("label", id.label());
            for (int m = 0; m < columns.size(); m++) {
                double value = columns.get(m)[h];
                head.put(look.measures().get(m).id(), Double.isNaN(value) ? null : (Double) value);
            }
            for (Roles roles : look.roles()) {
                head.put(roles.rule().id(), roles.roles().get(h));
            }
        }
        if (importance != null) {
            ObjectNode tokens = node.putObject("tokens")
                    .put("pass", importance.pass().id().label())
                    .put("kept", importance.kept())
                    .put("heads", importance.heads());
            ArrayNode frames = tokens.putArray("key_frames");
            importance.pass().keyFrames().forEach(frames::add);
            ArrayNode shares = tokens.putArray("frame_shares");
            Arrays.stream(importance.frameShares()).forEach(shares::add);
            ArrayNode counts = tokens.putArray("counts");
            Arrays.stream(importance.counts()).forEach(counts::add);
        }
        return node;
    }

    private static void json(ObjectNode node, Agreement.Estimate estimate) {
        node.put("value", finite(estimate.value()))
                .put("low", finite(estimate.low()))
                .put("high", finite(estimate.high()))
                .put("heads", estimate.heads());
    }

    private static @Nullable Double finite(double value) {
        return Double.isNaN(value) ? null : (Double) value;
    }

    private static List<List<String>> rows(Heads look, boolean csv) {
        Analysis analysis = look.analysis();
        List<List<String>> rows = new ArrayList<>();
        List<String> header = new ArrayList<>(
                csv
                        ? List.of("run", "pass", "frame_block", "layer", "head", "label")
                        : List.of("layer", "head", "label"));
        look.measures().forEach(measure -> header.add(measure.id()));
        look.roles().forEach(roles -> header.add(roles.rule().id()));
        rows.add(header);
        List<double[]> columns = look.measures().stream().map(analysis::measure).toList();
        for (int h = 0; h < analysis.heads().size(); h++) {
            HeadView view = analysis.heads().get(h);
            List<String> row = new ArrayList<>();
            if (csv) {
                row.add(quoted(analysis.run()));
                row.add(analysis.slot().label());
                row.add(String.valueOf(analysis.block().index()));
            }
            row.add(String.valueOf(view.head().layer()));
            row.add(String.valueOf(view.head().head()));
            row.add(view.head().label());
            for (double[] column : columns) {
                row.add(!csv ? number(column[h]) : Double.isNaN(column[h]) ? "" : String.valueOf(column[h]));
            }
            for (Roles roles : look.roles()) {
                row.add(Objects.requireNonNullElse(roles.roles().get(h), csv ? "" : "-"));
            }
            rows.add(row);
        }
        return rows;
    }

    private static String quoted(String text) {
        return text.matches("[\\w .-]*") ? text : '"' + text.replace("\"", "\"\"") + '"';
    }

    private static String counts(Roles roles) {
        return String.join(
                ", ",
                roles.counts().entrySet().stream()
                        .map(e -> e.getValue() + " " + e.getKey())
                        .toList());
    }

    private String constants(RoleRule rule) {
        return String.join(
                "; ",
                rule.constants(roleOptions).stream()
                        .map(c -> c.name() + " " + c.value()
                                + (c.published() ? " (default published)" : " (not published, default ours)"))
                        .toList());
    }

    private static String number(double value) {
        return Double.isNaN(value) ? "-" : String.format(Locale.ROOT, "%.4f", value);
    }

    private static String interval(Agreement.Estimate estimate) {
        return Double.isNaN(estimate.low()) ? "-" : "[" + number(estimate.low()) + ", " + number(estimate.high()) + "]";
    }

    /** The first column to the left, the others to the right. */
    private static void print(PrintWriter out, List<List<String>> rows) {
        int columns = rows.getFirst().size();
        int[] widths = IntStream.range(0, columns)
                .map(c ->
                        rows.stream().mapToInt(row -> row.get(c).length()).max().orElse(0))
                .toArray();
        for (List<String> row : rows) {
            StringBuilder line = new StringBuilder();
            for (int c = 0; c < columns; c++) {
                String cell = row.get(c);
                String padding = " ".repeat(widths[c] - cell.length());
                line.append(c == 0 ? cell + padding : padding + cell).append("  ");
            }
            out.println(line.toString().stripTrailing());
        }
    }
}
