package wan.model;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import wan.op.Shape;

/** The names and shapes of a checkpoint: what {@link WanModel} asks its weight source for ({@code wan/modules/causal_model.py}). */
public final class WanParameters {
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
        for (int i = 0; i < config.numLayers(); i++) {
            String layer = "blocks." + i + ".";
            shapes.put(layer + "modulation", Shape.of(1, 6, dim));
            attention(shapes, layer + "self_attn.", dim);
            norm(shapes, layer + "norm3", dim);
            attention(shapes, layer + "cross_attn.", dim);
            if (image > 0) {
                linear(shapes, layer + "cross_attn.k_img", dim, dim);
                linear(shapes, layer + "cross_attn.v_img", dim, dim);
                shapes.put(layer + "cross_attn.norm_k_img.weight", Shape.of(dim));
            }
            linear(shapes, layer + "ffn.0", dim, config.ffnDim());
            linear(shapes, layer + "ffn.2", config.ffnDim(), dim);
        }
        shapes.put("head.modulation", Shape.of(1, 2, dim));
        linear(shapes, "head.head", dim, (long) WanConfig.PATCH_VALUES * config.outDim());
        return Collections.unmodifiableSequencedMap(shapes);
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
