package wan.run;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import tools.jackson.databind.JsonNode;
import wan.op.WanException;
import wan.sampling.Method;
import wan.sampling.RunSettings;

/**
 * The settings of a recorded run, from the JSON object in its metadata entry {@code config}. Which method was recorded shows in the
 * fields that only it has.
 */
final class RecordedSettings {
    private final JsonNode config;

    RecordedSettings(JsonNode config) {
        this.config = config;
    }

    /**
     * The run of the name, or the only one.
     *
     * @param run its name; empty if the recording is of one run
     */
    RunSettings settings(String run) {
        if (config.has("latent")) {
            return solver(run);
        }
        List<Float> steps = steps();
        return new RunSettings(
                field("latent_height").asInt(),
                field("latent_width").asInt(),
                field("num_frames_noise").asInt(),
                config.path("num_frames_initial").asInt(0),
                field("num_frame_per_block").asInt(),
                config.path("independent_first_frame").asBoolean(false),
                steps,
                (float) field("timestep_shift").asDouble(),
                config.path("warp_denoising_step").asBoolean(true),
                config.path("local_attn_size").asInt(-1),
                config.path("sink_size").asInt(0),
                (float) config.path("context_noise").asDouble(0),
                method());
    }

    private Method method() {
        if (config.has("kv_cache_num_frames")) {
            return new Method.RecomputedKeys(
                    field("kv_cache_num_frames").asInt(),
                    field("keep_first_frame").asBoolean(),
                    config.path("prompt_change_block").asInt(-1),
                    config.path("interpolation_steps").asInt(0));
        }
        if (config.has("max_attention_frames")) {
            return new Method.RollingWindow(
                    field("cache_frames").asInt(), field("max_attention_frames").asInt());
        }
        boolean longLive = config.has("global_sink");
        return new Method.FewStep(
                floats("first_block_denoising_step_list"),
                longLive ? Method.CacheRule.LONGLIVE : Method.CacheRule.SELF_FORCING,
                config.path("use_infinite_attention").asBoolean(false),
                floats("switch_frame_indices").stream().map(Float::intValue).toList(),
                config.path("global_sink").asBoolean(true));
    }

    private List<Float> steps() {
        List<Float> steps = floats("denoising_step_list");
        if (steps.isEmpty() && config.has("num_denoising_steps")) {
            return Method.RecomputedKeys.steps(field("num_denoising_steps").asInt());
        }
        if (steps.isEmpty()) {
            field("denoising_step_list");
        }
        return steps;
    }

    private RunSettings solver(String run) {
        JsonNode latent = field("latent");
        JsonNode own = run(run);
        int frames = latent.get(1).asInt();
        String solver = field(own, "solver").asString();
        Method.Solver kind = Arrays.stream(Method.Solver.values())
                .filter(each -> each.option().equals(solver) || each.name().equalsIgnoreCase(solver))
                .findFirst()
                .orElseThrow(
                        () -> WanException.mismatch("metadata entry config, solver", "unipc or dpm++", solver, ""));
        return new RunSettings(
                latent.get(2).asInt(),
                latent.get(3).asInt(),
                frames,
                0,
                frames,
                false,
                List.of(),
                (float) field(own, "shift").asDouble(),
                false,
                -1,
                0,
                0,
                new Method.Ode(kind, field(own, "steps").asInt(), (float)
                        field(own, "guide_scale").asDouble()));
    }

    /** The object with one run's settings. */
    private JsonNode run(String name) {
        JsonNode runs = config.path("runs");
        if (!runs.isArray()) {
            return config;
        }
        List<String> names = new ArrayList<>();
        for (JsonNode each : runs) {
            names.add(each.path("name").asString(""));
            if (names.getLast().equals(name)) {
                return each;
            }
        }
        throw WanException.mismatch(
                "the recorded run", "one of " + String.join(", ", names), name.isEmpty() ? "none" : name, "");
    }

    private List<Float> floats(String name) {
        List<Float> values = new ArrayList<>();
        config.path(name).forEach(value -> values.add((float) value.asDouble()));
        return values;
    }

    private JsonNode field(String name) {
        return field(config, name);
    }

    private static JsonNode field(JsonNode object, String name) {
        JsonNode value = object.get(name);
        if (value == null) {
            throw new WanException("metadata entry config: expected " + name + ", got none");
        }
        return value;
    }
}
