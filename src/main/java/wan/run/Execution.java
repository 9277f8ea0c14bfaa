package wan.run;

import capture.Capture;
import capture.MemorySink;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CancellationException;
import wan.edit.Edits;
import wan.noise.CountedNoise;
import wan.noise.NoiseSource;
import wan.op.HostTensor;
import wan.op.NonFiniteException;
import wan.op.WanException;
import wan.pass.Context;
import wan.pass.PassRunner;
import wan.sampling.Checkpoint;
import wan.sampling.Sampler;
import wan.sampling.SamplerInputs;

/** One execution of a job: on a device, with its captures and files; what it has done is kept if it ends early. */
record Execution(Job job, Session session, RunMonitor monitor) {
    RunResult run(Leftovers leftovers) {
        MemoryCheck.require(job, 0);
        if (session.isFirst(job.plan().numLayers())) {
            WeightDiagnosis.warnOfZeros(job);
        }
        monitor.started(job);
        try (Session.Lease device = session.open(job, monitor);
                Edits edits = job.openEdits();
                NoiseSource noise = job.openNoise();
                SamplerInputs given = job.inputs(noise);
                RunOutputs outputs = new RunOutputs(job, device.ops().backend(), leftovers, monitor)) {
            if (outputs.finished()) {
                device.keep();
                monitor.ended();
                return outputs.publish(
                        new Capture(job.capture(), job.geometry(), new MemorySink()), RunResult.COMPLETE);
            }
            CountedNoise counted = new CountedNoise(given.noise());
            Follower follower = new Follower(job, edits, monitor, outputs, counted);
            boolean done = false;
            try {
                HostTensor clean = rollOut(device, noise, given.drawingFrom(counted), follower, outputs);
                if (!job.spec().capture().keepNonFinite()) {
                    clean.requireFinite("final latents");
                }
                monitor.ended();
                RunResult result = outputs.finish(follower.capture(), clean, RunResult.COMPLETE);
                done = true;
                device.keep();
                return result;
            } catch (CancellationException e) {
                done = true;
                return outputs.ended(follower.capture(), "interrupted in " + follower.position());
            } catch (NonFiniteException e) {
                throw WeightDiagnosis.explain(e, job.config(), job.model().weights())
                        .because("capture.keep_non_finite keeps such values");
            } finally {
                monitor.ended();
                if (!done) {
                    keep(outputs, follower);
                }
            }
        }
    }

    /** After a failure: what can be kept is, and a second failure must not hide the first. */
    private void keep(RunOutputs outputs, Follower follower) {
        try {
            outputs.stopped("failed in " + follower.position());
        } catch (WanException e) {
            monitor.notice(String.valueOf(e.getMessage()));
        }
        Path left = outputs.left();
        if (left != null) {
            monitor.notice(
                    outputs.progress() + " are kept in " + left + "; continue the same run with leftovers.resume");
        }
    }

    private HostTensor rollOut(
            Session.Lease device, NoiseSource noise, SamplerInputs inputs, Follower follower, RunOutputs outputs) {
        Sampler sampler = Sampler.of(job.plan(), inputs);
        List<Context> prompts = noise instanceof Replay replay ? replay.prompts() : job.prompts(monitor);
        outputs.inputs(prompts, inputs);
        Checkpoint from = outputs.goOn(follower.capture());
        try (PassRunner runner = sampler.open(device.models(), prompts)) {
            if (from != null) {
                monitor.resumed(from.passes(), outputs.progress());
            }
            return sampler.run(runner, from, follower);
        }
    }
}
