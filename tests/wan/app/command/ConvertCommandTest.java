package wan.app.command;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.app.Main;
import wan.file.SafetensorsWriter;
import wan.file.TensorStore;
import wan.model.WanConfig;
import wan.model.WanParameters;
import wan.op.DType;
import wan.op.Shape;
import wan.op.TensorView;
import wan.weights.ConfigJson;
import wan.weights.ModelFolder;
import wan.weights.ModelLayout.Branch;

/** {@code wan-attn convert}, and running what it reads without it, on the reference's own checkpoints. */
class ConvertCommandTest {
    private static final Path CHECKPOINTS = Path.of("tests/goldens/checkpoints");
    private static final WanConfig CONFIG = new WanConfig(24, 32, 8, 16, 16, 2, 1, 8, 4, 1e-6f);

    @TempDir
    private Path dir;

    private record Outcome(int exitCode, String err) {}

    private static Outcome wanAttn(Object... args) {
        PrintStream before = System.err;
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        try {
            int code = Main.run(Stream.of(args).map(Object::toString).toArray(String[]::new));
            return new Outcome(code, err.toString(StandardCharsets.UTF_8));
        } finally {
            System.setErr(before);
        }
    }

    private static void assertSame(TensorView got, TensorView want) {
        assertThat(got.dtype()).as(got.name()).isEqualTo(want.dtype());
        assertThat(got.shape()).as(got.name()).isEqualTo(want.shape());
        assertThat(got.data().mismatch(want.data())).as(got.name()).isEqualTo(-1);
    }

    private static Path golden(String name) {
        return CHECKPOINTS.resolve(name);
    }

    private Path base() throws IOException {
        Path base = Files.createDirectories(dir.resolve("base"));
        Files.write(base.resolve("config.json"), ConfigJson.write(CONFIG));
        return base;
    }

    /** All nine, and what turns their names into the twin's; of some the twin has more dicts than the file. */
    @ParameterizedTest
    @CsvSource({
        "sf-fp32.pt, sf-fp32, '', '', generator/|generator_ema/|critic/",
        "sf-bf16.pt, sf-bf16, '', '', generator/|generator_ema/|critic/",
        "sf-bf16-legacy.pt, sf-bf16, '', '', generator/|generator_ema/",
        "bare-wrapper-bf16.pt, sf-bf16, ^, generator/, generator/",
        "under-model-key-bf16.pt, sf-bf16, ^model/, generator/, generator/",
        "sf-fsdp-prefix.pt, sf-bf16, _fsdp_wrapped_module\\.|_checkpoint_wrapped_module\\.|_orig_mod\\., '', generator_ema/",
        "strided.pt, strided, ^tensors/, '', ''",
        "strided-legacy.pt, strided, ^tensors/, '', ''",
        "layer3.pt, layer3, '', '', ''"
    })
    void convert_keepsEveryTensor_whenRaw(String file, String twin, String from, String to, String dicts) {
        Path out = dir.resolve("raw.safetensors");
        Outcome outcome = wanAttn("convert", "--raw", golden(file), out);

        assertThat(outcome.exitCode()).as(outcome.err()).isZero();
        try (TensorStore got = TensorStore.open(out);
                TensorStore want = TensorStore.open(golden(twin + ".expected.safetensors"))) {
            Map<String, String> stored = got.names().stream()
                    .collect(Collectors.toMap(name -> from.isEmpty() ? name : name.replaceAll(from, to), name -> name));
            Pattern inFile = Pattern.compile("^(" + dicts + ").*");
            assertThat(stored.keySet())
                    .isEqualTo(want.names().stream()
                            .filter(name -> inFile.matcher(name).matches())
                            .collect(Collectors.toSet()));
            stored.forEach((name, path) -> assertSame(got.tensor(path), want.tensor(name)));
        }
    }

    @Test
    void convert_writesTheOriginalNames_whenItIsASelfForcingCheckpoint() throws IOException {
        Path in = Files.copy(golden("sf-fsdp-prefix.pt"), base().resolve("sf.pt"));
        Path out = dir.resolve("sf.safetensors");
        Outcome outcome = wanAttn("convert", in, out);

        assertThat(outcome.exitCode()).as(outcome.err()).isZero();
        assertThat(outcome.err()).contains("Self-Forcing checkpoint, generator_ema");
        try (ModelFolder model = ModelFolder.open(out);
                TensorStore want = TensorStore.open(golden("sf-bf16.expected.safetensors"))) {
            assertThat(model.config()).as("the file carries it").isEqualTo(CONFIG);
            WanParameters.shapes(CONFIG)
                    .forEach((name, shape) ->
                            assertSame(model.get(name, shape), want.tensor("generator_ema/model." + name)));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"f32", "bf16", "f16"})
    void convert_roundsToTheTypeAskedFor(String dtype) {
        Path out = dir.resolve("x.safetensors");
        Outcome outcome = wanAttn("convert", golden("sf-fp32.pt"), out, "--dtype", dtype, "--no-use-ema");

        assertThat(outcome.exitCode()).as(outcome.err()).isZero();
        assertThat(outcome.err()).contains("no config.json beside it");
        try (TensorStore got = TensorStore.open(out);
                TensorStore want = TensorStore.open(golden("sf-fp32.expected.safetensors"))) {
            assertThat(got.names()).hasSameSizeAs(WanParameters.shapes(CONFIG).keySet());
            for (String name : got.names()) {
                float[] exact = want.tensor("generator/model." + name).toFloats();
                float[] rounded = got.tensor(name).toFloats();
                assertThat(got.tensor(name).dtype().option()).isEqualTo(dtype);
                double half = dtype.equals("bf16") ? 0x1p-8 : dtype.equals("f16") ? 0x1p-11 : 0;
                for (int i = 0; i < exact.length; i++) {
                    assertThat(Math.abs(rounded[i] - exact[i]))
                            .isLessThanOrEqualTo((float) (Math.abs(exact[i]) * half + (half == 0 ? 0 : 0x1p-25)));
                }
            }
        }
    }

    @Test
    void convert_shards_whenTheFileWouldBeTooLarge() throws IOException {
        Path out = dir.resolve("model.safetensors");
        Outcome outcome = wanAttn("convert", golden("sf-bf16.pt"), out, "--max-shard-bytes", "10KB");

        assertThat(outcome.exitCode()).as(outcome.err()).isZero();
        Path index = dir.resolve("model.safetensors.index.json");
        JsonNode map = new JsonMapper().readTree(Files.readAllBytes(index)).path("weight_map");
        Set<String> files = new TreeSet<>();
        map.forEach(file -> files.add(file.stringValue()));
        assertThat(files.size()).isGreaterThan(2);
        assertThat(files).first().isEqualTo("model-00001-of-0000" + files.size() + ".safetensors");
        try (TensorStore got = TensorStore.open(index);
                TensorStore want = TensorStore.open(golden("sf-bf16.expected.safetensors"))) {
            assertThat(got.names())
                    .containsExactlyInAnyOrderElementsOf(
                            WanParameters.shapes(CONFIG).keySet());
            got.names().forEach(name -> assertSame(got.tensor(name), want.tensor("generator_ema/model." + name)));
        }
        for (String file : files) {
            assertThat(Files.size(dir.resolve(file))).isLessThan(10_000 + 8_000);
        }
    }

    @Test
    void convert_readsDiffusers_whenItIsAPipelinesFolder() throws IOException {
        Path transformer = Files.createDirectories(dir.resolve("pipeline/transformer"));
        Files.writeString(
                transformer.resolve("config.json"),
                "{\"_class_name\": \"WanTransformer3DModel\", \"num_attention_heads\": 2, \"attention_head_dim\": 12,"
                        + " \"in_channels\": 16, \"out_channels\": 16, \"ffn_dim\": 32, \"freq_dim\": 8, \"text_dim\": 8,"
                        + " \"text_len\": 4, \"num_layers\": 1, \"eps\": 1e-06, \"cross_attn_norm\": true, \"image_dim\": null,"
                        + " \"qk_norm\": \"rms_norm_across_heads\", \"patch_size\": [1, 2, 2]}");
        Map<String, String> diffusers = diffusersNames();
        Path file = transformer.resolve("diffusion_pytorch_model.safetensors");
        try (TensorStore want = TensorStore.open(golden("sf-bf16.expected.safetensors"));
                SafetensorsWriter writer = SafetensorsWriter.create(file, 1 << 14)) {
            diffusers.forEach((original, name) -> {
                TensorView view = want.tensor("generator/model." + original);
                writer.add(name, view.dtype(), view.shape()).write(0, view.data());
            });
            writer.finish(Map.of());
        }
        Path out = dir.resolve("original.safetensors");
        Outcome outcome = wanAttn("convert", dir.resolve("pipeline"), out);

        assertThat(outcome.exitCode()).as(outcome.err()).isZero();
        assertThat(outcome.err()).contains("Diffusers' names");
        try (ModelFolder model = ModelFolder.open(out);
                ModelFolder same = ModelFolder.open(dir.resolve("pipeline"));
                TensorStore want = TensorStore.open(golden("sf-bf16.expected.safetensors"))) {
            assertThat(model.config()).isEqualTo(CONFIG);
            WanParameters.shapes(CONFIG).forEach((name, shape) -> {
                assertSame(model.get(name, shape), want.tensor("generator/model." + name));
                assertSame(same.get(name, shape), want.tensor("generator/model." + name));
            });
            assertThat(same.fingerprint()).isEqualTo(model.fingerprint());
        }
    }

    /** By the rules of Diffusers' conversion script, which replaces text, not by our table. */
    private static Map<String, String> diffusersNames() {
        Map<String, String> names = new LinkedHashMap<>();
        for (String name : WanParameters.shapes(CONFIG).keySet()) {
            names.put(
                    name,
                    name.replace("time_embedding.0", "condition_embedder.time_embedder.linear_1")
                            .replace("time_embedding.2", "condition_embedder.time_embedder.linear_2")
                            .replace("text_embedding.0", "condition_embedder.text_embedder.linear_1")
                            .replace("text_embedding.2", "condition_embedder.text_embedder.linear_2")
                            .replace("time_projection.1", "condition_embedder.time_proj")
                            .replace("head.modulation", "scale_shift_table")
                            .replace("head.head", "proj_out")
                            .replace("modulation", "scale_shift_table")
                            .replace("ffn.0", "ffn.net.0.proj")
                            .replace("ffn.2", "ffn.net.2")
                            .replace("norm3", "norm2")
                            .replaceAll("self_attn\\.([qkv])\\.", "attn1.to_$1.")
                            .replaceAll("cross_attn\\.([qkv])\\.", "attn2.to_$1.")
                            .replace("self_attn.o", "attn1.to_out.0")
                            .replace("cross_attn.o", "attn2.to_out.0")
                            .replace("self_attn", "attn1")
                            .replace("cross_attn", "attn2"));
        }
        return names;
    }

    @Test
    void convert_refuses_whenSomethingIsThere() throws IOException {
        Path out = Files.writeString(dir.resolve("x.safetensors"), "mine");

        assertThat(wanAttn("convert", golden("sf-bf16.pt"), out))
                .isEqualTo(new Outcome(2, "wan-attn: OUT: " + out + " exists already; --force replaces it\n"));
        assertThat(out).hasContent("mine");
        assertThat(wanAttn("convert", golden("sf-bf16.pt"), out, "--force").exitCode())
                .isZero();
        assertThat(wanAttn("convert", out, out, "--force").exitCode()).isEqualTo(2);
        assertThat(wanAttn("convert", golden("sf-bf16.pt"), dir.resolve("x.bin")))
                .satisfies(outcome -> {
                    assertThat(outcome.exitCode()).isEqualTo(2);
                    assertThat(outcome.err()).contains("expected a file that ends in .safetensors");
                });
        assertThat(wanAttn("convert", golden("sf-bf16.pt"), out, "--force", "--max-shard-bytes", "many")
                        .err())
                .contains("--max-shard-bytes: expected a size as 5GB or 4GiB, got many");
        assertThat(wanAttn("convert", golden("sf-bf16.pt"), out, "--force", "--raw", "--dtype", "f32")
                        .exitCode())
                .isEqualTo(2);
        assertThat(wanAttn("convert", golden("sf-bf16.pt"), out, "--force", "--dtype", "f64")
                        .exitCode())
                .isEqualTo(2);
    }

    @Test
    void convert_saysWhatIsMissing_whenTheCheckpointIsPartial() throws IOException {
        Path base = base();
        Path in = base.resolve("part.safetensors");
        try (SafetensorsWriter writer = SafetensorsWriter.create(in, 1024)) {
            writer.add("generator/model.head.modulation", DType.F32, Shape.of(1, 2, 24));
            writer.add("generator/model.extra", DType.F32, Shape.of(1));
            writer.finish(Map.of());
        }
        Outcome outcome = wanAttn("convert", in, dir.resolve("out.safetensors"));

        assertThat(outcome.exitCode()).isEqualTo(1);
        assertThat(outcome.err().lines())
                .hasSize(2)
                .satisfies(lines -> assertThat(lines.getFirst()).contains("has no generator_ema; using generator"))
                .satisfies(lines -> assertThat(lines.getLast())
                        .contains(
                                "the tensors do not fit", "41 missing: patch_embedding.weight", "1 unexpected: extra"));
        assertThat(dir.resolve("out.safetensors")).doesNotExist();
    }

    @Test
    void open_takesTheCheckpointsWeights_whenTheFolderHasOnlyAConfiguration() throws IOException {
        Path base = base();
        try (ModelFolder ema = ModelFolder.open(base, golden("sf-bf16.pt"), Branch.EMA_OR_GENERATOR);
                ModelFolder plain = ModelFolder.open(base, golden("sf-bf16.pt"), Branch.GENERATOR);
                TensorStore want = TensorStore.open(golden("sf-bf16.expected.safetensors"))) {
            WanParameters.shapes(CONFIG).forEach((name, shape) -> {
                assertSame(ema.get(name, shape), want.tensor("generator_ema/model." + name));
                assertSame(plain.get(name, shape), want.tensor("generator/model." + name));
            });
            assertThat(ema.description()).endsWith("sf-bf16.pt: Self-Forcing checkpoint, generator_ema; prefix model.");
            assertThat(ema.fingerprint()).isNotEqualTo(plain.fingerprint());
        }
        assertThat(requireNonNull(List.of(dir.resolve("base").toFile().list()))).containsExactly("config.json");
    }
}
