package capture;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import tools.jackson.databind.JsonNode;
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
    private final Path place;
    private final boolean oneFilePerLayer;
    private final ResultFile file;

    ScriptResult(Path place, boolean oneFilePerLayer, ResultFile file) {
        this.place = place;
        this.oneFilePerLayer = oneFilePerLayer;
        this.file = file;
    }

    @Override
    public void write(String name, Shape shape, float[] values) {
        file.write(name, shape, values);
    }

    @Override
    public Pieces open(String name, Shape shape) {
        return file.open(name, shape);
    }

    @Override
    public void finish(Capture capture, int lastStart, SequencedMap<String, Object> fields) {
        capture.matrices(Quantity.FRAME_LOGITS)
                .forEach((layer, matrix) -> TorchWriter.write(
                        made(file.file(), place, layer, oneFilePerLayer), dict(layer, matrix, lastStart, fields)));
    }

    /** Its name is kept, since it is the name of the folder inside the zip. */
    static Path made(Path tensors, Path place, int layer, boolean oneFilePerLayer) {
        return tensors.resolveSibling(oneFilePerLayer ? "layer" + layer + ".pt" : String.valueOf(place.getFileName()));
    }

    private static SequencedMap<String, Object> dict(
            int layer, FrameMatrix matrix, int lastStart, SequencedMap<String, Object> fields) {
        SequencedMap<String, Object> dict = new LinkedHashMap<>();
        dict.put("layer_index", layer);
        dict.put("full_frame_attention", half("layer " + layer + ", full_frame_attention", matrix.scriptValues()));
        dict.put(
                "last_block_frame_attention",
                half("layer " + layer + ", last_block_frame_attention", matrix.scriptLastFrameBlock(lastStart)));
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
        // The matrices are of the batch's first sample.
        if (fields.get("spec") instanceof JsonNode spec
                && spec.at("/prompt/texts").size() > 1) {
            dict.put("prompt", spec.at("/prompt/texts/0").asString());
        }
        if (!"complete".equals(fields.get("run"))) {
            dict.put("run", fields.get("run")); // beyond the script's keys: zeros may be what was never computed
        }
        return dict;
    }

    private static TensorView half(String what, HostTensor tensor) {
        short[] bits = new short[tensor.values().length];
        for (int i = 0; i < bits.length; i++) {
            float value = tensor.values()[i];
            bits[i] = Float.floatToFloat16(value);
            if (Float.isFinite(value) && !Float.isFinite(Float.float16ToFloat(bits[i]))) {
                throw WanException.mismatch(
                        what, "values that float16 can hold, at most 65504", value, "a .safetensors result holds it");
            }
        }
        MemorySegment bytes = MemorySegment.ofArray(new byte[2 * bits.length]);
        MemorySegment.copy(bits, 0, bytes, ValueLayout.JAVA_SHORT_UNALIGNED, 0, bits.length);
        return new TensorView("", DType.F16, tensor.shape(), bytes);
    }
}
