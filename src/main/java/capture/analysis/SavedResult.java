package capture.analysis;

import capture.CapturePlan;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import wan.file.Messages;
import wan.file.TensorStore;
import wan.op.AttentionKind;
import wan.op.FormatException;
import wan.op.Quantity;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.UsageException;
import wan.op.WanException;
import wan.pass.PassId;

/**
 * A result, open for reading: the {@code .safetensors} or {@code .npz} of a run, or what the reference's extraction script saves, a
 * {@code .pt} or a folder of {@code layer{l}.pt}.
 */
public final class SavedResult implements AutoCloseable {
    /** What may be allocated whatever a file's size. */
    private static final long SMALL_BYTES = 16L << 20;

    private final TensorStore store;
    private final RunInfo info;
    private final int sample;

    private SavedResult(TensorStore store, RunInfo info, int sample) {
        this.store = store;
        this.info = info;
        this.sample = sample;
    }

    /**
     * Opens a file.
     *
     * @param sample which sample of the batch is read, 0-based
     * @throws WanException if it cannot be read
     * @throws FormatException if it is broken or something else
     */
    public static SavedResult open(Path file, int sample) {
        TensorStore store = ScriptFiles.is(file) ? ScriptFiles.open(file) : TensorStore.open(file);
        try {
            SavedResult result = new SavedResult(store, RunInfo.of(file, store.metadata()), sample);
            result.requireSizes();
            return result;
        } catch (RuntimeException e) {
            store.close();
            throw e;
        }
    }

    /**
     * Checks what the metadata say of sizes against the tensors, before anything is allocated: the matrices of all layers stand in
     * the file too, so they cannot be much larger than it is.
     */
    private void requireSizes() {
        double bytes = 4.0 * info.layers().size() * info.heads().size() * info.frames() * info.frames();
        long fileBytes;
        try {
            fileBytes = Files.size(store.path());
        } catch (IOException e) {
            throw Messages.io(store.path(), "cannot read", e);
        }
        if (bytes > SMALL_BYTES + 8.0 * fileBytes) {
            throw new FormatException(
                    store.path(),
                    "metadata: expected sizes that the file has tensors for, got " + info.frames() + " frames, "
                            + info.layers().size() + " layers and "
                            + info.heads().size() + " heads in " + fileBytes
                            + " bytes");
        }
        for (CapturedPass pass : info.passes()) {
            for (int layer : info.layers()) {
                // Its keys are what the size of a frame stands for; the others are checked as they are read.
                String name = tensorName(Quantity.KEY_LOGITS, pass, layer);
                if (store.names().contains(name)) {
                    requireShape(store.tensor(name), Quantity.KEY_LOGITS, pass);
                }
            }
        }
    }

    private void requireShape(TensorView view, Quantity quantity, CapturedPass pass) {
        long groups = pass.keyFrames().size();
        long keys = quantity == Quantity.KEY_LOGITS ? groups * info.frameSeqLen() : groups;
        long[] dims = view.shape().dims();
        Shape expected = Shape.of(dims.length == 0 ? 1 : dims[0], info.heads().size(), pass.frames(), keys);
        if (!view.shape().equals(expected)) {
            throw new FormatException(
                    store.path(),
                    Messages.shown(view.name()) + ": expected shape " + expected + " as its metadata say, got "
                            + view.shape());
        }
    }

    /** Opens a file for its first sample. */
    public static SavedResult open(Path file) {
        return open(file, 0);
    }

    /** The metadata of the file. */
    public RunInfo info() {
        return info;
    }

    /** The file's name without its folder and ending, as figures and tables show it. */
    public String name() {
        return String.valueOf(store.path().getFileName()).replaceFirst("\\.(safetensors|npz|pt)$", "");
    }

    /** Which sample of the batch is read, 0-based. */
    public int sample() {
        return sample;
    }

    /** The file. */
    public Path path() {
        return store.path();
    }

    /** Whether a quantity of self-attention was captured at all. */
    public boolean has(Quantity quantity) {
        return info.passes().stream().anyMatch(pass -> has(quantity, pass));
    }

    /** Whether a quantity was captured in a pass. */
    public boolean has(Quantity quantity, CapturedPass pass) {
        Set<String> names = store.names();
        return info.layers().stream().anyMatch(layer -> names.contains(tensorName(quantity, pass, layer)));
    }

    /** Passes of which a quantity is there, in order. */
    public List<CapturedPass> passes(Quantity quantity) {
        return info.passes().stream().filter(pass -> has(quantity, pass)).toList();
    }

    /** Slots of which a quantity is there, steps first; empty if there are none. */
    public List<PassSlot> slots(Quantity quantity) {
        return slots(passes(quantity));
    }

    private static List<PassSlot> slots(List<CapturedPass> passes) {
        List<PassSlot> slots = passes.stream()
                .filter(pass -> pass.id().kind() != PassId.Kind.INIT)
                .map(pass -> PassSlot.of(pass.id()))
                .distinct()
                .sorted()
                .toList();
        return slots.isEmpty() && !passes.isEmpty() ? List.of(PassSlot.CONTEXT) : slots;
    }

    /**
     * A slot by its name.
     *
     * @param text {@code first}, {@code last} (the last denoising step), {@code context} or a step
     * @throws UsageException if the file has no such pass
     */
    public PassSlot slot(String text) {
        Quantity quantity = has(Quantity.FRAME_LOGITS) ? Quantity.FRAME_LOGITS : Quantity.FRAME_MASS;
        List<CapturedPass> passes = passes(quantity);
        if (passes.isEmpty()) {
            throw new WanException(
                    store.path() + ": expected frame-logits or frame-mass, got neither; extract with capture.quantities"
                            + " frame-logits,frame-mass");
        }
        return slot(text, passes);
    }

    /**
     * A slot by its name, of some of the passes.
     *
     * @param text as for {@link #slot(String)}
     * @param passes at least one
     */
    public PassSlot slot(String text, List<CapturedPass> passes) {
        List<PassSlot> slots = slots(passes);
        List<PassSlot> steps =
                slots.stream().filter(slot -> !slot.equals(PassSlot.CONTEXT)).toList();
        PassSlot wanted = switch (text) {
            case "first" -> slots.getFirst();
            case "last" -> steps.isEmpty() ? slots.getLast() : steps.getLast();
            default -> PassSlot.parse(text);
        };
        if (!slots.contains(wanted)) {
            throw new UsageException("analysis.pass: " + store.path() + " has " + slots + ", not " + wanted);
        }
        return wanted;
    }

    /**
     * A frame block by its number.
     *
     * @param text a 0-based number, or {@code last} for the last one that was captured
     * @throws UsageException if there is none
     */
    public FrameBlock frameBlock(String text) {
        List<FrameBlock> blocks = info.frameBlocks();
        if (text.equals("last")) {
            // A run that was interrupted has not come to its last frame block.
            Set<Integer> captured = new HashSet<>();
            for (Quantity quantity : List.of(Quantity.FRAME_LOGITS, Quantity.FRAME_MASS)) {
                passes(quantity).forEach(pass -> captured.add(pass.firstFrame()));
            }
            return blocks.stream()
                    .filter(block -> captured.contains(block.first()))
                    .reduce((a, b) -> b)
                    .orElseGet(blocks::getLast);
        }
        if (!text.matches("\\d{1,6}") || Integer.parseInt(text) >= blocks.size()) {
            throw new UsageException(
                    "analysis.frame_block: expected 0 to " + (blocks.size() - 1) + " or last, got " + text);
        }
        return blocks.get(Integer.parseInt(text));
    }

    /**
     * What one pass captured of one layer.
     *
     * @param quantity frame logits or mass, [N, f, K], or key logits, [N, f, K*S]
     * @return C order
     * @throws WanException if it was not captured
     * @throws FormatException if it has another shape than the metadata say
     */
    public float[] values(Quantity quantity, CapturedPass pass, int layer) {
        String name = tensorName(quantity, pass, layer);
        if (!store.names().contains(name)) {
            throw new WanException(store.path() + ": expected " + name + ", got none; extract with capture.quantities "
                    + quantity.option() + " and capture.passes all");
        }
        TensorView view = store.tensor(name);
        requireShape(view, quantity, pass);
        long[] dims = view.shape().dims();
        if (sample >= dims[0]) {
            throw new UsageException("analysis.sample: expected 0 to " + (dims[0] - 1) + ", got " + sample);
        }
        float[] all = view.toFloats();
        int size = (int) (all.length / dims[0]);
        return dims[0] == 1 ? all : Arrays.copyOfRange(all, sample * size, (sample + 1) * size);
    }

    /**
     * The frame-by-frame matrices of one layer in one slot; NaN where nothing was captured.
     *
     * @param quantity frame logits or frame mass
     */
    public FrameMaps maps(Quantity quantity, int layer, PassSlot slot) {
        FrameMaps maps = FrameMaps.empty(info.heads(), info.frames());
        for (CapturedPass pass : info.passes()) {
            if (slot.holds(pass.id()) && store.names().contains(tensorName(quantity, pass, layer))) {
                maps.put(pass, values(quantity, pass, layer));
            }
        }
        return maps;
    }

    /** Closes the file. */
    @Override
    public void close() {
        store.close();
    }

    /** Passes of which a quantity of cross-attention is there, in order. */
    public List<CapturedPass> crossPasses(Quantity quantity) {
        return passes(AttentionKind.CROSS, quantity);
    }

    /**
     * What each query token of a pass gives to one token of the prompt, in cross-attention.
     *
     * @param quantity query logits
     * @param headIndex index into the captured heads
     * @return [f, S] in C order
     * @throws UsageException if the text has no such token
     */
    public float[] towards(Quantity quantity, CapturedPass pass, int layer, int headIndex, int textToken) {
        String name = stored(AttentionKind.CROSS, quantity, pass, layer);
        TensorView view = store.tensor(name);
        int queries = pass.frames() * info.frameSeqLen();
        long[] dims = view.shape().dims();
        if (dims.length != 4 || dims[1] != info.heads().size() || dims[2] != queries || sample >= dims[0]) {
            throw new FormatException(
                    store.path(),
                    name + ": expected [B, " + info.heads().size() + ", " + queries + ", text tokens], got "
                            + view.shape());
        }
        int texts = (int) dims[3];
        if (textToken < 0 || textToken >= texts) {
            throw new UsageException("analysis.token: expected 0 to " + (texts - 1) + ", got " + textToken);
        }
        float[] all = view.toFloats();
        float[] out = new float[queries];
        for (int q = 0; q < queries; q++) {
            out[q] = all[((sample * info.heads().size() + headIndex) * queries + q) * texts + textToken];
        }
        return out;
    }

    /**
     * One captured tensor as it stands in the file, of the chosen sample.
     *
     * @return in C order; empty if it was not captured
     */
    public float[] captured(AttentionKind kind, Quantity quantity, CapturedPass pass, int layer) {
        String name = stored(kind, quantity, pass, layer);
        if (!store.names().contains(name)) {
            return new float[0];
        }
        TensorView view = store.tensor(name);
        long[] dims = view.shape().dims();
        if (dims.length != 4 || dims[1] != info.heads().size() || sample >= dims[0]) {
            throw new FormatException(
                    store.path(),
                    name + ": expected [B, " + info.heads().size() + ", queries, keys], got " + view.shape());
        }
        float[] all = view.toFloats();
        int size = (int) (all.length / dims[0]);
        return Arrays.copyOfRange(all, sample * size, (sample + 1) * size);
    }

    /**
     * One head's logits of single tokens.
     *
     * @param kind self- or cross-attention
     * @param headIndex index into the captured heads
     * @param most rows and columns that the matrix may have
     * @throws WanException if they were not captured
     */
    public TokenMatrix tokenMatrix(AttentionKind kind, CapturedPass pass, int layer, int headIndex, int most) {
        String name = stored(kind, Quantity.TOKEN_LOGITS, pass, layer);
        if (!store.names().contains(name)) {
            throw new WanException(store.path() + ": expected " + name + ", got none; extract with capture.quantities "
                    + Quantity.TOKEN_LOGITS.option());
        }
        TensorView view = store.tensor(name);
        long[] dims = view.shape().dims();
        if (dims.length != 4 || dims[1] != info.heads().size()) {
            throw new FormatException(
                    store.path(),
                    name + ": expected [B, " + info.heads().size() + ", queries, keys], got " + view.shape());
        }
        if (sample >= dims[0]) {
            throw new UsageException("analysis.sample: expected 0 to " + (dims[0] - 1) + ", got " + sample);
        }
        int keys = (int) dims[3];
        long first = (sample * dims[1] + headIndex) * dims[2];
        return TokenMatrix.of((int) dims[2], keys, most, query -> view.floats((first + query) * keys, keys));
    }

    /** Passes of which a quantity of an attention is there, in order. */
    public List<CapturedPass> passes(AttentionKind kind, Quantity quantity) {
        return info.passes().stream()
                .filter(pass -> info.layers().stream()
                        .anyMatch(layer -> store.names().contains(stored(kind, quantity, pass, layer))))
                .toList();
    }

    private String stored(AttentionKind kind, Quantity quantity, CapturedPass pass, int layer) {
        return CapturePlan.name(pass.id(), layer, kind, quantity, store.names());
    }

    private static String tensorName(Quantity quantity, CapturedPass pass, int layer) {
        return CapturePlan.name(pass.id(), layer, AttentionKind.SELF, quantity);
    }
}
