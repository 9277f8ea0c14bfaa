package wan.file.torch;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import wan.file.Safetensors;
import wan.op.TensorView;

class TorchFileTest {
    private static final Path CHECKPOINTS = Path.of("tests/goldens/checkpoints");

    static TorchFile open(String name) throws IOException {
        return new TorchFile(
                name, MemorySegment.ofArray(Files.readAllBytes(CHECKPOINTS.resolve(name))), Arena.ofAuto());
    }

    private static UnaryOperator<String> renaming(String rule) {
        return switch (rule) {
            case "same" -> name -> name;
            case "under generator" -> name -> "generator/" + name;
            case "model is generator" -> name -> name.replaceFirst("^model/", "generator/");
            case "without FSDP" ->
                name -> name.replaceAll("_fsdp_wrapped_module\\.|_checkpoint_wrapped_module\\.|_orig_mod\\.", "");
            case "without tensors" -> name -> name.replaceFirst("^tensors/", "");
            default -> throw new IllegalArgumentException(rule);
        };
    }

    @ParameterizedTest
    @CsvSource({
        "sf-fp32.pt, sf-fp32, same, ''",
        "sf-bf16.pt, sf-bf16, same, ''",
        "sf-bf16-legacy.pt, sf-bf16, same, critic/",
        "bare-wrapper-bf16.pt, sf-bf16, under generator, critic/ generator_ema/",
        "under-model-key-bf16.pt, sf-bf16, model is generator, critic/ generator_ema/",
        "sf-fsdp-prefix.pt, sf-bf16, without FSDP, critic/ generator/",
        "strided.pt, strided, without tensors, ''",
        "strided-legacy.pt, strided, without tensors, ''",
        "layer3.pt, layer3, same, ''",
    })
    void tensor_isBitForBitTheExpectedOne_whenTheFileIsGolden(String file, String twin, String renaming, String absent)
            throws IOException {
        TorchFile torch = open(file);
        UnaryOperator<String> rename = renaming(renaming);
        Set<String> left = absent.isEmpty() ? Set.of() : Set.of(absent.split(" "));
        try (Safetensors expected = Safetensors.open(CHECKPOINTS.resolve(twin + ".expected.safetensors"))) {
            Map<String, String> byExpectedName =
                    torch.names().stream().collect(Collectors.toMap(rename, name -> name, (a, _) -> a, TreeMap::new));
            Set<String> names = expected.names().stream()
                    .filter(name -> left.stream().noneMatch(name::startsWith))
                    .collect(Collectors.toCollection(TreeSet::new));
            assertThat(byExpectedName.keySet()).isEqualTo(names).hasSameSizeAs(torch.names());
            for (String name : names) {
                TensorView got = torch.tensor(requireNonNull(byExpectedName.get(name)));
                TensorView want = expected.tensor(name);
                assertThat(got.dtype()).as(name).isEqualTo(want.dtype());
                assertThat(got.shape()).as(name).isEqualTo(want.shape());
                assertThat(got.data().toArray(ValueLayout.JAVA_BYTE))
                        .as(name)
                        .isEqualTo(want.data().toArray(ValueLayout.JAVA_BYTE));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"strided.pt", "strided-legacy.pt"})
    void values_arePythonsOwn_whenTheyAreNotTensors(String file) throws IOException {
        Map<?, ?> meta = (Map<?, ?>) requireNonNull(((Map<?, ?>) open(file).values()).get("meta"));

        assertThat(meta.get("none")).isEqualTo(PyNone.NONE);
        assertThat(meta.get("true")).isEqualTo(true);
        assertThat(meta.get("int")).isEqualTo(7L);
        assertThat(meta.get("big")).isEqualTo(BigInteger.TWO.pow(70));
        assertThat(meta.get("neg")).isEqualTo(-3L);
        assertThat(meta.get("float")).isEqualTo(0.1);
        assertThat(meta.get("str")).isEqualTo("caf\u00e9 \u4f60");
        assertThat((byte[]) meta.get("bytes")).containsExactly(0, 255);
        assertThat(meta.get("list")).isEqualTo(List.of(1L, List.of(2L, 3L), new PyTuple(List.of(4L, "x"))));
        assertThat(meta.get(5L)).isEqualTo("int key");
    }

    @Test
    void values_keepTheOrderOfTheDict_whenTheExtractionScriptWroteIt() throws IOException {
        Map<?, ?> values = (Map<?, ?>) open("layer3.pt").values();

        assertThat(values.keySet().stream().map(String::valueOf))
                .containsExactly(
                        "layer_index",
                        "full_frame_attention",
                        "last_block_frame_attention",
                        "is_logits",
                        "prompt",
                        "num_frames",
                        "frame_seq_length",
                        "num_frame_per_block",
                        "num_heads",
                        "block_sizes",
                        "query_frames",
                        "key_frames",
                        "last_block_query_frames");
        assertThat(values.get("block_sizes")).isEqualTo(List.of(1L, 3L, 3L));
        assertThat(values.get("is_logits")).isEqualTo(true);
    }

    @Test
    void tensor_sharesItsStorage_whenTwoViewsOfItAreContiguous() throws IOException {
        TorchFile torch = open("strided.pt");

        MemorySegment head = torch.tensor("tensors/view.head").data();
        MemorySegment middle = torch.tensor("tensors/view.middle").data();

        assertThat(middle.address() - head.address()).isEqualTo(10 * Float.BYTES);
        assertThat(torch.tensor("tensors/transposed").data().address())
                .as("a copy is made once")
                .isEqualTo(torch.tensor("tensors/transposed").data().address());
    }
}
