package wan.app.command;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import wan.app.CommandLineRun;
import wan.app.Main;
import wan.file.SafetensorsWriter;
import wan.file.TensorStore;
import wan.op.DType;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.TensorView;
import wan.text.PromptEmbeddingFile;
import wan.text.SmallTextEncoder;

class EncodePromptCommandTest {
    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path folder;

    private String err = "";

    @BeforeEach
    void create() throws IOException {
        SmallTextEncoder.create(folder);
    }

    @Test
    void encodePrompt_writesOneEmbeddingPerLine_whenGivenAFile() throws IOException {
        Path prompts = folder.resolve("prompts.txt");
        Files.writeString(prompts, "\uFEFFa cat\r\n\n\"\"\nune for\u00EAt\n");
        assertThat(run("--model", folder.toString(), "--prompt-file", prompts.toString()))
                .isZero();
        HostTensor embeddings = PromptEmbeddingFile.read(out(), 512, 48);
        assertThat(embeddings.shape()).isEqualTo(Shape.of(3, 512, 48));
        float[] all = embeddings.values();

        assertThat(run("--model", folder.toString(), "--prompt", "a cat", "--text-len", "20"))
                .isZero();
        float[] alone = PromptEmbeddingFile.read(out(), 512, 48).values();
        assertThat(Arrays.copyOf(all, 512 * 48)).containsExactly(alone, within(2e-5f));
        assertThat(err).contains("text encoder: 3 layers done");
    }

    @Test
    void encodePrompt_takesAnEmptyPrompt() {
        assertThat(run("--model", folder.toString(), "--prompt", "")).isZero();
        assertThat(PromptEmbeddingFile.read(out(), 512, 48).shape()).isEqualTo(Shape.of(1, 512, 48));
    }

    @Test
    void encodePrompt_tellsThatItCutsThePrompt_whenItIsTooLong() {
        assertThat(run("--model", folder.toString(), "--prompt", "a cat ".repeat(300)))
                .isZero();
        assertThat(err).contains("longer than 512 tokens");
    }

    @Test
    void encodePrompt_findsFiles_whenNamedOneByOne() throws IOException {
        String weights = folder.resolve(SmallTextEncoder.WEIGHTS).toString();
        String tokenizer = folder.resolve("google/umt5-xxl").toString();
        assertThat(run("--text-encoder", weights, "--tokenizer", tokenizer, "--prompt", "a"))
                .isZero();
        assertThat(run("--text-encoder", weights, "--prompt", "a"))
                .as("the tokenizer lies in the encoder's folder")
                .isZero();
        Path alone = Files.createDirectory(folder.resolve("alone")).resolve("encoder.safetensors");
        Files.move(folder.resolve(SmallTextEncoder.WEIGHTS), alone);
        assertThat(run("--text-encoder", alone.toString(), "--prompt", "a")).isEqualTo(1);
        assertThat(err).contains("expected tokenizer.json or spiece.model", "--tokenizer names the file");
        assertThat(run("--prompt", "a")).isEqualTo(2);
        assertThat(err).contains("--tokenizer: expected a file, or --model");
    }

    @Test
    void encodePrompt_findsTheTokenizer_whenTheEncoderHoldsIt() throws IOException {
        Path alone = Files.createDirectory(folder.resolve("comfy")).resolve("umt5_xxl_fp16.safetensors");
        Path spiece = folder.resolve("google/umt5-xxl/spiece.model");
        try (TensorStore plain = TensorStore.open(folder.resolve(SmallTextEncoder.WEIGHTS));
                SafetensorsWriter writer = SafetensorsWriter.create(alone, 8192)) {
            for (String name : plain.names()) {
                TensorView view = plain.tensor(name);
                writer.add(name, view.dtype(), view.shape()).write(view.toFloats());
            }
            byte[] bytes = Files.readAllBytes(spiece);
            writer.add("spiece_model", DType.U8, Shape.of(bytes.length)).write(0, MemorySegment.ofArray(bytes));
            writer.finish(Map.of());
        }
        String[] places = {alone.toString(), alone.resolveSibling("").toString()};
        for (String place : places) {
            assertThat(run("--text-encoder", place, "--prompt", "a cat"))
                    .as(err)
                    .isZero();
        }
        float[] inside = PromptEmbeddingFile.read(out(), 512, 48).values();
        assertThat(run("--text-encoder", alone.toString(), "--tokenizer", alone.toString(), "--prompt", "a cat"))
                .isZero();
        assertThat(run("--model", folder.toString(), "--prompt", "a cat")).isZero();
        assertThat(PromptEmbeddingFile.read(out(), 512, 48).values()).isEqualTo(inside);
        assertThat(run(
                        "--text-encoder",
                        alone.toString(),
                        "--tokenizer",
                        folder.resolve(SmallTextEncoder.WEIGHTS).toString(),
                        "--prompt",
                        "a"))
                .isEqualTo(1);
        assertThat(err).contains("expected a tokenizer", "it is a text encoder");
    }

    @Test
    void encodePrompt_saysWhatIsWrong_whenThePromptIs() throws IOException {
        assertThat(run("--model", folder.toString())).isEqualTo(2);
        assertThat(err).contains("--prompt, --prompt-file and --token-ids, got none");

        Path latin = Files.write(folder.resolve("latin.txt"), new byte[] {'a', (byte) 0xE9});
        assertThat(run("--model", folder.toString(), "--prompt-file", latin.toString()))
                .isEqualTo(1);
        assertThat(err).contains("latin.txt: expected text in UTF-8");

        Path empty = Files.writeString(folder.resolve("empty.txt"), " \n");
        assertThat(run("--model", folder.toString(), "--prompt-file", empty.toString()))
                .isEqualTo(1);
        assertThat(run("--model", folder.toString(), "--prompt", "a", "--prompt-file", empty.toString()))
                .isEqualTo(2);
        assertThat(run("--model", folder.toString(), "--prompt-file", "none.txt"))
                .isEqualTo(1);
        assertThat(err).contains("none.txt: cannot read: no such file or folder");
        assertThat(run("--model", folder.toString(), "--prompt-embeds", "x")).isEqualTo(2);
        assertThat(out()).doesNotExist();
    }

    @Test
    void encodePrompt_givesTheSame_whenGivenTheTokensOfThePrompt() throws IOException {
        Path prompts = Files.writeString(folder.resolve("prompts.txt"), "a cat\n une for\u00EAt &amp; \u732B\n");
        assertThat(run("--model", folder.toString(), "--prompt-file", prompts.toString()))
                .isZero();
        float[] expected = PromptEmbeddingFile.read(out(), 512, 48).values();

        CommandLineRun tokens = CommandLineRun.of("tokenize", "--model", folder, "--prompt-file", prompts, "--ids");
        Path ids = Files.writeString(folder.resolve("ids.txt"), tokens.out());
        assertThat(run("--model", folder.toString(), "--token-ids", ids.toString()))
                .isZero();
        assertThat(PromptEmbeddingFile.read(out(), 512, 48).values()).isEqualTo(expected);
        try (TensorStore file = TensorStore.open(out())) {
            assertThat(file.metadata()).containsOnlyKeys("token_ids");
        }
    }

    @Test
    void inspect_saysThatItIsATextEncoder() {
        CommandLineRun inspect = CommandLineRun.of("inspect", folder.resolve(SmallTextEncoder.WEIGHTS));
        assertThat(inspect.out())
                .contains("model: UMT5 text encoder, Wan2.1's names; 3 layers, 4 heads, dim 48, vocabulary 2000");
    }

    @Test
    void encodePrompt_writesTheNegativePromptBesideTheOthers() {
        assertThat(run("--model", folder.toString(), "--prompt", "a cat", "--negative-prompt", "a dog"))
                .isZero();
        try (TensorStore file = TensorStore.open(out())) {
            float[] negative = file.tensor("negative_prompt_embeds").toFloats();
            assertThat(file.metadata()).containsEntry("negative_prompts", "[\"a dog\"]");
            assertThat(run("--model", folder.toString(), "--prompt", "a dog")).isZero();
            assertThat(negative)
                    .containsExactly(PromptEmbeddingFile.read(out(), 512, 48).values(), within(2e-5f));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "'5 six 1', 'prompt 1: expected token ids separated by spaces or commas, got \"six\"'",
        "'5 -6 1', 'got \"-6\"'",
        "'5 1\n99999999999 1', 'prompt 2: expected token ids separated by spaces or commas, got \"99999999999\"'",
        "'[]', 'expected token ids'",
        "'0 0 0', 'expected token ids, got only padding'",
        "'5 6 7 8 1 0 0', 'prompt 1: expected at most 4 ids, got 5; --text-len allows more'",
        "'2000 1', 'expected more than 2000 rows'",
        "'\n\n', 'got only empty lines'",
    })
    void encodePrompt_saysWhatIsWrong_whenTokenIdsAre(String text, String message) throws IOException {
        Path ids = Files.writeString(folder.resolve("ids.txt"), text.replace("\\n", "\n"));
        assertThat(run("--model", folder.toString(), "--token-ids", ids.toString(), "--text-len", "4"))
                .isEqualTo(1);
        assertThat(err).contains(message).hasLineCount(1);
        assertThat(out()).doesNotExist();
    }

    @Test
    void tokenize_takesThePromptAsItIs_whenItBeginsWithAnAtSign() throws IOException {
        Path file = Files.writeString(folder.resolve("x"), "a cat");
        String at = "@" + file;
        Path prompts = Files.writeString(folder.resolve("prompts.txt"), at + "\n@" + at + "\n");
        String expected = CommandLineRun.of("tokenize", "--model", folder, "--prompt-file", prompts, "--ids")
                .out();
        String typed = "";
        for (String prompt : List.of(at, "@" + at)) {
            typed += CommandLineRun.of("tokenize", "--model", folder, "--prompt", prompt, "--ids")
                    .out();
        }
        assertThat(typed).isEqualTo(expected);
    }

    @Test
    void encodePrompt_refuses_whenThereAreIdsAndPrompts() {
        assertThat(run("--model", folder.toString(), "--token-ids", "x", "--prompt", "a"))
                .isEqualTo(2);
        assertThat(err).contains("got --token-ids and another");
    }

    private Path out() {
        return folder.resolve("out.safetensors");
    }

    private int run(String... arguments) {
        List<String> all = new ArrayList<>(List.of("encode-prompt", "--no-cache", "--out", out().toString()));
        all.addAll(List.of(arguments));
        PrintStream stdout = System.out;
        PrintStream stderr = System.err;
        ByteArrayOutputStream captured = new ByteArrayOutputStream();
        try {
            System.setOut(new PrintStream(OutputStream.nullOutputStream(), true, StandardCharsets.UTF_8));
            System.setErr(new PrintStream(captured, true, StandardCharsets.UTF_8));
            return Main.run(all.toArray(String[]::new));
        } finally {
            System.setOut(stdout);
            System.setErr(stderr);
            err = captured.toString(StandardCharsets.UTF_8);
        }
    }
}
