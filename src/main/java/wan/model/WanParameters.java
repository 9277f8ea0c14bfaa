package wan.model;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import wan.op.Shape;

/** The names and shapes of a checkpoint: what {@link WanModel} asks its weight source for ({@code wan/modules/causal_model.py}). */
public final class WanParameters {
    private static final Pattern LAYER = Pattern.compile("blocks\\.(\\d{1,9})\\.");
    private static final Set<String> CONTEXT =
            Set.of("cross_attn.k.weight", "cross_attn.v.weight", "cross_attn.k_img.weight", "cross_attn.v_img.weight");

    private WanParameters() {}

    /** Every parameter's original name and shape, in the order of the computation. */
    public static SequencedMap<String, Shape> shapes(WanConfig config) {
        SequencedMap<String, Shape> shapes = new LinkedHashMap<>();
        int dim = config.dim();
        shapes.put("patch_embedding.weight", Shape.of(dim, config.inDim(), 1, 2, 2));
        shapes.put("patch_embedding.bias", Shape.of(dim));
        linear(shapes, "text_embedding.0", config.textDim(), dim);
        linear(shapes, "text_embedding.2", dim, dim);
        linear(shapes, "time_embedding.0", config.freqDim(), dim);
        linear(shapes, "time_embedding.2", dim, dim);
        linear(shapes, "time_projection.1", dim, 6L * dim);
        int image = config.imageDim();
        if (image > 0) {
            if (config.imagePositions() > 0) {
                shapes.put("img_emb.emb_pos", Shape.of(1, config.imagePositions(), image));
            }
            norm(shapes, "img_emb.proj.0", image);
            linear(shapes, "img_emb.proj.1", image, image);
            linear(shapes, "img_emb.proj.3", image, dim);
            norm(shapes, "img_emb.proj.4", dim);
        }
        SequencedMap<String, Shape> layer = layer(config);
        for (int i = 0; i < config.numLayers(); i++) {
            String prefix = "blocks." + i + ".";
            layer.forEach((name, shape) -> shapes.put(prefix + name, shape));
        }
        shapes.put("head.modulation", Shape.of(1, 2, dim));
        linear(shapes, "head.head", dim, (long) WanConfig.PATCH_VALUES * config.outDim());
        return Collections.unmodifiableSequencedMap(shapes);
    }

    /** The parameters of one transformer layer, without {@code blocks.N.} before their names. */
    public static SequencedMap<String, Shape> layer(WanConfig config) {
        SequencedMap<String, Shape> shapes = new LinkedHashMap<>();
        int dim = config.dim();
        shapes.put("modulation", Shape.of(1, 6, dim));
        attention(shapes, "self_attn.", dim);
        norm(shapes, "norm3", dim);
        attention(shapes, "cross_attn.", dim);
        if (config.imageDim() > 0) {
            linear(shapes, "cross_attn.k_img", dim, dim);
            linear(shapes, "cross_attn.v_img", dim, dim);
            shapes.put("cross_attn.norm_k_img.weight", Shape.of(dim));
        }
        linear(shapes, "ffn.0", dim, config.ffnDim());
        linear(shapes, "ffn.2", config.ffnDim(), dim);
        return Collections.unmodifiableSequencedMap(shapes);
    }

    /** The layer that a parameter is of, counted from 0; -1 for one of no layer. */
    public static int layerOf(String name) {
        Matcher layer = LAYER.matcher(name);
        return layer.lookingAt() ? Integer.parseInt(layer.group(1)) : -1;
    }

    /** Whether a layer's parameter is the matrix of a product that is computed once a run, of the text or a picture. */
    public static boolean isOfContext(String name) {
        return CONTEXT.contains(name);
    }

    private static void attention(SequencedMap<String, Shape> shapes, String prefix, int dim) {
        for (String projection : new String[] {"q", "k", "v", "o"}) {
            linear(shapes, prefix + projection, dim, dim);
        }
        shapes.put(prefix + "norm_q.weight", Shape.of(dim));
        shapes.put(prefix + "norm_k.weight", Shape.of(dim));
    }

    private static void norm(SequencedMap<String, Shape> shapes, String name, long width) {
        shapes.put(name + ".weight", Shape.of(width));
        shapes.put(name + ".bias", Shape.of(width));
    }

    private static void linear(SequencedMap<String, Shape> shapes, String name, long in, long out) {
        shapes.put(name + ".weight", Shape.of(out, in));
        shapes.put(name + ".bias", Shape.of(out));
    }
}
