package wan.app;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import wan.text.TokenizerGolden;

/** Prompts and specifications that can be read once only: standard input and pipes. */
class PromptPipeTest {
    @TempDir
    private Path folder;

    private static CommandLineRun withInput(String text, Object... args) {
        InputStream saved = System.in;
        try {
            System.setIn(new ByteArrayInputStream(text.getBytes(UTF_8)));
            return CommandLineRun.of(args);
        } finally {
            System.setIn(saved);
        }
    }

    /** A named pipe into which a text goes once. */
    private Path pipe(String name, String text) throws Exception {
        Path pipe = folder.resolve(name);
        assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor())
                .isZero();
        Thread.ofVirtual().start(() -> {
            try {
                Files.writeString(pipe, text);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
        return pipe;
    }

    @ParameterizedTest
    @ValueSource(strings = {"a cat\n\na dog\n", "a cat\r\na dog", "\uFEFFa cat\na dog\n\n"})
    void standardInput_isReadOnce_byEveryCommand(String text) throws Exception {
        Path spec = folder.resolve("spec.json");
        Files.writeString(spec, CommandLineRun.of("extract", "--print-spec").out());
        String texts = "\"texts\" : [ \"a cat\", \"a dog\" ]";
        assertThat(withInput(text, "extract", "--prompt-file", "-", "--print-spec")
                        .out())
                .contains(texts);
        assertThat(withInput(text, "extract", "--spec", spec, "--prompt-file", "-", "--print-spec")
                        .out())
                .contains(texts);
        Path model = TokenizerGolden.MAIN.model;
        Path file = Files.writeString(folder.resolve("prompts.txt"), text);
        List<Object> tokenize = List.of("tokenize", "--tokenizer", model, "--ids", "--prompt-file");
        CommandLineRun fromFile = CommandLineRun.of(with(tokenize, file));
        assertThat(fromFile.exitCode()).isZero();
        assertThat(withInput(text, with(tokenize, "-"))).isEqualTo(fromFile);
    }

    private static Object[] with(List<Object> args, Object last) {
        Object[] all = args.toArray(new Object[args.size() + 1]);
        all[args.size()] = last;
        return all;
    }

    @Test
    @DisabledOnOs(OS.WINDOWS)
    void pipes_areReadOnce_promptsAndSpecifications() throws Exception {
        String json =
                CommandLineRun.of("extract", "--seed", "5", "--print-spec").out();
        CommandLineRun run = CommandLineRun.of(
                "extract",
                "--spec",
                pipe("spec.pipe", json),
                "--prompt-file",
                pipe("prompts.pipe", "a cat\na dog\n"),
                "--print-spec");
        assertThat(run.err()).isEmpty();
        assertThat(run.out()).contains("\"texts\" : [ \"a cat\", \"a dog\" ]", "\"seed\" : 5");
    }

    @Test
    @DisabledOnOs(OS.WINDOWS)
    void inputWithoutAnEnd_isRefused() {
        CommandLineRun run = CommandLineRun.of("extract", "--prompt-file", "/dev/zero", "--print-spec");
        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(run.err()).contains("/dev/zero: more than ").hasLineCount(1);
    }

    @ParameterizedTest
    @CsvSource(textBlock = """
                    UTF-16,         got UTF-16; convert it
                    UTF-16LE,       got UTF-16; convert it
                    UTF-16BE,       got UTF-16; convert it
                    ISO-8859-1,     got other bytes; convert it
                    """)
    void otherEncodings_areRefused_byName(String charset, String message) throws IOException {
        Path file = Files.write(folder.resolve("prompts.txt"), "café\na dog\n".getBytes(Charset.forName(charset)));
        CommandLineRun run = CommandLineRun.of("extract", "--prompt-file", file, "--print-spec");
        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(run.err())
                .contains(file + ": expected text in UTF-8, " + message)
                .hasLineCount(1);
    }

    @Test
    void notText_isRefused_byName() throws IOException {
        Path binary = Files.write(folder.resolve("binary"), new byte[] {'a', ' ', 'c', 0, 't', '\n'});
        Path empty = Files.createFile(folder.resolve("empty"));
        for (Path file : List.of(binary, empty, folder, folder.resolve("missing"))) {
            CommandLineRun run = CommandLineRun.of("extract", "--prompt-file", file, "--print-spec");
            assertThat(run.exitCode()).isEqualTo(1);
            assertThat(run.err()).contains(file + ": ").hasLineCount(1);
        }
    }
}
