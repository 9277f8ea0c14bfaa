package wan.app.command;

import capture.CapturePlan;
import capture.RunGeometry;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Locale;
import wan.app.terminal.Progress;
import wan.backend.Bytes;
import wan.backend.HostMemory;
import wan.backend.MemoryPlan;
import wan.edit.HeadCaches;
import wan.model.WanConfig;
import wan.pass.Pass;
import wan.run.Job;
import wan.sampling.RunCost;
import wan.sampling.RunPlan;
import wan.sampling.RunSettings;

/**
 * What a run would do: its passes, operations, memory and files.
 *
 * @param target the result file
 */
record DryRun(PrintStream out, Job job, Path target) {
    void print() {
        RunPlan plan = job.plan();
        CapturePlan capture = job.capture();
        RunGeometry run = job.geometry();
        WanConfig config = job.config();
        RunSettings settings = plan.settings();
        RunCost cost = job.cost();
        MemoryPlan device = job.deviceMemory();
        out.printf(
                Locale.ROOT,
                "model     %d layers, %d heads of %d, dim %d, ffn %d%n",
                config.numLayers(),
                config.numHeads(),
                config.headDim(),
                config.dim(),
                config.ffnDim());
        out.printf(
                Locale.ROOT,
                "video     %d latent frames of %dx%d, %d tokens each, frame blocks %s, batch %d%n",
                settings.totalFrames(),
                settings.latentHeight(),
                settings.latentWidth(),
                settings.frameSeqLen(),
                settings.blockSizes(),
                run.batch());
        out.printf(
                Locale.ROOT,
                "window    %s%n",
                settings.localAttnSize() == -1
                        ? "none"
                        : settings.localAttnSize() + " frames, sink " + settings.sinkSize());
        out.printf(Locale.ROOT, "timesteps %s, context %s%n", plan.timesteps(), settings.contextNoise());
        out.printf(
                Locale.ROOT,
                "%n%-17s %9s %9s %7s %7s %9s  %-10s  %s%n",
                "pass",
                "timestep",
                "frames",
                "tokens",
                "layers",
                "TFLOP",
                "captured",
                "keys");
        long bytes = 0;
        for (Pass pass : plan.passes()) {
            plan.events().stream()
                    .filter(event -> event.before().equals(pass.id()))
                    .forEach(event -> out.printf(
                            Locale.ROOT, "-- %s: %s%n", event.kind().name().toLowerCase(Locale.ROOT), event.detail()));
            boolean captured = capture.passes().includes(pass.id(), run.numSteps());
            long passBytes = 0;
            if (captured) {
                for (CapturePlan.Item item : capture.items(pass, run)) {
                    passBytes += Float.BYTES * item.shape().size();
                }
            }
            bytes += passBytes;
            out.printf(
                    Locale.ROOT,
                    "%-17s %9.3f %9s %7d %7d %9.4f  %-10s  %s%n",
                    pass.id(),
                    pass.timestep(),
                    KeyTable.range(pass.firstFrame(), pass.firstFrame() + pass.frames() - 1),
                    pass.frames() * settings.frameSeqLen(),
                    pass.numLayers(),
                    cost.flops(pass) / 1e12,
                    captured ? Bytes.text(passBytes) : "-",
                    KeyTable.of(pass));
        }
        out.println(KeyTable.LEGEND);
        out.printf(
                Locale.ROOT,
                "%noperations    %.3f TFLOP in %d passes%n",
                cost.flops(plan) / 1e12,
                plan.passes().size());
        job.estimatedSeconds()
                .ifPresent(seconds -> out.printf(
                        Locale.ROOT,
                        "time          about %s of computing, from a measured layer%n",
                        Progress.clock(seconds)));
        HeadCaches caches = job.caches();
        if (caches != null) {
            double kept = caches.keptShare(plan.numLayers(), settings.totalFrames());
            out.printf(
                    Locale.ROOT,
                    "policy        %s: heads keep %s%.1f %% of the keys of all frames, %s on the JVM, and attend to %.1f %%%n",
                    job.spec().cache().policy(),
                    caches.chooses() ? "at most " : "",
                    100 * kept,
                    Bytes.text((long) (kept
                            * settings.totalFrames()
                            * 8.0
                            * run.batch()
                            * run.frameSeqLen()
                            * config.dim()
                            * plan.numLayers())),
                    100 * caches.attendedShare(plan.passes()));
        }
        HostMemory host = job.hostMemory();
        if (host != null) {
            out.printf(Locale.ROOT, "memory        %s%n", host.parts(job.capturedBytes()));
        }
        if (device != null) {
            out.printf(
                    Locale.ROOT,
                    "memory        %s of %s on device %s, and as much on the host: %s%n",
                    Bytes.text(device.bytes()),
                    Bytes.text(device.deviceBytes()),
                    device.device(),
                    device.parts());
            out.printf(
                    Locale.ROOT,
                    "              largest array %s (%s), of at most %s%n",
                    Bytes.text(device.largestArrayBytes()),
                    device.largestArray(),
                    Bytes.text(device.deviceArrayBytes()));
        }
        out.printf(Locale.ROOT, "file          %s, %s and the assembled matrices%n", target, Bytes.text(bytes));
    }
}
