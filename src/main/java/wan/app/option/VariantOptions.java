package wan.app.option;

import capture.Indices;
import capture.analysis.Analysis;
import capture.analysis.HeadId;
import capture.analysis.Measure;
import capture.analysis.MeasureOptions;
import capture.analysis.SavedResult;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.app.guard.Reads;
import wan.cache.Policies;
import wan.edit.EditJson;
import wan.edit.EditPlan;
import wan.edit.EditShorthand;
import wan.edit.Heads;
import wan.edit.Passes;
import wan.edit.Rule;
import wan.model.WanConfig;
import wan.op.AttentionKind;
import wan.op.UsageException;
import wan.run.AblationFile;
import wan.run.RunSpec;
import wan.run.Variant;

/** The options that say which edits are tried, one at a time. */
public final class VariantOptions {
    @Option(
            names = "--do",
            paramLabel = "EFFECT",
            description = "The edit of each head (default: ${DEFAULT-VALUE}): zero, mean, mean-frame, scale=V,"
                    + " temperature=T, keep=SINK,WINDOW, block=FRAMES or bias=FRAMES:V.")
    private String effect = "zero";

    @Option(
            names = "--heads",
            paramLabel = "HEADS",
            description = "Heads to edit: LAYER:HEADS such as 3:5,7:0-3 (default: all, unless --edit or --policy is"
                    + " given).")
    private @Nullable String heads;

    @Option(
            names = "--by",
            paramLabel = "UNIT",
            description = "Unit of one edit: head or layer (default: ${DEFAULT-VALUE}).")
    private String by = "head";

    @Option(
            names = "--groups",
            paramLabel = "GROUPS",
            description = "One edit per group of heads, such as near=3:5,7:0-3;far=9:all.")
    private @Nullable String groups;

    @Reads
    @Option(
            names = "--order",
            paramLabel = "FILE",
            description = "Edit more and more heads together, in the order given by FILE: the JSON of an earlier ablate"
                    + " (least effect first), or a result of extract (highest --measure first).")
    private @Nullable Path order;

    @Option(
            names = "--measure",
            paramLabel = "NAME",
            description = "Measure for --order; see analyze --help (default: ${DEFAULT-VALUE}).")
    private String measure = "sink_score";

    @Option(names = "--reverse", description = "Reverse the order of --order.")
    private boolean reverse;

    @Option(
            names = "--counts",
            split = ",",
            paramLabel = "LIST",
            description = "Numbers of heads for --order (default: 1, 2, 4, ... and all).")
    private List<Integer> counts = new ArrayList<>();

    @Option(
            names = "--in-pass",
            split = ",",
            paramLabel = "LIST",
            description = "Edit only in these passes: block1.step0, step0, denoise, context, ... (default: all).")
    private List<String> passes = new ArrayList<>();

    @Option(
            names = "--in-block",
            paramLabel = "LIST",
            description = "Edit only in these frame blocks, counted from 0 (default: all).")
    private @Nullable String frameBlocks;

    @Reads
    @Option(names = "--edit", paramLabel = "FILE", description = "Add an edit: a file of rules as for extract --edit.")
    private List<Path> files = new ArrayList<>();

    @Option(
            names = "--policy",
            split = ",",
            paramLabel = "NAME",
            description = "Add an edit: a cache policy as for extract --cache-policy, with --head-groups.")
    private List<String> policies = new ArrayList<>();

    /**
     * The edits.
     *
     * @param config of the model
     * @param base of the unedited run
     */
    public List<Variant> variants(WanConfig config, RunSpec.Cache base) {
        List<Variant> variants = new ArrayList<>();
        boolean others = !files.isEmpty() || !policies.isEmpty();
        if (order != null) {
            addOrdered(variants, config);
        } else if (groups != null) {
            addGroups(variants, config, groups);
        } else if (heads != null || !others) {
            addHeads(variants, config);
        }
        for (Path file : files) {
            variants.add(new Variant(String.valueOf(file.getFileName()), -1, -1, EditJson.read(file), null));
        }
        for (String policy : policies) {
            Policies known = Policies.of(policy);
            variants.add(new Variant(
                    policy,
                    -1,
                    -1,
                    EditPlan.NONE,
                    new RunSpec.Cache(
                            base.localAttnSize(),
                            base.sinkSize(),
                            policy,
                            known.groups().size() == 1 ? null : base.heads())));
        }
        return variants;
    }

    /** What is done, as it was given. */
    public String effect() {
        return effect;
    }

    private void addHeads(List<Variant> variants, WanConfig config) {
        Heads chosen = heads == null ? Heads.ALL : Heads.parse("--heads", heads);
        chosen.check("--heads", config.numLayers(), config.numHeads());
        for (int layer = 0; layer < config.numLayers(); layer++) {
            int[] mine = chosen.in(layer, config.numHeads());
            switch (by) {
                case "head" -> {
                    for (int head : mine) {
                        variants.add(new Variant(layer + ":" + head, layer, head, plan(layer + ":" + head), null));
                    }
                }
                case "layer" -> {
                    if (mine.length > 0) {
                        variants.add(new Variant("layer " + layer, layer, -1, plan(text(layer, mine)), null));
                    }
                }
                default -> throw new UsageException("--by: expected head or layer, got \"" + by + "\"");
            }
        }
    }

    private static String text(int layer, int[] heads) {
        List<String> each = new ArrayList<>();
        for (int head : heads) {
            each.add(String.valueOf(head));
        }
        return layer + ":" + String.join(",", each);
    }

    private void addGroups(List<Variant> variants, WanConfig config, String text) {
        for (String part : text.split(";", -1)) {
            String[] sides = part.strip().split("=", -1);
            if (sides.length != 2) {
                throw new UsageException(
                        "--groups: expected NAME=HEADS such as near=3:5;far=9:all, got \"" + part + "\"");
            }
            Heads.parse("--groups", sides[1]).check("--groups", config.numLayers(), config.numHeads());
            variants.add(new Variant(sides[0].strip(), -1, -1, plan(sides[1].strip()), null));
        }
    }

    private void addOrdered(List<Variant> variants, WanConfig config) {
        List<HeadId> sorted = new ArrayList<>(order());
        sorted.removeIf(head -> heads != null && !Heads.parse("--heads", heads).contains(head.layer(), head.head()));
        if (reverse) {
            sorted = sorted.reversed();
        }
        List<Integer> sizes = new ArrayList<>(counts);
        if (sizes.isEmpty()) {
            for (int count = 1; count < sorted.size(); count *= 2) {
                sizes.add(count);
            }
            sizes.add(sorted.size());
        }
        for (int count : sizes) {
            if (count < 1 || count > sorted.size()) {
                throw new UsageException("--counts: expected 1 to " + sorted.size() + " heads, got " + count);
            }
            Map<Integer, List<Integer>> byLayer = new TreeMap<>();
            for (HeadId head : sorted.subList(0, count)) {
                byLayer.computeIfAbsent(head.layer(), _ -> new ArrayList<>()).add(head.head());
            }
            String text = byLayer.entrySet().stream()
                    .map(entry -> entry.getKey() + ":"
                            + entry.getValue().stream()
                                    .sorted()
                                    .map(String::valueOf)
                                    .collect(Collectors.joining(",")))
                    .collect(Collectors.joining(","));
            Heads.parse("--order", text).check("--order", config.numLayers(), config.numHeads());
            variants.add(new Variant(count + (count == 1 ? " head" : " heads"), -1, -1, plan(text), null));
        }
    }

    private List<HeadId> order() {
        if (String.valueOf(order).endsWith(".json")) {
            return AblationFile.order(Objects.requireNonNull(order));
        }
        try (SavedResult result = SavedResult.open(Objects.requireNonNull(order))) {
            Measure wanted = Measure.parse(measure);
            if (!result.has(wanted.quantity())) {
                throw new UsageException("--measure " + measure + ": " + order + " has no "
                        + wanted.quantity().option() + "; extract with --what "
                        + wanted.quantity().option());
            }
            Analysis analysis =
                    Analysis.of(result, result.slot("first"), result.frameBlock("last"), MeasureOptions.DEFAULT);
            double[] values = analysis.measure(wanted);
            List<Integer> places = new ArrayList<>();
            for (int i = 0; i < values.length; i++) {
                if (!Double.isNaN(values[i])) {
                    places.add(i);
                }
            }
            places.sort(Comparator.comparingDouble(i -> -values[i]));
            return places.stream().map(i -> analysis.heads().get(i).head()).toList();
        }
    }

    private EditPlan plan(String text) {
        return new EditPlan(List.of(new Rule(
                Heads.parse("--heads", text),
                AttentionKind.SELF,
                new Passes(passes),
                frameBlocks == null ? Indices.ALL : Indices.parse("--in-block", frameBlocks, "indices"),
                EditShorthand.effect("--do", effect))));
    }
}
