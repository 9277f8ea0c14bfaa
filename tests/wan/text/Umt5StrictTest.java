package wan.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import wan.file.TensorStore;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/** What a file of an encoder may lack, have besides, or store in another way. */
class Umt5StrictTest {
    private final Umt5Golden golden = new Umt5Golden();
    private final SequencedMap<String, TensorView> tensors = new LinkedHashMap<>();

    /** Tensors in memory. */
    private record Memory(Map<String, TensorView> tensors) implements TensorStore {
        @Override
        public Set<String> names() {
            return tensors.keySet();
        }

        @Override
        public TensorView tensor(String name) {
            return Objects.requireNonNull(tensors.get(name));
        }

        @Override
        public Map<String, String> metadata() {
            return Map.of();
        }

        @Override
        public Path path() {
            return Path.of("t5.pth");
        }

        @Override
        public void close() {}
    }

    @BeforeEach
    void read() {
        fill(UnaryOperator.identity());
    }

    @AfterEach
    void close() {
        golden.close();
    }

    private void fill(UnaryOperator<String> rename) {
        tensors.clear();
        TensorStore weights = golden.weights(rename);
        weights.names().forEach(name -> tensors.put(name, weights.tensor(name)));
    }

    private Umt5Encoder encoder() {
        return new Umt5Encoder(new Memory(tensors), () -> new JvmOps(JvmOptions.defaults()), Parallel.NONE);
    }

    private float[] encoded() {
        return encoder()
                .encode(golden.texts("batch_a").subList(0, 1), (_, _) -> {})
                .getFirst();
    }

    private void put(String name, float... values) {
        put(name, Shape.of(values.length), values);
    }

    private void put(String name, Shape shape, float... values) {
        tensors.put(name, new TensorView(name, DType.F32, shape, MemorySegment.ofArray(values)));
    }

    @ParameterizedTest
    @CsvSource({
        "blocks\\.1\\..*, 10 missing: blocks.1.attn.k.weight",
        "blocks\\.0\\..*, 10 missing: blocks.0.attn.k.weight",
        "norm\\.weight, 1 missing: norm.weight",
        "token_embedding\\.weight, 1 missing: token_embedding.weight",
        "blocks\\.2\\.norm1\\.weight, 1 missing: blocks.2.norm1.weight",
        "blocks\\.1\\.ffn\\.fc2\\.weight, 1 missing: blocks.1.ffn.fc2.weight",
        "blocks\\.[12]\\.pos_embedding.*, 'a T5, whose layers share one position bias, not UMT5; 2 missing'",
        "blocks\\.\\d\\.attn\\.q\\.weight, 3 missing",
    })
    void new_namesWhatIsMissing(String gone, String message) {
        for (UnaryOperator<String> rename : List.<UnaryOperator<String>>of(UnaryOperator.identity(), "te."::concat)) {
            fill(rename);
            assertThat(tensors.keySet().removeIf(name -> name.matches("(te\\.)?" + gone)))
                    .isTrue();
            assertThatThrownBy(this::encoder)
                    .isInstanceOf(FormatException.class)
                    .hasMessageStartingWith("t5.pth: the tensors are not those of a UMT5 encoder of 3 layers")
                    .hasMessageContaining(message);
        }
    }

    @Test
    void new_usesTheFilesNames_whenTheyAreHuggingFaces() {
        fill(Umt5Golden::huggingFaceName);
        tensors.remove("encoder.block.1.layer.1.DenseReluDense.wo.weight");
        assertThatThrownBy(this::encoder)
                .hasMessageEndingWith("; 1 missing: encoder.block.1.layer.1.DenseReluDense.wo.weight");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "blocks.0.attn.q.bias",
                "blocks.0.extra.weight",
                "blocks.4.norm1.weight",
                "adapter.weight",
                "blocks.0.ffn.fc2.weight.absmax",
                "blocks.0.ffn.fc2.qweight",
                "blocks.0.ffn.fc2.scales",
                "blocks.0.norm1.weight_scale",
                "token_embedding.scale_weight"
            })
    void new_namesWhatIsLeftOver(String name) {
        put(name, 2);
        assertThatThrownBy(this::encoder)
                .isInstanceOf(FormatException.class)
                .hasMessageMatching(".*(unexpected|missing): .*");
    }

    @Test
    void new_passesOver_whatChangesNoValue() {
        float[] plain = encoded();
        fill(name -> "text_encoders.umt5xxl.transformer." + Umt5Golden.huggingFaceName(name));
        put("text_encoders.umt5xxl.spiece_model", 1);
        put("text_encoders.umt5xxl.transformer.scaled_fp8", 1);
        put("vae.decoder.conv1.weight", 1);
        assertThat(encoded()).isEqualTo(plain);
        fill(Umt5Golden::huggingFaceName);
        tensors.put("encoder.embed_tokens.weight", new Memory(tensors).tensor("shared.weight"));
        put("decoder.block.0.layer.0.SelfAttention.q.weight", 1);
        put("decoder.final_layer_norm.weight", 1);
        put("lm_head.weight", 1);
        put("encoder.block.0.layer.1.DenseReluDense.wo.input_scale", 3);
        assertThat(encoded()).isEqualTo(plain);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"module.", "state_dict/", "model/module.", "text_encoder.", "t5.encoder_model.", "_orig_mod."})
    void encode_isTheSame_whateverStandsBeforeTheNames(String prefix) {
        float[] plain = encoded();
        fill(prefix::concat);
        put("optimizer/state/0/exp_avg", 1);
        assertThat(encoded()).isEqualTo(plain);
    }

    @ParameterizedTest
    @CsvSource({
        "scale_weight, 1",
        "weight_scale, 1",
        "weight_scale_inv, 1",
        "scale_weight, 0",
        "weight_scale, rows",
        "weight_scale, rows1",
        "weight_scale_inv, rows1"
    })
    void encode_appliesScales_whateverTheirSpelling(String spelling, String shape) {
        float[] plain = encoded();
        for (String module : List.of("blocks.0.ffn.fc2", "blocks.1.attn.q", "blocks.2.ffn.gate.0")) {
            TensorView weight = new Memory(tensors).tensor(module + ".weight");
            int rows = weight.shape().dim(0);
            float[] values = weight.toFloats();
            float[] scales = new float[shape.startsWith("rows") ? rows : 1];
            for (int i = 0; i < scales.length; i++) {
                scales[i] = 1 << i % 5;
            }
            for (int i = 0; i < values.length; i++) {
                values[i] /= scales[i / weight.shape().dim(1) % scales.length];
            }
            put(module + ".weight", weight.shape(), values);
            put(
                    module + "." + spelling,
                    switch (shape) {
                        case "rows" -> Shape.of(rows);
                        case "rows1" -> Shape.of(rows, 1);
                        case "0" -> Shape.of();
                        default -> Shape.of(1);
                    },
                    scales);
        }
        assertThat(encoded()).containsExactly(plain, within(1e-5f));
    }

    @Test
    void encode_appliesScalesOfBlocks() {
        float[] values = new float[200 * 130];
        float[] scales = {1, 2, 3, 4};
        Arrays.fill(values, 1);
        TensorView weight = new TensorView("w", DType.F32, Shape.of(200, 130), MemorySegment.ofArray(values));
        TensorView scale =
                new TensorView("w.weight_scale_inv", DType.F32, Shape.of(2, 2), MemorySegment.ofArray(scales));
        float[] scaled = ScaledWeight.values("t5.pth", weight, scale).toFloats();
        assertThat(new float[] {scaled[0], scaled[128], scaled[128 * 130], scaled[199 * 130 + 129]})
                .isEqualTo(scales);
    }

    @Test
    void encode_appliesTheScalesOfInt8() {
        byte[] bytes = {127, -127, 64, 0};
        TensorView weight = new TensorView("w", DType.I8, Shape.of(2, 2), MemorySegment.ofArray(bytes));
        TensorView scb = new TensorView("w.SCB", DType.F32, Shape.of(2), MemorySegment.ofArray(new float[] {2, 254}));
        assertThat(ScaledWeight.values("t5.pth", weight, scb).toFloats())
                .containsExactly(new float[] {2, -2, 128, 0}, within(1e-4f));
        assertThatThrownBy(() -> ScaledWeight.values("t5.pth", weight, null))
                .hasMessage("t5.pth: w: I8 without a scale cannot be a parameter; use the bfloat16 or float16 file");
    }

    @Test
    void encode_readsFloat8_whenItHasNoScale() {
        TensorView weight = new TensorView(
                "w", DType.F8_E4M3, Shape.of(2, 1), MemorySegment.ofArray(new byte[] {0x38, (byte) 0xc0}));
        assertThat(ScaledWeight.values("t5.pth", weight, null).toFloats()).containsExactly(1, -2);
    }

    @Test
    void encode_refuses_whenTheScalesFitNothing() {
        put("blocks.0.ffn.fc2.weight_scale", 1, 2, 3);
        assertThatThrownBy(this::encoded)
                .isInstanceOf(WanException.class)
                .hasMessageContaining("blocks.0.ffn.fc2.weight_scale: expected one scale, or one per row or block");
        put("blocks.0.ffn.fc2.weight_scale", 1);
        put("blocks.0.ffn.fc2.scale_weight", 1);
        assertThatThrownBy(this::encoder)
                .hasMessageContaining("2 unexpected")
                .hasMessageContaining("scales of these spellings");
    }

    @ParameterizedTest
    @CsvSource({
        "blocks.0.self_attn.norm_q.weight, a Wan transformer",
        "decoder.middle.0.residual.2.weight, a VAE",
        "visual.transformer.0.attn.to_qkv.weight, CLIP",
        "diffusion_model.blocks.0.self_attn.q.lora_A.weight, a LoRA",
    })
    void new_saysWhatTheFileIs_whenItIsSomethingElse(String name, String what) {
        tensors.clear();
        put(name, 1);
        assertThatThrownBy(this::encoder)
                .hasMessageContaining("expected a UMT5 encoder")
                .hasMessageContaining("it is " + what);
    }
}
