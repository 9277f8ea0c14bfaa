package capture.analysis;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.TreeMap;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import wan.file.OutputFile;
import wan.file.TorchWriter;
import wan.op.DType;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/** Writes heads and their roles in the file formats of other projects. */
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

    /**
     * Frame mass of every head as Forcing-KV's {@code head_profile.py} reads it: one {@code layer{l}_head{h}.pt} for each, a dict of
     * {@code layer_idx}, {@code head_idx} and {@code attn} [f, K], the frame block's query frames by the key frames that it attended.
     *
     * @param folder made if need be
     * @return how many files
     * @throws WanException if frame mass was not captured
     */
    public static int forcingKvFiles(Path folder, Analysis analysis) {
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw new WanException(folder + ": cannot make the folder: " + e.getMessage(), e);
        }
        for (HeadView view : analysis.heads()) {
            float[] mass = view.mass();
            int[] keys = view.keyFrames();
            if (mass == null || keys.length == 0) {
                throw new WanException("head files: expected frame mass of "
                        + view.head().label() + ", got none; extract with" + " capture.quantities frame-mass");
            }
            FrameBlock block = view.block();
            ByteBuffer attn =
                    ByteBuffer.allocate(4 * block.frames() * keys.length).order(ByteOrder.LITTLE_ENDIAN);
            for (int q = block.first(); q < block.end(); q++) {
                for (int k : keys) {
                    attn.putFloat(mass[q * view.frames() + k]);
                }
            }
            SequencedMap<String, Object> dict = new LinkedHashMap<>();
            dict.put("layer_idx", view.head().layer());
            dict.put("head_idx", view.head().head());
            dict.put(
                    "attn",
                    new TensorView(
                            "attn",
                            DType.F32,
                            Shape.of(block.frames(), keys.length),
                            MemorySegment.ofBuffer(attn.flip())));
            TorchWriter.write(
                    folder.resolve("layer" + view.head().layer() + "_head"
                            + view.head().head() + ".pt"),
                    dict);
        }
        return analysis.heads().size();
    }

    /** Writes UTF-8 text; whole or not at all. */
    public static void text(Path target, String text) {
        OutputFile.write(target, out -> out.write(text.getBytes(StandardCharsets.UTF_8)));
    }
}
