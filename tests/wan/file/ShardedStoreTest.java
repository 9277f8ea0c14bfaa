package wan.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.Shape;
import wan.op.WanException;

class ShardedStoreTest {
    @TempDir
    Path dir;

    @BeforeEach
    void writeShards() {
        for (String name : List.of("one", "two")) {
            try (SafetensorsWriter writer = SafetensorsWriter.create(dir.resolve(name + ".safetensors"), 256)) {
                writer.add("in." + name, DType.F32, Shape.of(1)).write(new float[] {name.length()});
                writer.add("also.in." + name, DType.F32, Shape.of(2));
                writer.finish(Map.of());
            }
        }
    }

    private Path index(String json) throws IOException {
        return Files.writeString(dir.resolve("model.safetensors.index.json"), json);
    }

    @Test
    void open_readsAllShards() throws IOException {
        Path index = index(
                "{\"metadata\":{\"total_size\":24,\"by\":\"hand\"},\"weight_map\":{\"in.one\":\"one.safetensors\","
                        + "\"in.two\":\"two.safetensors\",\"also.in.one\":\"one.safetensors\",\"also.in.two\":\"two.safetensors\"}}");
        try (TensorStore store = TensorStore.open(index)) {
            assertThat(store.names()).containsExactly("in.one", "in.two", "also.in.one", "also.in.two");
            assertThat(store.tensor("in.two").toFloats()).containsExactly(3);
            assertThat(store.metadata()).isEqualTo(Map.of("total_size", "24", "by", "hand"));
            assertThatThrownBy(() -> store.tensor("in.ones"))
                    .hasMessageContainingAll("index.json: no tensor in.ones", "did you mean in.one");
        }
    }

    @Test
    void open_saysWhatIsMissing() throws IOException {
        Path noShard = index("{\"weight_map\":{\"x\":\"three.safetensors\"}}");
        assertThatThrownBy(() -> TensorStore.open(noShard))
                .isInstanceOf(WanException.class)
                .hasMessage(noShard
                        + ": shard three.safetensors is missing from the folder; an unfinished download? fetch it"
                        + " too");
        Path noTensor = index("{\"weight_map\":{\"in.two\":\"one.safetensors\"}}");
        assertThatThrownBy(() -> TensorStore.open(noTensor))
                .isInstanceOf(FormatException.class)
                .hasMessageContainingAll("in.two should be in", "one.safetensors but is not there");
    }

    @Test
    void open_refusesShardsElsewhere() throws IOException {
        Files.createDirectory(dir.resolve("sub"));
        Files.copy(dir.resolve("one.safetensors"), dir.resolve("sub/one.safetensors"));
        String here = dir.getFileName().toString();
        for (String name : List.of(
                "../" + here + "/one.safetensors",
                "sub/one.safetensors",
                "./one.safetensors",
                dir + "/one.safetensors",
                "",
                ".",
                "..",
                "x\\u0000")) {
            Path index = index("{\"weight_map\":{\"in.one\":\"" + name + "\"}}");
            assertThatThrownBy(() -> TensorStore.open(index))
                    .as(name)
                    .isInstanceOf(FormatException.class)
                    .hasMessageContaining("is not the name of a file");
        }
    }

    @Test
    void open_refusesWhatIsNoIndex() throws IOException {
        for (String json : List.of(
                "",
                "{",
                "[]",
                "{}",
                "{\"weight_map\":[]}",
                "{\"weight_map\":{\"a\":1}}",
                "{\"weight_map\":{},\"weight_map\":{}}",
                "{\"weight_map\":{}} x",
                "null",
                "[".repeat(100_000))) {
            Path index = index(json);
            assertThatThrownBy(() -> TensorStore.open(index))
                    .as(json)
                    .isInstanceOf(FormatException.class)
                    .hasMessageStartingWith(index + ": ");
        }
        assertThatThrownBy(() -> TensorStore.open(dir.resolve("x.json"))).hasMessageEndingWith("x.json: no such file");
    }
}
