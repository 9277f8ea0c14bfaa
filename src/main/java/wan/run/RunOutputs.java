package wan.run;

import capture.Capture;
import capture.CaptureSink;
import capture.MemorySink;
import capture.ResultFile;
import capture.ResultOutput;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;
import wan.op.HostTensor;
import wan.pass.Pass;

/** Everything that a run writes goes through here: captures as they come, latents, and in the end what the files say of themselves. */
final class RunOutputs implements AutoCloseable {
    /** Assembled matrices of a layer: two of frame logits, two of frame mass, a mask, and one to spare. */
    private static final int MATRICES = 6;

    private final Job job;
    private final String backend;
    private final @Nullable ResultOutput file;
    private final @Nullable MemorySink memory;
    private final @Nullable LatentsFile latents;
    private final @Nullable DecodedVideo video;

    /**
     * Begins the files.
     *
     * @param backend what computes, for the metadata
     */
    RunOutputs(Job job, String backend) {
        this.job = job;
        this.backend = backend;
        RunSpec.Output output = job.spec().output();
        this.memory = output.result() == null ? new MemorySink() : null;
        this.file = output.result() == null ? null : open(output.result(), job, backend);
        LatentsFile begun = null;
        try {
            begun = output.latents() == null ? null : new LatentsFile(output.latents(), job.plan(), output.passes());
            this.video = output.video() == null ? null : DecodedVideo.begin(output.video(), job);
        } catch (RuntimeException e) {
            close(file);
            close(begun);
            throw e;
        }
        this.latents = begun;
    }

    private static ResultOutput open(Path target, Job job, String backend) {
        int tensors = MATRICES * job.capture().layers().size();
        for (Pass pass : job.plan().passes()) {
            tensors += job.capture().items(pass, job.geometry()).size();
        }
        return ResultOutput.open(
                target, job.capture(), tensors, metadataBytes(RunMetadata.of(job, backend, RunResult.COMPLETE)));
    }

    /** Room for the metadata as it will be written, with its escapes and for a longer state. */
    private static int metadataBytes(SequencedMap<String, Object> fields) {
        return 1024
                + 2
                        * ResultFile.strings(fields).entrySet().stream()
                                .mapToInt(e ->
                                        e.getKey().length() + e.getValue().getBytes(StandardCharsets.UTF_8).length + 8)
                                .sum();
    }

    /** Where captured tensors go. */
    CaptureSink sink() {
        if (file != null) {
            return file;
        }
        if (memory == null) {
            throw new IllegalStateException("a run without a sink");
        }
        return memory;
    }

    /** Takes what a pass predicted. */
    void passDone(Pass pass, HostTensor input, @Nullable HostTensor flow, @Nullable HostTensor x0) {
        if (latents != null) {
            latents.passDone(pass, input, flow, x0);
        }
        if (video != null) {
            video.passDone(pass, input, x0);
        }
    }

    /** Takes what a sampler computed of that. */
    void tensor(String name, HostTensor value) {
        if (latents != null) {
            latents.tensor(name, value);
        }
    }

    /**
     * Finishes the files: all of a complete run; of another what was captured, if anything was.
     *
     * @param clean latents of all frames, [B, T, C, H, W], of a complete run
     */
    RunResult finish(Capture capture, @Nullable HostTensor clean, String state) {
        Path written = null;
        if (file != null && (state.equals(RunResult.COMPLETE) || file.tensors() > 0)) {
            file.finish(capture, job.lastFrameBlockStart(), RunMetadata.of(job, backend, state));
            written = file.target();
        }
        if (latents != null && clean != null) {
            latents.finish(clean, ResultFile.strings(RunMetadata.of(job, backend, state)));
        }
        if (video != null) {
            video.finish(clean != null);
        }
        return new RunResult(job, backend, capture, memory, written, state);
    }

    @Override
    public void close() {
        try {
            close(file);
        } finally {
            close(latents);
            close(video);
        }
    }

    private static void close(@Nullable AutoCloseable file) {
        try {
            if (file != null) {
                file.close();
            }
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }
}
