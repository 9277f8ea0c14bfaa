package wan.app;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import wan.jvm.FmaCeiling;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.op.UsageException;

/** {@code wan-attn bench}: how fast the JVM backend's operations are here, beside what the processor could do. */
@Command(
        name = "bench",
        description = {
            "Measures the JVM backend's operations at the sizes of a model.",
            "",
            "Each line is a median after warm-up. 'ceiling' is the share of what the same threads reach with multiply-adds in"
                    + " registers only, measured just before and after, because clocks drift."
        },
        footer = {
            "",
            "Examples:",
            "  wan-attn bench",
            "  wan-attn bench --op attention --frames 3 --key-frames 21 --json"
        })
final class BenchCommand implements Callable<Integer> {
    /** Below this share of the ceiling a big product was not compiled as it is meant to be. */
    private static final double SUSPICIOUS_SHARE = 0.13;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private CommandSpec spec;

    @Option(
            names = "--op",
            paramLabel = "PREFIX",
            description = "Only operations whose names start so: linear, attention.")
    private String op = "";

    @Option(names = "--threads", paramLabel = "N", description = "Threads that compute (default: all cores).")
    private @Nullable Integer threads;

    @Option(
            names = "--kernels",
            paramLabel = "KIND",
            description = "auto, vector or scalar (default: ${DEFAULT-VALUE}).",
            defaultValue = "auto")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private String kernels;

    @Option(
            names = "--seconds",
            paramLabel = "S",
            description = "Time to measure each operation after as long a warm-up (default: ${DEFAULT-VALUE}).",
            defaultValue = "2")
    private double seconds;

    @Option(
            names = "--frames",
            split = ",",
            paramLabel = "N",
            description = "Frames per pass (default: ${DEFAULT-VALUE}).",
            defaultValue = "1,3")
    private int[] frames = {};

    @Option(
            names = "--key-frames",
            split = ",",
            paramLabel = "N",
            description = "Frames attended (default: ${DEFAULT-VALUE}).",
            defaultValue = "3,21")
    private int[] keyFrames = {};

    @Option(
            names = "--frame-seq-len",
            paramLabel = "N",
            description = "Tokens of a frame (default: ${DEFAULT-VALUE}).",
            defaultValue = "1560")
    private int frameSeqLen;

    @Option(names = "--dim", paramLabel = "N", description = "(default: ${DEFAULT-VALUE})", defaultValue = "1536")
    private int dim;

    @Option(names = "--ffn-dim", paramLabel = "N", description = "(default: ${DEFAULT-VALUE})", defaultValue = "8960")
    private int ffnDim;

    @Option(names = "--num-heads", paramLabel = "N", description = "(default: ${DEFAULT-VALUE})", defaultValue = "12")
    private int numHeads;

    @Option(names = "--json", description = "Print JSON instead of a table.")
    private boolean json;

    /** What was measured of one operation. */
    private record Row(BenchCase measured, double medianNanos, double ceilingGflops) {
        double gflops() {
            return measured.flops() / medianNanos;
        }

        double gigabytesPerSecond() {
            return measured.bytes() / medianNanos;
        }

        double share() {
            return gflops() / ceilingGflops;
        }
    }

    @Override
    public Integer call() {
        JvmOptions options = options();
        PrintWriter out = spec.commandLine().getOut();
        List<Row> rows = new ArrayList<>();
        try (JvmOps ops = new JvmOps(options);
                FmaCeiling ceiling = new FmaCeiling(options.threads())) {
            double atStart = warm(ceiling);
            if (!json) {
                out.printf(
                        Locale.ROOT,
                        "%s, %d threads, fma ceiling %.0f GFLOP/s%n%n%-34s %-24s %10s %9s %8s %8s%n",
                        ops.kernels(),
                        options.threads(),
                        atStart,
                        "op",
                        "shape",
                        "ms",
                        "GFLOP/s",
                        "GB/s",
                        "ceiling");
                out.flush();
            }
            for (BenchCase candidate : cases(ops)) {
                if (candidate.op().startsWith(op)) {
                    Row row = measure(candidate, ceiling);
                    rows.add(row);
                    if (!json) {
                        print(row, out);
                    }
                }
            }
            if (rows.isEmpty()) {
                throw new UsageException("--op " + op + ": no operation is called so");
            }
            if (json) {
                out.println(json(ops, options, atStart, rows).toPrettyString());
                out.flush();
            }
            warnOfSlowKernels(ops, rows);
        }
        return 0;
    }

    private JvmOptions options() {
        JvmOptions.Kind kind;
        try {
            kind = JvmOptions.Kind.valueOf(kernels.toUpperCase(Locale.ROOT));
        } catch (IllegalArgumentException e) {
            throw new UsageException("--kernels: expected auto, vector or scalar, got " + kernels);
        }
        if (dim < 1 || ffnDim < 1 || frameSeqLen < 1 || numHeads < 1 || dim % (2 * numHeads) != 0 || !(seconds > 0)) {
            throw new UsageException(
                    "bench: sizes and seconds must be positive, and --dim a multiple of 2 x --num-heads");
        }
        return new JvmOptions(threads == null ? JvmOptions.defaults().threads() : threads, kind);
    }

    private List<BenchCase> cases(JvmOps ops) {
        BenchCase.Sizes sizes = new BenchCase.Sizes(frameSeqLen, dim, ffnDim, numHeads);
        List<BenchCase> cases = new ArrayList<>();
        for (int count : frames) {
            cases.addAll(BenchCase.rows(ops, sizes, count));
        }
        for (int count : frames) {
            for (int keys : keyFrames) {
                cases.addAll(BenchCase.attention(ops, sizes, count, keys));
            }
        }
        return cases;
    }

    /** Until C2 has compiled it and no sooner: the best of a second. */
    private static double warm(FmaCeiling ceiling) {
        double best = 0;
        long start = System.nanoTime();
        while (System.nanoTime() - start < 1_000_000_000L) {
            best = Math.max(best, ceiling.measure());
        }
        return best;
    }

    private Row measure(BenchCase measured, FmaCeiling ceiling) {
        long budgetNanos = (long) (seconds * 1e9);
        try (BenchCase.Prepared body = measured.prepare().get()) {
            long start = System.nanoTime();
            do {
                body.run();
            } while (System.nanoTime() - start < budgetNanos);
            List<Double> nanos = new ArrayList<>();
            List<Double> ceilings = new ArrayList<>();
            start = System.nanoTime();
            do {
                ceilings.add(ceiling.measure());
                long before = System.nanoTime();
                body.run();
                nanos.add((double) (System.nanoTime() - before));
            } while (nanos.size() < 3 || System.nanoTime() - start < budgetNanos);
            ceilings.add(ceiling.measure());
            return new Row(measured, median(nanos), median(ceilings));
        }
    }

    private static double median(List<Double> values) {
        List<Double> sorted = values.stream().sorted().toList();
        return sorted.get(sorted.size() / 2);
    }

    private static void print(Row row, PrintWriter out) {
        out.printf(
                Locale.ROOT,
                "%-34s %-24s %10.3f %9.1f %8.1f %7.0f%%%n",
                row.measured().op(),
                row.measured().shape(),
                row.medianNanos() / 1e6,
                row.gflops(),
                row.gigabytesPerSecond(),
                100 * row.share());
        out.flush();
    }

    private static ObjectNode json(JvmOps ops, JvmOptions options, double ceiling, List<Row> rows) {
        ObjectNode root = JsonMapper.shared().createObjectNode();
        root.put("kernels", ops.kernels());
        root.put("threads", options.threads());
        root.put("java", Runtime.version().toString());
        root.put("ceiling_gflops", ceiling);
        for (Row row : rows) {
            root.withArray("ops")
                    .addObject()
                    .put("op", row.measured().op())
                    .put("shape", row.measured().shape())
                    .put("median_nanos", row.medianNanos())
                    .put("gflops", row.gflops())
                    .put("gigabytes_per_second", row.gigabytesPerSecond())
                    .put("ceiling_gflops", row.ceilingGflops())
                    .put("ceiling_share", row.share());
        }
        return root;
    }

    /** A kernel that C2 gave up on runs a hundred times slower and says nothing; this says it. */
    private static void warnOfSlowKernels(JvmOps ops, List<Row> rows) {
        for (Row row : rows) {
            if (row.measured().flops() > 1e9
                    && row.share() < SUSPICIOUS_SHARE
                    && !ops.kernels().equals("scalar")) {
                System.err.printf(
                        Locale.ROOT,
                        "%s: %s %s reaches only %.0f%% of the ceiling: the kernel was not compiled as it should be%n",
                        Main.NAME,
                        row.measured().op(),
                        row.measured().shape(),
                        100 * row.share());
            }
        }
    }
}
