package wan.app.option;

import java.util.Map;
import java.util.regex.Pattern;

/** The options of the fields of a run. The library's messages name fields; the command line shows options instead. */
public final class OptionNames {
    /** The one table. */
    private static final Map<String, String> OF_FIELDS = Map.ofEntries(
            Map.entry("model.path", "--model"),
            Map.entry("model.checkpoint", "--checkpoint"),
            Map.entry("model.branch", "--use-ema"),
            Map.entry("model.loras", "--lora"),
            Map.entry("model.allow_zero_weights", "--allow-zero-weights"),
            Map.entry("video.picture", "--picture"),
            Map.entry("prompt.texts", "--prompt"),
            Map.entry("prompt.negative", "--negative-prompt"),
            Map.entry("prompt.embeddings", "--prompt-embeds"),
            Map.entry("prompt.tokenizer", "--tokenizer"),
            Map.entry("prompt.text_encoder", "--text-encoder"),
            Map.entry("video.latent_height", "--latent-size"),
            Map.entry("video.latent_width", "--latent-size"),
            Map.entry("video.num_frames", "--num-frames"),
            Map.entry("video.initial_latent", "--initial-latent"),
            Map.entry("noise.generator", "--rng"),
            Map.entry("noise.seed", "--seed"),
            Map.entry("noise.dtype", "--noise-dtype"),
            Map.entry("noise.cuda_device", "--cuda-device"),
            Map.entry("noise.replay", "--replay"),
            Map.entry("sampler.steps", "--steps"),
            Map.entry("sampler.shift", "--shift"),
            Map.entry("sampler.warp", "--warp"),
            Map.entry("sampler.context_noise", "--context-noise"),
            Map.entry("sampler.num_frame_per_block", "--num-frame-per-block"),
            Map.entry("sampler.independent_first_frame", "--independent-first-frame"),
            Map.entry("cache.local_attn_size", "--local-attn-size"),
            Map.entry("cache.sink_size", "--sink-size"),
            Map.entry("cache.policy", "--cache-policy"),
            Map.entry("cache.heads", "--head-groups"),
            Map.entry("capture.layers", "--layer"),
            Map.entry("capture.heads", "--head"),
            Map.entry("capture.attention", "--attention"),
            Map.entry("capture.passes", "--pass"),
            Map.entry("capture.quantities", "--what"),
            Map.entry("capture.queries", "--query"),
            Map.entry("capture.keep_non_finite", "--allow-non-finite"),
            Map.entry("figure.dpi", "--dpi"),
            Map.entry("figure.style", "--style"),
            Map.entry("figure.limits", "--limits"),
            Map.entry("figure.scale", "--scale"),
            Map.entry("figure.colour_map", "--colour-map"),
            Map.entry("figure.over", "--over"),
            Map.entry("analysis.skip_sink", "--skip-sink"),
            Map.entry("analysis.skip_recent", "--skip-recent"),
            Map.entry("analysis.frame_block", "--frame-block"),
            Map.entry("analysis.roles", "--roles"),
            Map.entry("analysis.token", "--token"),
            Map.entry("analysis.pass", "--pass"),
            Map.entry("analysis.measure", "--measure"),
            Map.entry("analysis.sample", "--sample"),
            Map.entry("device.name", "--device"),
            Map.entry("device.weights", "--dtype"),
            Map.entry("device.cache", "--kv-cache-dtype"),
            Map.entry("device.kernels", "--kernels"),
            Map.entry("device.libraries", "--libraries"),
            Map.entry("device.memory_bytes", "--device-memory"),
            Map.entry("device.threads", "--threads"),
            Map.entry("leftovers.resume", "--resume"),
            Map.entry("leftovers.discard", "--restart"),
            Map.entry("leftovers.salvage", "--salvage"),
            Map.entry("output.result", "--output"),
            Map.entry("output.latents", "--save-latents"),
            Map.entry("output.passes", "--save-passes"),
            Map.entry("output.complete", "--complete"),
            Map.entry("output.video", "--video"),
            Map.entry("output.vae", "--vae"),
            Map.entry("video.vae", "--vae"));

    /** Not inside a path or a longer name. */
    private static final Pattern FIELD = Pattern.compile("(?<![\\w./\\\\-])[a-z]+\\.[a-z_]+(?![\\w/\\\\])");

    private OptionNames() {}

    /** A message of the library with options in place of fields. */
    public static String inPlaceOfFields(String message) {
        return FIELD.matcher(message).replaceAll(match -> OF_FIELDS.getOrDefault(match.group(), match.group()));
    }
}
