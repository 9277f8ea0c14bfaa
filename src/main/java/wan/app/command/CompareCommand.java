package wan.app.command;

import capture.analysis.Comparison;
import capture.analysis.Difference;
import capture.analysis.HeadExports;
import capture.analysis.HeadId;
import capture.figures.Figure;
import capture.figures.FigureFile;
import capture.figures.FigureFrame;
import capture.figures.HeatMapFigures;
import capture.figures.RowFigures;
import capture.figures.ScaleChoice;
import capture.figures.Style;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import wan.app.guard.Force;
import wan.app.guard.OutputKind;
import wan.app.guard.Reads;
import wan.app.guard.Writes;
import wan.file.TensorStore;
import wan.op.UsageException;
import wan.run.AblationFile;
import wan.run.Program;

/** {@code wan-attn compare}: how far two runs are from each other. */
@Command(
        name = "compare",
        description = {
            "Compares two runs: two results of extract, or two files of extract --save-latents.",
            "",
            "Compares every tensor that both files have, with A as the reference: relative L2, cosine"
                    + " similarity, and PSNR for the reference's range. Values that are masked in both are ignored."
        },
        footer = {
            "",
            "Examples:",
            "  wan-attn extract --layer all --save-latents a.safetensors -o a-run.safetensors",
            "  wan-attn extract --layer all --ablate 3:5 --save-latents b.safetensors \\",
            "      -o b-run.safetensors",
            "  wan-attn compare a.safetensors b.safetensors --figure frames.svg",
            "  wan-attn compare a-run.safetensors b-run.safetensors --figure heads.svg"
        })
public final class CompareCommand implements Callable<Integer> {
    private static final double WIDTH = 178 / 25.4 * 72;

    @Reads
    @Parameters(index = "0", paramLabel = "A", description = "The reference.")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private Path first;

    @Reads
    @Parameters(index = "1", paramLabel = "B", description = "The other run.")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private Path second;

    @Writes(OutputKind.COMPARISON)
    @Option(
            names = {"-o", "--output", "--out"},
            paramLabel = "FILE",
            description = "Also write all numbers as JSON, including those of each head and frame.")
    private @Nullable Path output;

    @Writes(OutputKind.FIGURE)
    @Option(
            names = "--figure",
            paramLabel = "FILE",
            description = "Also draw the difference of each head or, for latents, of each frame (.svg, .pdf or .png).")
    private @Nullable Path figure;

    @Option(
            names = "--quantity",
            paramLabel = "NAME",
            description = "Quantity for --figure, as named in the table: frame_logits, frame_mass, ... (default: the"
                    + " first).")
    private @Nullable String quantity;

    @Mixin
    @SuppressWarnings("UnusedVariable") // the guard asks picocli for it
    private Force force = new Force();

    @Override
    public Integer call() {
        FigureFile.check("--figure", figure);
        Comparison comparison;
        try (TensorStore a = TensorStore.open(first);
                TensorStore b = TensorStore.open(second)) {
            comparison = Comparison.of(a, b);
        }
        print(comparison);
        if (output != null) {
            HeadExports.text(output, json(comparison).toPrettyString() + "\n");
        }
        if (figure != null) {
            FigureFile.write(figure, figure(comparison), FigureFile.DPI);
        }
        return 0;
    }

    private static void print(Comparison comparison) {
        int width = comparison.quantities().keySet().stream()
                .mapToInt(String::length)
                .max()
                .orElse(0);
        System.out.printf(
                Locale.ROOT,
                "%-" + width + "s  %11s  %9s  %8s  %10s  %10s%n",
                "",
                "relative L2",
                "cosine",
                "PSNR dB",
                "largest",
                "values");
        comparison
                .quantities()
                .forEach((name, d) -> System.out.printf(
                        Locale.ROOT,
                        "%-" + width + "s  %11.3e  %9.6f  %8s  %10.3e  %10d%s%n",
                        name,
                        d.relativeL2(),
                        d.cosine(),
                        Double.isFinite(d.psnr()) ? String.format(Locale.ROOT, "%.2f", d.psnr()) : "inf",
                        d.largest(),
                        d.values(),
                        d.unpaired() > 0 ? "  (" + d.unpaired() + " are finite in one file only)" : ""));
        for (int frame = 0; frame < comparison.frames().size(); frame++) {
            Difference d = comparison.frames().get(frame);
            System.out.printf(Locale.ROOT, "frame %d  %.3e  %.6f%n", frame, d.relativeL2(), d.cosine());
        }
        if (!comparison.onlyFirst().isEmpty() || !comparison.onlySecond().isEmpty()) {
            System.out.println("Not compared, because they are missing from one file or differ in shape: "
                    + comparison.onlyFirst().size() + " tensors of A, "
                    + comparison.onlySecond().size() + " of B");
        }
    }

    private ObjectNode json(Comparison comparison) {
        ObjectNode root = JsonMapper.shared().createObjectNode();
        root.put("wan_attn_version", Program.version());
        root.put("comparison", 1);
        root.put("a", first.toString());
        root.put("b", second.toString());
        ObjectNode quantities = root.putObject("quantities");
        comparison.quantities().forEach((name, d) -> quantities.set(name, AblationFile.tree(d)));
        ObjectNode heads = root.putObject("heads");
        comparison.heads().forEach((name, layers) -> {
            ArrayNode rows = heads.putArray(name);
            layers.forEach((layer, row) -> row.forEach((head, d) -> {
                ObjectNode node = rows.addObject().put("layer", layer).put("head", head);
                node.setAll(AblationFile.tree(d));
            }));
        });
        ArrayNode frames = root.putArray("frames");
        comparison.frames().forEach(d -> frames.add(AblationFile.tree(d)));
        comparison.onlyFirst().forEach(root.putArray("only_a")::add);
        comparison.onlySecond().forEach(root.putArray("only_b")::add);
        return root;
    }

    private Figure figure(Comparison comparison) {
        FigureFrame frame =
                new FigureFrame(Style.LIGHT, WIDTH, 0, second.getFileName() + " against " + first.getFileName());
        if (comparison.heads().isEmpty() && !comparison.frames().isEmpty() && quantity == null) {
            RowFigures.Series latents = new RowFigures.Series(
                    "latents",
                    comparison.frames().stream()
                            .mapToDouble(Difference::relativeL2)
                            .toArray());
            return RowFigures.curves(
                    frame,
                    "Difference of each frame",
                    "relative L2 of the frame",
                    "frame",
                    comparison.frames().size(),
                    false,
                    List.of(latents));
        }
        String wanted = quantity != null
                ? quantity
                : comparison.heads().isEmpty()
                        ? ""
                        : comparison.heads().firstEntry().getKey();
        var layers = comparison.heads().get(wanted);
        if (layers == null) {
            throw new UsageException("--quantity: expected one of "
                    + comparison.heads().keySet() + ", which have heads, got \"" + wanted + "\"");
        }
        Map<HeadId, Double> values = new LinkedHashMap<>();
        layers.forEach((layer, row) -> row.forEach((head, d) -> values.put(new HeadId(layer, head), d.relativeL2())));
        return HeatMapFigures.matrix(
                frame.with(ScaleChoice.fromZero(values.values().stream().mapToDouble(Double::doubleValue))),
                "difference of " + wanted,
                "relative L2",
                false,
                values);
    }
}
