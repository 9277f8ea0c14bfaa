package wan.file;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.file.torch.PyNone;
import wan.file.torch.PyTuple;
import wan.file.torch.TorchTensor;
import wan.op.DType;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

class TorchWriterTest {
    private static final Path LAYER3 = Path.of("tests/goldens/checkpoints/layer3.pt");

    @TempDir
    private Path folder;

    /** The golden file's values, with its tensors as something to write. */
    private static SequencedMap<String, Object> writable(TorchStore store) {
        SequencedMap<String, Object> values = new LinkedHashMap<>();
        ((Map<?, ?>) store.values())
                .forEach((key, value) -> values.put(
                        String.valueOf(key), value instanceof TorchTensor ? store.tensor((String) key) : value));
        return values;
    }

    private static SequencedMap<String, Object> allKinds() {
        SequencedMap<String, Object> values = new LinkedHashMap<>();
        values.put("none", PyNone.NONE);
        values.put("flags", List.of(true, false));
        values.put("small", -3);
        values.put("long", Long.MIN_VALUE);
        values.put("big", BigInteger.TWO.pow(70).negate());
        values.put("text", "caf\u00e9 \u4f60");
        values.put("tuple", new PyTuple(List.of(1L, "x")));
        values.put("dict", Map.of(5L, "int key"));
        values.put("empty", List.of());
        long seed = 0;
        for (DType dtype : List.of(
                DType.F64,
                DType.F32,
                DType.F16,
                DType.BF16,
                DType.I64,
                DType.I32,
                DType.I16,
                DType.I8,
                DType.U8,
                DType.BOOL)) {
            byte[] bytes = new byte[Math.toIntExact(dtype.bytes(6))];
            for (int i = 0; i < bytes.length; i++) {
                bytes[i] = dtype == DType.BOOL ? (byte) (i % 2) : (byte) (i + seed);
            }
            seed += 7;
            values.put(
                    dtype.option(),
                    new TensorView(dtype.option(), dtype, Shape.of(3, 2), MemorySegment.ofArray(bytes)));
        }
        values.put("scalar", new TensorView("", DType.F32, Shape.of(), MemorySegment.ofArray(new byte[4])));
        values.put("nothing", new TensorView("", DType.F32, Shape.of(0, 3), MemorySegment.ofArray(new byte[0])));
        return values;
    }

    @Test
    void write_isReadBackAlike_whenTheValuesAreThoseOfTheExtractionScript() {
        Path copy = folder.resolve("layer3.pt");
        try (TorchStore golden = TorchStore.open(LAYER3)) {
            TorchWriter.write(copy, writable(golden));
            try (TorchStore again = TorchStore.open(copy)) {
                Map<?, ?> values = (Map<?, ?>) again.values();
                assertThat(new ArrayList<>(values.keySet()))
                        .isEqualTo(new ArrayList<>(((Map<?, ?>) golden.values()).keySet()));
                ((Map<?, ?>) golden.values()).forEach((key, value) -> {
                    if (value instanceof TorchTensor) {
                        assertSame(again.tensor((String) key), golden.tensor((String) key));
                    } else {
                        assertThat(values.get(key)).as(String.valueOf(key)).isEqualTo(value);
                    }
                });
            }
        }
    }

    @Test
    void write_isReadBackAlike_whenItHasEveryKindOfValue() {
        Path file = folder.resolve("all kinds.pt");
        SequencedMap<String, Object> values = allKinds();
        TorchWriter.write(file, values);

        try (TorchStore store = TorchStore.open(file)) {
            Map<?, ?> read = (Map<?, ?>) store.values();
            assertThat(read.keySet().stream().map(String::valueOf)).containsExactlyElementsOf(values.keySet());
            values.forEach((key, value) -> {
                Object got = requireNonNull(read.get(key));
                switch (value) {
                    case TensorView tensor -> assertSame(store.tensor(key), tensor);
                    case Integer small -> assertThat(got).isEqualTo(small.longValue());
                    default -> assertThat(got).isEqualTo(value);
                }
            });
            assertThat(store.tensor("bf16").data().address() % 64).isZero();
        }
    }

    private static void assertSame(TensorView got, TensorView want) {
        assertThat(got.dtype()).isEqualTo(want.dtype());
        assertThat(got.shape()).isEqualTo(want.shape());
        assertThat(got.data().toArray(ValueLayout.JAVA_BYTE))
                .isEqualTo(want.data().toArray(ValueLayout.JAVA_BYTE));
    }

    @Test
    void write_leavesNothing_whenAValueCannotBeWritten() throws IOException {
        SequencedMap<String, Object> values = new LinkedHashMap<>();
        values.put("thread", Thread.currentThread());

        assertThatThrownBy(() -> TorchWriter.write(folder.resolve("x.pt"), values))
                .isInstanceOf(WanException.class)
                .hasMessage("a PyTorch file cannot hold a Thread");
        assertThatThrownBy(() -> TorchWriter.write(folder.resolve("no/such/x.pt"), new LinkedHashMap<>()))
                .isInstanceOf(WanException.class)
                .hasMessageContaining("no such file or folder");
        try (var files = Files.list(folder)) {
            assertThat(files).isEmpty();
        }
    }

    @Test
    void write_isWhatPyTorchReads_whenTheValuesAreThoseOfTheExtractionScript() throws Exception {
        Path copy = folder.resolve("layer3.pt");
        try (TorchStore golden = TorchStore.open(LAYER3)) {
            TorchWriter.write(copy, writable(golden));
        }
        String script = """
                import sys, torch
                ours, golden = (torch.load(f, weights_only=True) for f in sys.argv[1:])
                assert list(ours) == list(golden), list(ours)
                for k in golden:
                    assert type(ours[k]) is type(golden[k]), k
                    if isinstance(golden[k], torch.Tensor):
                        assert ours[k].dtype == golden[k].dtype and ours[k].stride() == golden[k].stride(), k
                        assert torch.equal(ours[k], golden[k]), k
                    else:
                        assert ours[k] == golden[k], k
                print(len(ours), "equal")
                """;

        assertThat(Python.run("torch", script, copy, LAYER3)).isEqualTo("13 equal");
    }

    @Test
    void write_isWhatPyTorchReads_whenItHasEveryKindOfValue() throws Exception {
        Path file = folder.resolve("all.pt");
        TorchWriter.write(file, allKinds());
        String script = """
                import sys, torch
                d = torch.load(sys.argv[1], weights_only=True)
                assert d["none"] is None and d["flags"] == [True, False] and d["small"] == -3
                assert d["long"] == -2**63 and d["big"] == -2**70 and d["text"] == "caf\\u00e9 \\u4f60"
                assert d["tuple"] == (1, "x") and d["dict"] == {5: "int key"} and d["empty"] == []
                seed = 0
                for name in "f64 f32 f16 bf16 i64 i32 i16 i8 u8 bool".split():
                    t = d[name]
                    assert t.shape == (3, 2), name
                    raw = bytes(t.contiguous().view(torch.uint8).flatten().tolist()) if name != "bool" \\
                        else bytes(t.to(torch.uint8).flatten().tolist())
                    want = bytes((i % 2 if name == "bool" else (i + seed) % 256) for i in range(len(raw)))
                    assert raw == want, (name, raw, want)
                    seed += 7
                assert d["scalar"].shape == () and d["nothing"].shape == (0, 3)
                print("equal")
                """;

        assertThat(Python.run("torch", script, file)).isEqualTo("equal");
    }
}
