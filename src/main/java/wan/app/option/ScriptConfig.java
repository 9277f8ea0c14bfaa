package wan.app.option;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import wan.op.FormatException;
import wan.run.RunSpec;

/**
 * The sampling settings of a Self-Forcing configuration. Of its YAML only scalars, lists of scalars and the mapping {@code
 * model_kwargs} matter; everything else, mostly for training, is ignored. Whether the first frame stands alone is not taken
 * from it, since the extraction script decides that itself.
 */
final class ScriptConfig {
    private static final Pattern ENTRY = Pattern.compile("( *)([A-Za-z_]\\w*) *:(?: +(.*))?");
    private static final Pattern ITEM = Pattern.compile(" *- +(.*)");
    private static final String KWARGS = "model_kwargs.";

    private final Path file;
    private final Map<String, List<String>> values;

    private ScriptConfig(Path file, Map<String, List<String>> values) {
        this.file = file;
        this.values = values;
    }

    static ScriptConfig read(Path file) {
        Map<String, List<String>> values = new HashMap<>();
        String section = "";
        List<String> list = new ArrayList<>();
        for (String line : PromptText.lines(file)) {
            String text = line.replaceFirst("(^| )#.*", "").stripTrailing();
            Matcher item = ITEM.matcher(text);
            if (item.matches()) {
                list.add(plain(item.group(1)));
                continue;
            }
            Matcher entry = ENTRY.matcher(text);
            if (!entry.matches()) {
                continue;
            }
            boolean inner = !entry.group(1).isEmpty();
            String value = entry.group(3) == null ? "" : entry.group(3).strip();
            if (!inner) {
                section = value.isEmpty() ? entry.group(2) + "." : "";
            }
            list = new ArrayList<>();
            values.put(inner ? section + entry.group(2) : entry.group(2), list);
            if (value.startsWith("[") && value.endsWith("]")) {
                Stream.of(value.substring(1, value.length() - 1).split(",", -1))
                        .map(ScriptConfig::plain)
                        .filter(each -> !each.isEmpty())
                        .forEach(list::add);
            } else if (!value.isEmpty()) {
                list.add(plain(value));
            }
        }
        return new ScriptConfig(file, values);
    }

    /** The run with what the file says. */
    RunSpec over(RunSpec base) {
        RunSpec.Sampler sampler = base.sampler();
        RunSpec.Cache cache = base.cache();
        List<Float> steps = values.getOrDefault("denoising_step_list", List.of()).stream()
                .map(step -> parsed("denoising_step_list", step, Float::valueOf))
                .toList();
        Float shift = one("timestep_shift", Float::valueOf);
        Float shiftOfModel = one(KWARGS + "timestep_shift", Float::valueOf);
        Integer window = one(KWARGS + "local_attn_size", Integer::valueOf);
        Integer sink = one(KWARGS + "sink_size", Integer::valueOf);
        return base.withSampler(new RunSpec.Sampler(
                        steps.isEmpty() ? sampler.steps() : steps,
                        or(shiftOfModel, or(shift, sampler.shift())),
                        or(one("warp_denoising_step", ScriptConfig::truth), sampler.warp()),
                        or(one("context_noise", Float::valueOf), sampler.contextNoise()),
                        or(one("num_frame_per_block", Integer::valueOf), sampler.numFramePerBlock()),
                        sampler.independentFirstFrame(),
                        sampler.method()))
                .withCache(
                        window == null && sink == null
                                ? cache
                                : new RunSpec.Cache(
                                        window == null ? cache.localAttnSize() : window,
                                        sink == null ? cache.sinkSize() : sink,
                                        null,
                                        null));
    }

    private <T> @Nullable T one(String key, Function<String, T> parse) {
        List<String> all = values.getOrDefault(key, List.of());
        return all.size() == 1 ? parsed(key, all.getFirst(), parse) : null;
    }

    private <T> T parsed(String key, String text, Function<String, T> parse) {
        try {
            return parse.apply(text);
        } catch (IllegalArgumentException e) {
            throw new FormatException(
                    file, key + ": expected a number, or true or false, depending on the key, got " + text, e);
        }
    }

    private static Boolean truth(String text) {
        return switch (text) {
            case "true", "True" -> true;
            case "false", "False" -> false;
            default -> throw new IllegalArgumentException(text);
        };
    }

    private static String plain(String text) {
        return text.strip().replaceAll("^[\"']|[\"']$", "");
    }

    private static <T> T or(@Nullable T given, T otherwise) {
        return given == null ? otherwise : given;
    }
}
