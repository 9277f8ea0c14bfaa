package wan.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.file.TensorStore;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.WanException;

class PromptEncoderTest {
    private static final int TEXT_LEN = 16;
    private static final int DIM = 48;
    private static final String PROMPT = "A quick fox &amp; a  cat";

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path folder;

    private final List<Integer> layers = new ArrayList<>();

    @BeforeEach
    void create() throws IOException {
        SmallTextEncoder.create(folder);
    }

    @Test
    void encode_cleansEncodesAndPads_whenNothingIsKept() {
        HostTensor embeddings = encode(PROMPT);

        TokenIds ids = Tokenizer.open(folder).encode("A quick fox & a cat", TEXT_LEN);
        float[] expected;
        try (TensorStore store = TensorStore.open(folder.resolve(SmallTextEncoder.WEIGHTS))) {
            Umt5Encoder encoder = new Umt5Encoder(store, () -> new JvmOps(JvmOptions.defaults()), Parallel.NONE);
            expected = encoder.encode(List.of(ids), (_, _) -> {}).getFirst();
        }
        assertThat(ids.count()).isLessThan(TEXT_LEN);
        assertThat(embeddings.shape()).isEqualTo(Shape.of(1, TEXT_LEN, DIM));
        assertThat(embeddings.values()).isEqualTo(Arrays.copyOf(expected, TEXT_LEN * DIM));
        assertThat(expected).hasSize(ids.count() * DIM);
    }

    @Test
    void encode_givesTheSame_whenPromptsAreEncodedTogetherOrAlone() {
        HostTensor together = encode("a cat", "", "a dog in the snow", "a cat");
        layers.clear();
        for (int i = 0; i < 3; i++) {
            String prompt = List.of("a cat", "", "a dog in the snow").get(i);
            float[] alone = encoder(Optional.empty())
                    .encode(ids(prompt), (done, _) -> layers.add(done))
                    .values();
            assertThat(Arrays.copyOfRange(together.values(), i * TEXT_LEN * DIM, (i + 1) * TEXT_LEN * DIM))
                    .as(prompt)
                    .containsExactly(alone, within(Umt5Golden.TOLERANCE));
        }
        assertThat(layers).hasSize(9);
        assertThat(Arrays.copyOfRange(together.values(), 3 * TEXT_LEN * DIM, 4 * TEXT_LEN * DIM))
                .isEqualTo(Arrays.copyOf(together.values(), TEXT_LEN * DIM));
    }

    @Test
    void encode_leavesTheWeightsClosed_whenAllIsKept() throws IOException {
        HostTensor first = encode(PROMPT);
        Path weights = folder.resolve(SmallTextEncoder.WEIGHTS);
        FileTime time = Files.getLastModifiedTime(weights);
        Files.write(weights, new byte[(int) Files.size(weights)]);
        Files.setLastModifiedTime(weights, time);
        layers.clear();

        // Another spelling of the same cleaned text.
        assertThat(encode(" A quick fox & a cat\n").values()).isEqualTo(first.values());
        assertThat(layers).isEmpty();
    }

    @Test
    void encode_computesAgain_whenTheWeightsHaveChanged() throws IOException {
        encode(PROMPT);
        assertThat(layers).containsExactly(1, 2, 3);
        Files.setLastModifiedTime(folder.resolve(SmallTextEncoder.WEIGHTS), FileTime.fromMillis(12345));
        encode(PROMPT);
        assertThat(layers).hasSize(6);
    }

    @Test
    void encode_computesAgain_whenAnEntryIsBroken() throws IOException {
        HostTensor first = encode(PROMPT);
        Path entry;
        try (Stream<Path> files = Files.list(folder.resolve("cache"))) {
            entry = files.toList().getFirst();
        }
        byte[] whole = Files.readAllBytes(entry);
        byte[] flipped = whole.clone();
        flipped[flipped.length - 3] ^= 4;
        for (byte[] broken : List.of(flipped, Arrays.copyOf(whole, whole.length / 2), new byte[0])) {
            layers.clear();
            Files.write(entry, broken);
            assertThat(encode(PROMPT).values()).isEqualTo(first.values());
            assertThat(layers).containsExactly(1, 2, 3);
            assertThat(entry).hasBinaryContent(whole);
        }
    }

    @Test
    void encode_works_whenTheCacheCannotBeWritten() throws IOException {
        Path file = Files.createFile(folder.resolve("file"));
        HostTensor embeddings = encoder(Optional.of(file.resolve("cache"))).encode(ids(PROMPT), (_, _) -> {});
        assertThat(embeddings.values()).isEqualTo(encode(PROMPT).values());
    }

    @Test
    void encode_cutsThePrompt_whenItIsTooLong() {
        float[] values = encode("word ".repeat(100)).values();
        assertThat(Arrays.copyOfRange(values, (TEXT_LEN - 1) * DIM, TEXT_LEN * DIM))
                .isNotEqualTo(new float[DIM]);
    }

    @Test
    void encode_countsLayersThrough_whenThereAreSeveralBatches() {
        List<TokenIds> texts = new ArrayList<>();
        for (int i = 0; i < 2048 / TEXT_LEN + 1; i++) {
            int[] ids = new int[TEXT_LEN];
            Arrays.fill(ids, 3);
            ids[0] = 3 + i % 20;
            ids[1] = 3 + i / 20;
            texts.add(new TokenIds(ids, TEXT_LEN, false));
        }
        List<String> told = new ArrayList<>();
        HostTensor _ = encoder(Optional.empty()).encode(texts, (done, all) -> told.add(done + "/" + all));
        assertThat(told).containsExactly("1/6", "2/6", "3/6", "4/6", "5/6", "6/6");
    }

    @Test
    void encode_refusesMoreThanAFileHolds_beforeItComputes() {
        PromptEncoder wide = new PromptEncoder(
                folder, () -> new JvmOps(JvmOptions.defaults()), Parallel.NONE, 1 << 20, Optional.empty());
        List<TokenIds> texts = Collections.nCopies(43, ids(PROMPT).getFirst());
        assertThatThrownBy(() -> wide.encode(texts, (done, _) -> layers.add(done)))
                .isInstanceOf(WanException.class)
                .hasMessage("prompts: expected at most 42 at once, got 43");
        assertThat(layers).isEmpty();
    }

    @Test
    void new_saysWhereItLooked_whenThereAreNoWeights() throws IOException {
        Files.delete(folder.resolve(SmallTextEncoder.WEIGHTS));
        assertThatThrownBy(() -> encode(PROMPT))
                .isExactlyInstanceOf(WanException.class)
                .hasMessageContaining("models_t5_umt5-xxl-enc-bf16.pth");
    }

    @Test
    void read_padsAndChecks_whenEmbeddingsComeFromAFile() {
        Path file = folder.resolve("embeds.safetensors");
        HostTensor embeddings = encode(PROMPT, "a cat");
        PromptEmbeddingFile.write(
                file,
                new TreeMap<>(Map.of(PromptEmbeddingFile.TENSOR, embeddings)),
                Map.of("prompts", List.of(PROMPT, "a cat")));
        assertThat(PromptEmbeddingFile.read(file, TEXT_LEN, DIM).values()).isEqualTo(embeddings.values());
        HostTensor longer = PromptEmbeddingFile.read(file, TEXT_LEN + 2, DIM);
        assertThat(longer.shape()).isEqualTo(Shape.of(2, TEXT_LEN + 2, DIM));
        assertThat(Arrays.copyOfRange(longer.values(), (TEXT_LEN + 2) * DIM, (TEXT_LEN + 2 + TEXT_LEN) * DIM))
                .isEqualTo(Arrays.copyOfRange(embeddings.values(), TEXT_LEN * DIM, 2 * TEXT_LEN * DIM));
        assertThatThrownBy(() -> PromptEmbeddingFile.read(file, TEXT_LEN - 1, DIM))
                .isInstanceOf(WanException.class);
        assertThatThrownBy(() -> PromptEmbeddingFile.read(file, TEXT_LEN, DIM + 1))
                .isInstanceOf(WanException.class)
                .hasMessageContaining("[2, 16, 48]");
    }

    private HostTensor encode(String... prompts) {
        return encoder(Optional.of(folder.resolve("cache"))).encode(ids(prompts), (done, _) -> layers.add(done));
    }

    private PromptEncoder encoder(Optional<Path> cache) {
        return new PromptEncoder(folder, () -> new JvmOps(JvmOptions.defaults()), Parallel.NONE, TEXT_LEN, cache);
    }

    private List<TokenIds> ids(String... prompts) {
        Tokenizer tokenizer = Tokenizer.open(folder);
        return Stream.of(prompts)
                .map(prompt -> tokenizer.encodePrompt(prompt, TEXT_LEN))
                .toList();
    }
}
