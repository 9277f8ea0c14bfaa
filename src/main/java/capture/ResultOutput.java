package capture;

import java.nio.file.Path;
import java.util.SequencedMap;
import java.util.Set;
import wan.op.AttentionKind;
import wan.op.Quantity;
import wan.op.UsageException;

/** Where a run's result ends: one of the file formats that {@code --output} names by its suffix. */
public interface ResultOutput extends CaptureSink, AutoCloseable {
    /** Tensors taken so far. */
    long tensors();

    /** The file, or the folder of files, that the result ends in. */
    Path target();

    /**
     * Writes what is left and puts the files into place.
     *
     * @param lastStart first frame of the run's last frame block, for the row means
     * @param fields what the result says of itself: plain values, lists, maps and records
     */
    void finish(Capture capture, int lastStart, SequencedMap<String, Object> fields);

    /** Removes what was written, unless it was finished. */
    @Override
    void close();

    /**
     * The file that a result ends in, or the folder: {@code .pt} holds one layer.
     *
     * @param target as it was named
     */
    static Path place(Path target, boolean oneLayer) {
        String name = String.valueOf(target.getFileName());
        return oneLayer || !name.endsWith(".pt") ? target : target.resolveSibling(name.replaceFirst("\\.pt$", ""));
    }

    /**
     * Begins a result: {@code .pt} as the reference's script writes it, {@code .npz} for NumPy, or {@code .safetensors}.
     *
     * @param target the file
     * @param plannedTensors how many are expected
     * @param metadataBytes how long the metadata will be
     * @throws UsageException if the format cannot hold what is captured
     */
    static ResultOutput open(Path target, CapturePlan plan, int plannedTensors, int metadataBytes) {
        String name = String.valueOf(target.getFileName());
        if (name.endsWith(".pt")) {
            if (!plan.kinds().equals(Set.of(AttentionKind.SELF))
                    || !plan.quantities().equals(Set.of(Quantity.FRAME_LOGITS))) {
                throw new UsageException(
                        "output.result " + name + ": expected frame-logits of self-attention alone, which is what the"
                                + " reference's .pt holds; use .safetensors for more");
            }
            return new ScriptResult(target, plan.layers().size() > 1);
        }
        if (name.endsWith(".npz")) {
            return new NumpyResult(target, plannedTensors, metadataBytes);
        }
        if (!name.endsWith(".safetensors")) {
            throw new UsageException(
                    "output.result: expected a name ending in .safetensors, .pt or .npz, got " + target);
        }
        return new ResultFile(target, plannedTensors, metadataBytes);
    }
}
