package wan.weights;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.SequencedMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import wan.file.Messages;
import wan.model.WanConfig;
import wan.model.WanParameters;
import wan.op.FormatException;
import wan.op.Shape;

/** Checks that a checkpoint has the parameters that its configuration requires, and reports all problems in one message. */
public final class ParameterCheck {
    private static final int MOST_LISTED = 10;
    private static final Pattern LAYER = Pattern.compile("blocks\\.(\\d{1,6})\\..*");

    private ParameterCheck() {}

    /**
     * Compares names and shapes.
     *
     * @param where the file or folder, for the message
     * @param present the checkpoint's tensors, under the original names
     * @throws FormatException if anything is missing, unexpected, or of another shape
     */
    public static void require(Object where, WanConfig config, Map<String, Shape> present) {
        SequencedMap<String, Shape> expected = WanParameters.shapes(config);
        List<String> missing = expected.keySet().stream()
                .filter(name -> !present.containsKey(name))
                .toList();
        List<String> unexpected = present.keySet().stream()
                .filter(name -> !expected.containsKey(name))
                .toList();
        List<String> wrong = new ArrayList<>();
        boolean transposed = false;
        for (Map.Entry<String, Shape> entry : expected.entrySet()) {
            Shape got = present.get(entry.getKey());
            if (got != null && !got.equals(entry.getValue())) {
                wrong.add(entry.getKey() + " (expected " + entry.getValue() + ", got " + got + ")");
                transposed |= isTransposed(entry.getValue(), got);
            }
        }
        if (missing.isEmpty() && unexpected.isEmpty() && wrong.isEmpty()) {
            return;
        }
        List<String> parts = new ArrayList<>();
        if (missing.size() == expected.size() && !unexpected.isEmpty()) {
            parts.add("has none of the model's " + missing.size() + " parameters");
            parts.add("not a transformer of Wan2.1?");
            list(unexpected.stream().map(Messages::shown).toList(), "in it", parts);
            throw new FormatException(where, String.join("; ", parts));
        }
        parts.add("the tensors do not fit the model's configuration");
        hint(config, present, transposed, parts);
        list(missing, "missing", parts);
        list(unexpected.stream().map(Messages::shown).toList(), "unexpected", parts);
        list(wrong, "of another shape", parts);
        throw new FormatException(where, String.join("; ", parts));
    }

    /** Whether a matrix lies with rows and columns exchanged. */
    static boolean isTransposed(Shape expected, Shape got) {
        return expected.rank() == 2
                && got.rank() == 2
                && expected.dims()[0] == got.dims()[1]
                && expected.dims()[1] == got.dims()[0]
                && !expected.equals(got);
    }

    private static void list(List<String> names, String what, List<String> parts) {
        if (!names.isEmpty()) {
            String listed = String.join(", ", names.subList(0, Math.min(names.size(), MOST_LISTED)));
            int rest = names.size() - MOST_LISTED;
            parts.add(names.size() + " " + what + ": " + listed + (rest > 0 ? " and " + rest + " more" : ""));
        }
    }

    private static void hint(WanConfig config, Map<String, Shape> present, boolean transposed, List<String> parts) {
        if (transposed) {
            parts.add("transposed checkpoint?");
        }
        OptionalInt last = present.keySet().stream()
                .map(LAYER::matcher)
                .filter(Matcher::matches)
                .mapToInt(layer -> Integer.parseInt(layer.group(1)))
                .max();
        if (last.isPresent() && last.getAsInt() + 1 != config.numLayers()) {
            parts.add("num_layers in the configuration says " + config.numLayers() + ", the file has "
                    + (last.getAsInt() + 1));
        }
    }
}
