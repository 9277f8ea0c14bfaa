package wan.weights;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The names of a Wan2.1 transformer's parameters in Diffusers, and the original ones.
 *
 * <p>Learned from Diffusers' {@code models/transformers/transformer_wan.py} and {@code scripts/convert_wan_to_diffusers.py}. The
 * trap is the norms: a layer's affine norm is {@code norm3} here, because it was added last, and {@code norm2} there, where they
 * are numbered in the order of use.
 */
final class ParameterNames {
    private static final Pattern LAYER = Pattern.compile("(blocks\\.\\d+\\.)(.+)");
    private static final Pattern LEAF = Pattern.compile("(.+)(\\.weight|\\.bias)");

    /** Modules outside the layers: original name, Diffusers name. */
    private static final Map<String, String> MODEL = Map.ofEntries(
            Map.entry("patch_embedding", "patch_embedding"),
            Map.entry("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
            Map.entry("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
            Map.entry("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
            Map.entry("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
            Map.entry("time_projection.1", "condition_embedder.time_proj"),
            Map.entry("img_emb.emb_pos", "condition_embedder.image_embedder.pos_embed"),
            Map.entry("img_emb.proj.0", "condition_embedder.image_embedder.norm1"),
            Map.entry("img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"),
            Map.entry("img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"),
            Map.entry("img_emb.proj.4", "condition_embedder.image_embedder.norm2"),
            Map.entry("head.modulation", "scale_shift_table"),
            Map.entry("head.head", "proj_out"));

    /** Modules of a layer, after {@code blocks.N.}: original name, Diffusers name. */
    private static final Map<String, String> IN_LAYER = Map.ofEntries(
            Map.entry("modulation", "scale_shift_table"),
            Map.entry("norm3", "norm2"),
            Map.entry("self_attn.q", "attn1.to_q"),
            Map.entry("self_attn.k", "attn1.to_k"),
            Map.entry("self_attn.v", "attn1.to_v"),
            Map.entry("self_attn.o", "attn1.to_out.0"),
            Map.entry("self_attn.norm_q", "attn1.norm_q"),
            Map.entry("self_attn.norm_k", "attn1.norm_k"),
            Map.entry("cross_attn.q", "attn2.to_q"),
            Map.entry("cross_attn.k", "attn2.to_k"),
            Map.entry("cross_attn.v", "attn2.to_v"),
            Map.entry("cross_attn.o", "attn2.to_out.0"),
            Map.entry("cross_attn.norm_q", "attn2.norm_q"),
            Map.entry("cross_attn.norm_k", "attn2.norm_k"),
            Map.entry("cross_attn.k_img", "attn2.add_k_proj"),
            Map.entry("cross_attn.v_img", "attn2.add_v_proj"),
            Map.entry("cross_attn.norm_k_img", "attn2.norm_added_k"),
            Map.entry("ffn.0", "ffn.net.0.proj"),
            Map.entry("ffn.2", "ffn.net.2"));

    private static final Map<String, String> MODEL_BACK = inverse(MODEL);
    private static final Map<String, String> IN_LAYER_BACK = inverse(IN_LAYER);

    private ParameterNames() {}

    /** The original name of a Diffusers parameter; empty if there is none. */
    static Optional<String> original(String diffusers) {
        return renamed(diffusers, MODEL_BACK, IN_LAYER_BACK);
    }

    /** The Diffusers name of an original parameter; empty if there is none. */
    static Optional<String> diffusers(String original) {
        return renamed(original, MODEL, IN_LAYER);
    }

    /** Whether a name is one of a parameter, in either scheme. */
    static boolean isKnown(String name) {
        return diffusers(name).isPresent() || original(name).isPresent();
    }

    private static Optional<String> renamed(String name, Map<String, String> model, Map<String, String> inLayer) {
        Matcher layer = LAYER.matcher(name);
        boolean within = layer.matches();
        String rest = within ? layer.group(2) : name;
        Matcher leaf = LEAF.matcher(rest);
        boolean hasLeaf = leaf.matches();
        String module = (within ? inLayer : model).get(hasLeaf ? leaf.group(1) : rest);
        return Optional.ofNullable(module)
                .map(found -> (within ? layer.group(1) : "") + found + (hasLeaf ? leaf.group(2) : ""));
    }

    private static Map<String, String> inverse(Map<String, String> map) {
        Map<String, String> inverse = new LinkedHashMap<>();
        map.forEach((key, value) -> inverse.put(value, key));
        return Map.copyOf(inverse);
    }
}
