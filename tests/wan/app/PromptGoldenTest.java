package wan.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import wan.file.SafetensorsWriter;
import wan.file.TensorStore;
import wan.file.TorchWriter;
import wan.op.TensorView;
import wan.text.TokenizerGolden;
import wan.text.Umt5Golden;

/** The reference's tokens and embeddings through {@code tokenize} and {@code encode-prompt}: all of {@code golden2}'s. */
@Tag("slow")
class PromptGoldenTest {
    @TempDir
    private static Path folder;

    @BeforeAll
    static void writeFastTokenizers() throws IOException {
        for (TokenizerGolden golden : TokenizerGolden.values()) {
            Files.writeString(json(golden), golden.fastTokenizer().toString());
        }
    }

    private static Path json(TokenizerGolden golden) {
        return folder.resolve(golden.name().toLowerCase(Locale.ROOT) + ".json");
    }

    static Stream<TokenizerGolden.Entry> entries() {
        return TokenizerGolden.all();
    }

    @ParameterizedTest
    @MethodSource("entries")
    void tokenize_printsTheReferencesTokens(TokenizerGolden.Entry entry) {
        Path model = entry.golden().model;
        assertThat(ids(model, entry, 512)).isEqualTo(entry.ints("ids"));
        for (int length : new int[] {16, 64}) {
            int count = Arrays.stream(entry.ints("mask_" + length)).sum();
            assertThat(ids(model, entry, length)).isEqualTo(Arrays.copyOf(entry.ints("ids_" + length), count));
        }
        int[] fast = entry.intsOrNull("ids_hf_fast");
        assertThat(ids(json(entry.golden()), entry, 512)).isEqualTo(fast == null ? entry.ints("ids") : fast);
    }

    @ParameterizedTest
    @MethodSource("entries")
    void tokenize_printsATableOfRowsIdsAndPieces(TokenizerGolden.Entry entry) {
        CommandLineRun run = tokenize(entry.golden().model, entry, "--text-len", "512");
        List<String> lines = run.out().lines().toList();
        int[] ids = entry.ints("ids");
        List<String> pieces = entry.texts("pieces");
        assertThat(lines).hasSize(ids.length + 1);
        for (int row = 0; row < ids.length; row++) {
            String piece = row < pieces.size() ? pieces.get(row) : "</s>";
            assertThat(lines.get(row + 1).strip().split(" +", 3))
                    .containsExactly(Integer.toString(row), Integer.toString(ids[row]), piece);
        }
    }

    private static int[] ids(Path tokenizer, TokenizerGolden.Entry entry, int length) {
        CommandLineRun run = tokenize(tokenizer, entry, "--ids", "--text-len", Integer.toString(length));
        assertThat(run.out()).endsWith(System.lineSeparator());
        assertThat(run.err().contains("longer than " + length)).isEqualTo(entry.ints("ids").length > length);
        return Stream.of(run.out().strip().split(" "))
                .mapToInt(Integer::parseInt)
                .toArray();
    }

    private static CommandLineRun tokenize(Path tokenizer, TokenizerGolden.Entry entry, String... more) {
        CommandLineRun run = CommandLineRun.of(Stream.concat(
                        Stream.of("tokenize", "--tokenizer", tokenizer, "--prompt", entry.text("text")),
                        Stream.of(more))
                .toArray());
        assertThat(run.exitCode()).as(run.err()).isZero();
        return run;
    }

    @ParameterizedTest
    @CsvSource({
        "batch_a, wan.safetensors", "batch_b, wan.safetensors",
        "batch_a, wan.pth", "batch_b, wan.pth",
        "batch_a, hugging-face.safetensors", "batch_b, hugging-face.safetensors",
    })
    void encodePrompt_givesTheReferencesEmbeddings_forItsTokenIds(String batch, String file) throws IOException {
        try (Umt5Golden golden = new Umt5Golden()) {
            Path encoder = folder.resolve(file);
            if (file.endsWith(".pth")) {
                writeTorch(golden.weights(UnaryOperator.identity()), encoder);
            } else {
                boolean renamed = file.startsWith("hugging");
                writeSafetensors(
                        golden.weights(renamed ? Umt5Golden::huggingFaceName : UnaryOperator.identity()), encoder);
            }
            Path ids = folder.resolve(batch + ".txt");
            int length = golden.texts(batch).getFirst().ids().length;
            Files.write(
                    ids,
                    golden.texts(batch).stream()
                            .map(text -> Arrays.toString(text.ids()))
                            .toList());
            Path out = folder.resolve("out.safetensors");
            CommandLineRun run = CommandLineRun.of(
                    "encode-prompt",
                    "--text-encoder",
                    encoder,
                    "--token-ids",
                    ids,
                    "--text-len",
                    length,
                    "--no-cache",
                    "--out",
                    out);
            assertThat(run.exitCode()).as(run.err()).isZero();
            try (TensorStore written = TensorStore.open(out)) {
                float[] embeddings = written.tensor("prompt_embeds").toFloats();
                assertThat(embeddings)
                        .containsExactly(golden.floats(batch + "/out_zeroed"), within(Umt5Golden.TOLERANCE));
            }
        }
    }

    private static void writeTorch(TensorStore weights, Path file) {
        SequencedMap<String, TensorView> dict = new LinkedHashMap<>();
        weights.names().forEach(name -> dict.put(name, weights.tensor(name)));
        TorchWriter.write(file, dict);
    }

    private static void writeSafetensors(TensorStore weights, Path file) {
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, 8192)) {
            for (String name : weights.names().stream().sorted().toList()) {
                TensorView view = weights.tensor(name);
                writer.add(name, view.dtype(), view.shape()).write(0, view.data());
            }
            writer.finish(Map.of());
        }
    }
}
