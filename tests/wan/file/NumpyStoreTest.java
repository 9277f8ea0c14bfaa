package wan.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.Shape;
import wan.op.TensorView;
import wan.text.PromptEmbeddingFile;

class NumpyStoreTest {
    @TempDir
    Path dir;

    private static byte[] npy(int version, String dict, float... values) {
        byte[] header = (dict + "   \n").getBytes(StandardCharsets.US_ASCII);
        ByteBuffer bytes = ByteBuffer.allocate(64 + header.length + 4 * values.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put(NumpyStore.MAGIC)
                .put((byte) version)
                .put((byte) 0);
        if (version == 1) {
            bytes.putShort((short) header.length);
        } else {
            bytes.putInt(header.length);
        }
        bytes.put(header);
        for (float value : values) {
            bytes.putFloat(value);
        }
        return Arrays.copyOf(bytes.array(), bytes.position());
    }

    private Path file(byte[] bytes) throws Exception {
        return Files.write(dir.resolve("some name"), bytes);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void npy_isOneTensor_inCOrder(int version) throws Exception {
        byte[] c = npy(version, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 1, 2, 3, 4, 5, 6);
        try (TensorStore store = TensorStore.open(file(c))) {
            TensorView tensor = store.tensor("tensor");
            assertThat(tensor.dtype()).isEqualTo(DType.F32);
            assertThat(tensor.shape()).isEqualTo(Shape.of(2, 3));
            assertThat(tensor.toFloats()).containsExactly(1, 2, 3, 4, 5, 6);
        }
        byte[] fortran = npy(version, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", 1, 4, 2, 5, 3, 6);
        try (TensorStore store = TensorStore.open(file(fortran))) {
            assertThat(store.tensor("tensor").toFloats()).containsExactly(1, 2, 3, 4, 5, 6);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
                "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }",
                "{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }",
                "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
                "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }",
                "{'descr': '<f4', 'fortran_order': False, 'shape': (65536, 65536, 65536), }",
                "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
                "nothing"
            })
    void npy_ofWhatIsNoArrayOfNumbers_isRefused(String header) throws Exception {
        try (TensorStore store = TensorStore.open(file(npy(1, header, 1)))) {
            assertThatThrownBy(() -> store.tensor("tensor"))
                    .isInstanceOf(FormatException.class)
                    .hasMessageContaining("expected an array of numbers as NumPy writes them, got");
        }
    }

    @Test
    void embeddings_areFound_underUsualNames() throws Exception {
        for (String name : new String[] {
            "prompt_embeds", "prompt_embeddings", "context", "a/encoder_hidden_states", "anything", "0"
        }) {
            Path file = dir.resolve("e.safetensors");
            try (SafetensorsWriter writer = SafetensorsWriter.create(file, 4096)) {
                writer.add("negative_prompt_embeds", DType.F32, Shape.of(1, 2)).write(new float[] {9, 9});
                writer.add(name, DType.F32, Shape.of(1, 2, 2)).write(new float[] {1, 2, 3, 4});
                writer.finish(java.util.Map.of());
            }
            assertThat(PromptEmbeddingFile.count(file)).isEqualTo(1);
            assertThat(PromptEmbeddingFile.read(file, 3, 2).values()).as(name).containsExactly(1, 2, 3, 4, 0, 0);
        }
        Path bare = file(npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", 1, 2, 3, 4));
        assertThat(PromptEmbeddingFile.read(bare, 3, 2).values()).containsExactly(1, 2, 3, 4, 0, 0);
    }

    @Test
    void embeddings_ofAList_areOnePromptEach() {
        Path file = dir.resolve("e.safetensors");
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, 4096)) {
            writer.add("context/0", DType.F32, Shape.of(2, 2)).write(new float[] {1, 2, 3, 4});
            writer.add("context/1", DType.F32, Shape.of(1, 2)).write(new float[] {5, 6});
            writer.finish(java.util.Map.of());
        }
        assertThat(PromptEmbeddingFile.count(file)).isEqualTo(2);
        assertThat(PromptEmbeddingFile.read(file, 2, 2).values()).containsExactly(1, 2, 3, 4, 5, 6, 0, 0);
    }

    @Test
    void embeddings_ofTwoUnknownNames_areRefused_andNamed() {
        Path file = dir.resolve("e.safetensors");
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, 4096)) {
            writer.add("x", DType.F32, Shape.of(1, 2)).write(new float[] {1, 2});
            writer.add("y", DType.F32, Shape.of(1, 2)).write(new float[] {1, 2});
            writer.finish(java.util.Map.of());
        }
        assertThatThrownBy(() -> PromptEmbeddingFile.count(file)).hasMessageContaining("got x, y");
    }
}
