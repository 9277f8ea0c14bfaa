package wan.app.command;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import wan.Goldens;
import wan.app.CommandLineRun;
import wan.file.Safetensors;
import wan.file.SafetensorsWriter;
import wan.file.TensorStore;
import wan.op.DType;
import wan.op.TensorView;

/** What is not a finite number on the way in ends a run with words, or stays visible in the result; it is never a value. */
@Tag("slow")
class NotFiniteTest {
    private static final float NAN = Float.intBitsToFloat(0x7fffffff); // the payload that CUDA gives

    @TempDir
    Path folder;

    /** A copy of a file with one number of one tensor replaced. */
    private Path poisoned(Path file, String tensor, float value) {
        Path copy = folder.resolve("poisoned-" + file.getFileName());
        boolean found = false;
        try (Safetensors source = Safetensors.open(file);
                SafetensorsWriter writer = SafetensorsWriter.create(copy, 1 << 20)) {
            for (String name : source.names()) {
                TensorView view = source.tensor(name);
                float[] values = view.toFloats();
                if (name.equals(tensor)) {
                    values[values.length / 2] = value;
                    found = true;
                }
                writer.add(name, DType.F32, view.shape()).write(values);
            }
            writer.finish(source.metadata());
        }
        assertThat(found).as(tensor).isTrue();
        return copy;
    }

    private CommandLineRun extract(Object... words) {
        Object[] all = new Object[words.length + 4];
        all[0] = "extract";
        all[1] = "--quiet";
        all[2] = "--output";
        all[3] = folder.resolve("result.safetensors");
        System.arraycopy(words, 0, all, 4, words.length);
        return CommandLineRun.of(all);
    }

    private void assertEnds(CommandLineRun run, String... words) {
        assertThat(run.err().lines()).as(run.err()).hasSize(1);
        assertThat(run.err())
                .startsWith("wan-attn: ")
                .contains("expected finite numbers")
                .contains(words);
        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(folder.resolve("result.safetensors")).doesNotExist();
    }

    /** One pass, which is cut off behind the captured layer: nothing but what is captured can be looked at. */
    @ParameterizedTest
    @CsvSource({
        "patch_embedding.weight, NaN",
        "text_embedding.2.bias, Infinity",
        "time_projection.1.weight, NaN",
        "blocks.0.self_attn.v.weight, -Infinity",
        "blocks.1.cross_attn.o.weight, NaN",
        "blocks.2.norm3.weight, NaN",
        "blocks.2.ffn.2.bias, Infinity",
        "blocks.3.self_attn.q.weight, NaN",
        "blocks.3.self_attn.k.bias, NaN",
        "blocks.3.self_attn.norm_q.weight, Infinity",
        "blocks.2.modulation, NaN"
    })
    void extract_namesTheWeight_whenTheOnlyPassComesToNoNumbers(String tensor, float value) {
        Path model = poisoned(Goldens.path("model-tiny"), tensor, value);
        assertEnds(
                extract("--model", model, "--num-frames", 1, "--layer", 3),
                "block0.step0: layer 3, head ",
                "self-attention frame-logits",
                "the model's " + tensor + " has 1 of ",
                "--allow-non-finite");
    }

    /** The script's file holds float16, where such a value would be an infinity. */
    @Test
    void scriptsFile_refusesWhatFloat16CannotHold() {
        Path model = poisoned(Goldens.path("model-tiny"), "blocks.1.self_attn.norm_q.weight", 1e8f);
        Path file = folder.resolve("large.pt");
        CommandLineRun run = CommandLineRun.of(
                "extract", "--quiet", "--model", model, "--num-frames", 4, "--layer", 1, "--output", file);
        assertThat(run.exitCode()).as(run.err()).isEqualTo(1);
        assertThat(run.err())
                .contains("layer 1, full_frame_attention", "float16 can hold, at most 65504", ".safetensors");
        assertThat(file).doesNotExist();
        CommandLineRun whole = extract("--model", model, "--num-frames", 4, "--layer", 1);
        assertThat(whole.exitCode()).as(whole.err()).isZero();
    }

    @ParameterizedTest
    @ValueSource(strings = {"frame-logits", "frame-mass", "key-logits", "query-logits", "token-logits"})
    void extract_namesTheQuantity(String quantity) {
        Path model = poisoned(Goldens.path("model-tiny"), "blocks.1.self_attn.k.weight", NAN);
        for (String attention : new String[] {"self", "both"}) {
            assertEnds(
                    extract("--model", model, "--layer", 2, "--what", quantity, "--attention", attention),
                    "block0.step0: layer 2, head ",
                    // Threads deliver tokens as they come, and all heads are wrong here.
                    (quantity.equals("token-logits") ? "" : "head 0") + ", self-attention " + quantity);
        }
        Path text = poisoned(Goldens.path("model-tiny"), "blocks.1.cross_attn.k.weight", NAN);
        assertEnds(
                extract("--model", text, "--layer", 1, "--what", quantity, "--attention", "cross"),
                "block0.step0: layer 1, head ",
                "cross-attention " + quantity);
    }

    /** Keys that a head has given back are no numbers; all others have to be. */
    @ParameterizedTest
    @ValueSource(strings = {"frame-logits", "frame-mass", "key-logits", "query-logits", "token-logits", "logits-used"})
    void extract_namesTheQuantity_underACachePolicy(String quantity) {
        Object[] words = {
            "--model",
            Goldens.path("model-tiny"),
            "--latent-size",
            "2x2",
            "--num-frames",
            13,
            "--layer",
            "1,2",
            "--no-independent-first-frame",
            "--pass",
            "all",
            "--cache-policy",
            "dummy-forcing",
            "--head-groups",
            "mid=all:1;dummy=all:2",
            "--what",
            quantity
        };
        CommandLineRun fine = extract(words);
        assertThat(fine.exitCode()).as(fine.err()).isZero();
        for (String broken : new String[] {"blocks.1.self_attn.k.weight", "head.head.weight"}) {
            words[1] = poisoned(Goldens.path("model-tiny"), broken, NAN);
            CommandLineRun run = CommandLineRun.of(Stream.concat(
                            Stream.of("extract", "--quiet", "--output", folder.resolve("broken.safetensors")),
                            Arrays.stream(words))
                    .toArray());
            assertThat(run.exitCode()).isEqualTo(1);
            assertThat(run.err())
                    .contains("expected finite numbers")
                    // Every head is hit, and tiles of token logits come from several threads.
                    .containsPattern(
                            broken.startsWith("head")
                                    ? "block0\\.step0: flow"
                                    : "block0\\.step0: layer 1, head \\d, self-attention " + quantity);
        }
    }

    /** Activations are looked at like all else that is captured. */
    @Test
    void extract_namesTheActivation() {
        Path model = poisoned(Goldens.path("model-tiny"), "blocks.1.self_attn.v.weight", NAN);
        assertEnds(
                extract("--model", model, "--num-frames", 1, "--layer", 1, "--what", "z"), "block0.step0: layer 1, z");
    }

    @Test
    void extract_namesThePass_whenOnlyItsFlowIsNotFinite() {
        Path model = poisoned(Goldens.path("model-tiny"), "head.head.weight", NAN);
        assertEnds(extract("--model", model, "--layer", 0), "block0.step0: flow", "head.head.weight has 1 of");
    }

    /** What is captured is fine, the video is not: also where it is what was asked for. */
    @ParameterizedTest
    @ValueSource(strings = {"blocks.3.ffn.2.weight", "blocks.3.self_attn.o.bias", "head.head.bias"})
    void extract_writesNoLatents_thatAreNoNumbers(String tensor) {
        Path model = poisoned(Goldens.path("model-tiny"), tensor, NAN);
        Path latents = folder.resolve("latents.safetensors");
        assertEnds(
                extract("--model", model, "--layer", 0, "--num-frames", 1, "--save-latents", latents, "--complete"),
                "block0.step0: flow");
        assertThat(latents).doesNotExist();
    }

    /** Nothing is looked at that does not run. */
    @Test
    void extract_mindsNoWeight_ofALayerThatNeverRuns() {
        Path model = poisoned(Goldens.path("model-tiny"), "blocks.3.ffn.2.weight", NAN);
        assertThat(extract("--model", model, "--layer", 0, "--num-frames", 1).exitCode())
                .isZero();
    }

    @ParameterizedTest
    @CsvSource({
        "patch_embedding.weight, 65520, 65520",
        "blocks.0.self_attn.q.bias, -1e5, -100000",
        "blocks.3.ffn.0.weight, 3e38, 3",
        "head.modulation, 7e4, 70000"
    })
    void convert_namesWhatFloat16CannotHold(String tensor, float value, String said) {
        Path model = poisoned(Goldens.path("model-tiny"), tensor, value);
        Path out = folder.resolve("half.safetensors");
        CommandLineRun run = CommandLineRun.of("convert", model, out, "--dtype", "f16");
        assertThat(run.exitCode()).as(run.err()).isEqualTo(1);
        assertThat(run.err()).hasLineCount(1).contains(tensor, said, "65504");
        assertThat(out).doesNotExist();
        assertThat(CommandLineRun.of("convert", model, out, "--dtype", "bf16").exitCode())
                .isZero();
    }

    @ParameterizedTest
    @ValueSource(floats = {65504, 65519, -65519})
    void convert_roundsToTheLargestOfFloat16(float value) {
        Path model = poisoned(Goldens.path("model-tiny"), "blocks.1.ffn.2.weight", value);
        Path out = folder.resolve("half.safetensors");
        CommandLineRun run = CommandLineRun.of("convert", model, out, "--dtype", "f16");
        assertThat(run.exitCode()).as(run.err()).isZero();
        try (Safetensors half = Safetensors.open(out)) {
            float[] values = half.tensor("blocks.1.ffn.2.weight").toFloats();
            assertThat(values[values.length / 2]).isEqualTo(Math.copySign(65504, value));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "a, noise, initial noise",
        "a, prompt_embeds, prompt_embeds",
        "a, block1.step1.renoise, noise after block1.step1",
        "d, initial_latent, initial latent"
    })
    void replay_namesTheRecordedTensor(String rollout, String tensor, String what) {
        Path file = poisoned(Goldens.path("rollout-" + rollout), tensor, NAN);
        assertEnds(
                extract("--model", Goldens.path("model-tiny"), "--replay", file, "--layer", 3, "--complete"),
                what + ": expected finite numbers, got 1 of ",
                "the first is NaN at [");
    }

    @ParameterizedTest
    @CsvSource({"--prompt-embeds, prompt_embeds", "--initial-latent, initial_latent"})
    void extract_namesTheFile_whenWhatIsGivenIsNotFinite(String option, String tensor) {
        Path file = poisoned(Goldens.path("rollout-d"), tensor, Float.NEGATIVE_INFINITY);
        CommandLineRun run = extract("--model", Goldens.path("model-tiny"), option, file, "--latent-size", "4x6");
        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(run.err().lines()).hasSize(1);
        assertThat(run.err()).contains(file.toString(), tensor).contains("are not finite");
    }

    @Test
    void allowNonFinite_keepsWhatIsNot_underATrueMask() {
        Path model = poisoned(Goldens.path("model-tiny"), "blocks.1.self_attn.q.weight", NAN);
        for (String ending : new String[] {"safetensors", "pt"}) {
            Path result = folder.resolve("kept." + ending);
            CommandLineRun run = CommandLineRun.of(
                    "extract",
                    "--model",
                    model,
                    "--layer",
                    1,
                    "--num-frames",
                    4,
                    "--allow-non-finite",
                    "--output",
                    result);
            assertThat(run.exitCode()).as(run.err()).isZero();
            assertThat(run.out()).contains("range                       [NaN, NaN]");
            try (TensorStore file = TensorStore.open(result)) {
                boolean torch = ending.equals("pt");
                float[] matrix = file.tensor(torch ? "full_frame_attention" : "layer1.full_frame_attention")
                        .toFloats();
                for (int i = 0; i < matrix.length; i++) {
                    boolean attended = i % 4 <= (i / 4 % 4 == 0 ? 0 : 3);
                    if (attended) {
                        assertThat(matrix[i]).as(ending + " " + i).isNaN();
                    } else {
                        assertThat(matrix[i]).isEqualTo(torch ? Float.valueOf(0) : Float.valueOf(Float.NaN));
                    }
                }
                if (!torch) {
                    assertThat(file.tensor("layer1.mask").toFloats())
                            .containsExactly(1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
                }
            }
        }
    }

    @Test
    void figures_showWhatIsNotFinite_asThat() throws Exception {
        Path model = poisoned(Goldens.path("model-tiny"), "blocks.1.self_attn.norm_k.weight", NAN);
        Path result = folder.resolve("kept.safetensors");
        CommandLineRun run = CommandLineRun.of(
                "extract",
                "--model",
                model,
                "--layer",
                1,
                "--num-frames",
                4,
                "--what",
                "frame-logits,frame-mass,key-logits",
                "--allow-non-finite",
                "--output",
                result);
        assertThat(run.exitCode()).as(run.err()).isZero();
        for (String kind : new String[] {"heads", "mosaic", "passes", "bars", "lines", "pass-lines", "tokens"}) {
            Path figure = folder.resolve(kind + ".svg");
            CommandLineRun plot = CommandLineRun.of("plot", result, "--kind", kind, "--layer", 1, "--out", figure);
            assertThat(plot.exitCode()).as(plot.err()).isZero();
            assertThat(Files.readString(figure)).as(kind).contains("#00a000");
        }
        CommandLineRun analyze = CommandLineRun.of("analyze", result);
        assertThat(analyze.exitCode()).as(analyze.err()).isZero();
        CommandLineRun report = CommandLineRun.of("report", result, "--out", folder.resolve("report.html"));
        assertThat(report.exitCode()).as(report.err()).isZero();
        CommandLineRun tokens = CommandLineRun.of("analyze", result, "--tokens");
        assertThat(tokens.exitCode()).as(tokens.out() + tokens.err()).isNotZero();
    }

    @Test
    void extract_isAsGoodAsEver_whenZerosAreZeros() {
        assertThat(extract("--model", Goldens.path("model-tiny"), "--num-frames", 1, "--layer", 3)
                        .exitCode())
                .isZero();
    }
}
