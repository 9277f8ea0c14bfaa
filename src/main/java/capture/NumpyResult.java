package capture;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SequencedMap;
import tools.jackson.databind.json.JsonMapper;
import wan.file.NpzWriter;
import wan.file.Safetensors;
import wan.op.DType;
import wan.op.Shape;
import wan.op.TensorView;

/**
 * A result for {@code numpy.load}: the tensors of a {@link ResultFile} under the same names, and the metadata as JSON in the bytes
 * of an array {@code metadata}.
 *
 * <p>A zip file needs each member's checksum before its data, so the tensors wait in a safetensors file.
 */
final class NumpyResult implements ResultOutput {
    private final ResultFile file;

    NumpyResult(ResultFile file) {
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
        file.finish(capture, lastStart, fields);
        try (Safetensors tensors = Safetensors.open(file.file())) {
            byte[] json = JsonMapper.shared().writeValueAsString(fields).getBytes(StandardCharsets.UTF_8);
            List<TensorView> arrays = new ArrayList<>();
            tensors.names().forEach(name -> arrays.add(tensors.tensor(name)));
            arrays.add(new TensorView("metadata", DType.U8, Shape.of(json.length), MemorySegment.ofArray(json)));
            NpzWriter.write(made(file.file()), arrays);
        }
    }

    static Path made(Path tensors) {
        return tensors.resolveSibling("result.npz");
    }
}
