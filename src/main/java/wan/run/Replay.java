package wan.run;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import wan.edit.EditPlan;
import wan.edit.RecordedOps;
import wan.file.Contents;
import wan.file.StrictJson;
import wan.file.TensorStore;
import wan.noise.NoiseSource;
import wan.op.FormatException;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;
import wan.pass.Context;
import wan.sampling.Method;
import wan.sampling.RunSettings;
import wan.sampling.SamplerInputs;

/**
 * A recorded run: every random tensor and every setting of it in one safetensors file, so that a PyTorch run can be repeated
 * exactly. Settings are a JSON object in the metadata entry {@code config}; tensors are, of a causal run, {@code noise}, {@code
 * prompt_embeds} or {@code prompt{j}.embeds}, {@code initial_latent} (where there is one), {@code block{b}.step{s}.renoise} or {@code
 * window{w}.block{b}.renoise}, {@code block{b}.reencoded}; of a solver's run {@code noise} (or {@code step0/latent}), {@code
 * context_cond}, {@code context_uncond}, {@code y}, {@code clip_fea}, {@code image_latent}, under {@code NAME/} where the file holds
 * several runs.
 */
public final class Replay implements NoiseSource {
    private final TensorStore file;
    private final String prefix;
    private final JsonNode config;
    private final RunSettings settings;
    private final EditPlan edits;

    private Replay(TensorStore file, String run, JsonNode config) {
        this.file = file;
        this.prefix = run.isEmpty() ? "" : run + "/";
        this.config = config;
        this.edits = run.isEmpty()
                ? EditPlan.NONE
                : RecordedOps.parse(config.path("cases").path(run), file.path(), "source/");
        RunSettings recorded = new RecordedSettings(config).settings(run);
        this.settings = file.names().contains("image_latent") && recorded.method() instanceof Method.Ode ode
                ? recorded.with(ode.withPicture())
                : recorded;
    }

    /** Opens a recording of one run. */
    public static Replay open(Path path) {
        return open(path, "");
    }

    /**
     * Opens a recording.
     *
     * @param run which run of the file; empty if it holds one only
     * @throws FormatException if it lacks a setting or has one of the wrong type
     */
    public static Replay open(Path path, String run) {
        TensorStore file = TensorStore.open(path);
        try {
            String json = file.metadata().get("config");
            if (json == null) {
                throw new FormatException(
                        path,
                        "expected a recorded run with its settings in the metadata entry config, got none"
                                + Contents.of(file.names()).itIs());
            }
            return new Replay(
                    file,
                    run,
                    StrictJson.tree(path + ": metadata entry config", json.getBytes(StandardCharsets.UTF_8)));
        } catch (RuntimeException e) {
            file.close();
            throw e instanceof FormatException ? e : new FormatException(path, String.valueOf(e.getMessage()), e);
        }
    }

    /** The settings of the recorded run. */
    public RunSettings settings() {
        return settings;
    }

    /** What the recorded run changes. */
    public EditPlan edits() {
        return edits;
    }

    /** The first prompt's embeddings, [B, textLen, textDim]. */
    public HostTensor promptEmbeds() {
        return prompts().getFirst().text();
    }

    /** The prompts, then later ones or the negative prompt. */
    public List<Context> prompts() {
        @Nullable HostTensor image = has("clip_fea") ? tensor("clip_fea") : null;
        List<Context> prompts = new ArrayList<>();
        if (has("context_cond")) {
            prompts.add(new Context(padded("context_cond"), image));
            prompts.add(new Context(padded("context_uncond"), image));
        } else if (has("prompt0.embeds")) {
            for (int j = 0; has("prompt" + j + ".embeds"); j++) {
                prompts.add(new Context(tensor("prompt" + j + ".embeds")));
            }
        } else {
            prompts.add(new Context(tensor("prompt_embeds"), image));
        }
        return prompts;
    }

    /** [n, textDim] with zero rows up to the model's text length: [1, textLen, textDim]. */
    private HostTensor padded(String name) {
        HostTensor rows = tensor(name);
        int textLen =
                config.path("model_config").path("text_len").asInt(rows.shape().dim(0));
        int width = rows.shape().dim(1);
        HostTensor out = HostTensor.zeros(Shape.of(1, textLen, width));
        System.arraycopy(rows.values(), 0, out.values(), 0, Math.min(rows.values().length, out.values().length));
        return out;
    }

    /** What the sampler starts from. */
    public SamplerInputs inputs() {
        return new SamplerInputs(
                this,
                initialLatent(),
                has("y") ? Picture.framesFirst(tensor("y")) : null,
                (block, _, _) -> tensor("block" + block + ".reencoded"));
    }

    /** The given latents, [B, F0, C, H, W]; null if there are none. */
    public @Nullable HostTensor initialLatent() {
        if (has("image_latent")) {
            return Picture.framesFirst(tensor("image_latent"));
        }
        return settings.numInitialFrames() == 0 ? null : tensor("initial_latent");
    }

    @Override
    public float[] initial(Shape shape) {
        return values(has("noise") || !has("step0/latent") ? "noise" : "step0/latent", shape);
    }

    @Override
    public float[] renoise(int frameBlock, int step, Shape shape) {
        return values("block" + frameBlock + ".step" + step + ".renoise", shape);
    }

    @Override
    public float[] renoiseWindow(int window, int frameBlock, int place, Shape shape, int blocks) {
        return values("window" + window + ".block" + frameBlock + ".renoise", shape);
    }

    private float[] values(String name, Shape shape) {
        HostTensor tensor = tensor(name);
        if (!tensor.shape().equals(shape)) {
            throw WanException.mismatch(
                    file.path() + ": " + name, shape, tensor.shape(), "the recording is of a run of other sizes");
        }
        return tensor.values();
    }

    private boolean has(String name) {
        return file.names().contains(prefix + name) || file.names().contains(name);
    }

    private HostTensor tensor(String name) {
        TensorView view = file.tensor(file.names().contains(prefix + name) ? prefix + name : name);
        return new HostTensor(view.shape(), view.toFloats());
    }

    @Override
    public String description() {
        return "replay of " + file.path().getFileName() + (prefix.isEmpty() ? "" : ", " + prefix.replace("/", ""));
    }

    @Override
    public void close() {
        file.close();
    }
}
