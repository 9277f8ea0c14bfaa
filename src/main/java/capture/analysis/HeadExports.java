package capture.analysis;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import wan.op.WanException;
import wan.weights.OutputFile;

/** Heads and their roles in the files of other projects. */
public final class HeadExports {
    private HeadExports() {}

    /**
     * Roles as a table without header, a row per layer from 0 and a column per head, as Pyramid Forcing's label files are laid out.
     * Layers and heads that were not captured are empty.
     *
     * @param target replaced
     */
    public static void rolesCsv(Path target, Analysis analysis, Roles roles) {
        int heads = 1
                + analysis.heads().stream().mapToInt(v -> v.head().head()).max().orElse(0);
        int layers = 1
                + analysis.heads().stream()
                        .mapToInt(v -> v.head().layer())
                        .max()
                        .orElse(0);
        Map<HeadId, Integer> positions = analysis.positions();
        StringBuilder csv = new StringBuilder();
        for (int layer = 0; layer < layers; layer++) {
            List<String> row = new ArrayList<>();
            for (int head = 0; head < heads; head++) {
                Integer at = positions.get(new HeadId(layer, head));
                row.add(
                        at == null
                                ? ""
                                : Objects.requireNonNullElse(roles.roles().get(at), ""));
            }
            csv.append(String.join(",", row)).append('\n');
        }
        text(target, csv.toString());
    }

    /**
     * A head map as Forcing-KV's models load it ({@code offline_head_file}).
     *
     * @param target replaced
     * @param info sizes of the model
     * @throws WanException if a head of a captured layer has no role, which the map has no word for
     */
    public static void forcingKvMap(Path target, Analysis analysis, Roles roles, RunInfo info) {
        ObjectNode root = JsonMapper.shared()
                .createObjectNode()
                .put("format", "forcingkv_offline")
                .put("profile", "wan_attn")
                .put("num_layers", info.numLayers())
                .put("num_heads", info.numHeads());
        MeasureOptions options = analysis.options();
        root.put(
                "description",
                String.format(
                        Locale.ROOT,
                        "wan-attn %s, %s, frame block %d: static when the mass of the last %d key frames / mass over key"
                                + " frames [%d:] reaches the threshold; otherwise dynamic",
                        analysis.run(),
                        analysis.slot(),
                        analysis.block().index(),
                        options.recentFrames(),
                        options.skipFrames()));
        Map<Integer, Map<Integer, String>> byLayer = new TreeMap<>();
        for (int i = 0; i < analysis.heads().size(); i++) {
            HeadId id = analysis.heads().get(i).head();
            String role = roles.roles().get(i);
            if (role == null) {
                throw new WanException(
                        "head map: expected a role for " + id.label() + ", got none; is frame mass captured?");
            }
            byLayer.computeIfAbsent(id.layer(), l -> new TreeMap<>()).put(id.head(), role);
        }
        ArrayNode layers = root.putArray("layers");
        byLayer.forEach((layer, heads) -> {
            ObjectNode entry = layers.addObject().put("layer_idx", layer);
            for (String role : RoleRule.FORCING_KV.names()) {
                ArrayNode list = entry.putArray(role + "_head");
                heads.forEach((head, its) -> {
                    if (its.equals(role)) {
                        list.add(head);
                    }
                });
            }
        });
        text(target, root.toPrettyString() + "\n");
    }

    /** Writes UTF-8 text; whole or not at all. */
    public static void text(Path target, String text) {
        OutputFile.write(target, out -> out.write(text.getBytes(StandardCharsets.UTF_8)));
    }
}
