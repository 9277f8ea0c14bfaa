package wan.sweep;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import tools.jackson.databind.node.ObjectNode;
import wan.run.RunSpec;
import wan.run.SpecJson;

/**
 * One run of a sweep.
 *
 * @param index its position in the sweep, from 0
 * @param id 16 hex digits that depend only on the specification, not on the sweep or the position in it
 * @param point for each axis, by name, the label of this run's value
 * @param spec the run; its output says what is written, but not where
 */
public record SweepRun(int index, String id, SequencedMap<String, String> point, RunSpec spec) {
    private static final int ID_BYTES = 8;
    private static final ObjectNode DEFAULTS = SpecJson.tree(RunSpec.of(RunSpec.Model.DEMO));

    /** Copies the map. */
    public SweepRun {
        point = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(point));
    }

    static SweepRun of(int index, SequencedMap<String, String> point, RunSpec spec) {
        // Neither where it is written nor how many threads compute changes a bit of it.
        RunSpec.Output output = spec.output();
        RunSpec canonical = spec.withDevice(spec.device().onThreads(null))
                .withOutput(new RunSpec.Output(null, null, false, output.toTheEnd(), null));
        return new SweepRun(index, id(unlikeDefaults(canonical).toString()), point, spec);
    }

    /** Fields with their default value are left out, so that a field that is added to the format later does not change any id. */
    private static ObjectNode unlikeDefaults(RunSpec spec) {
        ObjectNode tree = SpecJson.tree(spec);
        DEFAULTS.properties().forEach(section -> {
            if (tree.get(section.getKey()) instanceof ObjectNode own) {
                section.getValue().properties().forEach(field -> {
                    if (field.getValue().equals(own.get(field.getKey()))) {
                        own.remove(field.getKey());
                    }
                });
            } else if (section.getValue().equals(tree.get(section.getKey()))) {
                tree.remove(section.getKey());
            }
        });
        return tree;
    }

    private static String id(String json) {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(json.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(hash, 0, ID_BYTES);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every Java has it
        }
    }

    /** Groups runs by model and then by prompt; otherwise keeps their order. */
    public static List<SweepRun> grouped(List<SweepRun> runs) {
        Map<Object, Map<Object, List<SweepRun>>> groups = new LinkedHashMap<>();
        for (SweepRun run : runs) {
            groups.computeIfAbsent(List.of(run.spec().model(), run.spec().device()), _ -> new LinkedHashMap<>())
                    .computeIfAbsent(run.spec().prompt(), _ -> new ArrayList<>())
                    .add(run);
        }
        return groups.values().stream()
                .flatMap(prompts -> prompts.values().stream())
                .flatMap(List::stream)
                .toList();
    }

    /** A description: {@code prompt a cat, seed 3}. */
    public String describe() {
        StringBuilder text = new StringBuilder();
        point.forEach((axis, label) ->
                text.append(text.isEmpty() ? "" : ", ").append(axis).append(' ').append(label));
        return text.isEmpty() ? "the only run" : text.toString();
    }
}
