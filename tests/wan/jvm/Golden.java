package wan.jvm;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.op.DType;
import wan.op.Shape;
import wan.op.TensorView;

/** Tensors of {@code tests/goldens/ops.safetensors}, read the short way: the file is ours. */
final class Golden {
    private static final Golden OPS = new Golden(Path.of("tests/goldens/ops.safetensors"));

    private final byte[] file;
    private final int dataStart;
    private final JsonNode header;

    private Golden(Path path) {
        try {
            file = Files.readAllBytes(path);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        int headerBytes =
                (int) ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getLong();
        dataStart = 8 + headerBytes;
        header = JsonMapper.shared().readTree(file, 8, headerBytes);
    }

    static TensorView view(String name) {
        JsonNode entry = OPS.header.required(name);
        int from = entry.required("data_offsets").get(0).asInt();
        int to = entry.required("data_offsets").get(1).asInt();
        long[] dims = entry.required("shape")
                .valueStream()
                .mapToLong(JsonNode::asLong)
                .toArray();
        return new TensorView(
                name,
                DType.valueOf(entry.required("dtype").asString()),
                Shape.of(dims),
                MemorySegment.ofArray(OPS.file).asSlice(OPS.dataStart + from, to - from));
    }

    static float[] values(String name) {
        return view(name).toFloats();
    }

    static Shape shape(String name) {
        return view(name).shape();
    }

    /** Holds the values to both runs of the reference, fp32 and float64. */
    static void check(float[] got, String name, double tolerance) {
        double[] fp32 = view(name).toDoubles();
        assertThat(got).hasSize(fp32.length);
        double[] fp64 = OPS.header.has(name + "64") ? view(name + "64").toDoubles() : fp32;
        for (int i = 0; i < got.length; i++) {
            if (!(Math.abs(got[i] - fp32[i]) <= tolerance) || !(Math.abs(got[i] - fp64[i]) <= tolerance)) {
                throw new AssertionError("%s[%d]: got %s, expected %s (float64 %s) within %s"
                        .formatted(name, i, got[i], fp32[i], fp64[i], tolerance));
            }
        }
    }
}
