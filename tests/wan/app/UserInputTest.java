package wan.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import wan.file.SafetensorsWriter;
import wan.op.DType;
import wan.op.Shape;

/** What users give in place of each other, folders as downloads leave them, and the user's language. */
class UserInputTest {
    private static final String EXTRACT = "extract --latent-size 4x4 --num-frames 1 --layer 3 -q -o OUT/a.safetensors ";
    private static final String SHARDED = "diffusion_pytorch_model.safetensors";

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    private static Path shared;

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    private Path dir;

    @BeforeAll
    static void makeInputs() throws IOException {
        file(
                "lora",
                "diffusion_model.blocks.0.self_attn.q.lora_A.weight",
                "diffusion_model.blocks.0.ffn.0.lora_B.weight");
        file("vae", "decoder.conv1.weight", "encoder.conv1.weight");
        file("encoder", "token_embedding.weight", "blocks.0.attn.q.weight");
        file("transformer", "blocks.0.self_attn.norm_q.weight", "patch_embedding.weight");
        file("embeddings", "prompt_embeds");
        Files.write(
                shared.resolve("photo"), new byte[] {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 26, '\n', 0, 0, 0, 13});
        Files.writeString(shared.resolve("text"), "a cat walks");
    }

    private static void file(String file, String... names) {
        try (SafetensorsWriter writer = SafetensorsWriter.create(shared.resolve(file), 4096)) {
            for (String name : names) {
                writer.add(name, DType.F32, Shape.of(2, 2)).write(new float[] {1, 2, 3, 4});
            }
            writer.finish(Map.of());
        }
    }

    private CommandLineRun run(String line) {
        List<String> words = new ArrayList<>();
        for (String word : line.strip().split(" ", -1)) {
            words.add(word.replace("OUT", dir.toString()).replace("IN", shared.toString()));
        }
        return CommandLineRun.of(words.toArray());
    }

    static Stream<Arguments> wrongFiles() {
        Map<String, String> words = Map.of(
                "lora", "a LoRA, not a model",
                "vae", "a VAE; ",
                "encoder", "a text encoder (UMT5 or T5); ",
                "transformer", "a Wan transformer; ",
                "embeddings", "embeddings of prompts; ",
                "photo", "a PNG picture",
                "text", "text, not tensors: \"a cat walks\"");
        return Stream.of("--prompt-embeds", "--initial-latent", "--picture", "--replay")
                .flatMap(option -> words.entrySet().stream()
                        .filter(entry -> !option.equals("--prompt-embeds")
                                || !entry.getKey().equals("embeddings"))
                        .map(entry -> Arguments.of(option, entry.getKey(), entry.getValue())));
    }

    @ParameterizedTest
    @MethodSource("wrongFiles")
    void fileOfAnotherKind_isNamed(String option, String file, String words) {
        String line = option.equals("--replay") ? "extract -q -o OUT/a.safetensors " : EXTRACT;
        CommandLineRun run = run(line + option + " IN/" + file);
        assertThat(run.exitCode()).as(run.err()).isIn(1, 2);
        assertThat(run.err()).hasLineCount(1).contains(shared.resolve(file).toString(), words);
        assertThat(dir).isEmptyDirectory();
    }

    @Test
    void shards_areOneModel_withoutTheirIndex_butOnlyAllOfThem() throws IOException {
        assertThat(run("make-model --config tiny --out OUT/whole").exitCode()).isZero();
        Path folder = Files.createDirectory(dir.resolve("shards"));
        Files.copy(dir.resolve("whole/config.json"), folder.resolve("config.json"));
        CommandLineRun convert = run("convert OUT/whole OUT/shards/" + SHARDED + " --max-shard-bytes 2MB");
        assertThat(convert.exitCode()).as(convert.err()).isZero();
        Files.delete(folder.resolve(SHARDED + ".index.json"));
        CommandLineRun all = run(EXTRACT + "--model OUT/shards");
        assertThat(all.exitCode()).as(all.err()).isZero();
        CommandLineRun whole = run(EXTRACT + "--model OUT/whole");
        assertThat(all.out()).isEqualTo(whole.out());
        Files.delete(folder.resolve("diffusion_pytorch_model-00002-of-00004.safetensors"));
        CommandLineRun without = run(EXTRACT + "--model OUT/shards");
        assertThat(without.exitCode()).isEqualTo(1);
        assertThat(without.err()).hasLineCount(1).contains("expected all 4 shards", "found 3; missing: 2");
    }

    /** A window in config.json is used, unless the line says otherwise, -1 included. */
    @Test
    void window_isThatOfTheConfiguration_unlessAnotherIsGiven() throws IOException {
        assertThat(run("make-model --config tiny --out OUT/m").exitCode()).isZero();
        Path config = dir.resolve("m/config.json");
        Files.writeString(
                config, Files.readString(config).replaceFirst("\\{", "{\"local_attn_size\": 3, \"sink_size\": 1,"));
        String extract =
                "extract --model OUT/m --latent-size 2x2 --num-frames 5 --num-frame-per-block 1 --layer 3 --dry-run ";
        assertThat(run(extract).out()).contains("3 frames, sink 1");
        assertThat(run(extract).err())
                .contains("--local-attn-size 3 and --sink-size 1 come from the model's config.json");
        assertThat(run(extract + "--sink-size 0").out()).contains("3 frames, sink 0");
        assertThat(run(extract + "--local-attn-size 4 --sink-size 2").out()).contains("4 frames, sink 2");
        CommandLineRun none = run(extract + "--local-attn-size -1");
        assertThat(none.out()).doesNotContain(" frames, sink ");
        assertThat(none.err()).doesNotContain("config.json");
        String real = extract.replace("--dry-run", "-q");
        assertThat(run(real + "-o OUT/window.safetensors").exitCode()).isZero();
        assertThat(run(real + "--local-attn-size 3 --sink-size 1 -o OUT/same.safetensors")
                        .exitCode())
                .isZero();
        assertThat(run(real + "--local-attn-size -1 -o OUT/none.safetensors").exitCode())
                .isZero();
        CommandLineRun same = run("compare OUT/window.safetensors OUT/same.safetensors");
        assertThat(same.exitCode()).as(same.err()).isZero();
        assertThat(Files.readAllBytes(dir.resolve("window.safetensors")))
                .isNotEqualTo(Files.readAllBytes(dir.resolve("none.safetensors")));
    }

    private List<byte[]> outputs(String folder) throws IOException {
        Files.createDirectory(dir.resolve(folder));
        List<byte[]> all = new ArrayList<>();
        for (String line : List.of(
                "plot OUT/r.safetensors --out OUT/F/a.svg",
                "plot OUT/r.safetensors --kind bars --out OUT/F/b.svg",
                "plot OUT/r.safetensors --out OUT/F/a.png",
                "report OUT/r.safetensors --out OUT/F/r.html",
                "analyze OUT/r.safetensors --output OUT/F/a.txt",
                "analyze OUT/r.safetensors --format csv --output OUT/F/a.csv",
                "analyze OUT/r.safetensors --format json --output OUT/F/a.json",
                "inspect OUT/r.safetensors --stats",
                "inspect OUT/r.safetensors --json",
                "extract --layer 0 --latent-size 4x4 --num-frames 4 -q --dry-run",
                "extract --print-spec")) {
            CommandLineRun run = run(line.replace("/F/", "/" + folder + "/"));
            assertThat(run.exitCode()).as(line + run.err()).isZero();
            all.add(run.out().replace(folder, "F").getBytes(java.nio.charset.StandardCharsets.UTF_8));
        }
        try (Stream<Path> files = Files.list(dir.resolve(folder))) {
            for (Path file : files.sorted().toList()) {
                all.add(Files.readAllBytes(file));
            }
        }
        return all;
    }

    /** Digits of Arabic, Bengali and Persian, a comma for a point, and the Turkish i. */
    @Test
    void outputs_areTheSame_inEveryLanguage() throws IOException {
        assertThat(
                        run("extract --layer 0-1 --what frame-logits,frame-mass --latent-size 4x4 --num-frames 7 -q -o OUT/r.safetensors")
                                .exitCode())
                .isZero();
        Locale saved = Locale.getDefault();
        List<List<byte[]>> all = new ArrayList<>();
        try {
            for (String tag : List.of("en-US", "ar-EG-u-nu-arab", "de-DE", "tr-TR", "fa-IR-u-nu-arabext-ca-persian")) {
                Locale.setDefault(Locale.forLanguageTag(tag));
                all.add(outputs(tag));
            }
        } finally {
            Locale.setDefault(saved);
        }
        for (List<byte[]> one : all) {
            assertThat(one).hasSameSizeAs(all.getFirst());
            for (int i = 0; i < one.size(); i++) {
                assertThat(one.get(i))
                        .as("output %d", i)
                        .isEqualTo(all.getFirst().get(i));
            }
        }
    }
}
