package wan.app.command;

import capture.analysis.ScriptFiles;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import wan.app.guard.Reads;
import wan.file.TensorStore;
import wan.file.TorchStore;
import wan.file.torch.PyText;
import wan.file.torch.TorchTensor;
import wan.op.TensorView;
import wan.op.WanException;
import wan.run.PartialSummary;
import wan.text.Umt5Encoder;
import wan.weights.ModelFolder;
import wan.weights.ModelLayout;

/** {@code wan-attn inspect}: what lies in a file of tensors. */
@Command(
        name = "inspect",
        description = "Lists the tensors and metadata of a model or a result.",
        footer = {
            "",
            "Examples:",
            "  wan-attn inspect out/layer3.safetensors",
            "  wan-attn inspect weights/Wan2.1-T2V-1.3B --name 'blocks.3.*' --stats",
            "  wan-attn inspect out/layer3.safetensors --json | jq .metadata"
        })
public final class InspectCommand implements Callable<Integer> {
    private static final int SHOWN_CHARS = 100;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private CommandSpec spec;

    @Reads
    @Parameters(
            paramLabel = "FILE",
            description = "A .safetensors file, a .safetensors.index.json beside its shards, a PyTorch file (.pt,"
                    + " .pth), a NumPy file (.npz, .npy), a model folder, a folder of the reference's layer0.pt,"
                    + " layer1.pt, ..., or the folder NAME.partial of an unfinished run.")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private Path file;

    @Option(
            names = "--name",
            paramLabel = "GLOB",
            description = "Only tensors whose names match: * stands for any text, ? for one character.")
    private String glob = "*";

    @Option(
            names = "--stats",
            description = "Also read the values: minimum, maximum, mean, standard deviation, number of NaNs.")
    private boolean stats;

    @Option(names = "--json", description = "Print JSON instead of a table, without shortening anything.")
    private boolean json;

    @Override
    public Integer call() {
        if (PartialSummary.is(file)) {
            printPartial(PartialSummary.of(file));
            return 0;
        }
        try (TensorStore store = ScriptFiles.isFolder(file) ? ScriptFiles.open(file) : ModelFolder.weights(file)) {
            Pattern pattern = pattern(glob);
            List<String> names = store.names().stream()
                    .filter(name -> pattern.matcher(name).matches())
                    .toList();
            if (names.isEmpty() && !store.names().isEmpty()) {
                throw new WanException(file + ": none of its " + store.names().size() + " tensors matches " + glob);
            }
            PrintWriter out = spec.commandLine().getOut();
            if (json) {
                out.println(json(store, names).toPrettyString());
            } else {
                printTable(store, names, out);
            }
            out.flush();
            return 0;
        }
    }

    private void printPartial(PartialSummary run) {
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.println(json(run).toPrettyString());
        } else {
            out.println("partial data of a run of " + shown(run.model()) + ", wan-attn " + shown(run.version()));
            out.println("  prompt: " + shown(run.prompt()));
            if (run.finished()) {
                out.println("  finished; extract --resume puts the result into its place");
            } else {
                out.printf(Locale.ROOT, "  passes: %d of %d%n", run.passes(), run.allPasses());
                out.printf(
                        Locale.ROOT,
                        "  captured: %d tensors, %,d bytes%n",
                        run.captures().size(),
                        run.captureBytes());
                out.println("  the same extract command continues it with --resume, or writes a partial result with"
                        + " --salvage FILE");
            }
        }
        out.flush();
    }

    private static Pattern pattern(String glob) {
        String regex = Arrays.stream(glob.splitWithDelimiters("[*?]", 0))
                .map(part -> part.equals("*") ? ".*" : part.equals("?") ? "." : Pattern.quote(part))
                .collect(Collectors.joining());
        return Pattern.compile(regex, Pattern.DOTALL);
    }

    private void printTable(TensorStore store, List<String> names, PrintWriter out) {
        List<String[]> rows = new ArrayList<>();
        rows.add(
                stats
                        ? new String[] {"name", "dtype", "shape", "bytes", "min", "max", "mean", "std", "nan"}
                        : new String[] {"name", "dtype", "shape", "bytes"});
        long bytes = 0;
        for (String name : names) {
            TensorView view = store.tensor(name);
            bytes += view.data().byteSize();
            rows.add(row(view));
        }
        int[] widths = new int[rows.getFirst().length];
        for (String[] row : rows) {
            Arrays.setAll(widths, i -> Math.max(widths[i], row[i].length()));
        }
        for (String[] row : rows) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < row.length; i++) {
                String padding = " ".repeat(widths[i] - row[i].length());
                line.append(i < 3 ? row[i] + padding : padding + row[i]).append("  ");
            }
            out.println(line.toString().stripTrailing());
        }
        out.printf(Locale.ROOT, "%n%d tensors, %,d bytes%n", names.size(), bytes);
        layout(store).ifPresent(layout -> out.println("\nmodel: " + layout));
        if (store instanceof TorchStore torch && torch.values() instanceof Map<?, ?> values) {
            printValues(torch.format(), values, out);
        }
        if (!store.metadata().isEmpty()) {
            out.printf(Locale.ROOT, "%nmetadata%n");
            store.metadata().forEach((key, value) -> out.println("  " + shown(key) + ": " + shown(value)));
        }
    }

    /** What is beside the tensors at the top of a PyTorch file. */
    private static void printValues(String format, Map<?, ?> values, PrintWriter out) {
        out.printf(Locale.ROOT, "%n%s%n", format);
        values.forEach((key, value) -> {
            if (!(value instanceof TorchTensor)) {
                out.println("  " + shown(key + ": " + PyText.of(value, SHOWN_CHARS)));
            }
        });
    }

    /** What model it is and the layout that it lies in; empty if these are no parameters of one. */
    private static Optional<String> layout(TensorStore store) {
        try {
            ModelLayout layout = ModelLayout.of(store);
            return layout.names().contains("patch_embedding.weight")
                    ? Optional.of(layout.description())
                    : Umt5Encoder.describe(store);
        } catch (WanException _) {
            return Optional.empty();
        }
    }

    private String[] row(TensorView view) {
        String[] row = {
            shown(view.name()),
            view.dtype().toString(),
            view.shape().toString(),
            String.format(Locale.ROOT, "%,d", view.data().byteSize())
        };
        if (!stats) {
            return row;
        }
        TensorStats values = TensorStats.of(view);
        String[] withStats = Arrays.copyOf(row, row.length + 5);
        Arrays.fill(withStats, row.length, withStats.length, "-");
        if (values != null) {
            double[] figures = {values.min(), values.max(), values.mean(), values.std()};
            for (int i = 0; i < figures.length; i++) {
                withStats[row.length + i] = String.format(Locale.ROOT, "%.5g", figures[i]);
            }
            withStats[row.length + 4] = Long.toString(values.nans());
        }
        return withStats;
    }

    private static ObjectNode json(PartialSummary run) {
        ObjectNode root = JsonMapper.shared()
                .createObjectNode()
                .put("model", run.model())
                .put("wan_attn_version", run.version())
                .put("prompt", run.prompt())
                .put("finished", run.finished())
                .put("passes", run.passes())
                .put("all_passes", run.allPasses())
                .put("capture_bytes", run.captureBytes());
        ArrayNode captures = root.putArray("captures");
        run.captures().forEach(captures::add);
        return root;
    }

    private ObjectNode json(TensorStore store, List<String> names) {
        ObjectNode root =
                new JsonMapper().createObjectNode().put("file", store.path().toString());
        ObjectNode metadata = root.putObject("metadata");
        for (Map.Entry<String, String> entry : store.metadata().entrySet()) {
            metadata.put(entry.getKey(), entry.getValue());
        }
        layout(store).ifPresent(layout -> root.put("model", layout));
        ArrayNode tensors = root.putArray("tensors");
        for (String name : names) {
            TensorView view = store.tensor(name);
            ObjectNode tensor = tensors.addObject()
                    .put("name", name)
                    .put("dtype", view.dtype().toString());
            ArrayNode shape = tensor.putArray("shape");
            Arrays.stream(view.shape().dims()).forEach(shape::add);
            tensor.put("bytes", view.data().byteSize());
            TensorStats values = stats ? TensorStats.of(view) : null;
            if (values != null) {
                tensor.putObject("stats")
                        .put("min", finite(values.min()))
                        .put("max", finite(values.max()))
                        .put("mean", finite(values.mean()))
                        .put("std", finite(values.std()))
                        .put("nan", values.nans());
            }
        }
        return root;
    }

    /** JSON has no word for the others. */
    private static @Nullable Double finite(double value) {
        return Double.isFinite(value) ? value : null;
    }

    private static String shown(String text) {
        String line = text.replaceAll("\\R", " | ").replaceAll("\\p{Cntrl}", "\ufffd");
        return line.length() <= SHOWN_CHARS
                ? line
                : line.substring(0, SHOWN_CHARS) + "... (" + line.length() + " characters)";
    }
}
