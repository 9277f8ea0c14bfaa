package wan.weights;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import wan.file.TensorStore;
import wan.op.FormatException;
import wan.op.Shape;

class UnsupportedTest {
    @ParameterizedTest
    @CsvSource({
        "vace_patch_embedding.weight, VACE",
        "blocks.0.self_attn.q.scale_weight, float8",
        "fps_embedding.weight, SkyReels",
        "face_encoder.conv.weight, a face"
    })
    void refuse_saysWhatTheModelIs(String tensor, String what) {
        assertThatThrownBy(() -> Unsupported.refuse(Path.of("model"), Map.of(tensor, Shape.of(1))))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(what);
    }

    @Test
    void open_refusesGguf(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("model.gguf"), "GGUF and so on");
        assertThatThrownBy(() -> TensorStore.open(file))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("use the .safetensors or .pth file");
    }
}
