package wan.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.node.ObjectNode;
import wan.op.FormatException;
import wan.op.WanException;

class TokenizerTest {
    private static final Map<TokenizerGolden, Tokenizer> SENTENCEPIECE = new EnumMap<>(TokenizerGolden.class);
    private static final Map<TokenizerGolden, Tokenizer> FAST = new EnumMap<>(TokenizerGolden.class);
    private static final Map<TokenizerGolden, Tokenizer> OLDER_FAST = new EnumMap<>(TokenizerGolden.class);

    @BeforeAll
    static void open() {
        for (TokenizerGolden golden : TokenizerGolden.values()) {
            SENTENCEPIECE.put(golden, Tokenizer.open(golden.model));
            ObjectNode json = golden.fastTokenizer();
            FAST.put(golden, read(json));
            ObjectNode older = json.objectNode().put("type", "Sequence");
            older.putArray("pretokenizers")
                    .add(json.objectNode().put("type", "WhitespaceSplit"))
                    .add(json.objectNode()
                            .put("type", "Metaspace")
                            .put("replacement", "\u2581")
                            .put("add_prefix_space", true));
            json.set("pre_tokenizer", older);
            OLDER_FAST.put(golden, read(json));
        }
    }

    private static Tokenizer read(ObjectNode json) {
        return FastTokenizerFile.read("tokenizer.json", TokenizerGolden.utf8(json.toString()));
    }

    private static Tokenizer of(Map<TokenizerGolden, Tokenizer> tokenizers, TokenizerGolden golden) {
        return Objects.requireNonNull(tokenizers.get(golden));
    }

    static Stream<TokenizerGolden.Entry> entries() {
        return TokenizerGolden.all();
    }

    @ParameterizedTest
    @MethodSource("entries")
    void encode_givesTheReferencesIds_whenReadFromSentencePiece(TokenizerGolden.Entry entry) {
        Tokenizer tokenizer = of(SENTENCEPIECE, entry.golden());
        String clean = entry.text("clean");
        assertThat(tokenizer.pieces(clean)).isEqualTo(entry.texts("pieces"));
        assertThat(tokenizer.ids(clean)).isEqualTo(entry.ints("ids"));
        for (int length : new int[] {16, 64}) {
            TokenIds ids = tokenizer.encode(clean, length);
            assertThat(ids.ids()).isEqualTo(entry.ints("ids_" + length));
            assertThat(ids.mask()).isEqualTo(entry.ints("mask_" + length));
            assertThat(ids.truncated()).isEqualTo(entry.ints("ids").length > length);
        }
    }

    @ParameterizedTest
    @MethodSource("entries")
    void encode_givesTheFastTokenizersIds_whenReadFromJson(TokenizerGolden.Entry entry) {
        int[] fast = entry.intsOrNull("ids_hf_fast");
        assertThat(of(FAST, entry.golden()).ids(entry.text("clean")))
                .isEqualTo(fast == null ? entry.ints("ids") : fast);
    }

    /** Where U+2581 stands in the text the two fast tokenizers differ: a word of that alone gets no mark in front. */
    static Stream<TokenizerGolden.Entry> entriesWithoutMark() {
        return entries().filter(entry -> entry.text("clean").indexOf('\u2581') < 0);
    }

    @ParameterizedTest
    @MethodSource("entriesWithoutMark")
    void ids_areTheSame_whenTheJsonSplitsAtWhiteSpaceFirst(TokenizerGolden.Entry entry) {
        String text = entry.text("clean");
        assertThat(of(OLDER_FAST, entry.golden()).ids(text))
                .isEqualTo(of(FAST, entry.golden()).ids(text));
    }

    @Test
    void ids_dropTheMark_whenAFastTokenizerSeesItBehindARewrittenCharacter() {
        Tokenizer fast = of(FAST, TokenizerGolden.MAIN);
        Tokenizer slow = of(SENTENCEPIECE, TokenizerGolden.MAIN);
        assertThat(fast.ids("\u00BD\u0323")).isEqualTo(fast.ids("\u00BD"));
        assertThat(slow.ids("\u00BD\u0323")).isNotEqualTo(slow.ids("\u00BD"));
    }

    @Test
    void encode_keepsTheEnd_whenLengthIsOne() {
        TokenIds ids = of(SENTENCEPIECE, TokenizerGolden.MAIN).encode("a cat", 1);
        assertThat(ids.ids()).containsExactly(1);
        assertThat(ids.truncated()).isTrue();
    }

    @Test
    void ids_spellTheReplacementCharacter_whenASurrogateIsUnpaired() {
        Tokenizer tokenizer = of(SENTENCEPIECE, TokenizerGolden.MAIN);
        assertThat(tokenizer.ids("x\uD800y")).isEqualTo(tokenizer.ids("x\uFFFDy"));
    }

    @Test
    void open_findsTheFile_whenGivenAWanFolder(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("google/umt5-xxl/spiece.model");
        Files.createDirectories(file.resolveSibling(""));
        Files.copy(TokenizerGolden.MAIN.model, file);
        assertThat(Tokenizer.open(folder).ids("a")).containsExactly(269, 1);
        assertThat(Tokenizer.open(folder)).isInstanceOf(SentencePieceTokenizer.class);
        Files.writeString(
                file.resolveSibling("tokenizer.json"),
                TokenizerGolden.MAIN.fastTokenizer().toString());
        assertThat(Tokenizer.open(folder)).isInstanceOf(FastTokenizer.class);
    }

    @Test
    void open_saysWhatIsMissing_whenThereIsNone(@TempDir Path folder) {
        assertThatThrownBy(() -> Tokenizer.open(folder))
                .isExactlyInstanceOf(WanException.class)
                .hasMessageContaining("spiece.model");
        assertThatThrownBy(() -> Tokenizer.open(folder.resolve("none.model")))
                .isExactlyInstanceOf(WanException.class)
                .hasMessageContaining("none.model");
    }

    @Test
    void open_refusesByName_whenTheModelIsNoUnigram() {
        ObjectNode root = TokenizerGolden.PLAIN.fastTokenizer();
        ((ObjectNode) root.get("model")).put("type", "BPE");
        assertThatThrownBy(() -> read(root)).isInstanceOf(FormatException.class).hasMessageContaining("BPE");
    }

    @ParameterizedTest
    @EnumSource
    void read_failsTypedOrWorks_whenBytesOfAModelAreBroken(TokenizerGolden golden) {
        byte[] whole = golden.bytes();
        Random random = new Random(7);
        int failed = 0;
        int rounds = golden == TokenizerGolden.MAIN ? 2_000 : 18_000; // the main model is twenty times as large
        for (int i = 0; i < rounds; i++) {
            byte[] bytes = mutate(whole, random);
            Throwable thrown = catchThrowable(() -> SentencePieceFile.read("broken.model", ByteBuffer.wrap(bytes))
                    .ids("a cat \u00BD \u732B"));
            if (thrown != null) {
                assertThat(thrown).isInstanceOf(WanException.class).hasMessageStartingWith("broken.model: ");
                failed++;
            }
        }
        assertThat(failed).isGreaterThan(rounds / 10);
    }

    @Test
    void read_failsTypedOrWorks_whenBytesOfAJsonAreBroken() {
        byte[] whole =
                TokenizerGolden.utf8(TokenizerGolden.PLAIN.fastTokenizer().toString());
        Random random = new Random(8);
        for (int i = 0; i < 1000; i++) {
            byte[] bytes = mutate(whole, random);
            Throwable thrown = catchThrowable(
                    () -> FastTokenizerFile.read("broken.json", bytes).ids("a cat"));
            if (thrown != null) {
                assertThat(thrown).isInstanceOf(WanException.class).hasMessageStartingWith("broken.json: ");
            }
        }
    }

    /** Some bytes changed, most of them near the start where the structure is dense, or the end cut off. */
    private static byte[] mutate(byte[] whole, Random random) {
        byte[] bytes = random.nextInt(4) == 0 ? Arrays.copyOf(whole, random.nextInt(whole.length)) : whole.clone();
        for (int n = random.nextInt(4); n >= 0 && bytes.length > 0; n--) {
            int reach = random.nextBoolean() ? bytes.length : Math.min(bytes.length, 300);
            bytes[random.nextInt(reach)] = (byte) random.nextInt(256);
        }
        return bytes;
    }
}
