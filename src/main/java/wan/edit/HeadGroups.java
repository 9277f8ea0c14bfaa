package wan.edit;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.op.UsageException;

/** The group of a cache policy to which each head belongs. */
public final class HeadGroups {
    /** Other names of groups, as head roles use them. */
    private static final Map<String, String> SAME =
            Map.of("neighbour", "mid", "wave", "-1", "anchor", "1", "veil", "2");

    private final List<String> groups;
    private final @Nullable String others;
    private final Map<String, String> byHead = new HashMap<>();
    private final List<Named> named = new ArrayList<>();

    private record Named(String group, Heads heads) {}

    private HeadGroups(List<String> groups, @Nullable String others) {
        this.groups = groups;
        this.others = others;
    }

    /**
     * Reads groups: a list such as {@code mid=3:5,7:0-3;dummy=9:all}, in which the first group of the policy has all other
     * heads; a table of labels, a row per layer and a column per head ({@code .csv}, as {@code analyze} writes roles); or
     * Forcing-KV's head map ({@code .json}).
     *
     * @param groups of the policy; a single one has all heads
     * @param text the list or the file; null for none
     * @throws UsageException if the policy has no such group
     */
    public static HeadGroups parse(List<String> groups, @Nullable String text) {
        HeadGroups result = new HeadGroups(
                groups, (text != null && text.contains("=")) || groups.size() == 1 ? groups.getFirst() : null);
        if (text == null) {
            if (groups.size() > 1) {
                throw new UsageException("head groups: expected which heads are " + groups
                        + ", as mid=3:5,7:0-3;..., a CSV of labels or a JSON head map, got none");
            }
            return result;
        }
        try {
            if (text.endsWith(".csv")) {
                result.readTable(Files.readAllLines(Path.of(text)));
            } else if (text.endsWith(".json")) {
                result.readMap(JsonMapper.shared().readTree(Files.readString(Path.of(text))));
            } else {
                for (String part : text.split(";", -1)) {
                    String[] sides = part.strip().split("=", -1);
                    if (sides.length != 2) {
                        throw new UsageException(
                                "head groups: expected GROUP=HEADS such as mid=3:5,7:0-3;dummy=9:all, got \"" + part
                                        + "\"");
                    }
                    result.named.add(new Named(result.known(sides[0].strip()), Heads.parse("head groups", sides[1])));
                }
            }
        } catch (IOException e) {
            throw new UsageException(text + ": cannot read the head groups");
        } catch (JacksonException e) {
            throw new UsageException(text + ": expected a head map as JSON, " + e.getOriginalMessage());
        }
        return result;
    }

    /** The group of a policy that corresponds to a head role: {@code neighbour} is {@code mid}. */
    public static String same(String role) {
        return SAME.getOrDefault(role, role);
    }

    private String known(String group) {
        String name = groups.contains(group) ? group : SAME.getOrDefault(group, group);
        if (!groups.contains(name)) {
            throw new UsageException("head groups: expected one of " + groups + ", got \"" + group + "\"");
        }
        return name;
    }

    private void readTable(List<String> rows) {
        for (int layer = 0; layer < rows.size(); layer++) {
            String[] labels = rows.get(layer).split(",", -1);
            for (int head = 0; head < labels.length; head++) {
                if (!labels[head].isBlank()) {
                    byHead.put(layer + ":" + head, known(labels[head].strip()));
                }
            }
        }
    }

    private void readMap(JsonNode map) {
        for (JsonNode layer : map.path("layers")) {
            for (String group : groups) {
                for (JsonNode head : layer.path(group + "_head")) {
                    byHead.put(layer.path("layer_idx").asInt() + ":" + head.asInt(), group);
                }
            }
        }
    }

    /**
     * The group of a head.
     *
     * @throws UsageException if it has none
     */
    public String of(int layer, int head) {
        String group = byHead.get(layer + ":" + head);
        for (Named each : named) {
            if (each.heads().contains(layer, head)) {
                group = each.group();
            }
        }
        if (group == null) {
            group = others;
        }
        if (group == null) {
            throw new UsageException(
                    "head groups: expected a group of layer " + layer + ", head " + head + ", got none");
        }
        return group;
    }
}
