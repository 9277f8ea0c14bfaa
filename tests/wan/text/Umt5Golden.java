package wan.text;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import wan.file.TensorStore;
import wan.op.TensorView;

/** The encoder part of {@code golden2}: a small UMT5 encoder and what the reference computed with it. */
public final class Umt5Golden implements AutoCloseable {
    /** The golden README's. */
    public static final float TOLERANCE = 2e-5f;

    private static final String WEIGHTS = "weights/";

    private final TensorStore file = TensorStore.open(Path.of("tests/goldens/golden2/umt5.safetensors"));

    public float[] floats(String name) {
        return file.tensor(name).toFloats();
    }

    int[] ints(String name) {
        return Arrays.stream(file.tensor(name).toDoubles())
                .mapToInt(d -> (int) d)
                .toArray();
    }

    /** The ids of a batch, padding included. */
    public List<TokenIds> texts(String batch) {
        int length = file.tensor(batch + "/ids").shape().dim(1);
        int[] ids = ints(batch + "/ids");
        int[] mask = ints(batch + "/mask");
        List<TokenIds> texts = new ArrayList<>();
        for (int at = 0; at < ids.length; at += length) {
            int count = Arrays.stream(mask, at, at + length).sum();
            texts.add(new TokenIds(Arrays.copyOfRange(ids, at, at + length), count, false));
        }
        return texts;
    }

    /** The weights alone, each under the name that the function gives for Wan's. */
    public TensorStore weights(UnaryOperator<String> rename) {
        Map<String, String> stored = file.names().stream()
                .filter(name -> name.startsWith(WEIGHTS))
                .collect(Collectors.toMap(name -> rename.apply(name.substring(WEIGHTS.length())), name -> name));
        return new TensorStore() {
            @Override
            public Set<String> names() {
                return stored.keySet();
            }

            @Override
            public TensorView tensor(String name) {
                TensorView view = file.tensor(stored.getOrDefault(name, name));
                return new TensorView(name, view.dtype(), view.shape(), view.data());
            }

            @Override
            public Map<String, String> metadata() {
                return Map.of();
            }

            @Override
            public Path path() {
                return Path.of("umt5.pth");
            }

            @Override
            public void close() {}
        };
    }

    /** As {@code UMT5EncoderModel.state_dict()} has them. */
    public static String huggingFaceName(String name) {
        return name.replaceAll("^blocks\\.(\\d+)\\.attn\\.", "encoder.block.$1.layer.0.SelfAttention.")
                .replaceAll("^blocks\\.(\\d+)\\.norm1", "encoder.block.$1.layer.0.layer_norm")
                .replaceAll("^blocks\\.(\\d+)\\.norm2", "encoder.block.$1.layer.1.layer_norm")
                .replaceAll(
                        "^blocks\\.(\\d+)\\.pos_embedding\\.embedding",
                        "encoder.block.$1.layer.0.SelfAttention.relative_attention_bias")
                .replaceAll("^blocks\\.(\\d+)\\.ffn\\.gate\\.0", "encoder.block.$1.layer.1.DenseReluDense.wi_0")
                .replaceAll("^blocks\\.(\\d+)\\.ffn\\.fc1", "encoder.block.$1.layer.1.DenseReluDense.wi_1")
                .replaceAll("^blocks\\.(\\d+)\\.ffn\\.fc2", "encoder.block.$1.layer.1.DenseReluDense.wo")
                .replace("token_embedding", "shared")
                .replaceAll("^norm\\.", "encoder.final_layer_norm.");
    }

    @Override
    public void close() {
        file.close();
    }
}
