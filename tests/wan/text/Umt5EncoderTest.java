package wan.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.op.Ops;
import wan.op.WanException;

class Umt5EncoderTest {
    private final Umt5Golden golden = new Umt5Golden();

    @AfterEach
    void close() {
        golden.close();
    }

    @ParameterizedTest
    @EnumSource(names = {"AUTO", "SCALAR", "VECTOR"})
    void layer_matchesTheReference_rowsOfPaddingIncluded(JvmOptions.Kind kernels) {
        Umt5Encoder encoder = encoder(UnaryOperator.identity(), kernels);
        List<TokenIds> texts = golden.texts("batch_a");
        float[] x = encoder.embed(texts);
        for (int layer = 0; layer < 3; layer++) {
            x = encoder.layer(layer, x, texts);
            assertClose(x, golden.floats("batch_a/after_block" + layer));
        }
        assertClose(encoder.finalNorm(x), golden.floats("batch_a/out_raw"));
    }

    @Test
    void layer_matchesTheReference_overAllBuckets() {
        Umt5Encoder encoder = encoder(UnaryOperator.identity(), JvmOptions.Kind.AUTO);
        List<TokenIds> texts = golden.texts("batch_b");
        float[] x = encoder.embed(texts);
        for (int layer = 0; layer < 3; layer++) {
            x = encoder.layer(layer, x, texts);
        }
        assertClose(encoder.finalNorm(x), golden.floats("batch_b/out_raw"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"batch_a", "batch_b"})
    void encode_matchesTheReference_whenPaddingIsLeftOut(String batch) {
        List<TokenIds> texts = golden.texts(batch);
        List<Integer> layers = new ArrayList<>();
        List<float[]> encoded =
                encoder(UnaryOperator.identity(), JvmOptions.Kind.AUTO).encode(texts, (done, _) -> layers.add(done));
        float[] expected = golden.floats(batch + "/out_zeroed");
        int size = expected.length / texts.size();
        for (int i = 0; i < texts.size(); i++) {
            float[] padded = Arrays.copyOf(encoded.get(i), size);
            assertClose(padded, Arrays.copyOfRange(expected, i * size, (i + 1) * size));
        }
        assertThat(layers).containsExactly(1, 2, 3);
    }

    @Test
    void encode_givesTheSame_whenNamesAreHuggingFaces() {
        List<TokenIds> texts = golden.texts("batch_a");
        List<float[]> wan =
                encoder(UnaryOperator.identity(), JvmOptions.Kind.AUTO).encode(texts, (_, _) -> {});
        List<float[]> huggingFace =
                encoder(Umt5Golden::huggingFaceName, JvmOptions.Kind.AUTO).encode(texts, (_, _) -> {});
        assertThat(huggingFace).usingRecursiveComparison().isEqualTo(wan);
    }

    @Test
    void bucket_matchesTheReference_forAllDistances() {
        int[] deltas = golden.ints("buckets/delta");
        int[] buckets = golden.ints("buckets/bucket");
        for (int i = 0; i < deltas.length; i++) {
            assertThat(RelativePosition.bucket(deltas[i]))
                    .as("delta %d", deltas[i])
                    .isEqualTo(buckets[i]);
        }
    }

    @Test
    void biasByDelta_matchesTheReferencesPositionBias() {
        float[] table = golden.floats("weights/blocks.0.pos_embedding.embedding.weight");
        float[] square = golden.floats("batch_a/pos_bias_block0");
        float[] firstRow = golden.floats("batch_b/pos_bias_block0_row0");
        Umt5Attention attention = new Umt5Attention(4, 64, table);
        for (int head = 0; head < 4; head++) {
            float[] byDelta = attention.biasByDelta(head, 16, 16);
            for (int i = 0; i < 16; i++) {
                for (int j = 0; j < 16; j++) {
                    assertThat(byDelta[j - i + 15]).isEqualTo(square[(head * 16 + i) * 16 + j]);
                }
            }
            byDelta = attention.biasByDelta(head, 160, 160);
            assertThat(Arrays.copyOfRange(byDelta, 159, 319))
                    .isEqualTo(Arrays.copyOfRange(firstRow, head * 160, head * 160 + 160));
        }
    }

    @Test
    void new_saysWhatIsExpected_whenTheFileIsNoEncoder() {
        assertThatThrownBy(() -> encoder("x"::concat, JvmOptions.Kind.AUTO))
                .isExactlyInstanceOf(WanException.class)
                .hasMessageContaining("umt5.pth: expected a UMT5 encoder");
    }

    @Test
    void encode_namesTheTokenizer_whenAnIdIsBeyondTheVocabulary() {
        List<TokenIds> text = List.of(new TokenIds(new int[] {160, 1}, 2, false));
        assertThatThrownBy(() ->
                        encoder(UnaryOperator.identity(), JvmOptions.Kind.AUTO).encode(text, (_, _) -> {}))
                .isInstanceOf(WanException.class)
                .hasMessageContaining("does the tokenizer belong to this model?");
    }

    private Umt5Encoder encoder(UnaryOperator<String> names, JvmOptions.Kind kernels) {
        Supplier<Ops> backends = () -> new JvmOps(new JvmOptions(2, kernels));
        return new Umt5Encoder(golden.weights(names), backends, Parallel.NONE);
    }

    private static void assertClose(float[] actual, float[] expected) {
        assertThat(actual).containsExactly(expected, within(Umt5Golden.TOLERANCE));
    }
}
