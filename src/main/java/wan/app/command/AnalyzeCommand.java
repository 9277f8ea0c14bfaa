package wan.app.command;

import capture.analysis.Analysis;
import capture.analysis.CapturedPass;
import capture.analysis.FrameBlock;
import capture.analysis.HeadExports;
import capture.analysis.Measure;
import capture.analysis.PassSlot;
import capture.analysis.RoleOptions;
import capture.analysis.RoleRule;
import capture.analysis.Roles;
import capture.analysis.RunInfo;
import capture.analysis.RunsSummary;
import capture.analysis.SavedResult;
import capture.analysis.TokenImportance;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.node.ObjectNode;
import wan.app.guard.Force;
import wan.app.guard.OutputKind;
import wan.app.guard.Reads;
import wan.app.guard.Writes;
import wan.app.option.AnalysisOptions;
import wan.app.option.SeedConverter;
import wan.op.Quantity;
import wan.op.UsageException;
import wan.op.WanException;
import wan.run.Program;

/** {@code wan-attn analyze}: measures of heads, their roles, and how runs agree. */
@Command(
        name = "analyze",
        description = "Measures every captured head, assigns published head roles, and compares runs.")
public final class AnalyzeCommand implements Callable<Integer> {
    /** How often a long comparison says how far it is. */
    private static final long SAY_EVERY_NANOS = 5_000_000_000L;

    private enum Format {
        TABLE,
        JSON,
        CSV
    }

    private enum Compare {
        SUMMARY,
        RUNS,
        PASSES,
        NONE
    }

    private CommandSpec spec = CommandSpec.create();

    @Reads
    @Parameters(
            paramLabel = "RESULT",
            arity = "1..*",
            description = "Results of extract (.safetensors, .npz), or of the reference's script: layer3.pt, or a"
                    + " folder of layer0.pt, layer1.pt, ...; or the folder of a sweep, for all of its results.")
    private List<Path> files = new ArrayList<>();

    @Mixin
    private AnalysisOptions analysisOptions = new AnalysisOptions();

    @Option(
            names = "--measure",
            paramLabel = "LIST",
            split = ",",
            description = "Only these measures (default: all that the captured quantities allow).")
    private List<String> measures = new ArrayList<>();

    @Option(
            names = "--roles",
            paramLabel = "LIST",
            split = ",",
            description = "Only these rules for head roles (default: all that the captured quantities allow).")
    private List<String> rules = new ArrayList<>();

    @Mixin
    private RoleConstants constants = new RoleConstants();

    @Option(
            names = "--compare",
            paramLabel = "WHAT",
            description = "Report the agreement between runs (each pair of RESULTs; the default for two), in a"
                    + " one-screen summary (the default for more than two), between passes (of each run), or none.")
    private @Nullable Compare compare;

    @Option(
            names = "--top",
            paramLabel = "K",
            description = "Number of top heads for the Jaccard index (default: a tenth of all heads).")
    private @Nullable Integer top;

    @Option(
            names = "--bootstrap",
            paramLabel = "N",
            description = "Number of bootstrap samples for the intervals, over heads or, in a summary, over prompts"
                    + " (default: ${DEFAULT-VALUE}).")
    private int bootstrap = 1000;

    @Option(
            names = "--seed",
            paramLabel = "N",
            converter = SeedConverter.class,
            description = "Seed of the bootstrap (default: ${DEFAULT-VALUE}).")
    private long seed;

    @Option(
            names = "--tokens",
            description = "Also count how many heads would keep each cached token, as in Deep Forcing. Needs extract"
                    + " --what key-logits.")
    private boolean tokens;

    @Option(
            names = "--query-frames",
            paramLabel = "N",
            description = "For --tokens: sum over this many of the newest query frames (default: all of the pass).")
    private int queryFrames;

    @Option(
            names = "--skip-sink",
            paramLabel = "N",
            description =
                    "For --tokens: exclude this many first frames (default: ${DEFAULT-VALUE}; the paper uses 10).")
    private int skipSink;

    @Option(
            names = "--skip-recent",
            paramLabel = "N",
            description =
                    "For --tokens: exclude this many newest frames (default: ${DEFAULT-VALUE}; the paper uses 4).")
    private int skipRecent;

    @Option(
            names = "--keep-tokens",
            paramLabel = "C",
            description = "For --tokens: number of tokens that a head keeps (default: the tokens of two frames).")
    private int keptTokens;

    @Option(
            names = "--format",
            paramLabel = "FORMAT",
            description = "Output format: table, json, or csv with the heads only (default: table).")
    private Format format = Format.TABLE;

    @Writes(OutputKind.MEASURES)
    @Option(
            names = {"-o", "--output", "--out"},
            paramLabel = "FILE",
            description = "Write to FILE instead of stdout.")
    private @Nullable Path output;

    @Writes(OutputKind.ROLES)
    @Option(
            names = "--roles-csv",
            paramLabel = "FILE",
            description = "Also write a CSV table of roles, one row per layer and one column per head. Needs exactly"
                    + " one rule in --roles.")
    private @Nullable Path rolesCsv;

    @Writes(OutputKind.HEAD_MAP)
    @Option(
            names = "--head-map",
            paramLabel = "FILE",
            description = "Also write a head map for Forcing-KV (its offline_head_file, JSON).")
    private @Nullable Path headMap;

    @Writes(OutputKind.HEAD_FILES)
    @Option(
            names = "--head-files",
            paramLabel = "DIR",
            description = "Also write every head's frame mass as a .pt file for Forcing-KV's head_profile.py.")
    private @Nullable Path headFiles;

    @Mixin
    @SuppressWarnings("UnusedVariable") // the guard asks picocli for it
    private Force force = new Force();

    /** Completes the help with the definitions, which stand in one place only. */
    @Spec
    void spec(CommandSpec own) {
        this.spec = own;
        own.usageMessage().footer(MeasureHelp.footer().toArray(String[]::new));
    }

    @Override
    public Integer call() {
        List<Path> named = SweepResults.inPlaceOfFolders(files);
        boolean summaryAlone = compare == Compare.SUMMARY || (compare == null && named.size() > 2);
        if (summaryAlone && format == Format.TABLE && !tokens && !exports()) {
            summary(named);
            return 0;
        }
        run(named);
        return 0;
    }

    private boolean exports() {
        return rolesCsv != null || headMap != null || headFiles != null;
    }

    /** Of a sweep there may be thousands: one after the other, and of each only what is compared. */
    private void summary(List<Path> named) {
        List<RunsSummary.Run> runs = new ArrayList<>();
        for (Path file : named) {
            try (SavedResult result = analysisOptions.open(file)) {
                runs.add(summarized(result, heads(analysisOptions.analysis(result), constants.options())));
            }
        }
        StringWriter text = new StringWriter();
        PrintWriter out = new PrintWriter(text);
        new RunsReport(summary(runs, bootstrap, seed)).table(out);
        out.flush();
        print(text.toString());
    }

    private static RunsSummary.Run summarized(SavedResult result, AnalysisReport.Heads heads) {
        return RunsSummary.Run.of(
                heads.analysis(), heads.measures(), heads.roles(), result.info().text("prompt"));
    }

    private void print(String text) {
        if (output != null) {
            HeadExports.text(output, text);
        } else {
            spec.commandLine().getOut().print(text);
            spec.commandLine().getOut().flush();
        }
    }

    /** One result after the other is open; what stays of each is one pass, seen from one frame block. */
    private void run(List<Path> named) {
        RoleOptions roleOptions = constants.options();
        Compare how = compare != null ? compare : defaultOf(named.size());
        List<AnalysisReport.Heads> analysed = new ArrayList<>();
        List<AnalysisReport.Pair> pairs = new ArrayList<>();
        List<RunsSummary.Run> runs = new ArrayList<>();
        List<TokenImportance> importance = new ArrayList<>();
        List<RunInfo> infos = new ArrayList<>();
        for (Path file : named) {
            try (SavedResult result = analysisOptions.open(file)) {
                AnalysisReport.Heads heads = heads(analysisOptions.analysis(result), roleOptions);
                analysed.add(heads);
                if (infos.isEmpty()) {
                    infos.add(result.info());
                }
                if (how == Compare.PASSES) {
                    addPairs(pairs, passes(result, roleOptions));
                }
                if (how == Compare.SUMMARY) {
                    runs.add(summarized(result, heads));
                }
                if (tokens) {
                    importance.add(importance(result));
                }
            }
        }
        if (how == Compare.RUNS) {
            addPairs(pairs, analysed);
        }
        AnalysisReport report = new AnalysisReport(analysed, roleOptions, pairs, bootstrap, seed, importance);
        StringWriter text = new StringWriter();
        PrintWriter out = new PrintWriter(text);
        switch (format) {
            case TABLE -> {
                if (how == Compare.SUMMARY) {
                    new RunsReport(summary(runs, bootstrap, seed)).table(out);
                } else {
                    report.table(out);
                }
            }
            case JSON -> {
                ObjectNode json = report.json();
                if (how == Compare.SUMMARY) {
                    new RunsReport(summary(runs, bootstrap, seed)).json(json.putObject("summary"));
                }
                out.println(json.toPrettyString());
            }
            case CSV -> report.csv(out);
        }
        out.flush();
        export(infos.getFirst(), analysed, roleOptions);
        print(text.toString());
    }

    private static Compare defaultOf(int results) {
        return results > 2 ? Compare.SUMMARY : results == 2 ? Compare.RUNS : Compare.NONE;
    }

    private static RunsSummary summary(List<RunsSummary.Run> runs, int rounds, long seed) {
        if (runs.size() < 2) {
            throw new UsageException("--compare summary: expected two or more RESULTs");
        }
        return RunsSummary.of(runs, rounds, seed);
    }

    private AnalysisReport.Heads heads(Analysis analysis, RoleOptions options) {
        List<Measure> shown = analysis.measures();
        if (!measures.isEmpty()) {
            List<Measure> wanted = measures.stream().map(Measure::parse).toList();
            wanted.stream()
                    .filter(measure -> !shown.contains(measure))
                    .findFirst()
                    .ifPresent(measure -> {
                        throw new WanException("--measure " + measure.id() + ": " + analysis.run()
                                + " has no value for it; it needs" + " extract --what "
                                + measure.quantity().option());
                    });
            return new AnalysisReport.Heads(analysis, wanted, roles(analysis, options));
        }
        return new AnalysisReport.Heads(analysis, shown, roles(analysis, options));
    }

    private List<Roles> roles(Analysis analysis, RoleOptions options) {
        if (rules.equals(List.of("none"))) {
            return List.of();
        }
        List<RoleRule> wanted = rules.isEmpty()
                ? Arrays.asList(RoleRule.values())
                : rules.stream().map(RoleRule::parse).toList();
        return wanted.stream()
                .map(rule -> rule.of(analysis, options))
                .filter(roles ->
                        !rules.isEmpty() || roles.counts().values().stream().anyMatch(count -> count > 0))
                .toList();
    }

    private List<AnalysisReport.Heads> passes(SavedResult result, RoleOptions options) {
        FrameBlock block = result.frameBlock(analysisOptions.frameBlock());
        Quantity quantity = result.has(Quantity.FRAME_LOGITS) ? Quantity.FRAME_LOGITS : Quantity.FRAME_MASS;
        List<AnalysisReport.Heads> slots = new ArrayList<>();
        for (PassSlot slot : result.slots(quantity)) {
            slots.add(heads(Analysis.of(result, slot, block, analysisOptions.measures()), options));
        }
        if (slots.size() < 2) {
            throw new UsageException(
                    "--compare passes: " + result.path() + " has one pass only; extract with --pass all");
        }
        return slots;
    }

    private void addPairs(List<AnalysisReport.Pair> pairs, List<AnalysisReport.Heads> looks) {
        if (looks.size() < 2) {
            throw new UsageException("--compare runs: expected two or more RESULTs");
        }
        int all = looks.size() * (looks.size() - 1) / 2;
        long said = System.nanoTime();
        for (int i = 0; i < looks.size(); i++) {
            for (int j = i + 1; j < looks.size(); j++) {
                pairs.add(AnalysisReport.Pair.of(looks.get(i), looks.get(j), top, bootstrap, seed));
                if (System.nanoTime() - said > SAY_EVERY_NANOS) {
                    said = System.nanoTime();
                    String faster = bootstrap == 0 ? "" : "; --bootstrap 0 leaves out the intervals and is much faster";
                    System.err.println(Program.NAME + ": compared " + pairs.size() + " of " + all + " pairs" + faster);
                }
            }
        }
    }

    private TokenImportance importance(SavedResult result) {
        for (int value : new int[] {queryFrames, skipSink, skipRecent, keptTokens}) {
            if (value < 0) {
                throw new UsageException(
                        "--query-frames, --skip-sink, --skip-recent, --keep-tokens: expected 0 or more, got " + value);
            }
        }
        var options = new TokenImportance.Options(queryFrames, skipSink, skipRecent, keptTokens);
        PassSlot slot = result.slot(analysisOptions.pass());
        FrameBlock block = result.frameBlock(analysisOptions.frameBlock());
        CapturedPass pass = result.passes(Quantity.KEY_LOGITS).stream()
                .filter(p -> slot.holds(p.id()) && p.firstFrame() == block.first())
                .findFirst()
                .orElseThrow(() -> new WanException("--tokens: " + result.path()
                        + " has no key logits of that pass; extract with --what key-logits"));
        return TokenImportance.of(result, pass, result.info().layers(), options);
    }

    private void export(RunInfo first, List<AnalysisReport.Heads> analysed, RoleOptions options) {
        if (exports() && analysed.size() > 1) {
            throw new UsageException(
                    "--roles-csv, --head-map, --head-files: expected one RESULT, got " + analysed.size());
        }
        AnalysisReport.Heads heads = analysed.getFirst();
        if (rolesCsv != null) {
            if (heads.roles().size() != 1) {
                throw new UsageException("--roles-csv: expected --roles with one rule, got "
                        + heads.roles().stream().map(roles -> roles.rule().id()).toList());
            }
            HeadExports.rolesCsv(rolesCsv, heads.analysis(), heads.roles().getFirst());
        }
        if (headMap != null) {
            HeadExports.forcingKvMap(
                    headMap, heads.analysis(), RoleRule.FORCING_KV.of(heads.analysis(), options), first);
        }
        if (headFiles != null) {
            HeadExports.forcingKvFiles(headFiles, heads.analysis());
        }
    }
}
