package capture;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import tools.jackson.databind.json.JsonMapper;
import wan.file.PartialTensors;
import wan.file.SafetensorsWriter;
import wan.op.DType;
import wan.op.HostTensor;
import wan.op.Quantity;
import wan.op.Shape;

/**
 * The safetensors file of one run. Tensors are written as they are captured, so memory stays bounded; the file appears under
 * its name when it is complete.
 *
 * <p>Besides what {@link CapturePlan#name} names it holds, for each layer of which frame logits were captured, {@code
 * layer{l}.full_frame_attention} [N, T, T] at absolute frames, NaN where nothing was attended, {@code layer{l}.mask} [T, T] and
 * {@code layer{l}.last_block_frame_attention} [N, T]; for frame mass {@code layer{l}.full_frame_mass} and {@code
 * layer{l}.last_block_frame_mass}.
 */
public final class ResultFile implements ResultOutput {
    /** Room for a tensor's entry in the header: name, dtype, shape, two offsets. */
    public static final int HEADER_BYTES_PER_TENSOR = 160;

    private final PartialTensors tensors;
    private final SafetensorsWriter writer;

    ResultFile(PartialTensors tensors) {
        this.tensors = tensors;
        this.writer = tensors.writer();
    }

    @Override
    public void write(String name, Shape shape, float[] values) {
        writer.add(name, DType.F32, shape).write(values);
    }

    @Override
    public Pieces open(String name, Shape shape) {
        SafetensorsWriter.Region region = writer.add(name, DType.F32, shape);
        return (first, values, count) ->
                region.write(first, count == values.length ? values : Arrays.copyOf(values, count));
    }

    /** Where the whole file is before it is in its place. */
    Path file() {
        return tensors.file();
    }

    /** Adds the assembled matrices and the header. */
    @Override
    public void finish(Capture capture, int lastStart, SequencedMap<String, Object> fields) {
        writeMatrices(capture.matrices(Quantity.FRAME_LOGITS), "attention", lastStart);
        writeMatrices(capture.matrices(Quantity.FRAME_MASS), "mass", lastStart);
        // Bytes last: everything before them then is aligned to its element size.
        Map<Integer, FrameMatrix> masks = capture.matrices(Quantity.FRAME_MASS);
        masks.putAll(capture.matrices(Quantity.FRAME_LOGITS));
        masks.forEach((layer, matrix) -> writer.add(
                        "layer" + layer + ".mask", DType.U8, Shape.of(matrix.frames(), matrix.frames()))
                .write(0, ByteBuffer.wrap(matrix.mask())));
        tensors.finish(strings(fields));
    }

    /** Fields as safetensors metadata, which are strings: words as they are, all else as JSON. */
    public static Map<String, String> strings(SequencedMap<String, Object> fields) {
        SequencedMap<String, String> metadata = new LinkedHashMap<>();
        fields.forEach((key, value) -> metadata.put(
                key, value instanceof String text ? text : JsonMapper.shared().writeValueAsString(value)));
        return metadata;
    }

    private void writeMatrices(Map<Integer, FrameMatrix> matrices, String what, int lastStart) {
        matrices.forEach((layer, matrix) -> {
            write("layer" + layer + ".full_frame_" + what, matrix.values());
            write("layer" + layer + ".last_block_frame_" + what, matrix.lastFrameBlock(lastStart));
        });
    }

    private void write(String name, HostTensor tensor) {
        write(name, tensor.shape(), tensor.values());
    }
}
