package wan.run;

import capture.Capture;
import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.edit.Edits;
import wan.noise.CountedNoise;
import wan.op.AttentionKind;
import wan.op.AttentionTap;
import wan.op.HostTensor;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Site;
import wan.op.Tensor;
import wan.pass.Pass;
import wan.sampling.RunListener;

/** Passes a run on to the capture, the monitor and the outputs, and ends it when the monitor asks for that. */
final class Follower implements RunListener {
    private final Capture capture;
    private final Edits edits;
    private final RunMonitor monitor;
    private final RunOutputs outputs;
    private final CountedNoise noise;
    private @Nullable Pass last;
    private String position = "the first pass";

    Follower(Job job, Edits edits, RunMonitor monitor, RunOutputs outputs, CountedNoise noise) {
        this.noise = noise;
        this.capture = new Capture(
                job.capture(),
                job.geometry(),
                outputs.sink(),
                job.spec().capture().keepNonFinite(),
                job.seenKeys());
        this.edits = edits;
        this.monitor = monitor;
        this.outputs = outputs;
    }

    Capture capture() {
        return capture;
    }

    /** The pass that is running. */
    String position() {
        return position;
    }

    @Override
    public PassObserver passStarted(Pass pass) {
        monitor.checkCancelled();
        position = pass.id().label();
        monitor.passStarted(pass);
        PassObserver captured = capture.observe(pass);
        return Edits.watched(edits.observe(pass), new PassObserver() {
            @Override
            public AttentionTap tap(int layer, AttentionKind kind) {
                monitor.checkCancelled();
                return captured.tap(layer, kind);
            }

            @Override
            public boolean keepsNonFinite() {
                return captured.keepsNonFinite();
            }

            @Override
            public boolean looksAt(int layer, Site site) {
                return captured.looksAt(layer, site);
            }

            @Override
            public void visit(int layer, Site site, Tensor x, Ops ops) {
                captured.visit(layer, site, x, ops);
            }

            @Override
            public void layerDone(int layer) {
                monitor.layerDone(layer);
            }
        });
    }

    @Override
    public void passDone(Pass pass, HostTensor latents, @Nullable HostTensor flow, @Nullable HostTensor x0) {
        outputs.passDone(pass, latents, flow, x0);
        last = pass;
    }

    @Override
    public void resumable(int passes, String name, HostTensor kept) {
        if (last != null) {
            outputs.resumable(last, passes, name, kept, noise);
            monitor.resumable(passes);
        }
    }

    @Override
    public boolean runsAgain(Pass pass) {
        return edits.asks(pass);
    }

    @Override
    public void restoring(List<Pass> passes) {
        outputs.requireNoise(noise);
        monitor.restoring(passes.size());
    }

    @Override
    public PassObserver restoreStarted(Pass pass) {
        monitor.checkCancelled();
        return Edits.watched(edits.observeAgain(pass), new PassObserver() {
            @Override
            public AttentionTap tap(int layer, AttentionKind kind) {
                monitor.checkCancelled();
                return AttentionTap.NONE;
            }
        });
    }

    @Override
    public void tensor(String name, HostTensor value) {
        outputs.tensor(name, value);
    }
}
