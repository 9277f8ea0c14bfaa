package wan.spark;

import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
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
import wan.app.terminal.SweepProgress;
import wan.op.UsageException;
import wan.op.WanException;
import wan.run.Wan;
import wan.sweep.DuckDb;
import wan.sweep.Sweep;
import wan.sweep.SweepJson;
import wan.sweep.SweepRunner;

/** {@code spark-submit wan-attn-spark.jar}: what {@code wan-attn sweep} does, on a Spark cluster. */
@Command(
        name = "wan-attn-spark",
        description = {
            "Runs a sweep on Spark: each run is a task, each executor keeps its models open.",
            "",
            "Results and tables are bit for bit those of wan-attn sweep, and each continues what the other began."
                    + " docs/guide/sweeps.md describes how to submit it and what happens when something fails."
        },
        footer = {
            "",
            "Examples:",
            "  spark-submit --master spark://host:7077 wan-attn-spark.jar sweep.yaml \\",
            "      --output hdfs:///heads",
            "  spark-submit --master 'local[*]' \\",
            "      --driver-java-options '--add-modules=jdk.incubator.vector' \\",
            "      wan-attn-spark.jar sweep.yaml --output file:///tmp/heads"
        })
final class SparkSweepCommand implements Callable<Integer> {
    /** The options that the program needs of a JVM; Spark starts the JVMs of the executors. */
    private static final String JVM_OPTIONS = "--add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED";

    @Reads
    @Parameters(paramLabel = "SWEEP", description = "The sweep file, .json or .yaml, on this machine.")
    private Path file;

    @Option(
            names = {"-o", "--output", "--out"},
            paramLabel = "URI",
            required = true,
            description =
                    "Folder for the results, on any file system that Hadoop knows. It may already hold results of this sweep."
                            + " Required.")
    private String out;

    @Option(
            names = "--retries",
            paramLabel = "N",
            description =
                    "Total number of retries of a failed run (default: ${DEFAULT-VALUE}). Spark itself retries runs that are"
                            + " lost with an executor, as spark.task.maxFailures says.")
    private int retries = 1;

    @Option(
            names = "--threads",
            paramLabel = "N",
            description =
                    "Number of compute threads of a run (default: an equal share of spark.executor.cores, else all cores).")
    private @Nullable Integer threads;

    @Option(
            names = "--at-once",
            paramLabel = "N",
            description =
                    "Number of runs that an executor computes at the same time, each with a model in memory (default:"
                            + " ${DEFAULT-VALUE}). Further tasks wait for their turn.")
    private int atOnce = 1;

    @Writes(OutputKind.EVENTS)
    @Option(names = "--log", paramLabel = "FILE", description = "Append one line of JSON per event to this file.")
    private @Nullable Path log;

    @Option(
            names = "--no-dataset",
            description = "Do not write the tables URI/dataset/*.parquet at the end of the sweep (they need DuckDB).")
    private boolean noDataset;

    @Option(names = "--frames", description = "Also write the table frames, with one row per head and pair of frames.")
    private boolean frames;

    @Mixin
    private Force force = new Force();

    @Option(
            names = {"--quiet", "-q"},
            description = "Print no progress and no notices on stderr.")
    private boolean quiet;

    @Override
    public Integer call() {
        if (retries < 0) {
            throw new UsageException("--retries: expected 0 or more, got " + retries);
        }
        if (atOnce < 1) {
            throw new UsageException("--at-once: expected 1 or more, got " + atOnce);
        }
        Sweep sweep = SweepJson.read(file);
        try (Cancellation cancellation = new Cancellation();
                EventLog events = log == null ? null : new EventLog(log);
                JavaSparkContext spark = connect()) {
            requireAbsolute(spark, sweep);
            SweepProgress progress = new SweepProgress(System.err, quiet, events, cancellation);
            SparkSweep run =
                    new SparkSweep(spark, sweep, out, new SparkSweep.Options(retries, threads, atOnce), progress);
            SweepRunner.Outcome outcome = run.execute();
            int code = progress.finish(outcome, run.out(), retries);
            if (!noDataset && !outcome.interrupted() && outcome.counts().left() == 0) {
                writeDataset(run);
            }
            return code;
        }
    }

    private void writeDataset(SparkSweep run) {
        if (DuckDb.isThere()) {
            run.writeDataset(frames).forEach(table -> System.out.println("Table in " + table));
        } else if (frames) {
            DuckDb.open().close(); // says what is missing
        } else if (!quiet) {
            System.err.println("wan-attn: no tables: DuckDB is not there; --jars duckdb_jdbc.jar brings it");
        }
    }

    private static JavaSparkContext connect() {
        SparkConf conf = new SparkConf().setIfMissing("spark.app.name", "wan-attn sweep");
        conf.setIfMissing("spark.log.level", "WARN");
        // A machine without the model fails fast, and would be given every run otherwise.
        conf.setIfMissing("spark.excludeOnFailure.taskAndStage.enabled", "true");
        conf.setIfMissing("spark.excludeOnFailure.stage.maxFailedExecutorsPerNode", "1000");
        String given = conf.get("spark.executor.extraJavaOptions", "");
        if (!given.contains("jdk.incubator.vector")) {
            conf.set("spark.executor.extraJavaOptions", (given + " " + JVM_OPTIONS).strip());
        }
        try {
            JavaSparkContext spark = new JavaSparkContext(conf);
            Path jar = ours();
            if (jar.toString().endsWith(".jar") && !spark.isLocal()) {
                spark.addJar(jar.toUri().toString());
            }
            return spark;
        } catch (Exception e) { // Scala's methods throw checked ones undeclared
            throw new WanException("Spark: " + SparkSweep.firstLine(e), e);
        }
    }

    /** What the executors need beside the jar that was submitted. */
    private static Path ours() throws URISyntaxException {
        return Path.of(
                Wan.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    }

    /** Executors work in folders of their own. */
    private static void requireAbsolute(JavaSparkContext spark, Sweep sweep) {
        Path model = sweep.base().model().path();
        if (!spark.isLocal() && model != null && !model.isAbsolute()) {
            throw new UsageException("model.path: expected an absolute path, which executors have too, got " + model);
        }
    }
}
