package wan.sweep;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;
import wan.cache.Policies;
import wan.edit.EditPlan;
import wan.op.FormatException;
import wan.op.UsageException;
import wan.run.Preset;
import wan.run.RunSpec;
import wan.run.SpecJson;

/**
 * One value of an axis: what a run does otherwise than the base, in the order of the fields here.
 *
 * @param label as tables show it
 * @param preset whose settings it takes, or null
 * @param set fields of the specification by their path ({@code noise.seed}), and what they become
 * @param policy of the cache, {@link #NO_POLICY} for none, or null to leave that as it is
 * @param edits after those of the base
 */
public record Point(
        String label,
        @Nullable Preset preset,
        SequencedMap<String, JsonNode> set,
        @Nullable String policy,
        EditPlan edits) {
    /** The cache as the model or its window has it. */
    public static final String NO_POLICY = "none";

    /** Copies the map; refuses a policy that is none. */
    public Point {
        set = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(set));
        if (policy != null && !policy.equals(NO_POLICY)) {
            Policies _ = Policies.of(policy);
        }
    }

    static Point of(String label, String field, JsonNode value) {
        return new Point(label, null, new LinkedHashMap<>(Map.of(field, value)), null, EditPlan.NONE);
    }

    static Point of(Preset preset) {
        return new Point(preset.name(), preset, new LinkedHashMap<>(), null, EditPlan.NONE);
    }

    static Point of(String label, EditPlan edits) {
        return new Point(label, null, new LinkedHashMap<>(), null, edits);
    }

    static Point ofPolicy(String policy) {
        return new Point(policy, null, new LinkedHashMap<>(), policy, EditPlan.NONE);
    }

    /** This and another at once. */
    Point and(Point other) {
        if ((preset != null && other.preset != null) || (policy != null && other.policy != null)) {
            throw new UsageException("zip: expected one preset and one cache policy at most, got two of one kind in "
                    + label + " and " + other.label);
        }
        SequencedMap<String, JsonNode> both = new LinkedHashMap<>(set);
        both.putAll(other.set);
        return new Point(
                label + ", " + other.label,
                preset != null ? preset : other.preset,
                both,
                policy != null ? policy : other.policy,
                edits.and(other.edits));
    }

    /**
     * The run that is changed so.
     *
     * @param where for messages
     * @throws FormatException if the specification has no such field, or it takes no such value
     */
    RunSpec over(RunSpec base, String where) {
        RunSpec spec = preset == null ? base : preset.over(base);
        if (!set.isEmpty()) {
            ObjectNode tree = SpecJson.tree(spec);
            set.forEach((path, value) -> put(tree, path, value, where));
            spec = SpecJson.read(where, tree);
        }
        try {
            if (policy != null) {
                RunSpec.Cache cache = spec.cache();
                boolean none = policy.equals(NO_POLICY);
                boolean grouped = !none && Policies.of(policy).groups().size() > 1;
                spec = spec.withCache(new RunSpec.Cache(
                        cache.localAttnSize(), cache.sinkSize(), none ? null : policy, grouped ? cache.heads() : null));
            }
        } catch (UsageException e) {
            throw new FormatException(where, String.valueOf(e.getMessage()), e);
        }
        return spec.withEdits(spec.edits().and(edits));
    }

    private static void put(ObjectNode tree, String path, JsonNode value, String where) {
        String[] names = path.split("\\.", -1);
        ObjectNode node = tree;
        for (int i = 0; i < names.length - 1; i++) {
            if (!(node.get(names[i]) instanceof ObjectNode inner)) {
                throw new FormatException(
                        where,
                        path + ": expected the path of a field, such as noise.seed; " + names[i] + " is not one of "
                                + String.join(", ", node.propertyNames()));
            }
            node = inner;
        }
        node.set(names[names.length - 1], value);
    }
}
