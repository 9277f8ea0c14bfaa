package wan;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.file.Safetensors;
import wan.model.WanConfig;
import wan.op.HostTensor;
import wan.op.TensorView;
import wan.op.WeightSource;

/** The reference's tensors in tests/goldens, whose README states the semantics and the tolerances. */
public final class Goldens implements AutoCloseable {
    /** Tolerances of the README, section 8. */
    public static final double ROLLOUT = 2e-5;

    public static final double FRAME_LOGITS = 1e-5;
    public static final double FRAME_MASS = 2e-6;

    private final Safetensors file;

    private Goldens(Safetensors file) {
        this.file = file;
    }

    public static Goldens open(String name) {
        return new Goldens(Safetensors.open(path(name)));
    }

    public static Path path(String name) {
        return Path.of("tests/goldens", name + ".safetensors");
    }

    public Safetensors file() {
        return file;
    }

    public boolean has(String tensor) {
        return file.names().contains(tensor);
    }

    public HostTensor get(String tensor) {
        TensorView view = file.tensor(tensor);
        return new HostTensor(view.shape(), view.toFloats());
    }

    public JsonNode config() {
        return JsonMapper.shared().readTree(file.metadata().get("config"));
    }

    /** The sizes of a model file's model, as a model configuration. */
    public static String configJson(Goldens model) {
        JsonNode config = model.config();
        return (config.has("model_config") ? config.get("model_config") : config).toString();
    }

    public WeightSource weights() {
        return weights("");
    }

    /** Parameters whose names begin with a prefix. */
    public WeightSource weights(String prefix) {
        return (name, shape) -> {
            TensorView view = file.tensor(prefix + name);
            assertThat(view.shape()).as(name).isEqualTo(shape);
            return view;
        };
    }

    public static WanConfig modelConfig(JsonNode c) {
        return new WanConfig(
                c.get("dim").asInt(),
                c.get("ffn_dim").asInt(),
                c.get("freq_dim").asInt(),
                c.get("in_dim").asInt(),
                c.get("out_dim").asInt(),
                c.get("num_heads").asInt(),
                c.get("num_layers").asInt(),
                c.get("text_dim").asInt(),
                c.get("text_len").asInt(),
                (float) c.get("eps").asDouble());
    }

    /** Asserts shape and values of a golden tensor; NaN matches only NaN. */
    public void assertMatches(String tensor, HostTensor actual, double tolerance) {
        TensorView expected = file.tensor(tensor);
        assertThat(actual.shape()).as(tensor).isEqualTo(expected.shape());
        assertClose(tensor, actual.values(), expected.toDoubles(), tolerance);
    }

    public static void assertClose(String what, float[] actual, double[] expected, double tolerance) {
        assertThat(actual.length).as(what).isEqualTo(expected.length);
        double worst = 0;
        int at = -1;
        for (int i = 0; i < actual.length; i++) {
            // The same infinity differs by NaN.
            double difference = actual[i] == expected[i] ? 0 : Math.abs(actual[i] - expected[i]);
            if (Double.isNaN(difference)) {
                boolean both = Float.isNaN(actual[i]) && Double.isNaN(expected[i]);
                difference = both ? 0 : Double.POSITIVE_INFINITY;
            }
            if (difference > worst) {
                worst = difference;
                at = i;
            }
        }
        assertThat(worst).as("%s: largest difference, at %d", what, at).isLessThanOrEqualTo(tolerance);
    }

    @Override
    public void close() {
        file.close();
    }
}
