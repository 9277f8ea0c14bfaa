package wan.app;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
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
import wan.model.WanConfig;
import wan.op.DType;
import wan.op.Ops;
import wan.op.UsageException;

/** {@code wan-attn bench}: how fast the JVM backend's operations, layers and passes are here, beside what the processor could do. */
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
            "  wan-attn bench --op layer,pass --frames 3 --key-frames 3,21",
            "  wan-attn bench --op attention --frames 3 --key-frames 21 --json"
        })
final class BenchCommand implements Callable<Integer> {
    /** Below this share of the ceiling a big product was not compiled as it is meant to be. */
    private static final double SUSPICIOUS_SHARE = 0.13;

    private static final int LEAST_RUNS = 3;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private CommandSpec spec;

    @Option(
            names = "--op",
            split = ",",
            paramLabel = "PREFIX",
            description = {
                "Only operations whose names start so: linear, attention.",
                "layer, pass: a whole layer, plain and captured, or all layers and the head. Only when named; a pass takes minutes."
            })
    private String[] op = {""};

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

    @Option(
            names = "--text-len",
            paramLabel = "N",
            description = "Text tokens that a layer attends (default: ${DEFAULT-VALUE}).",
            defaultValue = "512")
    private int textLen;

    @Option(
            names = "--weights",
            split = ",",
            paramLabel = "DTYPE",
            description = "Stored types of the weights of layer and pass: bf16, f32, f16 (default: ${DEFAULT-VALUE}).",
            defaultValue = "bf16")
    private DType[] weights = {};

    @Option(
            names = "--layers",
            paramLabel = "N",
            description = "Layers of a pass (default: ${DEFAULT-VALUE}).",
            defaultValue = "30")
    private int layers;

    @Option(
            names = "--measured-layers",
            paramLabel = "N",
            description = "So many of them are made and run, and the time of the others is that of these"
                    + " (default: ${DEFAULT-VALUE}). Every layer takes memory for its keys, 20 MB a frame.",
            defaultValue = "2")
    private int measuredLayers;

    @Option(
            names = "--serve",
            description = "Measure what is asked for on stdin, 'SECONDS OP SHAPE' a line, and answer each in JSON;"
                    + " --seconds is the warm-up. For bench/compare.")
    private boolean serve;

    @Option(names = "--json", description = "Print JSON instead of a table.")
    private boolean json;

    @Override
    public Integer call() {
        JvmOptions options = options();
        PrintWriter out = spec.commandLine().getOut();
        try (JvmOps ops = new JvmOps(options);
                FmaCeiling ceiling = new FmaCeiling(options.threads());
                Arena arena = Arena.ofShared()) {
            List<BenchCase> chosen = chosen(ops, arena);
            double atStart = warm(ceiling);
            if (serve) {
                out.println(json(ops, options, atStart, List.of()));
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
            List<BenchRow> rows = new ArrayList<>();
            for (BenchCase measured : chosen) {
                try (BenchCase.Prepared body = measured.prepare().get()) {
                    BenchRow.warm(body, seconds);
                    BenchRow row = BenchRow.measure(measured, body, ceiling, seconds, LEAST_RUNS);
                    rows.add(row);
                    if (!json) {
                        print(row, out);
                    }
                }
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
        int smallest = IntStream.of(dim, ffnDim, frameSeqLen, numHeads, textLen, layers, measuredLayers)
                .min()
                .getAsInt();
        if (smallest < 1 || dim % (2 * numHeads) != 0 || !(seconds > 0)) {
            throw new UsageException(
                    "bench: sizes and seconds must be positive, and --dim a multiple of 2 x --num-heads");
        }
        if (measuredLayers < 2 && measuredLayers < layers) {
            throw new UsageException(
                    "--measured-layers: expected 2 or more, to tell a layer from the rest of a pass, got "
                            + measuredLayers);
        }
        for (DType dtype : weights) {
            if (dtype != DType.BF16 && dtype != DType.F32 && dtype != DType.F16) {
                throw new UsageException("--weights: expected bf16, f32 or f16, got " + dtype.option());
            }
        }
        return new JvmOptions(threads == null ? JvmOptions.defaults().threads() : threads, kind);
    }

    private List<BenchCase> chosen(Ops ops, Arena arena) {
        List<BenchCase> chosen = new ArrayList<>();
        for (String prefix : op) {
            List<BenchCase> found = prefix.isEmpty() ? List.of() : named(prefix, ofModel(ops, arena));
            if (found.isEmpty()) {
                found = named(prefix, ofOps(ops));
            }
            if (found.isEmpty()) {
                throw new UsageException("--op " + prefix + ": no operation is called so"
                        + ("layer".equals(prefix) || "pass".equals(prefix)
                                ? " where --key-frames is below --frames: a pass attends its own frames"
                                : ""));
            }
            chosen.addAll(found);
        }
        return chosen;
    }

    private static List<BenchCase> named(String prefix, List<BenchCase> cases) {
        return cases.stream()
                .filter(candidate -> candidate.op().startsWith(prefix))
                .toList();
    }

    private List<BenchCase> ofOps(Ops ops) {
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

    private List<BenchCase> ofModel(Ops ops, Arena arena) {
        WanConfig wan = WanConfig.wan13b();
        WanConfig config = new WanConfig(
                dim,
                ffnDim,
                wan.freqDim(),
                wan.inDim(),
                wan.outDim(),
                numHeads,
                Math.min(measuredLayers, layers),
                wan.textDim(),
                textLen,
                wan.eps());
        List<BenchCase> cases = new ArrayList<>();
        for (DType dtype : weights) {
            BenchModel model = new BenchModel(ops, config, dtype, frameSeqLen, layers, arena);
            for (int count : frames) {
                for (int keys : keyFrames) {
                    if (keys >= count) {
                        cases.addAll(model.layer(count, keys));
                        cases.add(model.pass(count, keys));
                    }
                }
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

    private static ObjectNode json(JvmOps ops, JvmOptions options, double ceiling, List<BenchRow> rows) {
        ObjectNode root = JsonMapper.shared().createObjectNode();
        root.put("kernels", ops.kernels());
        root.put("threads", options.threads());
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
