package wan.app.command;

import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import wan.app.guard.Force;
import wan.app.guard.OutputKind;
import wan.app.guard.Reads;
import wan.app.guard.Writes;
import wan.app.terminal.Cancellation;
import wan.app.terminal.EventLog;
import wan.app.terminal.MetricsServer;
import wan.app.terminal.Progress;
import wan.app.terminal.SweepProgress;
import wan.app.terminal.TerminalMonitor;
import wan.backend.Bytes;
import wan.op.UsageException;
import wan.sweep.Axis;
import wan.sweep.Dataset;
import wan.sweep.DuckDb;
import wan.sweep.Shard;
import wan.sweep.Sweep;
import wan.sweep.SweepCost;
import wan.sweep.SweepFolder;
import wan.sweep.SweepJson;
import wan.sweep.SweepRunner;

/** {@code wan-attn sweep}: many runs from one file. */
@Command(
        name = "sweep",
        description = {
            "Runs every combination of prompts, seeds, presets, edits, cache policies or any other" + " settings.",
            "",
            "The model is opened once. Each result is bit for bit that of extract, and is computed only"
                    + " once. The same command continues a sweep, whatever ended it, and any number of processes"
                    + " can work on one folder. docs/guide/sweeps.md describes the file, Slurm, Kubernetes and the"
                    + " analysis of the results."
        },
        footer = {
            "",
            "Examples:",
            "  wan-attn sweep sweep.yaml --output heads --dry-run",
            "      prints the number of runs, operations, bytes and hours",
            "  wan-attn sweep sweep.yaml --output heads",
            "      runs everything that is not done yet",
            "  wan-attn sweep sweep.yaml --output /shared/heads --shard 3/64",
            "      one of 64 processes; set automatically under Slurm, Kubernetes, torchrun"
        })
public final class SweepCommand implements Callable<Integer> {
    private static final double HOUR = 3600;
    private static final int MOST_LABEL = 30;

    @Reads
    @Parameters(paramLabel = "SWEEP", description = "The sweep file, .json or .yaml.")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private Path file;

    @Writes(OutputKind.SWEEP)
    @Option(
            names = {"-o", "--output", "--out"},
            paramLabel = "DIR",
            required = true,
            description = "Folder for the results. It may already hold results of this sweep; runs that were added to"
                    + " the sweep file are added. Required.")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private Path out;

    @Option(
            names = "--shard",
            paramLabel = "I/N",
            description = "Start with part I (from 0) of N, then help with the others (default: from"
                    + " SLURM_ARRAY_TASK_ID and _COUNT, JOB_COMPLETION_INDEX and JOB_COMPLETIONS, or RANK and"
                    + " WORLD_SIZE, if set).")
    private @Nullable String shard;

    @Option(
            names = "--retries",
            paramLabel = "N",
            description = "Total number of retries of a failed run (default: ${DEFAULT-VALUE}). Repeat the command with"
                    + " a larger number to try failed runs again.")
    private int retries = 1;

    @Option(names = "--threads", paramLabel = "N", description = "Number of compute threads (default: all cores).")
    private @Nullable Integer threads;

    @Writes(OutputKind.EVENTS)
    @Option(
            names = "--log",
            paramLabel = "FILE",
            description = "Append one line of JSON per event to this file: began, run_began, run_done, run_failed,"
                    + " notice, ended.")
    private @Nullable Path log;

    @Option(
            names = "--metrics-port",
            paramLabel = "PORT",
            description = "Serve metrics at /metrics in Prometheus' text format; 0 takes a free port and prints it.")
    private @Nullable Integer metricsPort;

    @Option(
            names = "--metrics-host",
            paramLabel = "HOST",
            description = "Address on which --metrics-port listens (default: ${DEFAULT-VALUE}, this machine only).")
    private String metricsHost = "127.0.0.1";

    @Option(
            names = "--no-dataset",
            description = "Do not write the tables DIR/dataset/*.parquet at the end of the sweep (they need DuckDB).")
    private boolean noDataset;

    @Option(names = "--frames", description = "Also write the table frames, with one row per head and pair of frames.")
    private boolean frames;

    @Mixin
    @SuppressWarnings("UnusedVariable") // the guard asks picocli for it
    private Force force = new Force();

    @Option(
            names = "--dry-run",
            description = "Print what would run, with a time estimate from a few passes, then stop.")
    private boolean dryRun;

    @Option(
            names = {"--quiet", "-q"},
            description = "Print no progress and no notices on stderr.")
    private boolean quiet;

    @Override
    public Integer call() {
        if (retries < 0) {
            throw new UsageException("--retries: expected 0 or more, got " + retries);
        }
        Shard own = shard();
        Sweep sweep = SweepJson.read(file);
        if (dryRun) {
            printPlan(sweep, own);
            return 0;
        }
        SweepFolder folder = SweepFolder.begin(out, sweep);
        try (Cancellation cancellation = new Cancellation();
                EventLog events = log == null ? null : new EventLog(log)) {
            SweepProgress progress = new SweepProgress(System.err, quiet, events, cancellation);
            try (MetricsServer metrics =
                    metricsPort == null ? null : new MetricsServer(metricsHost, metricsPort, progress::metrics)) {
                if (metrics != null) {
                    System.err.println("wan-attn: metrics at " + metrics.address());
                }
                SweepRunner.Options options = new SweepRunner.Options(own, retries, threads);
                SweepRunner.Outcome outcome = new SweepRunner(folder, options, progress).execute();
                int code = progress.finish(outcome, out, retries);
                if (!noDataset && !outcome.interrupted() && outcome.counts().left() == 0) {
                    writeDataset();
                }
                return code;
            }
        }
    }

    private Shard shard() {
        if (shard != null) {
            return Shard.parse(shard);
        }
        Shard found = Shard.of(System.getenv());
        return found == null ? Shard.WHOLE : found;
    }

    private void printPlan(Sweep sweep, Shard own) {
        SweepCost cost = SweepCost.of(sweep.runs(), threads, new TerminalMonitor(System.err, quiet, false));
        System.out.printf(Locale.ROOT, "runs        %d%n", cost.runs());
        for (Axis axis : sweep.axes()) {
            System.out.printf(
                    Locale.ROOT,
                    "  %-9s %d: %s%s%n",
                    axis.name(),
                    axis.points().size(),
                    shown(axis.points().getFirst().label()),
                    axis.points().size() == 1
                            ? ""
                            : " to " + shown(axis.points().getLast().label()));
        }
        System.out.printf(Locale.ROOT, "operations  %.3f TFLOP in %d passes%n", cost.flops() / 1e12, cost.passes());
        System.out.printf(Locale.ROOT, "captured    %s%n", Bytes.text(cost.captureBytes()));
        System.out.printf(
                Locale.ROOT,
                "time        %s (%.1f hours) of computing on this machine at %.4f TFLOP/s, measured in passes of the first"
                        + " run%n",
                Progress.clock(cost.seconds()),
                cost.seconds() / HOUR,
                cost.flopsPerSecond() / 1e12);
        if (own.count() > 1) {
            System.out.printf(
                    Locale.ROOT,
                    "            %s on %d such machines%n",
                    Progress.clock(cost.seconds() / own.count()),
                    own.count());
        }
    }

    private void writeDataset() {
        if (DuckDb.isThere()) {
            for (Path table : Dataset.write(SweepFolder.open(out), frames)) {
                System.out.println("Table in " + table);
            }
        } else if (frames) {
            DuckDb.open().close(); // says what is missing
        } else if (!quiet) {
            System.err.println("wan-attn: no tables: DuckDB not found; wan-attn query --help says how to install it");
        }
    }

    private static String shown(String label) {
        return label.length() <= MOST_LABEL ? label : label.substring(0, MOST_LABEL) + "...";
    }
}
