package wan.run;

import capture.CapturePlan;
import capture.ResultSchema;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import wan.edit.HeadCaches;
import wan.model.WanConfig;
import wan.op.Quantity;
import wan.op.Site;
import wan.pass.Pass;
import wan.sampling.RunPlan;
import wan.sampling.RunSettings;

/** The metadata of a result file: the fields of the reference's script, and the provenance of the numbers. */
final class RunMetadata {
    private RunMetadata() {}

    /**
     * The metadata of a run.
     *
     * @param state why the run ended early, or "complete"
     */
    static SequencedMap<String, Object> of(Job job, String backend, String state) {
        RunPlan plan = job.plan();
        CapturePlan capture = job.capture();
        RunSettings settings = plan.settings();
        int frames = settings.totalFrames();
        List<Integer> blockSizes = settings.blockSizes();
        SequencedMap<String, Object> fields = new LinkedHashMap<>();
        fields.put(
                "layer_index", capture.layers().size() == 1 ? capture.layers().getFirst() : capture.layers());
        fields.put("is_logits", !capture.quantities().equals(Set.of(Quantity.FRAME_MASS)));
        fields.put("prompt", job.prompt());
        List<List<List<String>>> tokens = job.promptTokens();
        if (!tokens.isEmpty()) {
            fields.put("prompt_tokens", tokens);
        }
        fields.put("num_frames", frames);
        fields.put("frame_seq_length", settings.frameSeqLen());
        fields.put("num_frame_per_block", settings.numFramePerBlock());
        fields.put("num_heads", capture.heads().size());
        fields.put("block_sizes", blockSizes);
        fields.put("query_frames", range(0, frames));
        fields.put("key_frames", range(0, frames));
        fields.put("last_block_query_frames", range(job.lastFrameBlockStart(), frames));

        fields.put("layers", capture.layers());
        fields.put("heads", capture.heads());
        fields.put(
                "attention",
                capture.kinds().stream()
                        .map(k -> k.name().toLowerCase(Locale.ROOT))
                        .sorted()
                        .toList());
        fields.put(
                "what",
                Stream.concat(
                                capture.quantities().stream().map(Quantity::option),
                                capture.recorded().sites().stream().map(Site::option))
                        .sorted()
                        .toList());
        fields.put("captured_passes", capture.passes().toString());
        if (!capture.regions().boxes().isEmpty()) {
            fields.put("query_regions", capture.regions().boxes());
        }
        fields.put("schema_version", ResultSchema.VERSION);
        fields.put("spec", SpecJson.tree(job.resolved()));
        fields.put("wan_attn_version", Program.version());
        fields.put("model", job.model().name());
        fields.put("model_fingerprint", job.model().fingerprint());
        fields.put("model_config", sizes(job.config()));
        fields.put("latent_size", List.of(settings.latentHeight(), settings.latentWidth()));
        fields.put("timesteps", plan.timesteps());
        fields.put("noise", job.noise());
        fields.put("backend", backend);
        fields.put("run", state);
        HeadCaches caches = job.caches();
        String chosen = caches == null ? null : caches.chosenGroups();
        if (chosen != null) {
            fields.put("head_groups", chosen);
        }
        fields.put(
                "events",
                plan.events().stream()
                        .map(event -> Map.of(
                                "kind", event.kind().name().toLowerCase(Locale.ROOT),
                                "before", event.before().label(),
                                "detail", event.detail()))
                        .toList());
        fields.put("passes", passes(plan));

        return fields;
    }

    /** Sizes of the model, under the names of the reference's config.json. */
    private static Map<String, Object> sizes(WanConfig config) {
        Map<String, Object> sizes = new LinkedHashMap<>();
        sizes.put("dim", config.dim());
        sizes.put("ffn_dim", config.ffnDim());
        sizes.put("freq_dim", config.freqDim());
        sizes.put("in_dim", config.inDim());
        sizes.put("out_dim", config.outDim());
        sizes.put("num_heads", config.numHeads());
        sizes.put("num_layers", config.numLayers());
        sizes.put("text_dim", config.textDim());
        sizes.put("text_len", config.textLen());
        sizes.put("eps", config.eps());
        return sizes;
    }

    private static List<Map<String, Object>> passes(RunPlan plan) {
        List<Map<String, Object>> passes = new ArrayList<>();
        for (Pass pass : plan.passes()) {
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("name", pass.id().label());
            entry.put("first_frame", pass.firstFrame());
            entry.put("frames", pass.frames());
            entry.put("timestep", pass.timestep());
            entry.put("timesteps", pass.timesteps());
            entry.put("context", pass.context());
            entry.put("cache", pass.cache());
            entry.put("expert", pass.expert());
            entry.put("layers", pass.numLayers());
            entry.put("key_frames", pass.placement().keyFrames());
            entry.put("key_positions", pass.placement().keyPositions());
            entry.put("key_written_by", pass.placement().keyWrittenBy());
            entry.put("query_positions", pass.placement().queryPositions());
            entry.put("evicted_frames", pass.placement().evictedFrames());
            passes.add(entry);
        }
        return passes;
    }

    private static List<Integer> range(int from, int to) {
        return IntStream.range(from, to).boxed().toList();
    }
}
