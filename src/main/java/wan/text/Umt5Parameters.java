package wan.text;

import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import wan.file.TensorStore;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * The parameters of a UMT5 encoder under the names of Wan's file ({@code blocks.3.attn.q.weight}), whichever of the two
 * customary naming schemes the file itself uses, and the sizes that follow from their shapes.
 *
 * @param vocabulary rows of the embedding
 * @param dim width of the residual stream
 * @param attentionDim width of q, k and v
 * @param heads attention heads
 * @param ffnDim width of the feed-forward layer
 * @param layers transformer layers
 */
record Umt5Parameters(
        TensorStore store,
        UnaryOperator<String> names,
        int vocabulary,
        int dim,
        int attentionDim,
        int heads,
        int ffnDim,
        int layers) {
    private static final Pattern LAYER = Pattern.compile("blocks\\.(\\d+)\\.(.*)");

    /**
     * Recognises the naming scheme and reads the sizes.
     *
     * @throws WanException if this is no UMT5 encoder
     */
    static Umt5Parameters of(TensorStore store) {
        Set<String> present = store.names();
        UnaryOperator<String> names = UnaryOperator.identity();
        if (!present.contains("token_embedding.weight")) {
            boolean tied = present.contains("shared.weight");
            names = name -> huggingFaceName(name, tied);
        }
        if (!present.contains(names.apply("token_embedding.weight"))
                || !present.contains(names.apply("blocks.0.ffn.gate.0.weight"))) {
            throw WanException.mismatch(
                    store.path().toString(),
                    "a UMT5 encoder with token_embedding.weight (Wan) or shared.weight (Hugging Face)",
                    present.size() + " tensors without them",
                    "models_t5_umt5-xxl-enc-bf16.pth is the text encoder's file");
        }
        if (present.stream().anyMatch(name -> name.endsWith("scaled_fp8") || name.endsWith(".scale_weight"))) {
            throw new WanException(
                    store.path() + ": float8 weights with scales are not supported; use the bfloat16 or float16 file");
        }
        int layers = 0;
        while (present.contains(names.apply("blocks." + layers + ".attn.q.weight"))) {
            layers++;
        }
        Shape embedding = matrix(store, names.apply("token_embedding.weight"));
        Shape query = matrix(store, names.apply("blocks.0.attn.q.weight"));
        Shape bias = matrix(store, names.apply("blocks.0.pos_embedding.embedding.weight"));
        Shape gate = matrix(store, names.apply("blocks.0.ffn.gate.0.weight"));
        if (query.dim(0) % Math.max(1, bias.dim(1)) != 0) {
            throw WanException.mismatch(
                    store.path().toString(),
                    "an attention width that " + bias.dim(1) + " heads divide",
                    query.dim(0),
                    "");
        }
        return new Umt5Parameters(
                store, names, embedding.dim(0), embedding.dim(1), query.dim(0), bias.dim(1), gate.dim(0), layers);
    }

    private static Shape matrix(TensorStore store, String name) {
        Shape shape = store.tensor(name).shape();
        if (shape.rank() != 2 || shape.size() == 0) {
            throw WanException.mismatch(store.path() + ": " + name, "a matrix", shape, "");
        }
        return shape;
    }

    /** What {@code transformers} calls it in {@code UMT5EncoderModel}. */
    private static String huggingFaceName(String name, boolean tied) {
        Matcher layer = LAYER.matcher(name);
        if (!layer.matches()) {
            return switch (name) {
                case "token_embedding.weight" -> tied ? "shared.weight" : "encoder.embed_tokens.weight";
                case "norm.weight" -> "encoder.final_layer_norm.weight";
                default -> name;
            };
        }
        String part = switch (layer.group(2)) {
            case "norm1.weight" -> "0.layer_norm.weight";
            case "pos_embedding.embedding.weight" -> "0.SelfAttention.relative_attention_bias.weight";
            case "norm2.weight" -> "1.layer_norm.weight";
            case "ffn.gate.0.weight" -> "1.DenseReluDense.wi_0.weight";
            case "ffn.fc1.weight" -> "1.DenseReluDense.wi_1.weight";
            case "ffn.fc2.weight" -> "1.DenseReluDense.wo.weight";
            case String attention -> attention.replace("attn.", "0.SelfAttention.");
        };
        return "encoder.block." + layer.group(1) + ".layer." + part;
    }

    /** Scheme and sizes, for people. */
    String description() {
        String scheme = names.apply("norm.weight").equals("norm.weight") ? "Wan2.1's" : "Hugging Face's";
        return "UMT5 text encoder, " + scheme + " names; " + layers + " layers, " + heads + " heads, dim " + dim
                + ", vocabulary " + vocabulary;
    }

    /**
     * One parameter.
     *
     * @param name as Wan's file has it
     * @param expected the shape it must have
     */
    TensorView get(String name, long... expected) {
        TensorView view = store.tensor(names.apply(name));
        if (!view.shape().equals(Shape.of(expected))) {
            throw WanException.mismatch(store.path() + ": " + view.name(), Shape.of(expected), view.shape(), "");
        }
        return view;
    }

    /** The embeddings of some tokens, of which only these rows are read: [ids.length, dim], written from {@code at} on. */
    void embed(int[] ids, float[] out, int at) {
        TensorView table = get("token_embedding.weight", vocabulary, dim);
        long rowBytes = table.dtype().bytes(dim);
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] < 0 || ids[i] >= vocabulary) {
                throw WanException.mismatch(
                        store.path() + ": token_embedding.weight",
                        "more than " + ids[i] + " rows, for the tokenizer's ids",
                        vocabulary,
                        "does the tokenizer belong to this model?");
            }
            float[] row = new TensorView(
                            table.name(),
                            table.dtype(),
                            Shape.of(dim),
                            table.data().asSlice(ids[i] * rowBytes, rowBytes))
                    .toFloats();
            System.arraycopy(row, 0, out, at + i * dim, dim);
        }
    }
}
