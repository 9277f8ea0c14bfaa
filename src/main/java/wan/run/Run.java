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

/** A run in the making; {@link #execute} carries it out. Captures frame logits of all layers and heads unless told otherwise. */
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

    /** Rows and columns of a latent frame, an eighth of the video's pixels each; both even. */
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

    /** A window over the cache, in frames, and the first frames that it never evicts. */
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

    /** What of each attention to capture. */
    public Run capture(Quantity... quantities) {
        return with(spec.withCapture(spec.capture().withQuantities(Set.of(quantities))));
    }

    /** Boxes of query tokens whose attention is captured key by key: region logits and masses. */
    public Run queries(QueryRegion... boxes) {
        return with(spec.withCapture(spec.capture().withQueries(List.of(boxes))));
    }

    /** Which activations to capture. */
    public Run record(Site... sites) {
        return with(spec.withCapture(spec.capture().withSites(Set.of(sites))));
    }

    /** What is changed. */
    public Run edit(EditPlan edits) {
        return with(spec.withEdits(edits));
    }

    /** What computes: {@code jvm}, {@code onednn}, {@code tornado:DRIVER:DEVICE}, {@code auto}. */
    public Run device(String name) {
        return with(spec.withDevice(spec.device().named(name)));
    }

    /** Streams captures to a file rather than to memory: what is too large for it, such as token logits. */
    public Run to(Path result) {
        RunSpec.Output o = spec.output();
        return with(spec.withOutput(new RunSpec.Output(result, o.latents(), o.passes(), o.complete(), o.video())));
    }

    /** Follows the run, and may end it. */
    public Run monitor(RunMonitor follower) {
        monitor = follower;
        return this;
    }

    private Run with(RunSpec changed) {
        spec = changed;
        return this;
    }

    /** The run as a value. */
    public RunSpec spec() {
        return spec;
    }

    /** Checks and plans the run. */
    public Job prepare() {
        return wan.prepare(spec, monitor);
    }

    /** Runs until all that was asked for has been captured. */
    public RunResult execute() {
        return prepare().execute(monitor);
    }
}
