package wan.run;

import capture.Indices;
import capture.PassChoice;
import capture.QueryRegion;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import wan.edit.EditPlan;
import wan.op.AttentionKind;
import wan.op.Quantity;
import wan.op.Site;

/** The description of a run; {@link #execute} runs it. By default, it captures frame logits of all layers and heads. */
public final class Run {
    private final Wan wan;
    private RunSpec spec;
    private RunMonitor monitor = RunMonitor.NONE;

    Run(Wan wan, RunSpec spec) {
        this.wan = wan;
        this.spec = spec.withCapture(spec.capture().withLayers(Indices.ALL));
    }

    /** Latent frames to generate. */
    public Run frames(int frames) {
        RunSpec.Video v = spec.video();
        return with(spec.withVideo(
                new RunSpec.Video(v.latentHeight(), v.latentWidth(), frames, v.initialLatent(), v.picture(), v.vae())));
    }

    /** Rows and columns of a latent frame: an eighth of the video's pixels in each direction, both even. */
    public Run latentSize(int height, int width) {
        RunSpec.Video v = spec.video();
        return with(spec.withVideo(
                new RunSpec.Video(height, width, v.numFrames(), v.initialLatent(), v.picture(), v.vae())));
    }

    /** The seed of all noise. */
    public Run seed(long seed) {
        RunSpec.Noise n = spec.noise();
        return with(spec.withNoise(
                new RunSpec.Noise(n.generator(), seed, n.bf16(), n.cudaDevice(), n.replay(), n.replayRun())));
    }

    /** A sliding window over the KV cache, in frames, and the number of first frames (the sink) that it never evicts. */
    public Run window(int localAttnSize, int sinkSize) {
        return with(spec.withCache(new RunSpec.Cache(localAttnSize, sinkSize)));
    }

    /** Layers to capture, counted from 0. */
    public Run layers(int... layers) {
        return with(spec.withCapture(spec.capture().withLayers(Indices.of(layers))));
    }

    /** Heads to capture, counted from 0. */
    public Run heads(int... heads) {
        return with(spec.withCapture(spec.capture().withHeads(Indices.of(heads))));
    }

    /** Self-attention, cross-attention or both. */
    public Run attention(AttentionKind... kinds) {
        return with(spec.withCapture(spec.capture().withAttention(Set.of(kinds))));
    }

    /** Passes of each frame block to capture. */
    public Run passes(PassChoice passes) {
        return with(spec.withCapture(spec.capture().withPasses(passes)));
    }

    /** Quantities to capture of each attention. */
    public Run capture(Quantity... quantities) {
        return with(spec.withCapture(spec.capture().withQuantities(Set.of(quantities))));
    }

    /** Boxes of query tokens whose logits and masses are captured for every key token. */
    public Run queries(QueryRegion... boxes) {
        return with(spec.withCapture(spec.capture().withQueries(List.of(boxes))));
    }

    /** Activations to capture. */
    public Run record(Site... sites) {
        return with(spec.withCapture(spec.capture().withSites(Set.of(sites))));
    }

    /** Interventions to apply. */
    public Run edit(EditPlan edits) {
        return with(spec.withEdits(edits));
    }

    /** The device: {@code jvm}, {@code onednn}, {@code tornado:DRIVER:DEVICE}, {@code auto}. */
    public Run device(String name) {
        return with(spec.withDevice(spec.device().named(name)));
    }

    /** Streams captures to a file instead of memory, for large ones such as token logits. */
    public Run to(Path result) {
        RunSpec.Output o = spec.output();
        return with(spec.withOutput(new RunSpec.Output(result, o.latents(), o.passes(), o.complete(), o.video())));
    }

    /** Observes the run, and can stop it. */
    public Run monitor(RunMonitor follower) {
        monitor = follower;
        return this;
    }

    private Run with(RunSpec changed) {
        spec = changed;
        return this;
    }

    /** The specification of the run. */
    public RunSpec spec() {
        return spec;
    }

    /** Checks and plans the run. */
    public Job prepare() {
        return wan.prepare(spec, monitor);
    }

    /** Runs until everything requested has been captured. */
    public RunResult execute() {
        return prepare().execute(monitor);
    }
}
