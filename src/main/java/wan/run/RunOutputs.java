package wan.run;

import capture.Capture;
import capture.CaptureSink;
import capture.MemorySink;
import capture.ResultFile;
import capture.ResultOutput;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;
import wan.edit.HeadCaches;
import wan.file.PartialFolder;
import wan.file.SafetensorsWriter;
import wan.noise.CountedNoise;
import wan.op.HostTensor;
import wan.op.UsageException;
import wan.pass.Context;
import wan.pass.Pass;
import wan.sampling.Checkpoint;
import wan.sampling.SamplerInputs;

/** Everything that a run writes: captures as they arrive, latents, and finally the metadata. */
final class RunOutputs implements AutoCloseable {
    /** Assembled matrices of a layer: two of frame logits, two of frame mass, a mask, and one to spare. */
    private static final int MATRICES = 6;

    private final Job job;
    private final String backend;
    private final @Nullable RunState state;
    private final @Nullable ResultOutput file;
    private final @Nullable MemorySink memory;
    private final @Nullable LatentsFile latents;
    private final @Nullable DecodedVideo video;

    /**
     * Begins the files, or continues those of an earlier run.
     *
     * @param backend what computes, for the metadata
     */
    RunOutputs(Job job, String backend, Leftovers leftovers, RunMonitor monitor) {
        this.job = job;
        this.backend = backend;
        RunSpec.Output output = job.spec().output();
        Path main = output.result() != null ? output.result() : output.latents();
        this.memory = output.result() == null ? new MemorySink() : null;
        SequencedMap<String, Object> fields = RunMetadata.of(job, backend, RunResult.COMPLETE);
        // Captures in memory are gone with the run, so that it cannot go on later.
        Leftovers policy = memory == null ? leftovers : Leftovers.DISCARD;
        if (output.result() != null) {
            ResultOutput.check(output.result(), job.capture());
        }
        this.state = main == null ? null : RunState.open(main, fields, room(job, fields), policy, monitor);
        boolean begins = state != null && !state.finished();
        this.file = output.result() == null || state == null || !begins
                ? null
                : ResultOutput.of(output.result(), job.capture(), state.tensors(PartialRun.CAPTURES));
        this.latents = output.latents() == null || state == null || !begins
                ? null
                : new LatentsFile(state.tensors(PartialRun.PASSES), output.passes());
        try {
            this.video = output.video() == null || finished() ? null : DecodedVideo.begin(output.video(), job);
        } catch (RuntimeException e) {
            close(state);
            throw e;
        }
    }

    /** Bytes for the header of each file. */
    private static SequencedMap<String, Long> room(Job job, SequencedMap<String, Object> fields) {
        SequencedMap<String, Long> room = new LinkedHashMap<>();
        HeadCaches caches = job.caches();
        // What the run will have chosen: at most ten letters for a head, and the names.
        long choice = caches == null || !caches.chooses()
                ? 0
                : 64 + 10L * job.config().numLayers() * job.config().numHeads();
        long metadata = metadataBytes(fields) + choice;
        RunSpec.Output output = job.spec().output();
        if (output.result() != null) {
            long tensors = (long) MATRICES * job.capture().layers().size();
            for (Pass pass : job.plan().passes()) {
                tensors += job.capture().items(pass, job.geometry()).size();
            }
            room.put(PartialRun.CAPTURES, tensors * ResultFile.HEADER_BYTES_PER_TENSOR + metadata);
        }
        if (output.latents() != null) {
            room.put(PartialRun.PASSES, LatentsFile.headerBytes(job.plan()) + metadata);
        }
        room.put(PartialRun.STATE, 0L);
        if (escapedBytes(fields) > SafetensorsWriter.MAX_HEADER_BYTES) {
            throw new UsageException("output: the description of the "
                    + job.plan().passes().size()
                    + " passes, with the keys of each, takes more than the " + SafetensorsWriter.MAX_HEADER_BYTES
                    + " bytes that a result has for it; use fewer video.num_frames, a larger"
                    + " sampler.num_frame_per_block, or a window (cache.local_attn_size)");
        }
        // Too little room costs one copy of the data at the end.
        room.replaceAll((file, bytes) -> Math.min(bytes, PartialRun.MOST_HEADER_BYTES));
        return room;
    }

    /** The metadata as it will be written: values are strings, mostly JSON whose quotes are escaped. */
    private static long escapedBytes(SequencedMap<String, Object> fields) {
        return ResultFile.strings(fields).values().stream()
                .mapToLong(value -> value.length()
                        + value.chars().filter(c -> c == '"' || c == '\\').count())
                .sum();
    }

    /** Room for the metadata as it will be written, with its escapes and for a longer state. */
    private static long metadataBytes(SequencedMap<String, Object> fields) {
        return 1024
                + 2L
                        * ResultFile.strings(fields).entrySet().stream()
                                .mapToLong(e ->
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

    /** Whether an earlier run had computed everything. */
    boolean finished() {
        return state != null && state.finished();
    }

    /**
     * The checkpoint from which the run continues, or null for the start. What was captured before it is put into the
     * capture's matrices.
     */
    @Nullable
    Checkpoint goOn(Capture capture) {
        if (state == null) {
            return null;
        }
        state.restore(job, capture);
        String groups = state.headGroups();
        HeadCaches caches = job.caches();
        if (groups != null && caches != null) {
            caches.restoreGroups(groups);
        }
        return state.checkpoint();
    }

    /** Takes what the run is given, and refuses other things than an earlier one was given. */
    void inputs(List<Context> prompts, SamplerInputs inputs) {
        if (state != null) {
            SequencedMap<String, @Nullable HostTensor> given = new LinkedHashMap<>();
            for (int i = 0; i < prompts.size(); i++) {
                given.put("prompt" + i + ".text", prompts.get(i).text());
                given.put("prompt" + i + ".image", prompts.get(i).image());
            }
            given.put("initial_latent", inputs.initialLatent());
            given.put("image_channels", inputs.imageChannels());
            state.inputs(given);
        }
    }

    /** The noise has been drawn as far as it was. */
    void requireNoise(CountedNoise noise) {
        if (state != null) {
            state.requireNoise(noise);
        }
    }

    /** Takes what a pass predicted. */
    void passDone(Pass pass, HostTensor input, @Nullable HostTensor flow, @Nullable HostTensor x0) {
        if (latents != null) {
            latents.passDone(pass, input, flow, x0);
        }
        if (video != null) {
            video.passDone(pass, input);
        }
        if (state != null) {
            state.passDone();
        }
    }

    /** The run can be resumed from here. */
    void resumable(Pass last, int passes, String name, HostTensor kept, CountedNoise noise) {
        if (state != null && memory == null) {
            HeadCaches caches = job.caches();
            String groups = caches == null ? null : caches.chosenGroups();
            state.resumable(last.id().label(), passes, name, kept, noise, groups);
        }
    }

    /** The run ends before its time. */
    void stopped(String position) {
        if (state != null && memory == null) {
            state.stopped(position);
        }
    }

    /** Where what is left of a run that ended before its time is, or null if nothing is. */
    @Nullable
    Path left() {
        return state != null && state.worthKeeping() ? state.path() : null;
    }

    /** How far it got. */
    String progress() {
        return state == null ? "" : state.progress();
    }

    /** Takes what a sampler computed of that. */
    void tensor(String name, HostTensor value) {
        if (latents != null) {
            latents.tensor(name, value);
        }
    }

    /**
     * Finishes all files of a run.
     *
     * @param clean latents of all frames, [B, T, C, H, W]; null where no file of them is made
     * @param how complete, or why not
     */
    RunResult finish(Capture capture, @Nullable HostTensor clean, String how) {
        if (file != null) {
            file.finish(capture, job.lastFrameBlockStart(), RunMetadata.of(job, backend, how));
        }
        if (latents != null && clean != null) {
            latents.finish(clean, ResultFile.strings(RunMetadata.of(job, backend, how)));
        }
        if (video != null) {
            video.finish(clean);
        }
        return publish(capture, how);
    }

    /** Puts the finished files into their places. */
    RunResult publish(Capture capture, String how) {
        RunSpec.Output output = job.spec().output();
        Path result = output.result();
        if (state != null) {
            List<PartialFolder.Move> moves = new ArrayList<>();
            if (output.latents() != null) {
                moves.add(new PartialFolder.Move(state.file(PartialRun.PASSES), output.latents()));
            }
            if (result != null) {
                moves.addAll(ResultOutput.moves(result, job.capture(), state.file(PartialRun.CAPTURES)));
            }
            state.publish(moves);
        }
        Path place = result == null ? null : ResultOutput.place(result, job.capture());
        return new RunResult(job, backend, capture, memory, place, null, how);
    }

    /** What there is of a run that was ended: captures in memory, or partial data on the disk. */
    RunResult ended(Capture capture, String how) {
        stopped(how);
        return new RunResult(job, backend, capture, memory, null, left(), how);
    }

    @Override
    public void close() {
        try {
            close(state);
        } finally {
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
