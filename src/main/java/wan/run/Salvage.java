package wan.run;

import capture.Capture;
import capture.CaptureSink;
import java.nio.file.Path;
import java.util.List;
import wan.file.PartialFolder;
import wan.file.PartialTensors;
import wan.op.UsageException;
import wan.op.WanException;

/** A partial result, written from the folder of an unfinished run. */
final class Salvage {
    private Salvage() {}

    static RunResult of(Job job, Path target, RunMonitor monitor) {
        Path own = job.spec().output().result();
        if (own == null || RunSpec.Output.same(own, target)) {
            throw new UsageException(
                    "leftovers.salvage: expected a file other than output.result, which is for complete"
                            + " results, got " + target);
        }
        Path folder = PartialFolder.of(own);
        if (!PartialFolder.is(folder)) {
            throw new WanException(
                    "leftovers.salvage: expected the folder of an interrupted run, " + folder + ", got none");
        }
        PartialRun left = PartialRun.read(folder).verified(folder);
        String backend = left.fields().path("backend").asString("");
        RunState.requireSame(folder, left.fields(), RunState.tree(RunMetadata.of(job, backend, RunResult.COMPLETE)));
        Job named = job.writing(target);
        try (PartialTensors captures = left.captures(folder);
                RunOutputs outputs = new RunOutputs(named, backend, Leftovers.KEEP, monitor)) {
            if (captures.names().isEmpty()) {
                throw new WanException(folder + ": contains no captures yet");
            }
            for (String name : captures.names()) {
                CaptureSink.Pieces pieces = outputs.sink().open(name, captures.shape(name));
                captures.copy(name, (first, values) -> pieces.write(first, values, values.length));
            }
            Capture rebuilt = new Capture(job.capture(), job.geometry(), outputs.sink(), true);
            List<String> names = captures.names();
            rebuilt.restore(job.plan().passes(), name -> names.contains(name) ? captures.tensor(name) : null);
            return outputs.finish(rebuilt, null, "partial: " + RunState.progress(left));
        }
    }
}
