package capture;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import java.util.concurrent.atomic.AtomicLong;
import wan.file.TorchWriter;
import wan.op.DType;
import wan.op.HostTensor;
import wan.op.Quantity;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * The file of the reference's extraction script ({@code experiments/run_extraction_each.py}): per layer one dict with its keys,
 * order and types, matrices in float16, zeros where nothing was attended. Several layers give {@code layer{l}.pt} in a folder of
 * the target's name without its suffix.
 */
final class ScriptResult implements ResultOutput {
    private final Path target;
    private final boolean oneFilePerLayer;
    private final AtomicLong tensors = new AtomicLong();

    ScriptResult(Path file, boolean oneFilePerLayer) {
        this.oneFilePerLayer = oneFilePerLayer;
        this.target = ResultOutput.place(file, !oneFilePerLayer);
        Path folder = target.toAbsolutePath().getParent();
        if (folder == null || !Files.isWritable(folder)) {
            throw new WanException(target + ": cannot write: expected a folder that exists and can be written");
        }
    }

    @Override
    public void write(String name, Shape shape, float[] values) {
        tensors.incrementAndGet();
    }

    @Override
    public Pieces open(String name, Shape shape) {
        tensors.incrementAndGet();
        return (first, values, count) -> {};
    }

    @Override
    public Path target() {
        return target;
    }

    @Override
    public long tensors() {
        return tensors.get();
    }

    @Override
    public void finish(Capture capture, int lastStart, SequencedMap<String, Object> fields) {
        Map<Integer, FrameMatrix> matrices = capture.matrices(Quantity.FRAME_LOGITS);
        if (!oneFilePerLayer) {
            matrices.forEach((layer, matrix) -> TorchWriter.write(target, dict(layer, matrix, lastStart, fields)));
            return;
        }
        try {
            Files.createDirectories(target);
        } catch (IOException e) {
            throw new WanException(target + ": cannot write: expected a folder, or none of that name", e);
        }
        matrices.forEach((layer, matrix) ->
                TorchWriter.write(target.resolve("layer" + layer + ".pt"), dict(layer, matrix, lastStart, fields)));
    }

    private static SequencedMap<String, Object> dict(
            int layer, FrameMatrix matrix, int lastStart, SequencedMap<String, Object> fields) {
        SequencedMap<String, Object> dict = new LinkedHashMap<>();
        dict.put("layer_index", layer);
        dict.put("full_frame_attention", half(matrix.scriptValues()));
        dict.put("last_block_frame_attention", half(matrix.scriptLastFrameBlock(lastStart)));
        dict.put("is_logits", true);
        for (String key : new String[] {
            "prompt",
            "num_frames",
            "frame_seq_length",
            "num_frame_per_block",
            "num_heads",
            "block_sizes",
            "query_frames",
            "key_frames",
            "last_block_query_frames"
        }) {
            dict.put(key, fields.get(key));
        }
        return dict;
    }

    private static TensorView half(HostTensor tensor) {
        short[] bits = new short[tensor.values().length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = Float.floatToFloat16(tensor.values()[i]);
        }
        MemorySegment bytes = MemorySegment.ofArray(new byte[2 * bits.length]);
        MemorySegment.copy(bits, 0, bytes, ValueLayout.JAVA_SHORT_UNALIGNED, 0, bits.length);
        return new TensorView("", DType.F16, tensor.shape(), bytes);
    }

    @Override
    public void close() {
        // Every file was written in one go.
    }
}
