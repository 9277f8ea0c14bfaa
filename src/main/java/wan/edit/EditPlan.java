package wan.edit;

import java.util.ArrayList;
import java.util.List;

/**
 * Interventions in a run, in the order in which they apply.
 *
 * @param rules as {@link EditJson} reads and writes them
 */
public record EditPlan(List<Rule> rules) {
    /** Changes nothing. */
    public static final EditPlan NONE = new EditPlan(List.of());

    /** Copies the list. */
    public EditPlan {
        rules = List.copyOf(rules);
    }

    /** These, then others. */
    public EditPlan and(EditPlan later) {
        List<Rule> all = new ArrayList<>(rules);
        all.addAll(later.rules);
        return new EditPlan(all);
    }

    /** Whether nothing is changed. */
    public boolean isNone() {
        return rules.isEmpty();
    }

    /**
     * Checks that layers and heads exist.
     *
     * @throws wan.op.UsageException if one does not
     */
    public void check(int numLayers, int numHeads) {
        for (Rule rule : rules) {
            rule.heads().check("edit " + rule.effect().name(), numLayers, numHeads);
        }
    }
}
