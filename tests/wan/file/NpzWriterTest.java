package wan.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.op.DType;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

class NpzWriterTest {
    @TempDir
    private Path folder;

    private static TensorView tensor(String name, DType dtype, Shape shape) {
        byte[] bytes = new byte[Math.toIntExact(dtype.bytes(shape.size()))];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = dtype == DType.BOOL ? (byte) (i % 2) : (byte) (3 * i);
        }
        return new TensorView(name, dtype, shape, MemorySegment.ofArray(bytes));
    }

    private static List<TensorView> tensors() {
        return List.of(
                tensor("frame_logits", DType.F32, Shape.of(4, 7, 7)),
                tensor("half", DType.F16, Shape.of(5)),
                tensor("frames", DType.I64, Shape.of(2, 3)),
                tensor("bytes", DType.U8, Shape.of(9)),
                tensor("mask", DType.BOOL, Shape.of(2, 2)),
                tensor("scalar", DType.F64, Shape.of()),
                tensor("nothing", DType.F32, Shape.of(0, 3)));
    }

    @Test
    void write_makesNpyOfVersion1_whenReadByOwnParsing() throws Exception {
        Path file = folder.resolve("x.npz");
        NpzWriter.write(file, tensors());
        Map<String, String> expected = new LinkedHashMap<>();
        expected.put("frame_logits", "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 7, 7), }");
        expected.put("half", "{'descr': '<f2', 'fortran_order': False, 'shape': (5,), }");
        expected.put("frames", "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), }");
        expected.put("bytes", "{'descr': '|u1', 'fortran_order': False, 'shape': (9,), }");
        expected.put("mask", "{'descr': '|b1', 'fortran_order': False, 'shape': (2, 2), }");
        expected.put("scalar", "{'descr': '<f8', 'fortran_order': False, 'shape': (), }");
        expected.put("nothing", "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }");

        try (ZipFile zip = new ZipFile(file.toFile())) {
            assertThat(zip.stream().map(ZipEntry::getName))
                    .containsExactlyElementsOf(expected.keySet().stream()
                            .map(name -> name + ".npy")
                            .toList());
            for (TensorView tensor : tensors()) {
                ZipEntry entry = zip.getEntry(tensor.name() + ".npy");
                byte[] npy = zip.getInputStream(entry).readAllBytes();
                assertThat(entry.getMethod()).isEqualTo(ZipEntry.STORED);
                assertThat(Arrays.copyOf(npy, 8)).isEqualTo(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0});
                int header = ByteBuffer.wrap(npy).order(ByteOrder.LITTLE_ENDIAN).getShort(8);
                assertThat((10 + header) % 64).isZero();
                String dict = new String(npy, 10, header, StandardCharsets.US_ASCII);
                assertThat(dict).endsWith("\n");
                assertThat(dict.strip()).isEqualTo(expected.get(tensor.name()));
                assertThat(MemorySegment.ofArray(npy).asSlice(10 + header).mismatch(tensor.data()))
                        .isEqualTo(-1);
            }
        }
    }

    @Test
    void write_isWhatNumPyReads_whenItHasEveryType() throws Exception {
        Path file = folder.resolve("x.npz");
        NpzWriter.write(file, tensors());
        String script = """
                import sys, numpy as np
                z = np.load(sys.argv[1], allow_pickle=False)
                for k in z.files:
                    a = z[k]
                    raw = a.tobytes()
                    assert raw == bytes((i % 2 if k == "mask" else 3 * i % 256) for i in range(len(raw))), k
                    print(k, a.dtype, a.shape)
                """;

        assertThat(Python.run("numpy", script, file).lines())
                .containsExactly(
                        "frame_logits float32 (4, 7, 7)",
                        "half float16 (5,)",
                        "frames int64 (2, 3)",
                        "bytes uint8 (9,)",
                        "mask bool (2, 2)",
                        "scalar float64 ()",
                        "nothing float32 (0, 3)");
    }

    @Test
    void write_refuses_whenNumPyHasNoSuchType() {
        assertThatThrownBy(
                        () -> NpzWriter.write(folder.resolve("x.npz"), List.of(tensor("w", DType.BF16, Shape.of(2)))))
                .isInstanceOf(WanException.class)
                .hasMessage("w: NumPy has no type for BF16; write .safetensors, or convert to F32");
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void write_isTheSameFile_whenItIsWrittenTwice() throws Exception {
        NpzWriter.write(folder.resolve("a.npz"), tensors());
        NpzWriter.write(folder.resolve("b.npz"), tensors());

        assertThat(Files.mismatch(folder.resolve("a.npz"), folder.resolve("b.npz")))
                .isEqualTo(-1);
    }
}
