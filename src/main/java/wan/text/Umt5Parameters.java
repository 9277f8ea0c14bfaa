package wan.text;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import wan.file.Contents;
import wan.file.Messages;
import wan.file.TensorStore;
import wan.file.Zeros;
import wan.op.FormatException;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * The parameters of a UMT5 encoder under the names of Wan's file ({@code blocks.3.attn.q.weight}), whichever of the two
 * customary naming schemes the file itself uses and whatever stands before the names, and the sizes that follow from their shapes. An
 * encoder that opens has every parameter and nothing else that could change its values.
 *
 * @param names where a module's tensors are stored: Wan's name of the module, then the leaf
 * @param wanNames whether the file uses Wan's names
 * @param vocabulary rows of the embedding
 * @param dim width of the residual stream
 * @param attentionDim width of q, k and v
 * @param heads attention heads
 * @param ffnDim width of the feed-forward layer
 * @param layers transformer layers
 */
record Umt5Parameters(
        TensorStore store,
        Map<String, Map<String, String>> names,
        boolean wanNames,
        int vocabulary,
        int dim,
        int attentionDim,
        int heads,
        int ffnDim,
        int layers) {
    private static final String WEIGHT = "weight";
    private static final Pattern LAYER = Pattern.compile("blocks\\.(\\d+)\\..*");

    /** A tokenizer that ComfyUI keeps in the encoder's file, and marks that say only what the types say too. */
    private static final Pattern BESIDE =
            Pattern.compile("(.*[./])?(spiece_model|scaled_fp8|lm_head\\.weight|logit_scale)");

    private static final int MOST_LISTED = 10;
    /** UMT5-XXL, which Wan uses. */
    private static final int XXL_DIM = 4096;

    private static final int XXL_LAYERS = 24;

    /**
     * Recognises the naming scheme, reads the sizes, and checks that all is there.
     *
     * @throws WanException if this is no UMT5 encoder
     * @throws FormatException with all tensors that are missing or left over
     */
    static Umt5Parameters of(TensorStore store) {
        Map<String, Umt5Names.Stored> stored = new LinkedHashMap<>();
        Map<String, Integer> prefixes = new TreeMap<>();
        for (String name : store.names()) {
            Umt5Names.Stored.of(name).filter(each -> !each.inDecoder()).ifPresent(each -> {
                stored.put(name, each);
                prefixes.merge(each.prefix(), 1, Integer::sum);
            });
        }
        String prefix = prefixes.entrySet().stream()
                .max(Comparator.comparingInt(Map.Entry::getValue))
                .map(Map.Entry::getKey)
                .orElse("");
        Map<String, Map<String, String>> names = new TreeMap<>();
        List<String> left = new ArrayList<>();
        for (String name : store.names()) {
            Umt5Names.Stored each = stored.get(name);
            if (each != null && each.prefix().equals(prefix)) {
                String twin = names.computeIfAbsent(each.module(), _ -> new TreeMap<>())
                        .put(each.leaf(), name);
                if (twin != null && !each.module().equals("token_embedding")) {
                    throw new FormatException(
                            store.path(),
                            Messages.shown(twin) + " and " + Messages.shown(name) + " are the same parameter");
                }
            } else if (name.startsWith(prefix) && name.indexOf('/', prefix.length()) < 0 && isLeft(name)) {
                left.add(name);
            }
        }
        if (!has(names, "token_embedding") && !has(names, "blocks.0.attn.q")) {
            throw WanException.mismatch(
                    store.path().toString(),
                    "a UMT5 encoder with token_embedding.weight (Wan) or shared.weight (Hugging Face)",
                    store.names().size() + " tensors without them"
                            + Contents.of(store.names()).itIs(),
                    "models_t5_umt5-xxl-enc-bf16.pth is the text encoder's file");
        }
        boolean wanNames = stored.keySet().stream()
                .noneMatch(name -> name.contains(".SelfAttention.") || name.contains("DenseReluDense"));
        int layers = 1
                + names.keySet().stream()
                        .map(LAYER::matcher)
                        .filter(Matcher::matches)
                        .mapToInt(layer -> Integer.parseInt(layer.group(1)))
                        .max()
                        .orElse(-1);
        requireAll(store, names, left, layers, wanNames);
        return sized(store, names, wanNames, layers);
    }

    private static boolean has(Map<String, Map<String, String>> names, String module) {
        return names.getOrDefault(module, Map.of()).containsKey(WEIGHT);
    }

    private static boolean isLeft(String name) {
        return !BESIDE.matcher(name).matches()
                && !("." + name).replace('/', '.').contains(".decoder.");
    }

    private static void requireAll(
            TensorStore store,
            Map<String, Map<String, String>> names,
            List<String> left,
            int layers,
            boolean wanNames) {
        List<String> missing = new ArrayList<>();
        Umt5Names.modules(layers).forEach((wan, other) -> {
            if (!has(names, wan)) {
                missing.add((wanNames ? wan : other) + "." + WEIGHT);
            }
        });
        List<String> unexpected = new ArrayList<>(left);
        names.forEach((module, leaves) -> {
            long scales = leaves.keySet().stream()
                    .filter(ScaledWeight.SPELLINGS::containsKey)
                    .count();
            leaves.forEach((leaf, name) -> {
                boolean scale = ScaledWeight.SPELLINGS.containsKey(leaf);
                if ((scale && (scales > 1 || !takesScale(module)))
                        || !(scale || leaf.equals(WEIGHT) || ScaledWeight.WITHOUT_EFFECT.contains(leaf))) {
                    unexpected.add(name);
                }
            });
        });
        if (missing.isEmpty() && unexpected.isEmpty()) {
            return;
        }
        String what = "the tensors are not those of a UMT5 encoder of " + layers + " layers";
        boolean sharedBias = layers > 1
                && has(names, "blocks.0.pos_embedding.embedding")
                && missing.size() == layers - 1
                && missing.stream().allMatch(name -> name.matches(".*(pos_embedding|relative_attention_bias).*"));
        throw new FormatException(
                store.path(),
                what
                        + (sharedBias ? "; a T5, whose layers share one position bias, not UMT5" : "")
                        + listed("missing", missing)
                        + listed("unexpected", unexpected)
                        + (unexpected.stream().anyMatch(name -> Contents.of(List.of(name)) == Contents.QUANTIZED)
                                ? "; scales of these spellings are not read, use the bfloat16 or float16 file"
                                : ""));
    }

    /** Scales belong to matrices; of the embedding only rows are read, and norms have one axis. */
    private static boolean takesScale(String module) {
        return module.contains(".attn.") || module.contains(".ffn.");
    }

    private static String listed(String what, List<String> names) {
        return names.isEmpty() ? "" : "; " + names.size() + " " + what + ": " + Messages.listed(names, MOST_LISTED);
    }

    private static Umt5Parameters sized(
            TensorStore store, Map<String, Map<String, String>> names, boolean wanNames, int layers) {
        Shape embedding = matrix(store, names, "token_embedding");
        Shape query = matrix(store, names, "blocks.0.attn.q");
        Shape bias = matrix(store, names, "blocks.0.pos_embedding.embedding");
        Shape gate = matrix(store, names, "blocks.0.ffn.gate.0");
        if (query.dim(0) % Math.max(1, bias.dim(1)) != 0) {
            throw WanException.mismatch(
                    store.path().toString(),
                    "an attention width that " + bias.dim(1) + " heads divide",
                    query.dim(0),
                    "");
        }
        if (embedding.dim(1) == XXL_DIM && layers != XXL_LAYERS) {
            throw WanException.mismatch(
                    store.path().toString(),
                    "the " + XXL_LAYERS + " layers of UMT5-XXL",
                    layers,
                    "an incomplete merge of shards?");
        }
        Umt5Parameters parameters = new Umt5Parameters(
                store,
                names,
                wanNames,
                embedding.dim(0),
                embedding.dim(1),
                query.dim(0),
                bias.dim(1),
                gate.dim(0),
                layers);
        parameters.requireShapes();
        List<String> weights = names.values().stream()
                .flatMap(leaves -> Stream.ofNullable(leaves.get(WEIGHT)))
                .toList();
        Zeros.refuse(
                store,
                weights,
                Set.of(parameters.leaves("token_embedding.weight").getOrDefault(WEIGHT, "")));
        return parameters;
    }

    private static Shape matrix(TensorStore store, Map<String, Map<String, String>> names, String module) {
        String name = names.getOrDefault(module, Map.of()).getOrDefault(WEIGHT, module);
        Shape shape = store.tensor(name).shape();
        if (shape.rank() != 2 || shape.size() == 0) {
            throw WanException.mismatch(store.path() + ": " + name, "a matrix", shape, "");
        }
        return shape;
    }

    /** Every shape, before the first layer is computed. */
    private void requireShapes() {
        for (String module : Umt5Names.modules(layers).keySet()) {
            stored(module + "." + WEIGHT, expected(module));
        }
    }

    private Shape expected(String module) {
        String part = module.replaceFirst("^blocks\\.\\d+\\.", "");
        return switch (part) {
            case "token_embedding" -> Shape.of(vocabulary, dim);
            case "pos_embedding.embedding" -> Shape.of(RelativePosition.BUCKETS, heads);
            case "attn.q", "attn.k", "attn.v" -> Shape.of(attentionDim, dim);
            case "attn.o" -> Shape.of(dim, attentionDim);
            case "ffn.gate.0", "ffn.fc1" -> Shape.of(ffnDim, dim);
            case "ffn.fc2" -> Shape.of(dim, ffnDim);
            default -> Shape.of(dim);
        };
    }

    /** Scheme and sizes, for people. */
    String description() {
        return "UMT5 text encoder, " + (wanNames ? "Wan2.1's" : "Hugging Face's") + " names; " + layers + " layers, "
                + heads + " heads, dim " + dim + ", vocabulary " + vocabulary;
    }

    /**
     * One parameter; of one that is stored in 8 bits, its values in float32.
     *
     * @param name as Wan's file has it
     * @param expected the shape it must have
     */
    TensorView get(String name, long... expected) {
        TensorView view = stored(name, Shape.of(expected));
        return ScaledWeight.values(store.path(), view, scale(name));
    }

    private TensorView stored(String name, Shape expected) {
        TensorView view = store.tensor(leaves(name).getOrDefault(WEIGHT, name));
        if (!view.shape().equals(expected)) {
            throw WanException.mismatch(store.path() + ": " + view.name(), expected, view.shape(), "");
        }
        return view;
    }

    private @Nullable TensorView scale(String name) {
        return leaves(name).entrySet().stream()
                .filter(leaf -> ScaledWeight.SPELLINGS.containsKey(leaf.getKey()))
                .map(leaf -> store.tensor(leaf.getValue()))
                .findFirst()
                .orElse(null);
    }

    private Map<String, String> leaves(String name) {
        return names.getOrDefault(name.substring(0, name.length() - ("." + WEIGHT).length()), Map.of());
    }

    /** The embeddings of some tokens, of which only these rows are read: [ids.length, dim], written from {@code at} on. */
    void embed(int[] ids, float[] out, int at) {
        TensorView table = stored("token_embedding.weight", Shape.of(vocabulary, dim));
        long rowBytes = table.dtype().bytes(dim);
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] < 0 || ids[i] >= vocabulary) {
                throw WanException.mismatch(
                        store.path() + ": token_embedding.weight",
                        "more than " + ids[i] + " rows, for the tokenizer's ids",
                        vocabulary,
                        "does the tokenizer belong to this model?");
            }
            TensorView row = new TensorView(
                    table.name(), table.dtype(), Shape.of(dim), table.data().asSlice(ids[i] * rowBytes, rowBytes));
            System.arraycopy(ScaledWeight.values(store.path(), row, null).toFloats(), 0, out, at + i * dim, dim);
        }
    }
}
