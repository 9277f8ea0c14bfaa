package capture.analysis;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.file.TensorStore;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * Two files of runs side by side, tensor by tensor.
 *
 * @param quantities all tensors of a quantity together, in the order of the first file: {@code output} are the latents
 * @param heads by quantity: each head's values in all its tensors
 * @param frames each frame of the latents; empty if there are none
 * @param onlyFirst tensors that only the first file has, or that have another shape in the other
 * @param onlySecond tensors that only the second has
 */
public record Comparison(
        SequencedMap<String, Difference> quantities,
        SequencedMap<String, Map<Integer, Map<Integer, Difference>>> heads,
        List<Difference> frames,
        List<String> onlyFirst,
        List<String> onlySecond) {
    private static final Pattern OF_LAYER = Pattern.compile("(?:.*\\.)?layer(\\d+)\\.(.+)");
    private static final Pattern OF_PASS = Pattern.compile(".+\\.([a-z_0-9]+)");
    private static final String LATENTS = "output";

    /** Compares all tensors that both have in one shape. What is not finite in both does not count. */
    public static Comparison of(TensorStore first, TensorStore second) {
        SequencedMap<String, Difference.Sums> quantities = new LinkedHashMap<>();
        SequencedMap<String, Map<Integer, Map<Integer, Difference.Sums>>> heads = new LinkedHashMap<>();
        List<Difference> frames = new ArrayList<>();
        List<String> onlyFirst = new ArrayList<>();
        List<String> onlySecond = new ArrayList<>(second.names());
        @Nullable List<Integer> numbers = heads(first);
        boolean sameHeads = numbers != null && numbers.equals(heads(second));
        for (String name : first.names()) {
            TensorView a = first.tensor(name);
            if (!second.names().contains(name) || !second.tensor(name).shape().equals(a.shape())) {
                onlyFirst.add(name);
                continue;
            }
            onlySecond.remove(name);
            float[] x = a.toFloats();
            float[] y = second.tensor(name).toFloats();
            Matcher layer = OF_LAYER.matcher(name);
            Matcher pass = OF_PASS.matcher(name);
            boolean ofLayer = layer.matches();
            String quantity = ofLayer ? layer.group(2) : pass.matches() ? pass.group(1) : name;
            if (quantity.equals("mask")) {
                continue; // says what the others' NaN are
            }
            quantities.computeIfAbsent(quantity, _ -> new Difference.Sums()).add(x, y, 0, x.length);
            int axis = headAxis(a.shape(), quantity, numbers == null ? 0 : numbers.size());
            if (ofLayer && axis >= 0 && numbers != null && sameHeads) {
                Map<Integer, Difference.Sums> mine = heads.computeIfAbsent(quantity, _ -> new TreeMap<>())
                        .computeIfAbsent(Integer.parseInt(layer.group(1)), _ -> new TreeMap<>());
                addHeads(mine, numbers, a.shape(), axis, x, y);
            }
            if (name.equals(LATENTS) && a.shape().rank() == 5) {
                frames.addAll(frames(a.shape(), x, y));
            }
        }
        if (quantities.isEmpty()) {
            throw new WanException(second.path() + ": expected tensors that " + first.path()
                    + " has too, of the same shape, got none");
        }
        SequencedMap<String, Difference> sums = new LinkedHashMap<>();
        quantities.forEach((quantity, sum) -> sums.put(quantity, sum.difference()));
        SequencedMap<String, Map<Integer, Map<Integer, Difference>>> byHead = new LinkedHashMap<>();
        heads.forEach((quantity, layers) -> {
            Map<Integer, Map<Integer, Difference>> all = new TreeMap<>();
            layers.forEach((layer, each) -> {
                Map<Integer, Difference> row = new TreeMap<>();
                each.forEach((head, sum) -> row.put(head, sum.difference()));
                all.put(layer, row);
            });
            byHead.put(quantity, all);
        });
        return new Comparison(sums, byHead, frames, onlyFirst, onlySecond);
    }

    /** The captured heads, as a result file lists them. */
    private static @Nullable List<Integer> heads(TensorStore store) {
        String text = store.metadata().get("heads");
        if (text == null || !text.matches("\\[[\\d, ]+\\]")) {
            return null;
        }
        List<Integer> heads = new ArrayList<>();
        for (JsonNode head : JsonMapper.shared().readTree(text)) {
            heads.add(head.asInt());
        }
        return heads;
    }

    /** Where a tensor has its heads: [B, N, ...] of a pass, [N, ...] of a whole rollout, [B, L, N, d]; -1 if it has none. */
    private static int headAxis(Shape shape, String quantity, int heads) {
        int axis = switch (quantity) {
            case "full_frame_attention", "last_block_frame_attention", "full_frame_mass", "last_block_frame_mass" -> 0;
            case "frame_logits", "frame_mass", "key_logits", "query_logits", "token_logits", "logits_used" -> 1;
            case "q", "k", "v", "q_raw", "k_raw", "z", "cross_q", "cross_z" -> 2;
            default -> -1;
        };
        return axis >= 0 && axis < shape.rank() && shape.dim(axis) == heads ? axis : -1;
    }

    private static void addHeads(
            Map<Integer, Difference.Sums> sums, List<Integer> heads, Shape shape, int axis, float[] x, float[] y) {
        int outer = 1;
        int inner = 1;
        for (int i = 0; i < shape.rank(); i++) {
            outer *= i < axis ? shape.dim(i) : 1;
            inner *= i > axis ? shape.dim(i) : 1;
        }
        for (int o = 0; o < outer; o++) {
            for (int h = 0; h < heads.size(); h++) {
                sums.computeIfAbsent(heads.get(h), _ -> new Difference.Sums())
                        .add(x, y, (o * heads.size() + h) * inner, inner);
            }
        }
    }

    private static List<Difference> frames(Shape shape, float[] x, float[] y) {
        int frames = shape.dim(1);
        int perFrame = shape.dim(2) * shape.dim(3) * shape.dim(4);
        List<Difference> all = new ArrayList<>();
        for (int frame = 0; frame < frames; frame++) {
            Difference.Sums sums = new Difference.Sums();
            for (int sample = 0; sample < shape.dim(0); sample++) {
                sums.add(x, y, (sample * frames + frame) * perFrame, perFrame);
            }
            all.add(sums.difference());
        }
        return all;
    }
}
