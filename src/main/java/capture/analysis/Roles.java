package capture.analysis;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The roles that one rule assigns to the heads of a run.
 *
 * @param rule which rule
 * @param roles one for every head, in the order of {@link Analysis#heads}; null if it is undefined
 */
public record Roles(RoleRule rule, List<@Nullable String> roles) {
    /** How many heads have each role, in the rule's order. */
    public Map<String, Integer> counts() {
        Map<String, Integer> counts = new LinkedHashMap<>();
        rule.names().forEach(name -> counts.put(name, 0));
        for (String role : roles) {
            if (role != null) {
                counts.merge(role, 1, Integer::sum);
            }
        }
        return counts;
    }

    /** The heads with the highest values take the role, of those that have none yet; the earlier head on a tie. */
    static void giveToHighest(@Nullable String[] roles, double[] values, int count, String role) {
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < roles.length; i++) {
            if (roles[i] == null && !Double.isNaN(values[i])) {
                order.add(i);
            }
        }
        order.sort(Comparator.comparingDouble((Integer i) -> values[i]).reversed());
        order.stream().limit(count).forEach(i -> roles[i] = role);
    }
}
