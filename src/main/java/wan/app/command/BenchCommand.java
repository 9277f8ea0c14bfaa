package wan.app.command;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import wan.app.bench.BenchCase;
import wan.app.bench.BenchRow;
import wan.app.bench.BenchServer;
import wan.app.bench.BenchSizes;
import wan.jvm.JvmOps;
import wan.jvm.vector.FmaCeiling;
import wan.op.Ops;
import wan.op.UsageException;
import wan.run.Devices;
import wan.run.Program;
import wan.run.RunSpec;

/** {@code wan-attn bench}: how fast the JVM backend's operations, layers and passes are here, beside what the processor could do. */
@Command(
        name = "bench",
        description = {
            "Measures the operations of the JVM backend at the sizes of a model.",
            "",
            "Each line is a median after warm-up. 'ceiling' is the fraction of the multiply-add rate that"
                    + " the same threads reach in registers only, measured just before and after because clock"
                    + " rates drift."
        },
        footer = {
            "",
            "Examples:",
            "  wan-attn bench",
            "  wan-attn bench --op layer,pass --frames 3 --key-frames 3,21",
            "  wan-attn bench --op attention --frames 3 --key-frames 21 --json"
        })
public final class BenchCommand implements Callable<Integer> {
    /** Below this share of the ceiling a big product was not compiled as it is meant to be. */
    private static final double SUSPICIOUS_SHARE = 0.13;

    private static final int LEAST_RUNS = 3;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private CommandSpec spec;

    @Option(names = "--threads", paramLabel = "N", description = "Number of compute threads (default: all cores).")
    private @Nullable Integer threads;

    @Option(
            names = "--kernels",
            paramLabel = "KIND",
            description = "auto, vector or scalar (default: ${DEFAULT-VALUE}).",
            defaultValue = "auto")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private String kernels;

    @Option(
            names = "--device",
            paramLabel = "NAME",
            description = "jvm, onednn, onednn:bf16, onednn:f32 or onednn:int8 (default: ${DEFAULT-VALUE}).",
            defaultValue = "jvm")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private String device;

    @Option(
            names = "--seconds",
            paramLabel = "S",
            description = "Seconds to measure each operation, after a warm-up of the same length (default:"
                    + " ${DEFAULT-VALUE}).",
            defaultValue = "2")
    private double seconds;

    @Mixin
    private final BenchSizes sizes = new BenchSizes();

    @Option(
            names = "--serve",
            description = "Read requests from stdin, one 'SECONDS OP SHAPE' per line, and answer each in JSON;"
                    + " --seconds is the warm-up. For bench/compare.")
    private boolean serve;

    @Option(names = "--json", description = "Print JSON instead of a table.")
    private boolean json;

    @Override
    public Integer call() {
        int used = threads == null ? Runtime.getRuntime().availableProcessors() : threads;
        PrintWriter out = spec.commandLine().getOut();
        try (JvmOps ops = open();
                FmaCeiling ceiling = new FmaCeiling(used);
                Arena arena = Arena.ofShared()) {
            List<BenchCase> chosen = sizes.chosen(ops, arena);
            double atStart = warm(ceiling);
            if (serve) {
                out.println(json(ops, used, atStart, List.of()));
                out.flush();
                try (BenchServer server = new BenchServer(chosen, ceiling, seconds)) {
                    server.serve(new BufferedReader(new InputStreamReader(System.in, UTF_8)), out);
                }
                return 0;
            }
            if (!json) {
                out.printf(
                        Locale.ROOT,
                        "%s, %d threads, fma ceiling %.0f GFLOP/s%n%n%-34s %-24s %10s %9s %8s %8s%n",
                        ops.kernels(),
                        used,
                        atStart,
                        "op",
                        "shape",
                        "ms",
                        "GFLOP/s",
                        "GB/s",
                        "ceiling");
                out.flush();
            }
            List<BenchRow> rows = new ArrayList<>();
            @Nullable BenchRow full = null; // attention of the same sizes, over all keys
            for (BenchCase measured : chosen) {
                try (BenchCase.Prepared body = measured.prepare().get()) {
                    BenchRow.warm(body, seconds);
                    BenchRow row = BenchRow.measure(measured, body, ceiling, seconds, LEAST_RUNS);
                    rows.add(row);
                    if (!json) {
                        print(row, out);
                    }
                    if (measured.op().equals("attention")) {
                        full = row;
                    } else if (!json && full != null && measured.op().equals(BenchCase.HALF_THE_HEADS)) {
                        out.println(row.savedBeside(full));
                        out.flush();
                    }
                }
            }
            if (json) {
                out.println(json(ops, used, atStart, rows).toPrettyString());
                out.flush();
            }
            warnOfSlowKernels(ops, rows);
        }
        return 0;
    }

    private JvmOps open() {
        if (!(seconds > 0)) {
            throw new UsageException("--seconds: expected more than 0, got " + seconds);
        }
        sizes.check();
        Ops ops = Devices.openUnchecked(
                RunSpec.Device.JVM.named(device).onThreads(threads).with(kernels));
        if (ops instanceof JvmOps own) {
            return own;
        }
        ops.close();
        throw new UsageException("--device: expected jvm, onednn, onednn:bf16, onednn:f32 or onednn:int8, got '"
                + device + "'; wan-attn selftest --perf measures others");
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

    private static void print(BenchRow row, PrintWriter out) {
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

    private static ObjectNode json(JvmOps ops, int used, double ceiling, List<BenchRow> rows) {
        ObjectNode root = JsonMapper.shared().createObjectNode();
        root.put("kernels", ops.kernels());
        root.put("threads", used);
        root.put("java", Runtime.version().toString());
        root.put("ceiling_gflops", ceiling);
        for (BenchRow row : rows) {
            row.fill(root.withArray("ops").addObject());
        }
        return root;
    }

    /** A kernel that C2 gave up on runs a hundred times slower and says nothing; this says it. */
    private static void warnOfSlowKernels(JvmOps ops, List<BenchRow> rows) {
        for (BenchRow row : rows) {
            if (row.measured().flops() > 1e9
                    && row.share() < SUSPICIOUS_SHARE
                    && ops.kernels().startsWith("vector")) {
                System.err.printf(
                        Locale.ROOT,
                        "%s: %s %s reaches only %.0f%% of the ceiling: the JVM did not compile the kernel well%n",
                        Program.NAME,
                        row.measured().op(),
                        row.measured().shape(),
                        100 * row.share());
            }
        }
    }
}
