package wan.run;

import capture.Capture;
import capture.CapturePlan;
import capture.FrameMatrix;
import capture.MemorySink;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import wan.file.TensorStore;
import wan.op.AttentionKind;
import wan.op.HostTensor;
import wan.op.Quantity;
import wan.op.TensorView;
import wan.op.WanException;
import wan.pass.PassId;

/** The result of a run. */
public final class RunResult {
    static final String COMPLETE = "complete";

    private final Job job;
    private final String backend;
    private final Capture capture;
    private final @Nullable MemorySink memory;
    private final @Nullable Path file;
    private final @Nullable Path partial;
    private final String state;

    RunResult(
            Job job,
            String backend,
            Capture capture,
            @Nullable MemorySink memory,
            @Nullable Path file,
            @Nullable Path partial,
            String state) {
        this.job = job;
        this.backend = backend;
        this.capture = capture;
        this.memory = memory;
        this.file = file;
        this.partial = partial;
        this.state = state;
    }

    /** {@code complete}, or the reason why the run ended early. */
    public String state() {
        return state;
    }

    /** Whether everything requested was captured. */
    public boolean complete() {
        return state.equals(COMPLETE);
    }

    /** The job that ran. */
    public Job job() {
        return job;
    }

    /** The file, or the folder of files, that the captures are in; null if they are in memory, or if there are none. */
    public @Nullable Path file() {
        return file;
    }

    /** The folder from which an unfinished run can be resumed; null if there is none. */
    public @Nullable Path partial() {
        return partial;
    }

    /**
     * Mean logits of frames over the whole rollout, [N, T, T], of the first sample and the first captured pass of each frame block.
     *
     * @throws WanException if they were not captured
     */
    public FrameMatrix frameLogits(int layer) {
        return matrix(Quantity.FRAME_LOGITS, layer);
    }

    /** Softmax weights of frames, in the form of {@link #frameLogits}. */
    public FrameMatrix frameMass(int layer) {
        return matrix(Quantity.FRAME_MASS, layer);
    }

    private FrameMatrix matrix(Quantity quantity, int layer) {
        FrameMatrix matrix = capture.matrices(quantity).get(layer);
        if (matrix == null) {
            throw new WanException("result: no " + quantity.option() + " of layer " + layer
                    + " were captured; there are " + capture.matrices(quantity).keySet());
        }
        return matrix;
    }

    /** All matrices of a quantity, by layer. */
    public Map<Integer, FrameMatrix> matrices(Quantity quantity) {
        return capture.matrices(quantity);
    }

    /**
     * One captured tensor, shaped as {@link Quantity} says.
     *
     * @throws WanException if it was not captured
     */
    public HostTensor get(PassId pass, int layer, AttentionKind kind, Quantity quantity) {
        if (memory != null) {
            return memory.get(CapturePlan.name(
                    pass, layer, kind, quantity, memory.tensors().keySet()));
        }
        if (file == null) {
            throw new WanException("result: nothing was captured, the run was " + state);
        }
        try (TensorStore store = TensorStore.open(file)) {
            TensorView view = store.tensor(CapturePlan.name(pass, layer, kind, quantity, store.names()));
            return new HostTensor(view.shape(), view.toFloats());
        }
    }

    /**
     * Writes captures from memory to a file, as {@code extract} does: {@code .safetensors}, {@code .npz}, or {@code .pt} in the form
     * of the reference's script.
     *
     * @throws WanException if the run has written its file already
     */
    public void save(Path target) {
        if (memory == null) {
            throw new WanException("result: expected captures in memory to save, got "
                    + (file == null ? "none" : "those already in " + file));
        }
        Job named = job.writing(target);
        try (RunOutputs outputs = new RunOutputs(named, backend, Leftovers.KEEP, RunMonitor.NONE)) {
            memory.tensors().forEach((name, tensor) -> outputs.sink().write(name, tensor.shape(), tensor.values()));
            RunResult _ = outputs.finish(capture, null, state);
        }
    }
}
