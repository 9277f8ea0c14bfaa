package wan.run;

import org.jspecify.annotations.Nullable;
import wan.edit.EditPlan;

/**
 * One edited run of an {@link Ablation}.
 *
 * @param name unique among them, as {@code 3:5}
 * @param layer that alone is edited; -1 if there are several or none
 * @param head that alone is edited; -1 likewise
 * @param edits applied after those of the run itself
 * @param cache in place of the run's own; null to keep that
 */
public record Variant(String name, int layer, int head, EditPlan edits, RunSpec.@Nullable Cache cache) {
    /** The edited run. */
    RunSpec of(RunSpec base) {
        RunSpec edited = base.withEdits(base.edits().and(edits));
        return cache == null ? edited : edited.withCache(cache);
    }
}
