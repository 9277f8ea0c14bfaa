package wan.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import wan.op.DType;
import wan.op.Shape;
import wan.op.WanException;

class SafetensorsWriterTest {
    @TempDir
    Path dir;

    @ParameterizedTest
    @ValueSource(longs = {0, 10, 4096})
    void finish_makesAFileThatReadsBack_whateverRoomTheHeaderHad(long headerCapacityBytes) throws IOException {
        Path target = dir.resolve("out.safetensors");
        float[] values = {1f, -2.5f, 0.1f, Float.NaN, Float.POSITIVE_INFINITY, -0f};
        try (SafetensorsWriter writer = SafetensorsWriter.create(target, headerCapacityBytes)) {
            writer.add("full", DType.F32, Shape.of(2, 3)).write(values);
            writer.add("brain", DType.BF16, Shape.of(6)).write(values);
            writer.add("half", DType.F16, Shape.of(6)).write(values);
            SafetensorsWriter.Region bytes = writer.add("bytes", DType.U8, Shape.of(3));
            bytes.write(1, ByteBuffer.wrap(new byte[] {7, 8}));
            writer.add("double", DType.F64, Shape.of(6)).write(values);
            writer.add("scalar", DType.F32, Shape.of()).write(new float[] {4});
            writer.add("empty", DType.F32, Shape.of(0, 5)).write(new float[0]);
            writer.add("never written", DType.I32, Shape.of(4));
            assertThat(target).doesNotExist();
            writer.finish(Map.of("prompt", "an \"eagle\"\n\u00e9\ud83e\udd85"));
        }
        assertThat(files()).containsExactly("out.safetensors");
        byte[] raw = Files.readAllBytes(target);
        long headerBytes = ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN).getLong();
        assertThat(headerBytes % 8).isZero();
        assertThat(raw).hasSize((int) (8 + headerBytes + 24 + 12 + 12 + 3 + 48 + 4 + 16));
        assertThat(raw[8]).isEqualTo((byte) '{');
        try (Safetensors file = Safetensors.open(target)) {
            assertThat(file.names())
                    .containsExactly("full", "brain", "half", "bytes", "double", "scalar", "empty", "never written");
            assertThat(file.metadata()).isEqualTo(Map.of("prompt", "an \"eagle\"\n\u00e9\ud83e\udd85"));
            assertThat(file.tensor("full").toFloats()).isEqualTo(values);
            assertThat(file.tensor("double").toFloats()).isEqualTo(values);
            assertThat(file.tensor("brain").toFloats())
                    .containsExactly(1f, -2.5f, 0x1.9ap-4f, Float.NaN, Float.POSITIVE_INFINITY, -0f);
            assertThat(file.tensor("half").toFloats())
                    .containsExactly(1f, -2.5f, 0x1.998p-4f, Float.NaN, Float.POSITIVE_INFINITY, -0f);
            assertThat(file.tensor("bytes").toFloats()).containsExactly(0, 7, 8);
            assertThat(file.tensor("scalar").shape()).isEqualTo(Shape.of());
            assertThat(file.tensor("never written").toFloats()).containsOnly(0).hasSize(4);
        }
    }

    @Test
    void write_fillsARegionFromManyThreads() {
        int rows = 500;
        int columns = 333;
        Path target = dir.resolve("parallel.safetensors");
        try (SafetensorsWriter writer = SafetensorsWriter.create(target, 256);
                Arena arena = Arena.ofShared()) {
            writer.add("before", DType.U8, Shape.of(5));
            SafetensorsWriter.Region region = writer.add("x", DType.F32, Shape.of(rows, columns));
            MemorySegment last = arena.allocate(4L * columns, 8);
            for (int j = 0; j < columns; j++) {
                last.setAtIndex(ValueLayout.JAVA_FLOAT, j, (rows - 1) * columns + j);
            }
            region.write(4L * (rows - 1) * columns, last);
            IntStream.range(0, rows - 1).parallel().forEach(i -> {
                float[] row = new float[columns];
                for (int j = 0; j < columns; j++) {
                    row[j] = i * columns + j;
                }
                region.write((long) i * columns, row);
            });
            writer.finish(Map.of());
        }
        try (Safetensors file = Safetensors.open(target)) {
            float[] values = file.tensor("x").toFloats();
            assertThat(IntStream.range(0, values.length).filter(i -> values[i] != i))
                    .isEmpty();
        }
    }

    @Test
    void write_refusesWhatLiesOutsideTheRegion() {
        try (SafetensorsWriter writer = SafetensorsWriter.create(dir.resolve("x.safetensors"), 64)) {
            SafetensorsWriter.Region region = writer.add("x", DType.F32, Shape.of(4));
            assertThatThrownBy(() -> region.write(13, ByteBuffer.allocate(4)))
                    .isInstanceOf(IndexOutOfBoundsException.class);
            assertThatThrownBy(() -> region.write(-1, ByteBuffer.allocate(4)))
                    .isInstanceOf(IndexOutOfBoundsException.class);
            assertThatThrownBy(() -> region.write(1, new float[4])).isInstanceOf(IndexOutOfBoundsException.class);
            assertThatThrownBy(() -> region.write(new float[3]))
                    .isInstanceOf(WanException.class)
                    .hasMessage("x: expected [4] values, got 3");
            SafetensorsWriter.Region ints = writer.add("ints", DType.I32, Shape.of(1));
            assertThatThrownBy(() -> ints.write(new float[1])).hasMessage("float32 values cannot be stored as I32");
        }
    }

    @Test
    void add_refusesWhatTheFormatCannotHold() {
        Path target = dir.resolve("x.safetensors");
        try (SafetensorsWriter writer = SafetensorsWriter.create(target, 64)) {
            writer.add("x", DType.F32, Shape.of(4));
            assertThatThrownBy(() -> writer.add("x", DType.F32, Shape.of(4)))
                    .hasMessageEndingWith("there is one already");
            assertThatThrownBy(() -> writer.add("__metadata__", DType.F32, Shape.of(4)))
                    .hasMessageEndingWith("the format reserves the name");
            assertThatThrownBy(() -> writer.add("y", DType.F4, Shape.of(3))).hasMessageContaining("whole bytes");
            assertThatThrownBy(() -> writer.add("y", DType.F64, Shape.of(1L << 61)))
                    .isInstanceOf(WanException.class)
                    .hasMessageContaining("overflow");
        }
    }

    @Test
    void close_leavesNothing_whenTheFileWasNotFinished() throws IOException {
        Path target = Files.writeString(dir.resolve("kept.safetensors"), "what was there before");
        try (SafetensorsWriter writer = SafetensorsWriter.create(target, 64)) {
            writer.add("x", DType.F32, Shape.of(4)).write(new float[4]);
        }
        assertThat(files()).containsExactly("kept.safetensors");
        assertThat(target).hasContent("what was there before");
    }

    @Test
    void write_saysWhy_whenTheFileSystemRefuses() throws IOException {
        Path target = dir.resolve("large.safetensors");
        try (SafetensorsWriter writer = SafetensorsWriter.create(target, 64)) {
            // No file system holds so large a file; a full disk takes the same way.
            SafetensorsWriter.Region region = writer.add("x", DType.F32, Shape.of(1L << 57));
            assertThatThrownBy(() -> region.write((1L << 57) - 1, new float[] {1}))
                    .isExactlyInstanceOf(WanException.class)
                    .hasMessage(target + ": cannot write: File too large");
            assertThatThrownBy(() -> writer.finish(Map.of())).hasMessage(target + ": cannot write: File too large");
        }
        assertThat(files()).isEmpty();
    }

    @Test
    void create_saysWhy_whenTheTargetCannotBe() {
        assertThatThrownBy(() -> SafetensorsWriter.create(dir, 64))
                .isExactlyInstanceOf(WanException.class)
                .hasMessage(dir + ": cannot write: is a folder");
        Path lost = dir.resolve("no/such/folder/x.safetensors");
        assertThatThrownBy(() -> SafetensorsWriter.create(lost, 64))
                .isExactlyInstanceOf(WanException.class)
                .hasMessage(lost + ": cannot write: no such file or folder");
        Path notAFolder = HeaderBytes.write(dir.resolve("file"), new byte[0]).resolve("x.safetensors");
        assertThatThrownBy(() -> SafetensorsWriter.create(notAFolder, 64))
                .hasMessage(notAFolder + ": cannot write: Not a directory");
    }

    private Stream<String> files() throws IOException {
        try (Stream<Path> list = Files.list(dir)) {
            return list.map(p -> p.getFileName().toString()).sorted().toList().stream();
        }
    }

    @Test
    void create_refuses_whatIsNoRegularFile() {
        assertThatThrownBy(() -> SafetensorsWriter.create(Path.of("/dev/null"), 100))
                .isInstanceOf(WanException.class)
                .hasMessage("/dev/null: cannot write: is not a regular file");
    }

    @Test
    void finish_followsALink(@TempDir Path links) throws IOException {
        Path real = links.resolve("real.safetensors");
        Files.createFile(real);
        Path link = Files.createSymbolicLink(links.resolve("link.safetensors"), real);
        try (SafetensorsWriter writer = SafetensorsWriter.create(link, 100)) {
            writer.add("x", DType.F32, Shape.of(1)).write(new float[] {3});
            writer.finish(Map.of());
        }
        assertThat(link).isSymbolicLink();
        try (Safetensors file = Safetensors.open(real)) {
            assertThat(file.tensor("x").toFloats()).containsExactly(3);
        }
    }

    @Test
    void room_isAtMostWhatTheFormatAllows_inEveryWayToBegin() {
        long tooMuch = SafetensorsWriter.MAX_HEADER_BYTES + 1L;
        Path file = dir.resolve("large.safetensors");
        assertThatThrownBy(() -> SafetensorsWriter.create(file, tooMuch)).hasMessageContaining("at most 100000000");
        assertThatThrownBy(() -> PartialTensors.create(file, tooMuch)).hasMessageContaining("at most 100000000");
    }
}
