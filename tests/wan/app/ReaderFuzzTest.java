package wan.app;

import static org.assertj.core.api.Assertions.assertThat;

import capture.analysis.ResultFiles;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.Fuzz;
import wan.Goldens;
import wan.file.TensorStore;
import wan.op.WanException;
import wan.run.AblationFile;
import wan.run.Replay;
import wan.text.Tokenizer;
import wan.text.TokenizerGolden;
import wan.weights.ConfigJson;

/** Every reader of files that nobody vouches for, with thousands of damaged ones. */
@Tag("slow")
class ReaderFuzzTest {
    private static final byte[] CONFIG =
            ("{\"_class_name\": \"WanModel\", \"dim\": 1536, \"eps\": 1e-06, \"ffn_dim\": 8960,"
                            + " \"freq_dim\": 256, \"in_dim\": 16, \"model_type\": \"t2v\", \"num_heads\": 12, \"num_layers\": 30,"
                            + " \"out_dim\": 16, \"text_len\": 512}")
                    .getBytes(StandardCharsets.UTF_8);

    private static final byte[] TOKENIZER_JSON =
            ("{\"added_tokens\": [{\"id\": 1, \"content\": \"</s>\", \"lstrip\": false}],"
                            + " \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFKC\"},"
                            + " {\"type\": \"Strip\", \"strip_left\": false, \"strip_right\": true},"
                            + " {\"type\": \"Replace\", \"pattern\": {\"Regex\": \" {2,}\"}, \"content\": \"\u2581\"}]},"
                            + " \"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"\u2581\", \"prepend_scheme\": \"always\"},"
                            + " \"model\": {\"type\": \"Unigram\", \"unk_id\": 2, \"byte_fallback\": false, \"vocab\": [[\"<pad>\", 0],"
                            + " [\"</s>\", 0], [\"<unk>\", 0], [\"\u2581\", -2.5], [\"a\", -3.1], [\"c\", -4.5], [\"at\", -4],"
                            + " [\"\u2581walks\", -6.25], [\"s\", -3.5], [\"lowly\", -7], [\",\", -4.75], [\"aa\", -5]]}}")
                    .getBytes(StandardCharsets.UTF_8);

    @TempDir
    Path folder;

    private int fuzz(int mutations, byte[] sound, boolean headerOnly, Fuzz.Reader reader) {
        Fuzz fuzz = new Fuzz(sound.length);
        assertThat(Fuzz.takes(sound, reader)).as("the sound file").isTrue();
        int taken = 0;
        for (int i = 0; i < mutations; i++) {
            taken += Fuzz.takes(headerOnly ? fuzz.damageHeader(sound) : fuzz.damage(sound), reader) ? 1 : 0;
        }
        assertThat(taken).as("neither all nor none is harmless").isBetween(1, mutations - 1);
        return taken;
    }

    private Path written(String name, byte[] bytes) throws Exception {
        return Files.write(folder.resolve(name), bytes);
    }

    @Test
    void results_areReadOrRefused_byEveryCommand() throws Exception {
        byte[] sound = Files.readAllBytes(ResultFiles.ofGolden("rollout-a", folder));
        Path figure = folder.resolve("figure.svg");
        Path report = folder.resolve("report.html");
        int[] turn = {0};
        fuzz(2000, sound, true, bytes -> {
            Path file = written("damaged.safetensors", bytes);
            Files.deleteIfExists(figure);
            Files.deleteIfExists(report);
            CommandLineRun run = switch (turn[0]++ % 6) {
                case 0 -> CommandLineRun.of("analyze", file);
                case 1 -> CommandLineRun.of("report", file, "--out", report);
                case 2 -> CommandLineRun.of("plot", file, "--kind", "heads", "--layer", 1, "--out", figure);
                case 3 -> CommandLineRun.of("plot", file, "--kind", "tokens", "--layer", 1, "--out", figure);
                case 4 -> CommandLineRun.of("analyze", file, "--tokens");
                default -> CommandLineRun.of("analyze", file, "--compare", file, "--bootstrap", 20);
            };
            if (run.err().contains("internal error")) {
                throw new IllegalStateException(run.err());
            }
            if (run.exitCode() != 0) {
                throw new WanException(run.err().strip());
            }
        });
    }

    @Test
    void tokenizerJson_isReadOrRefused() throws Exception {
        tokenizer("tokenizer.json", TOKENIZER_JSON, 6000);
    }

    @Test
    void spieceModel_isReadOrRefused() throws Exception {
        tokenizer("spiece.model", Files.readAllBytes(TokenizerGolden.PLAIN.model), 5000);
    }

    private void tokenizer(String name, byte[] sound, int mutations) {
        fuzz(mutations, sound, false, bytes -> {
            Tokenizer tokenizer = Tokenizer.open(written(name, bytes));
            assertThat(tokenizer
                            .encodePrompt("A  cat walks, slowly;  aaaaaaaaaaaaaaaaaaaaaaaaaaa!", 64)
                            .count())
                    .isPositive();
        });
    }

    @Test
    void configJson_isReadOrRefused() {
        fuzz(3000, CONFIG, false, bytes -> ConfigJson.parse("config.json", bytes));
    }

    @Test
    void index_isReadOrRefused() throws Exception {
        Files.copy(Goldens.path("rollout-a"), folder.resolve("shard.safetensors"));
        byte[] sound = "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {\"noise\": \"shard.safetensors\"}}"
                .getBytes(StandardCharsets.UTF_8);
        fuzz(
                2000,
                sound,
                false,
                bytes -> TensorStore.open(written("x.safetensors.index.json", bytes))
                        .close());
    }

    @Test
    void recordings_areReadOrRefused() throws Exception {
        byte[] sound = Files.readAllBytes(Goldens.path("rollout-a"));
        fuzz(
                2000,
                sound,
                true,
                bytes -> Replay.open(written("recording.safetensors", bytes)).close());
    }

    @Test
    void ablations_areReadOrRefused() {
        byte[] sound =
                ("{\"wan_attn_version\": \"0.1.0\", \"ablation\": 1, \"complete\": true, \"run\": {}, \"edits\": ["
                                + "{\"name\": \"0:6\", \"layer\": 0, \"head\": 6, \"rules\": [], \"from\": \"block0.step0\","
                                + " \"computed\": 1.0, \"seconds\": 0.5, \"latents\": {\"relative_l2\": 0.0358, \"cosine\": 0.99,"
                                + " \"psnr\": null, \"largest\": 0.25, \"values\": 7168}, \"frames\": []}]}")
                        .getBytes(StandardCharsets.UTF_8);
        fuzz(
                3000,
                sound,
                false,
                bytes -> assertThat(AblationFile.order(written("ablation.json", bytes)))
                        .hasSize(1));
    }

    @Test
    void specifications_areReadOrRefused() throws Exception {
        CommandLineRun printed = CommandLineRun.of("extract", "--layer", 3, "--print-spec");
        assertThat(printed.exitCode()).as(printed.err()).isZero();
        fuzz(2000, printed.out().getBytes(StandardCharsets.UTF_8), false, bytes -> {
            wan.run.RunSpec spec = wan.run.SpecFile.read(written("spec.json", bytes));
            assertThat(spec).isNotNull();
        });
    }
}
