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
 * One value of an axis: how a run differs from the base. The changes are applied in the order of the fields below.
 *
 * @param label the value as tables show it
 * @param preset the preset whose settings are applied, or null
 * @param set new values of fields of the specification, by path ({@code noise.seed})
 * @param policy the cache policy, {@link #NO_POLICY} for none, or null to leave it unchanged
 * @param edits appended to the edits of the base
 */
public record Point(
        String label,
        @Nullable Preset preset,
        SequencedMap<String, JsonNode> set,
        @Nullable String policy,
        EditPlan edits) {
    /** No cache policy: the cache works as in the model. */
    public static final String NO_POLICY = "none";

    /** Copies the map; refuses an unknown policy. */
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

    /** Combines this value with another. */
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
     * Applies the changes to a run.
     *
     * @param where for messages
     * @throws FormatException if the specification has no such field, or the field cannot have this value
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
