package wan.app.command;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.Goldens;
import wan.app.CommandLineRun;
import wan.file.Safetensors;
import wan.op.HostTensor;
import wan.op.TensorView;

class ExtractCommandTest {
    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"a", "b", "c", "c2", "d", "d2", "e", "h128"})
    void replay_reproducesTheReferencesRun(String name) {
        String rollout = "rollout-" + name;
        try (Goldens golden = Goldens.open(rollout)) {
            JsonNode config = golden.config();
            int layer = config.get("captured_layer").asInt();
            Path result = folder.resolve("result.safetensors");
            Path latents = folder.resolve("latents.safetensors");
            CommandLineRun run = CommandLineRun.of(
                    "extract",
                    "--model",
                    Goldens.path("model-" + config.get("model").asString()),
                    "--replay",
                    Goldens.path(rollout),
                    "--layer",
                    layer,
                    "--attention",
                    "both",
                    "--pass",
                    "all",
                    "--what",
                    "frame-logits,frame-mass,token-logits",
                    "--save-latents",
                    latents,
                    "--save-passes",
                    "--output",
                    result);
            assertThat(run.err()).doesNotContain("wan-attn:");
            assertThat(run.exitCode()).isZero();
            assertThat(run.out()).contains("Layer " + layer + " (L" + (layer + 1) + ")", "Saved to " + result);

            int compared = compare(golden, latents) + compare(golden, result);
            long recorded = golden.file().names().stream()
                    .filter(tensor -> tensor.contains("_logits")
                            || tensor.endsWith("frame_mass")
                            || tensor.endsWith(".in")
                            || tensor.endsWith(".flow")
                            || tensor.endsWith(".x0")
                            || tensor.equals("output"))
                    .count();
            assertThat(compared).isEqualTo((int) recorded);
            assertMatrix(golden, result, layer);
            assertMetadata(result, config, layer);
        }
    }

    private static int compare(Goldens golden, Path file) {
        int compared = 0;
        try (Safetensors actual = Safetensors.open(file)) {
            for (String tensor : actual.names()) {
                if (golden.has(tensor)) {
                    TensorView view = actual.tensor(tensor);
                    double tolerance = tensor.endsWith("frame_mass")
                            ? Goldens.FRAME_MASS
                            : tensor.endsWith(".frame_logits") ? Goldens.FRAME_LOGITS : Goldens.ROLLOUT;
                    golden.assertMatches(tensor, new HostTensor(view.shape(), view.toFloats()), tolerance);
                    compared++;
                }
            }
        }
        return compared;
    }

    private static void assertMatrix(Goldens golden, Path file, int layer) {
        String name = "layer" + layer + ".full_frame_attention";
        String reference = golden.has("absolute." + name) ? "absolute." + name : "script." + name;
        try (Safetensors actual = Safetensors.open(file)) {
            float[] matrix = actual.tensor(name).toFloats();
            float[] mask = actual.tensor("layer" + layer + ".mask").toFloats();
            double[] expected = golden.file().tensor(reference).toDoubles();
            for (int i = 0; i < expected.length; i++) {
                if (mask[i % mask.length] == 0) {
                    assertThat(matrix[i]).isNaN();
                    assertThat(expected[i]).isZero();
                } else {
                    assertThat(Math.abs(matrix[i] - expected[i])).isLessThanOrEqualTo(Goldens.FRAME_LOGITS);
                }
            }
        }
    }

    private static void assertMetadata(Path file, JsonNode config, int layer) {
        try (Safetensors actual = Safetensors.open(file)) {
            JsonMapper json = JsonMapper.shared();
            JsonNode script = config.get("script").get(String.valueOf(layer));
            for (String field : List.of(
                    "layer_index",
                    "num_frames",
                    "frame_seq_length",
                    "num_frame_per_block",
                    "num_heads",
                    "block_sizes",
                    "query_frames",
                    "key_frames",
                    "last_block_query_frames")) {
                assertThat(json.readTree(actual.metadata().get(field)))
                        .as(field)
                        .isEqualTo(script.get(field));
            }
            JsonNode passes = json.readTree(actual.metadata().get("passes"));
            for (int i = 0; i < passes.size(); i++) {
                assertThat(passes.get(i).get("key_frames"))
                        .isEqualTo(config.get("passes").get(i).get("key_frames"));
            }
            assertThat(actual.metadata().get("run")).isEqualTo("complete");
        }
    }

    @Test
    void demo_writesTheMatrixOf19Frames_whenNothingButALayerIsGiven() throws IOException {
        Path result = folder.resolve("r.safetensors");
        CommandLineRun run = CommandLineRun.of("extract", "--layer", "3", "--latent-size", "4x4", "-o", result);
        assertThat(run.exitCode()).isZero();
        assertThat(run.err()).contains("demo model with random weights", "the last 2 are left out");
        try (Safetensors file = Safetensors.open(result)) {
            assertThat(file.tensor("layer3.full_frame_attention").shape()).hasToString("[12, 19, 19]");
            assertThat(file.tensor("layer3.last_block_frame_attention").shape()).hasToString("[12, 19]");
            assertThat(file.metadata().get("model")).contains("demo");
        }
        try (Stream<Path> files = Files.list(folder)) {
            assertThat(files).containsExactly(result);
        }
    }

    @Test
    void demo_givesTheSameBytes_again() throws IOException {
        Path[] results = {folder.resolve("a.safetensors"), folder.resolve("b.safetensors")};
        for (int i = 0; i < 2; i++) {
            CommandLineRun run = CommandLineRun.of(
                    "extract",
                    "--layer",
                    "all",
                    "--num-frames",
                    "4",
                    "--latent-size",
                    "4x6",
                    "--threads",
                    i + 1,
                    "-q",
                    "-o",
                    results[i],
                    "--what",
                    "frame-logits,frame-mass,key-logits,query-logits");
            assertThat(run.err()).isEmpty();
        }
        assertThat(results[0]).hasSameBinaryContentAs(results[1]);
    }

    @Test
    void report_isWrittenBesideTheResult() {
        Path report = folder.resolve("report.html");
        CommandLineRun run = CommandLineRun.of(
                "extract",
                "-q",
                "--num-frames",
                "4",
                "--latent-size",
                "4x4",
                "-o",
                folder.resolve("r.safetensors"),
                "--report",
                report);
        assertThat(run.exitCode()).isZero();
        assertThat(report).content().contains("Content-Security-Policy", "demo (random weights)");
    }

    @Test
    void query_addsMapsOfARegion_toThePassesOfItsFrame() throws IOException {
        Path result = folder.resolve("query.safetensors");
        CommandLineRun run = CommandLineRun.of(
                "extract",
                "--layer",
                1,
                "--head",
                2,
                "--num-frames",
                4,
                "--query",
                "2,1,3",
                "--query",
                "3,0-1,0-7",
                "--output",
                result);
        assertThat(run.exitCode()).as(run.err()).isZero();
        try (Safetensors file = Safetensors.open(result)) {
            assertThat(file.tensor("block1.step0.layer1.region_logits").shape()).hasToString("[1, 1, 2, 256]");
            assertThat(file.tensor("block1.step0.layer1.region_mass").shape()).hasToString("[1, 1, 2, 256]");
            assertThat(file.names()).noneMatch(name -> name.startsWith("block0.step0.layer1.region"));
            JsonNode regions = JsonMapper.shared().readTree(file.metadata().get("query_regions"));
            assertThat(regions.get(1).toString())
                    .isEqualTo("{\"frame\":3,\"row\":0,\"column\":0,\"rows\":2,\"columns\":8}");
        }
        assertThat(CommandLineRun.of("extract", "--query", "2,1,99", "--output", result)
                        .err())
                .contains("--query: expected frames below 19, rows below 8 and columns below 8");
        assertThat(CommandLineRun.of("extract", "--what", "region-mass", "--output", result)
                        .err())
                .contains("--query: expected boxes of queries");
    }

    @Test
    void dryRun_printsThePlanAndWritesNothing() throws IOException {
        CommandLineRun run = CommandLineRun.of(
                "extract",
                "--dry-run",
                "--layer",
                "3",
                "--what",
                "token-logits",
                "-o",
                folder.resolve("r.safetensors"));
        assertThat(run.exitCode()).isZero();
        assertThat(run.out())
                .contains("block6.step0", "frame blocks [1, 3, 3, 3, 3, 3, 3]", " of heap (keys and values ")
                .doesNotContain("of computing");
        try (Stream<Path> files = Files.list(folder)) {
            assertThat(files).isEmpty();
        }
    }

    @Test
    void dryRun_showsTheMemoryOfADevice() {
        CommandLineRun run = CommandLineRun.of(
                "extract", "--dry-run", "--layer", "3", "--device", "tornado", "--device-memory", "3g");
        assertThat(run.exitCode()).isZero();
        assertThat(run.out())
                .containsPattern(
                        "memory +[0-9.]+ MiB of 3.0 GiB on device tornado:0:0, and as much on the host: weights")
                .containsPattern("largest array [0-9.]+ MiB \\(.*\\), of at most ");
    }

    @Test
    void dryRun_saysThatTheRunWouldNotFit() {
        CommandLineRun run =
                CommandLineRun.of("extract", "--dry-run", "--layer", "3", "--latent-size", "600x1040", "-q");
        assertThat(run.exitCode()).isZero();
        assertThat(run.err())
                .startsWith("wan-attn: the run would be refused: memory: expected ")
                .contains("--local-attn-size")
                .hasLineCount(1);
    }

    @Test
    void dryRun_tellsTheTime_whereALayerIsLargeEnoughToMeasure() {
        CommandLineRun run = CommandLineRun.of("extract", "--dry-run", "--layer", "3", "--latent-size", "60x104");
        assertThat(run.out()).containsPattern("time +about [0-9:]+ of computing, from a measured layer\n");
    }

    @Test
    void device_reportsItsRecordingAndCompiling() {
        CommandLineRun run = CommandLineRun.of(
                "extract",
                "--layer",
                "1",
                "--num-frames",
                "1",
                "--device",
                "tornado",
                "-o",
                folder.resolve("r.safetensors"));
        assertThat(run.exitCode()).isZero();
        assertThat(run.err())
                .containsPattern(
                        "device tornado:0:0: [0-9]+ graphs, recorded 1 times in [0-9.]+ s, compiled in [0-9.]+ s,"
                                + " [0-9]+ executions in [0-9.]+ s");
    }

    @Test
    void spec_ofAResult_repeatsTheRun(@TempDir Path folder) throws IOException {
        Path first = folder.resolve("first.safetensors");
        Path again = folder.resolve("again.safetensors");
        Path fromNpz = folder.resolve("fromNpz.safetensors");
        Path npz = folder.resolve("first.npz");
        String[] run = {
            "extract", "-q", "--layer", "1-2", "--num-frames", "4", "--latent-size", "4x4", "--seed", "7", "-o"
        };
        assertThat(CommandLineRun.of(append(run, first)).exitCode()).isZero();
        assertThat(CommandLineRun.of("extract", "-q", "--spec", first, "-o", again)
                        .exitCode())
                .isZero();
        assertThat(again).hasSameBinaryContentAs(first);
        assertThat(CommandLineRun.of(append(run, npz)).exitCode()).isZero();
        assertThat(CommandLineRun.of("extract", "-q", "--spec", npz, "-o", fromNpz)
                        .exitCode())
                .isZero();
        assertThat(fromNpz).hasSameBinaryContentAs(first);
    }

    @Test
    void spec_isPrinted_readBackAndOverridden(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("run.json");
        CommandLineRun printed = CommandLineRun.of(
                "extract", "--layer", "0-2,5", "--no-warp", "--prompt", "a cat", "--device", "onednn", "--print-spec");
        assertThat(printed.exitCode()).isZero();
        Files.writeString(file, printed.out());
        assertThat(CommandLineRun.of("extract", "--spec", file, "--print-spec").out())
                .isEqualTo(printed.out());
        assertThat(CommandLineRun.of("extract", "--spec", file, "--layer", "3", "--warp", "--print-spec")
                        .out())
                .contains("\"warp\" : true", "\"a cat\"", "\"name\" : \"onednn\"")
                .containsPattern("\"layers\" : \\[ 3 ]");
        Files.writeString(file, "{\"version\": 1, \"sampler\": {\"steps\": [1000, -3]}}");
        CommandLineRun wrong = CommandLineRun.of("extract", "--spec", file);
        assertThat(wrong.err())
                .isEqualTo("wan-attn: " + file + ": sampler.steps[1]: expected a number from 0 to 1000, got -3.0\n");
        assertThat(wrong.exitCode()).isEqualTo(1);
        assertThat(CommandLineRun.of("extract", "--spec", "tests/goldens/ops.safetensors")
                        .err())
                .startsWith("wan-attn: tests/goldens/ops.safetensors: metadata: expected \"spec\", got none");
    }

    private static Object[] append(String[] args, Path last) {
        Object[] all = Arrays.copyOf(args, args.length + 1, Object[].class);
        all[args.length] = last;
        return all;
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--device tornado --device-memory 8m | 1 | memory of device tornado:0:0: expected",
                "--device tornado:9:9 | 2 | --device tornado:9:9: expected tornado or one of tornado:0:0",
                "--device cuda | 2 | --device: expected jvm, onednn, onednn:bf16, onednn:f32, onednn:int8, tornado, tornado:DRIVER:DEVICE or auto, got 'cuda'",
                "--device tornado --libraries maybe | 2 | --libraries: expected auto, off, cublas, cudnn or cublas,cudnn, got 'maybe'",
                "--device tornado --libraries cudnn | 2 | --libraries cudnn: expected --kv-cache-dtype f16, got f32",
                "--device tornado --kernels wmma | 2 | --kernels: expected auto, vector, shared or tensor with --device tornado, got wmma",
                "--kernels shared | 2 | --kernels: expected auto, vector or scalar, got shared",
                "--libraries cublas | 2 | --libraries: expected auto or off with --device jvm, got cublas",
                "--layer 6 | 2 | --layer: expected indices from 0 to 5, got 6 (they count from 0)",
                "--layer x | 2 | --layer: expected layers such as 3, 0-5,9 or all, got \"x\"",
                "--head 12 | 2 | --head: expected indices from 0 to 11, got 12 (they count from 0)",
                "--num-frames 0 | 2 | --num-frames: expected at least 1, got 0",
                "--no-independent-first-frame --num-frames 2 | 2 | --num-frames: expected at least one frame block of 3, got 2",
                "--height 100 | 2 | --height: expected a multiple of 16 pixels, got 100",
                "--latent-size 4 | 2 | --latent-size: expected HEIGHTxWIDTH such as 60x104, got \"4\"",
                "--latent-size 3x4 | 2 | --latent-size: expected an even number of rows above 0, got 3",
                "--steps 500,750 | 2 | --steps: expected falling steps, got [500.0, 750.0]",
                "--pass 4 | 2 | --pass: expected steps 0 to 3, got 4",
                "--what logits | 2 | --what: expected some of frame-logits, frame-mass, key-logits, query-logits, query-mass, region-logits,"
                        + " region-mass, token-logits, logits-used, q-raw, k-raw, v, q, k, z, attn-out, cross-q, cross-z, cross-out, ffn-out, resid,"
                        + " got \"logits\"",
                "--attention text | 2 | --attention: expected self, cross or both, got \"text\"",
                "--local-attn-size 2 | 2 | --local-attn-size: expected at least the largest frame block, 3, got 2",
                "--save-passes | 2 | --save-passes: expected --save-latents with it, which the passes are added to",
                "--rng numpy | 2 | --rng: expected torch-cuda, torch-cpu or java, got \"numpy\"",
                "--dtype bf16 | 2 | --dtype: expected f32 with --device jvm, got bf16; it keeps a checkpoint's bf16 as it is",
                "--kv-cache-dtype f64 | 2 | --kv-cache-dtype: expected f32, f16 or bf16, got 'f64'",
                "--device tornado --dtype f64 | 2 | --dtype: expected f32, f16, bf16 or f8_e4m3, got 'f64'",
                "--threads 0 | 2 | --threads: expected 1 or more, got 0",
                "--replay tests/goldens/rollout-a.safetensors --num-frames 7 | 2 | --num-frames: expected no option that"
                        + " changes the noise, because --replay contains it",
                "--replay tests/goldens/rollout-a.safetensors | 1 | prompt_embeds: expected [B, 32, 64], got [1, 16, 40];"
                        + " pad every prompt with zero rows to text_len",
                "--replay tests/goldens/scheduler.safetensors | 1 | tests/goldens/scheduler.safetensors: expected a"
                        + " recorded run with its settings in the metadata entry config, got none",
                "--replay tests/goldens/ops.safetensors | 1 | tests/goldens/ops.safetensors: metadata entry config:"
                        + " expected denoising_step_list, got none",
                "--replay tests/goldens/rollout-a.safetensors --seed 1 | 2 | --replay: expected no prompt, initial latent,"
                        + " seed or generator with it, because the recording has its own",
                "--initial-latent tests/goldens/rollout-d.safetensors --latent-size 8x8 | 1 | initial latent: expected",
                "--initial-latent tests/goldens/ops.safetensors | 1 | tests/goldens/ops.safetensors: expected a tensor initial_latent",
                "--latent-size 60000x60000 | 2 | latent size: expected at most 1048576 cells a frame, got 60000x60000",
                "--num-frames 1000000 | 2 | --num-frames: expected at most 65536 frames, got 1000000",
                "-o same.safetensors --save-latents ./same.safetensors | 2 | --save-latents: expected another file than",
                "-o x.png | 2 | --output: expected a name ending in .safetensors, .pt or .npz, got x.png",
                "-o /dev/null | 2 | --output: expected a name ending in .safetensors, .pt or .npz, got /dev/null",
                "--model nowhere | 1 | nowhere: no such file",
                "--output /proc/x.safetensors | 1 | /proc/x.safetensors: cannot write",
            })
    void extract_saysWhatIsWrongInOneLine(String args, int exitCode, String message) {
        CommandLineRun run = CommandLineRun.of((Object[]) ("extract -q " + args).split(" "));
        assertThat(run.err()).startsWith("wan-attn: " + message);
        assertThat(run.err().lines()).hasSize(1);
        assertThat(run.exitCode()).isEqualTo(exitCode);
    }
}
