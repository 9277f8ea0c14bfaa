package wan.app.command;

import capture.analysis.HeadExports;
import capture.analysis.HeadId;
import capture.figures.Figure;
import capture.figures.FigureFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import wan.app.guard.Force;
import wan.app.guard.OutputKind;
import wan.app.guard.Writes;
import wan.app.option.SpecOptions;
import wan.app.option.VariantOptions;
import wan.app.terminal.Cancellation;
import wan.app.terminal.Terminal;
import wan.app.terminal.TerminalMonitor;
import wan.backend.Bytes;
import wan.edit.Heads;
import wan.model.WanConfig;
import wan.op.UsageException;
import wan.op.WanException;
import wan.run.Ablation;
import wan.run.AblationFile;
import wan.run.Outcome;
import wan.run.RunSpec;
import wan.run.SpecJson;
import wan.run.Variant;
import wan.run.Wan;
import wan.sweep.DuckDb;

/** {@code wan-attn ablate}: what each of many edits does to a run. */
@Command(
        name = "ablate",
        description = {
            "Runs a video unedited, then once for each of many edits with the same noise, and measures what each edit changes.",
            "",
            "An edited run starts where it departs from the unedited one, so shared passes are computed"
                    + " only once; the result is the same, bit for bit. The numbers compare clean latents, of all"
                    + " frames and of each frame: relative L2, cosine similarity, PSNR (of the latents' range)."
                    + " --watch adds the frame logits of other heads."
        },
        footer = {
            "",
            "Examples:",
            "  wan-attn ablate --heads 0-2:all --figure heads.svg",
            "      the demo model: every head of three layers set to zero, one at a time",
            "  wan-attn ablate --model DIR --prompt \"a cat walks\" --do keep=1,1 \\",
            "      --in-pass denoise -o keep.json",
            "      every head in turn keeps only its own block, the first and the previous",
            "      frame",
            "  wan-attn ablate --order keep.json --do keep=1,1 --figure curve.svg",
            "      more and more heads at once, the least important first",
            "  wan-attn ablate --policy streaming-llm,infinity-rope --num-frames 21",
            "      two cache policies beside the full cache"
        })
public final class AblateCommand implements Callable<Integer> {
    private static final int INTERRUPTED = 130;

    @Mixin
    private SpecOptions specOptions = new SpecOptions();

    @Mixin
    private VariantOptions variantOptions = new VariantOptions();

    @Option(
            names = "--watch",
            paramLabel = "HEADS",
            description = "Also compare the frame logits of these heads over all passes: LAYER:HEADS.")
    private @Nullable String watch;

    @Writes(OutputKind.ABLATION)
    @Option(
            names = {"-o", "--output", "--out"},
            paramLabel = "FILE",
            description = "File for all numbers, as JSON (default: ${DEFAULT-VALUE}).")
    private Path output = Path.of("ablation.json");

    @Writes(OutputKind.ABLATION)
    @Option(names = "--csv", paramLabel = "FILE", description = "Also write a CSV file with one row per edit.")
    private @Nullable Path csv;

    @Writes(OutputKind.ABLATION)
    @Option(
            names = "--parquet",
            paramLabel = "FILE",
            description = "Also write the rows of --csv as Parquet; needs DuckDB, as sweep does.")
    private @Nullable Path parquet;

    @Writes(OutputKind.FIGURE)
    @Option(
            names = "--figure",
            paramLabel = "FILE",
            description = "Also draw the effects by layer and head, or by number of heads with --order (.svg, .pdf or"
                    + " .png).")
    private @Nullable Path figure;

    @Writes(OutputKind.FIGURE)
    @Option(
            names = "--drift",
            paramLabel = "FILE",
            description = "Also draw the change of each frame for the strongest edits (.svg, .pdf or .png).")
    private @Nullable Path drift;

    @Writes(OutputKind.PAGE)
    @Option(names = "--report", paramLabel = "FILE", description = "Also write one HTML page with figures and numbers.")
    private @Nullable Path report;

    @Mixin
    @SuppressWarnings("UnusedVariable") // the guard asks picocli for it
    private Force force = new Force();

    @Option(
            names = "--whole",
            description = "Compute every run from its start, to check that sharing passes changes nothing.")
    private boolean whole;

    @Option(names = "--resume", description = "Continue an interrupted run of the same command from OUTPUT.partial.")
    private boolean resume;

    @Option(names = "--restart", description = "Delete OUTPUT.partial of an interrupted run and start again.")
    private boolean restart;

    @Option(names = "--dry-run", description = "Print the edits and how much of a run each one needs, then stop.")
    private boolean dryRun;

    @Option(
            names = {"--quiet", "-q"},
            description = "Print no progress and no notices on stderr.")
    private boolean quiet;

    @Override
    public Integer call() {
        FigureFile.check("--figure", figure);
        FigureFile.check("--drift", drift);
        if (resume && restart) {
            throw new UsageException("--resume, --restart: expected at most one of them");
        }
        if (parquet != null) {
            DuckDb.open().close(); // before the run, not after it, it has to be there
        }
        RunSpec spec = specOptions.over(specOptions.base());
        TerminalMonitor monitor = new TerminalMonitor(System.err, quiet, false);
        try (Wan wan = Wan.open(spec.model(), monitor)) {
            Ablation ablation = new Ablation(
                    wan,
                    spec,
                    variantOptions.variants(wan.config(), spec.cache()),
                    watched(wan.config()),
                    whole,
                    monitor);
            if (dryRun) {
                printPlan(ablation);
                return 0;
            }
            return run(ablation, monitor);
        }
    }

    private List<HeadId> watched(WanConfig config) {
        List<HeadId> heads = new ArrayList<>();
        if (watch != null) {
            Heads chosen = Heads.parse("--watch", watch);
            chosen.check("--watch", config.numLayers(), config.numHeads());
            for (int layer = 0; layer < config.numLayers(); layer++) {
                for (int head : chosen.in(layer, config.numHeads())) {
                    heads.add(new HeadId(layer, head));
                }
            }
        }
        return heads;
    }

    private static void printPlan(Ablation ablation) {
        int passes = ablation.base().plan().passes().size();
        System.out.println("The unedited run: " + passes + " passes");
        double sum = 1;
        for (Variant variant : ablation.variants()) {
            double share = ablation.share(variant);
            sum += share;
            System.out.printf(
                    Locale.ROOT,
                    "%s: from %s, %.1f%% of a run%n",
                    variant.name(),
                    ablation.departure(variant),
                    100 * share);
        }
        System.out.printf(
                Locale.ROOT,
                "%d edits: the operations of %.2f runs instead of %d; %s of state copied%n",
                ablation.variants().size(),
                sum,
                ablation.variants().size() + 1,
                Bytes.text(ablation.copiedBytes()));
    }

    private int run(Ablation ablation, TerminalMonitor monitor) {
        Path left = output.resolveSibling(output.getFileName() + ".partial");
        List<Outcome> outcomes = new ArrayList<>();
        if (Files.exists(left)) {
            if (restart) {
                delete(left);
            } else if (resume) {
                outcomes.addAll(AblationFile.resume(left, ablation));
                monitor.notice("continuing after " + outcomes.size() + " edits");
            } else {
                throw new WanException(
                        left + ": left by an interrupted run; --resume continues it, --restart deletes it");
            }
        }
        Map<String, Integer> places = new LinkedHashMap<>();
        ablation.variants().forEach(variant -> places.put(variant.name(), places.size()));
        try (Cancellation cancellation = new Cancellation()) {
            long start = System.nanoTime();
            int before = outcomes.size();
            ablation.execute(
                    outcomes.stream().map(outcome -> outcome.variant().name()).collect(Collectors.toSet()),
                    monitor.endingOn(cancellation),
                    (outcome, _) -> {
                        outcomes.add(outcome);
                        outcomes.sort(Comparator.comparingInt(
                                each -> places.getOrDefault(each.variant().name(), 0)));
                        AblationFile.write(left, ablation, outcomes, false);
                        progress(outcome, outcomes.size(), before, places.size(), (System.nanoTime() - start) / 1e9);
                    });
        } catch (CancellationException e) {
            System.err.println("wan-attn: interrupted after " + outcomes.size() + " of " + places.size() + " edits"
                    + (Files.exists(left)
                            ? ", kept in " + left + "; continue with the same command and --resume"
                            : ""));
            return INTERRUPTED;
        }
        finish(ablation, outcomes);
        delete(left);
        return 0;
    }

    private void progress(Outcome outcome, int done, int before, int all, double seconds) {
        if (quiet) {
            return;
        }
        String line = String.format(
                Locale.ROOT,
                "edit %d/%d  %s  %.2f s, about %.0f s left",
                done,
                all,
                outcome.variant().name(),
                outcome.seconds(),
                seconds / (done - before) * (all - done));
        if (Terminal.stderrIsTerminal()) {
            System.err.print("\r\u001b[K" + (done < all ? line : ""));
        } else {
            System.err.println(line);
        }
    }

    private void finish(Ablation ablation, List<Outcome> outcomes) {
        AblationFile.write(output, ablation, outcomes, true);
        AblationReport result = new AblationReport(outcomes, note(ablation));
        result.table(System.out);
        System.out.println("Saved to " + output);
        if (csv != null) {
            HeadExports.text(csv, result.csv());
        }
        if (parquet != null) {
            DuckDb.csvToParquet(result.csv(), parquet);
        }
        if (figure != null) {
            FigureFile.write(figure, drawn("--figure", result.effects()), FigureFile.DPI);
        }
        if (drift != null) {
            FigureFile.write(drift, drawn("--drift", result.drift()), FigureFile.DPI);
        }
        if (report != null) {
            HeadExports.text(
                    report,
                    result.page(
                            "What " + outcomes.size() + " edits change",
                            SpecJson.write(ablation.base().spec())));
            System.out.println("Report in " + report);
        }
    }

    private static Figure drawn(String option, @Nullable Figure figure) {
        if (figure == null) {
            throw new UsageException(option + ": expected edits of single heads, or --order, which have such a figure");
        }
        return figure;
    }

    private String note(Ablation ablation) {
        return variantOptions.effect() + ", " + ablation.base().geometry().totalFrames() + " frames, "
                + modelName(ablation);
    }

    private static String modelName(Ablation ablation) {
        Path path = ablation.base().spec().model().path();
        return path == null ? "the demo model" : String.valueOf(path.getFileName());
    }

    private static void delete(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            throw new WanException(file + ": cannot remove: " + e.getMessage(), e);
        }
    }
}
