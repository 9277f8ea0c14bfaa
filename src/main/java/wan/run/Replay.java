package wan.run;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.file.TensorStore;
import wan.noise.NoiseSource;
import wan.op.FormatException;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;
import wan.sampling.RunSettings;

/**
 * A recorded run: every random tensor and every setting of it in one safetensors file, so that a PyTorch run can be repeated
 * exactly. Tensors {@code noise}, {@code prompt_embeds}, {@code initial_latent} (where there is one) and {@code
 * block{b}.step{s}.renoise}; settings as a JSON object in the metadata entry {@code config}.
 */
public final class Replay implements NoiseSource {
    private final TensorStore file;
    private final RunSettings settings;

    private Replay(TensorStore file, RunSettings settings) {
        this.file = file;
        this.settings = settings;
    }

    /**
     * Opens a recording.
     *
     * @throws FormatException if it lacks a setting or has one of the wrong type
     */
    public static Replay open(Path path) {
        TensorStore file = TensorStore.open(path);
        try {
            String json = file.metadata().get("config");
            if (json == null) {
                throw new FormatException(path, "expected the run's settings in the metadata entry config, got none");
            }
            return new Replay(file, settings(JsonMapper.shared().readTree(json)));
        } catch (JacksonException e) {
            file.close();
            throw new FormatException(path, "metadata entry config: " + e.getOriginalMessage(), e);
        } catch (RuntimeException e) {
            file.close();
            throw e instanceof FormatException ? e : new FormatException(path, String.valueOf(e.getMessage()), e);
        }
    }

    private static RunSettings settings(JsonNode config) {
        List<Float> steps = new ArrayList<>();
        field(config, "denoising_step_list").forEach(step -> steps.add((float) step.asDouble()));
        return new RunSettings(
                field(config, "latent_height").asInt(),
                field(config, "latent_width").asInt(),
                field(config, "num_frames_noise").asInt(),
                config.path("num_frames_initial").asInt(0),
                field(config, "num_frame_per_block").asInt(),
                field(config, "independent_first_frame").asBoolean(),
                steps,
                (float) field(config, "timestep_shift").asDouble(),
                field(config, "warp_denoising_step").asBoolean(),
                config.path("local_attn_size").asInt(-1),
                config.path("sink_size").asInt(0),
                (float) config.path("context_noise").asDouble(0));
    }

    private static JsonNode field(JsonNode config, String name) {
        JsonNode value = config.get(name);
        if (value == null) {
            throw new WanException("metadata entry config: expected " + name + ", got none");
        }
        return value;
    }

    /** The settings of the recorded run. */
    public RunSettings settings() {
        return settings;
    }

    /** The prompts' embeddings, [B, textLen, textDim]. */
    public HostTensor promptEmbeds() {
        return tensor("prompt_embeds");
    }

    /** The given latents, [B, F0, C, H, W]; null if there are none. */
    public @Nullable HostTensor initialLatent() {
        return settings.numInitialFrames() == 0 ? null : tensor("initial_latent");
    }

    @Override
    public float[] initial(Shape shape) {
        return values("noise", shape);
    }

    @Override
    public float[] renoise(int frameBlock, int step, Shape shape) {
        return values("block" + frameBlock + ".step" + step + ".renoise", shape);
    }

    private float[] values(String name, Shape shape) {
        HostTensor tensor = tensor(name);
        if (!tensor.shape().equals(shape)) {
            throw WanException.mismatch(
                    file.path() + ": " + name, shape, tensor.shape(), "the recording is of a run of other sizes");
        }
        return tensor.values();
    }

    private HostTensor tensor(String name) {
        TensorView view = file.tensor(name);
        return new HostTensor(view.shape(), view.toFloats());
    }

    @Override
    public String description() {
        return "replay of " + file.path().getFileName();
    }

    @Override
    public void close() {
        file.close();
    }
}
