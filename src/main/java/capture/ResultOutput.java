package capture;

import java.nio.file.Path;
import java.util.List;
import java.util.SequencedMap;
import java.util.Set;
import wan.file.PartialFolder;
import wan.file.PartialTensors;
import wan.op.AttentionKind;
import wan.op.Quantity;
import wan.op.UsageException;

/** The result file of a run, in the format given by the ending of its name. Until it is complete, data is kept in a
 * {@link PartialFolder}. */
public interface ResultOutput extends CaptureSink {
    /**
     * Writes the files completely and syncs them, but does not yet move them into place.
     *
     * @param lastStart first frame of the run's last frame block, for the row means
     * @param fields the metadata: plain values, lists, maps and records
     */
    void finish(Capture capture, int lastStart, SequencedMap<String, Object> fields);

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
     * A result: {@code .pt} as the reference's script writes it, {@code .npz} for NumPy, or {@code .safetensors}.
     *
     * @param target the file
     * @param tensors where captured tensors are kept; closed by whoever opened it
     * @throws UsageException if the format cannot hold what is captured
     */
    static ResultOutput of(Path target, CapturePlan plan, PartialTensors tensors) {
        check(target, plan);
        ResultFile file = new ResultFile(tensors);
        String name = String.valueOf(target.getFileName());
        if (name.endsWith(".pt")) {
            return new ScriptResult(place(target, plan), plan.layers().size() > 1, file);
        }
        return name.endsWith(".npz") ? new NumpyResult(file) : file;
    }

    /** The file, or the folder of files, that a result of a name ends in: a {@code .pt} has one layer. */
    static Path place(Path target, CapturePlan plan) {
        return place(target, plan.layers().size() == 1);
    }

    /**
     * Where the files go that {@link #finish} makes.
     *
     * @param tensors the file of captured tensors, beside which they are made
     */
    static List<PartialFolder.Move> moves(Path target, CapturePlan plan, Path tensors) {
        Path place = place(target, plan);
        if (target.toString().endsWith(".pt")) {
            return plan.layers().stream()
                    .map(layer -> new PartialFolder.Move(
                            ScriptResult.made(
                                    tensors, place, layer, plan.layers().size() > 1),
                            plan.layers().size() > 1 ? place.resolve("layer" + layer + ".pt") : place))
                    .toList();
        }
        Path made = target.toString().endsWith(".npz") ? NumpyResult.made(tensors) : tensors;
        return List.of(new PartialFolder.Move(made, place));
    }

    /**
     * Whether the format can hold what is captured.
     *
     * @throws UsageException if it cannot, or there is no such format
     */
    static void check(Path target, CapturePlan plan) {
        String name = String.valueOf(target.getFileName());
        if (name.endsWith(".pt")) {
            if (!plan.kinds().equals(Set.of(AttentionKind.SELF))
                    || !plan.quantities().equals(Set.of(Quantity.FRAME_LOGITS))) {
                throw new UsageException(
                        "output.result " + name + ": expected frame-logits of self-attention alone, which is what the"
                                + " reference's .pt holds; use .safetensors for more");
            }
        } else if (!name.endsWith(".npz") && !name.endsWith(".safetensors")) {
            throw new UsageException(
                    "output.result: expected a name ending in .safetensors, .pt or .npz, got " + target);
        }
    }
}
