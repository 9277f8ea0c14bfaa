package wan.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.Consumer;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import wan.file.Safetensors;
import wan.file.SafetensorsWriter;
import wan.file.TensorStore;
import wan.model.WanConfig;
import wan.model.WanParameters;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

class ModelFolderTest {
    private static final WanConfig SMALL = new WanConfig(24, 32, 8, 16, 16, 2, 2, 8, 4, 1e-6f);
    private static final String WEIGHTS = "diffusion_pytorch_model.safetensors";

    @TempDir
    Path dir;

    @ParameterizedTest
    @CsvSource({"model-tiny.safetensors,96,4,4", "model-head128.safetensors,256,2,2"})
    void open_readsTheGoldenModels(String name, int dim, int heads, int layers) {
        Path file = Path.of("tests/goldens", name);
        try (ModelFolder model = ModelFolder.open(file)) {
            assertThat(model.path()).isEqualTo(file);
            assertThat(model.config().dim()).isEqualTo(dim);
            assertThat(model.config().numHeads()).isEqualTo(heads);
            assertThat(model.config().numLayers()).isEqualTo(layers);
            assertThat(model.config().eps()).isEqualTo(1e-6f);
            WanParameters.shapes(model.config())
                    .forEach((parameter, shape) ->
                            assertThat(model.get(parameter, shape).shape()).isEqualTo(shape));
            assertThatThrownBy(() -> model.get("head.head.weight", Shape.of(dim, 64)))
                    .isInstanceOf(WanException.class)
                    .hasMessage(file + ": head.head.weight: expected [" + dim + ", 64], got [64, " + dim
                            + "]; transposed checkpoint?");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {WEIGHTS, "model.safetensors", "anything.safetensors"})
    void open_findsTheWeightsInAFolder(String name) throws IOException {
        RandomModel.write(dir, SMALL, DType.BF16, 1, (done, total) -> {});
        Files.move(dir.resolve(WEIGHTS), dir.resolve(name));
        try (ModelFolder model = ModelFolder.open(dir)) {
            assertThat(model.config()).isEqualTo(SMALL);
        }
        try (ModelFolder model = ModelFolder.open(dir.resolve(name))) {
            assertThat(model.config()).isEqualTo(SMALL);
        }
    }

    @Test
    void open_readsShards_andTheFingerprintIsThatOfTheWhole() throws IOException {
        RandomModel.write(dir, SMALL, DType.F32, 1, (done, total) -> {});
        String whole;
        Map<String, String> weightMap = new LinkedHashMap<>();
        try (ModelFolder model = ModelFolder.open(dir);
                SafetensorsWriter first = SafetensorsWriter.create(dir.resolve("first.safetensors"), 8192);
                SafetensorsWriter second = SafetensorsWriter.create(dir.resolve("second.safetensors"), 8192)) {
            whole = model.fingerprint();
            WanParameters.shapes(SMALL).forEach((name, shape) -> {
                boolean early = name.startsWith("blocks.0");
                weightMap.put(name, early ? "first.safetensors" : "second.safetensors");
                (early ? first : second)
                        .add(name, DType.F32, shape)
                        .write(model.get(name, shape).toFloats());
            });
            first.finish(Map.of());
            second.finish(Map.of());
        }
        Files.delete(dir.resolve(WEIGHTS));
        StringBuilder json = new StringBuilder("{\"weight_map\":{");
        weightMap.forEach((name, file) ->
                json.append('"').append(name).append("\":\"").append(file).append("\","));
        json.setCharAt(json.length() - 1, '}');
        for (String name : List.of("mine.safetensors", WEIGHTS)) {
            Path index = Files.writeString(dir.resolve(name + ".index.json"), json + "}");
            try (ModelFolder model = ModelFolder.open(dir)) {
                assertThat(model.fingerprint()).isEqualTo(whole).hasSize(64);
            }
            Files.delete(index);
        }
    }

    @Test
    void fingerprint_differs_whenAnythingDoes() throws IOException {
        Set<String> seen = new HashSet<>();
        RandomModel.write(dir.resolve("a"), SMALL, DType.F32, 1, (done, total) -> {});
        RandomModel.write(dir.resolve("b"), SMALL, DType.F32, 2, (done, total) -> {});
        RandomModel.write(dir.resolve("c"), SMALL, DType.BF16, 1, (done, total) -> {});
        for (String name : new String[] {"a", "b", "c"}) {
            try (ModelFolder model = ModelFolder.open(dir.resolve(name))) {
                assertThat(seen.add(model.fingerprint())).isTrue();
                assertThat(model.fingerprint()).isIn(seen);
            }
        }
        Path config = dir.resolve("a/config.json");
        Files.writeString(config, Files.readString(config).replace("\"num_heads\" : 2", "\"num_heads\" : 3"));
        try (ModelFolder model = ModelFolder.open(dir.resolve("a"))) {
            assertThat(model.config().numHeads()).isEqualTo(3);
            assertThat(seen.add(model.fingerprint())).isTrue();
        }
    }

    @Test
    void open_saysWhatIsMissing_whenTheFolderIsIncomplete() throws IOException {
        assertThatThrownBy(() -> ModelFolder.open(dir))
                .isInstanceOf(WanException.class)
                .hasMessage(dir + ": no weights: expected " + WEIGHTS + " or " + WEIGHTS
                        + ".index.json, found an empty folder");
        RandomModel.write(dir, SMALL, DType.F32, 1, (done, total) -> {});
        Files.delete(dir.resolve("config.json"));
        assertThatThrownBy(() -> ModelFolder.open(dir))
                .isInstanceOf(WanException.class)
                .hasMessage(
                        dir.resolve(WEIGHTS) + ": the sizes of the model are unknown: neither a config.json beside it"
                                + " nor a configuration in its metadata; a fine-tuned model's file goes into"
                                + " model.checkpoint, and the folder of its base model into model.path");
        Files.copy(dir.resolve(WEIGHTS), dir.resolve("a.safetensors"));
        Files.move(dir.resolve(WEIGHTS), dir.resolve("b.safetensors"));
        assertThatThrownBy(() -> ModelFolder.open(dir))
                .hasMessageContaining("found 2 that could be meant: a.safetensors, b.safetensors");
        assertThatThrownBy(() -> ModelFolder.open(dir.resolve("no"))).hasMessageEndingWith("no: no such file");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "'' | expected a JSON object",
                "{ | not valid JSON",
                "[] | expected a JSON object",
                "{} | has no dim; a model configuration?",
                "{\"dim\":24,\"ffn_dim\":32,\"num_heads\":2} | has no num_layers",
                "{\"dim\":\"24\"} | dim: expected a whole number from 1 to 1048576, got \"24\"",
                "{\"dim\":24.5} | dim: expected a whole number",
                "{\"dim\":4294967320} | dim: expected a whole number",
                "{\"dim\":-24} | dim: expected a whole number",
                "{\"dim\":24,\"ffn_dim\":32,\"num_heads\":5,\"num_layers\":1} | num_heads: expected a divisor of dim 24, got 5",
                "{\"dim\":24,\"ffn_dim\":32,\"num_heads\":2,\"num_layers\":2000000} | num_layers: expected a whole number from 1 to 10000",
                "{\"dim\":24,\"ffn_dim\":32,\"num_heads\":2,\"num_layers\":1,\"eps\":\"x\"} | eps: expected a number, got \"x\"",
                "{\"dim\":24,\"ffn_dim\":32,\"num_heads\":2,\"num_layers\":1,\"eps\":0} | eps: expected a positive number",
                "{\"model_type\":\"vace\"} | model_type vace is not supported, only t2v, i2v, flf2v, ti2v",
                "{\"patch_size\":[1,4,4]} | patch_size [1,4,4] is not supported, only [1,2,2]",
                "{\"qk_norm\":false} | qk_norm false is not supported",
                "{\"num_attention_heads\":12,\"qk_norm\":\"rms_norm\"} | qk_norm \"rms_norm\" is not supported",
                "{\"num_attention_heads\":0} | num_attention_heads: expected a whole number from 1"
            })
    void open_saysWhatIsWrong_whenTheConfigurationIs(String json, String problem) throws IOException {
        RandomModel.write(dir, SMALL, DType.F32, 1, (done, total) -> {});
        Path config = Files.writeString(dir.resolve("config.json"), json);
        assertThatThrownBy(() -> ModelFolder.open(dir))
                .isInstanceOf(FormatException.class)
                .hasMessageStartingWith(config + ": ")
                .hasMessageContaining(problem);
    }

    @Test
    void parse_takesTheReferencesDefaults_whenTheFileIsThatOfTheReleasedModel() {
        String json =
                "{\"_class_name\": \"WanModel\", \"_diffusers_version\": \"0.30.0\", \"dim\": 1536, \"eps\": 1e-06,"
                        + " \"ffn_dim\": 8960, \"freq_dim\": 256, \"in_dim\": 16, \"model_type\": \"t2v\", \"num_heads\": 12,"
                        + " \"num_layers\": 30, \"out_dim\": 16, \"text_len\": 512}";
        assertThat(ConfigJson.parse("config", json.getBytes(StandardCharsets.UTF_8)))
                .isEqualTo(WanConfig.wan13b());
        assertThat(ConfigJson.parse("config", ConfigJson.write(WanConfig.wan13b())))
                .isEqualTo(WanConfig.wan13b());
    }

    @Test
    void require_passes_whenAllFits() {
        ParameterCheck.require("here", SMALL, WanParameters.shapes(SMALL));
    }

    @Test
    void require_namesEverythingAtOnce() {
        String message = refusal(shapes -> {
            shapes.remove("head.modulation");
            shapes.remove("blocks.1.ffn.0.bias");
            shapes.put("blocks.0.extra", Shape.of(3));
            shapes.put("blocks.0.ffn.0.weight", Shape.of(24, 32));
        });
        assertThat(message)
                .isEqualTo("here: the tensors do not fit the model's configuration; transposed checkpoint?;"
                        + " 2 missing: blocks.1.ffn.0.bias, head.modulation; 1 unexpected: blocks.0.extra;"
                        + " 1 of another shape: blocks.0.ffn.0.weight (expected [32, 24], got [24, 32])");
    }

    @Test
    void require_namesTenOfEachKindAndCountsTheRest() {
        String message = refusal(Map::clear);
        assertThat(message)
                .contains("69 missing: patch_embedding.weight, ", ", time_embedding.2.bias and 59 more")
                .hasSizeLessThan(600);
    }

    @Test
    void require_hintsAtTheUsualMistakes() {
        assertThat(refusal(shapes -> shapes.keySet().removeIf(name -> name.startsWith("blocks.1."))))
                .contains("num_layers in the configuration says 2, the file has 1", "27 missing");
    }

    @Test
    void require_saysWhatItIs_whenItIsAnotherModel() {
        assertThat(refusal(shapes -> {
                    shapes.clear();
                    shapes.put("token_embedding.weight", Shape.of(9, 4));
                    shapes.put("norm.weight", Shape.of(4));
                }))
                .isEqualTo("here: has none of the model's 69 parameters; not a transformer of Wan2.1?;"
                        + " 2 in it: token_embedding.weight, norm.weight");
        assertThat(refusal(shapes -> {
                    shapes.clear();
                    shapes.put("decoder.conv1.weight", Shape.of(9, 4));
                }))
                .endsWith("; not a transformer of Wan2.1?; 1 in it: decoder.conv1.weight");
    }

    private static String refusal(Consumer<SequencedMap<String, Shape>> change) {
        SequencedMap<String, Shape> shapes = new LinkedHashMap<>(WanParameters.shapes(SMALL));
        change.accept(shapes);
        try {
            ParameterCheck.require("here", SMALL, shapes);
        } catch (FormatException e) {
            return String.valueOf(e.getMessage());
        }
        throw new AssertionError("nothing was wrong");
    }

    @Test
    void open_refusesTypesThatAreNoParameters() {
        Path file = dir.resolve("f8.safetensors");
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, 16384)) {
            WanParameters.shapes(SMALL).forEach((name, shape) -> writer.add(name, DType.F8_E4M3, shape));
            writer.finish(Map.of("config", new String(ConfigJson.write(SMALL), StandardCharsets.UTF_8)));
        }
        assertThatThrownBy(() -> ModelFolder.open(file))
                .isInstanceOf(FormatException.class)
                .hasMessageContainingAll(
                        "69 tensors are stored as a type", "[F16, BF16, F32]", "patch_embedding.weight (F8_E4M3)");
    }

    @Test
    void of_closesTheStoreWithTheModel() {
        TensorStore store = Safetensors.open(Path.of("tests/goldens/model-tiny.safetensors"));
        TensorView view = store.tensor("head.modulation");
        WanConfig config = new WanConfig(96, 160, 32, 16, 16, 4, 4, 40, 16, 1e-6f);
        ModelFolder.of(store.path(), config, store).close();
        assertThat(view.data().scope().isAlive()).isFalse();
    }

    @ParameterizedTest
    @ValueSource(doubles = {0.1, 0.5, 0.9})
    void zeros_namesThem_whenTheEndOfTheDownloadIsMissing(double whole) throws IOException {
        RandomModel.write(dir, SMALL, DType.BF16, 1, (done, total) -> {});
        try (ModelFolder model = ModelFolder.open(dir)) {
            assertThat(model.zeros(SMALL.numLayers())).isEmpty();
        }
        Path file = dir.resolve(WEIGHTS);
        byte[] bytes = Files.readAllBytes(file);
        Arrays.fill(bytes, 16_384 + (int) ((bytes.length - 16_384) * whole), bytes.length, (byte) 0);
        Files.write(file, bytes);
        try (ModelFolder model = ModelFolder.open(dir)) {
            assertThat(model.zeros(0))
                    .hasValueSatisfying(
                            text -> assertThat(text).contains("head.").doesNotContain("blocks."));
            assertThat(model.zeros(SMALL.numLayers()))
                    .hasValueSatisfying(text -> assertThat(text)
                            .startsWith(file + ": ")
                            .contains(
                                    " of 69 tensors contain large parts with only zeros",
                                    "; an unfinished download? fetch the file again"));
        }
    }

    @Test
    void window_isThatOfTheConfiguration() throws IOException {
        RandomModel.write(dir, SMALL, DType.BF16, 1, (done, total) -> {});
        assertThat(ModelFolder.window(dir)).isEmpty();
        Path config = dir.resolve("config.json");
        String json = Files.readString(config);
        Files.writeString(config, json.replaceFirst("\\{", "{\"local_attn_size\": 12, \"sink_size\": 3,"));
        assertThat(ModelFolder.window(dir)).hasValue(new ConfigJson.Window(12, 3));
        assertThat(ModelFolder.window(dir.resolve(WEIGHTS))).hasValue(new ConfigJson.Window(12, 3));
        Files.writeString(config, json.replaceFirst("\\{", "{\"local_attn_size\": -1, \"sink_size\": 3,"));
        assertThat(ModelFolder.window(dir)).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "model.bin",
                "pytorch_model.pth",
                "model.pt",
                "transformer/any.safetensors",
                "models--org--wan/snapshots/0123/diffusion_pytorch_model.safetensors",
                "checkpoint_model_000600/model.pt"
            })
    void weights_areFound_whereverTheyLie(String name) throws IOException {
        RandomModel.write(dir.resolve("made"), SMALL, DType.BF16, 1, (done, total) -> {});
        Path file = dir.resolve("user").resolve(name);
        Files.createDirectories(file.resolveSibling(""));
        Files.move(dir.resolve("made").resolve(WEIGHTS), file);
        try (TensorStore store = ModelFolder.weights(dir.resolve("user"))) {
            assertThat(store.names()).contains("patch_embedding.weight");
        }
        Path other = file.resolveSibling("x" + file.getFileName());
        Files.copy(file, other);
        if (!file.endsWith(WEIGHTS)) {
            assertThatThrownBy(() -> ModelFolder.weights(dir.resolve("user")))
                    .hasMessageContaining("2 that could be meant")
                    .hasMessageContaining(other.getFileName().toString());
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "checkpoint_model_000600/model.pt",
                "transformer/diffusion_pytorch_model.safetensors",
                "hub/models--org--wan/snapshots/0123/diffusion_pytorch_model.safetensors"
            })
    void open_takesTheConfigurationOfTheFolder_orThatBesideTheWeights(String name) throws IOException {
        Path made = dir.resolve("made");
        RandomModel.write(made, SMALL, DType.BF16, 1, (done, total) -> {});
        Path file = dir.resolve("user").resolve(name);
        Files.createDirectories(file.resolveSibling(""));
        Files.move(made.resolve(WEIGHTS), file);
        Path config = (name.startsWith("hub") ? file : file.resolveSibling("")).resolveSibling("config.json");
        Files.move(made.resolve("config.json"), config);
        try (ModelFolder model = ModelFolder.open(dir.resolve("user"))) {
            assertThat(model.config()).isEqualTo(SMALL);
        }
    }

    @Test
    void cacheOfSeveralModels_hasOneTransformer() throws IOException {
        Path wan = dir.resolve("models--org--wan/snapshots/0123");
        RandomModel.write(wan, SMALL, DType.BF16, 1, (done, total) -> {});
        Files.createDirectories(dir.resolve("models--org--tokenizer/snapshots/4567"));
        try (ModelFolder model = ModelFolder.open(dir)) {
            assertThat(model.config()).isEqualTo(SMALL);
        }
    }

    @Test
    @DisabledOnOs(OS.WINDOWS)
    void open_saysThatADownloadIsUnfinished() throws IOException {
        Files.createSymbolicLink(dir.resolve(WEIGHTS), Path.of("../blobs/0123"));
        assertThatThrownBy(() -> ModelFolder.open(dir))
                .hasMessageEndingWith("found only " + WEIGHTS
                        + " (a link to a file that is missing); an unfinished download? fetch it again");
        for (String ending : List.of(".part", ".crdownload", ".incomplete")) {
            Path folder = Files.createDirectories(dir.resolve(ending));
            Files.createFile(folder.resolve(WEIGHTS + ending));
            assertThatThrownBy(() -> ModelFolder.open(folder))
                    .hasMessageEndingWith(
                            "found only " + WEIGHTS + ending + "; an unfinished download? fetch it again");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"one.npy", "several.npz"})
    void numpyFiles_areNamed(String name) throws IOException {
        Path file = dir.resolve(name);
        byte[] array = ("\u0093NUMPY\u0001\0F\0"
                        + String.format("%-69s%n", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }")
                        + "\0\0\0\0")
                .getBytes(StandardCharsets.ISO_8859_1);
        if (name.endsWith("z")) {
            try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
                zip.putNextEntry(new ZipEntry("a.npy"));
                zip.write(array);
            }
        } else {
            Files.write(file, array);
        }
        assertThatThrownBy(() -> ModelFolder.open(file))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("got a NumPy file without their names");
    }
}
