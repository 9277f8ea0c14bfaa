package wan.run;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import wan.file.StrictJson;
import wan.model.WanConfig;
import wan.op.UsageException;

/**
 * The settings of a public checkpoint, from a JSON document in the jar. For a checkpoint that cannot be run, it has the
 * reason instead.
 *
 * @param name as {@code --preset} takes it
 * @param title in a few words
 * @param source where its authors publish it
 * @param files what its files and folders are called
 * @param sizes of its model, where they alone tell it from all others; else null
 * @param refused why it cannot be run, and what to do; null if it can
 * @param run branch of the checkpoint, sampler and window; null if it is refused
 */
public record Preset(
        String name,
        String title,
        String source,
        List<Pattern> files,
        @Nullable Sizes sizes,
        @Nullable String refused,
        @Nullable RunSpec run) {
    private static final String FOLDER = "presets/";

    /**
     * The properties of a model that its parameters show.
     *
     * @param experts models that take turns
     * @param inDim latent channels in
     * @param outDim latent channels out
     * @param picture whether cross-attention attends to the features of a picture
     * @param twoPictures whether it tells the features of two pictures apart
     */
    public record Sizes(int experts, int inDim, int outDim, boolean picture, boolean twoPictures) {
        /** Of a model that is open. */
        public static Sizes of(WanConfig config, int experts) {
            return new Sizes(
                    experts, config.inDim(), config.outDim(), config.imageDim() > 0, config.imagePositions() > 0);
        }
    }

    /** Copies the list. */
    public Preset {
        files = List.copyOf(files);
    }

    /** All of them, in the order in which they are listed. */
    public static List<Preset> all() {
        return text("index.txt").lines().map(name -> parse(name + ".json")).toList();
    }

    /**
     * The preset of a name.
     *
     * @throws UsageException if there is none, or it is of a checkpoint that cannot be run
     */
    public static Preset named(String name) {
        List<Preset> all = all();
        Preset found = all.stream()
                .filter(preset -> preset.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new UsageException("preset: expected one of "
                        + String.join(", ", all.stream().map(Preset::name).toList()) + ", got " + name));
        found.require();
        return found;
    }

    /** The preset of a model by its path; empty if nothing is known of such a name. */
    public static Optional<Preset> of(Path model) {
        String path =
                model.toAbsolutePath().normalize().toString().replace('\\', '/').toLowerCase(Locale.ROOT);
        // Presets that cannot be run come first: such files are often named after the model that they were made from.
        return all().stream()
                .sorted(Comparator.comparing(preset -> preset.refused() == null))
                .filter(preset -> preset.files().stream()
                        .anyMatch(file -> Pattern.compile("(^|.*/)" + file.pattern())
                                .matcher(path)
                                .matches()))
                .findFirst();
    }

    /** The preset of a model by its sizes; empty if they fit none. */
    public static Optional<Preset> of(Sizes sizes) {
        return all().stream().filter(preset -> sizes.equals(preset.sizes())).findFirst();
    }

    /** Throws {@link UsageException} if it cannot be run. */
    public void require() {
        if (refused != null) {
            throw new UsageException(name + ": " + refused);
        }
    }

    /** A run with the preset's settings, everything else as it is. */
    public RunSpec over(RunSpec base) {
        RunSpec settings = Objects.requireNonNull(run);
        RunSpec.Model model = base.model();
        return base.withModel(new RunSpec.Model(
                        model.path(),
                        model.checkpoint(),
                        settings.model().branch(),
                        model.loras(),
                        name,
                        model.allowZeroWeights()))
                .withSampler(settings.sampler())
                .withCache(settings.cache());
    }

    /** The differences of a run from the preset, one line each. */
    public List<String> contradictions(RunSpec other) {
        List<String> lines = new ArrayList<>();
        if (run == null) {
            return lines;
        }
        JsonNode mine = SpecJson.tree(run);
        JsonNode theirs = SpecJson.tree(other);
        for (String section : List.of("sampler", "cache")) {
            differences(section, mine.get(section), theirs.get(section), lines);
        }
        return lines;
    }

    private static void differences(String path, JsonNode mine, @Nullable JsonNode theirs, List<String> lines) {
        if (mine.isObject() && theirs != null && theirs.isObject()) {
            mine.properties()
                    .forEach(field -> differences(
                            path + "." + field.getKey(), field.getValue(), theirs.get(field.getKey()), lines));
        } else if (!mine.equals(theirs)) {
            lines.add(path + ": " + mine + " in the preset, " + theirs + " here");
        }
    }

    private static Preset parse(String file) {
        JsonNode root = StrictJson.tree(file, text(file).getBytes(StandardCharsets.UTF_8));
        List<Pattern> files = new ArrayList<>();
        root.path("files").forEach(pattern -> files.add(Pattern.compile(pattern.asString())));
        JsonNode refused = root.path("refused");
        JsonNode sizes = root.path("sizes");
        return new Preset(
                root.path("name").asString(),
                root.path("title").asString(),
                root.path("source").asString(),
                files,
                sizes.isObject()
                        ? new Sizes(
                                sizes.get("experts").asInt(),
                                sizes.get("in_dim").asInt(),
                                sizes.get("out_dim").asInt(),
                                sizes.get("picture").asBoolean(),
                                sizes.get("two_pictures").asBoolean())
                        : null,
                refused.isString() ? refused.asString() : null,
                root.has("run") ? settings(SpecJson.read(file, root.get("run"))) : null);
    }

    /** A checkpoint's settings say whether it has a window. */
    private static RunSpec settings(RunSpec read) {
        return read.withCache(read.cache().withoutModel());
    }

    private static String text(String file) {
        try (InputStream in = Preset.class.getResourceAsStream(FOLDER + file)) {
            return new String(
                    Objects.requireNonNull(in, "the jar has no " + FOLDER + file)
                            .readAllBytes(),
                    StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
