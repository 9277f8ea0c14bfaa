package wan.run;

import capture.analysis.Analysis;
import capture.analysis.HeadId;
import capture.analysis.MeasureOptions;
import capture.analysis.PassSlot;
import capture.analysis.RoleOptions;
import capture.analysis.RoleRule;
import capture.analysis.SavedResult;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import wan.edit.HeadGroups;
import wan.op.UsageException;

/** Head groups of a cache policy, from a result: the roles that the published rule for these groups assigns to its heads. */
final class RoleGroups {
    private RoleGroups() {}

    /**
     * Reads groups as {@link HeadGroups} does, and from results. Dummy Forcing's rule looks at the context pass of the second frame
     * block where that was captured, as the method does; all else at the first captured pass of the last frame block.
     *
     * @param groups of the policy
     * @param text null for none
     * @throws UsageException if the result does not tell the group of a head
     */
    static HeadGroups parse(List<String> groups, @Nullable String text, int numLayers, int numHeads) {
        if (text == null || !text.endsWith(".safetensors") || groups.size() == 1) {
            return HeadGroups.parse(groups, text);
        }
        Path file = Path.of(text);
        RoleRule rule = Arrays.stream(RoleRule.values())
                .filter(each -> each.names().stream().allMatch(name -> groups.contains(HeadGroups.same(name))))
                .findFirst()
                .orElseThrow(() -> new UsageException("cache.heads: expected a list or a table of the groups " + groups
                        + ", which no rule for roles gives, got " + file));
        Map<String, List<HeadId>> heads = new LinkedHashMap<>();
        int told = 0;
        try (SavedResult run = SavedResult.open(file)) {
            if (!run.has(rule.quantity())) {
                throw new UsageException("cache.heads: expected a result with "
                        + rule.quantity().option() + ", which the rule " + rule.id() + " needs, got " + file);
            }
            boolean early =
                    rule == RoleRule.DUMMY_FORCING && run.slots(rule.quantity()).contains(PassSlot.CONTEXT);
            Analysis analysis = Analysis.of(
                    run,
                    run.slot(early ? "context" : "first"),
                    run.frameBlock(early ? "1" : "last"),
                    MeasureOptions.DEFAULT);
            List<@Nullable String> roles =
                    rule.of(analysis, RoleOptions.DEFAULT).roles();
            for (int i = 0; i < roles.size(); i++) {
                String role = roles.get(i);
                if (role != null) {
                    heads.computeIfAbsent(HeadGroups.same(role), _ -> new ArrayList<>())
                            .add(analysis.heads().get(i).head());
                    told++;
                }
            }
        }
        if (told != numLayers * numHeads) {
            throw new UsageException("cache.heads: expected a result that tells the role of all " + numLayers * numHeads
                    + " heads by the rule " + rule.id() + ", got " + told + " in " + file);
        }
        return HeadGroups.parse(
                groups,
                heads.entrySet().stream()
                        .map(entry -> entry.getKey() + "="
                                + entry.getValue().stream()
                                        .map(head -> head.layer() + ":" + head.head())
                                        .collect(Collectors.joining(",")))
                        .collect(Collectors.joining(";")));
    }
}
