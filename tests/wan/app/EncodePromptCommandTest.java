package wan.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.op.HostTensor;
import wan.op.Shape;
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
    void encodePrompt_findsFiles_whenNamedOneByOne() {
        String weights = folder.resolve(SmallTextEncoder.WEIGHTS).toString();
        String tokenizer = folder.resolve("google/umt5-xxl").toString();
        assertThat(run("--text-encoder", weights, "--tokenizer", tokenizer, "--prompt", "a"))
                .isZero();
        assertThat(run("--text-encoder", weights, "--prompt", "a")).isEqualTo(2);
        assertThat(err).contains("--tokenizer: expected a file, or --model");
    }

    @Test
    void encodePrompt_saysWhatIsWrong_whenThePromptIs() throws IOException {
        assertThat(run("--model", folder.toString())).isEqualTo(2);
        assertThat(err).contains("--prompt, --prompt-file and --prompt-embeds, got none");

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
        assertThat(err).contains("none.txt: no such file");
        assertThat(run("--model", folder.toString(), "--prompt-embeds", "x")).isEqualTo(2);
        assertThat(out()).doesNotExist();
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
