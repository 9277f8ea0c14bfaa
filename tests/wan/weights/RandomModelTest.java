package wan.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ForkJoinPool;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import wan.file.HeaderBytes;
import wan.model.WanConfig;
import wan.model.WanParameters;
import wan.op.DType;
import wan.op.HalfFormat;
import wan.op.Shape;
import wan.op.WanException;
import wan.op.WeightSource;

class RandomModelTest {
    /** One of its matrices is longer than a chunk. */
    private static final WanConfig CONFIG = new WanConfig(240, 1300, 16, 16, 16, 12, 8, 24, 6, 1e-6f);

    @TempDir
    Path dir;

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F32", "BF16", "F16"})
    void write_storesWhatInMemoryDraws(DType dtype) throws IOException {
        List<Long> progress = new ArrayList<>();
        RandomModel.write(dir.resolve("new/model"), CONFIG, dtype, 5, (done, total) -> progress.add(total - done));
        assertThat(progress)
                .hasSize(WanParameters.shapes(CONFIG).size())
                .isSortedAccordingTo((a, b) -> Long.compare(b, a))
                .endsWith(0L);
        try (Stream<Path> files = Files.list(dir.resolve("new/model"))) {
            assertThat(files.map(file -> file.getFileName().toString()))
                    .containsExactlyInAnyOrder("config.json", "diffusion_pytorch_model.safetensors");
        }
        try (ModelFolder model = ModelFolder.open(dir.resolve("new/model"));
                Arena arena = Arena.ofConfined()) {
            WeightSource memory = RandomModel.inMemory(CONFIG, 5, arena);
            WeightSource same = RandomModel.inMemory(CONFIG, dtype, 5, arena);
            WanParameters.shapes(CONFIG).forEach((name, shape) -> {
                float[] stored = model.get(name, shape).toFloats();
                float[] drawn = memory.get(name, shape).toFloats();
                assertThat(same.get(name, shape).dtype()).isEqualTo(dtype);
                assertThat(same.get(name, shape).toFloats()).isEqualTo(stored);
                for (int i = 0; i < drawn.length; i++) {
                    float rounded = switch (dtype) {
                        case BF16 -> Float.intBitsToFloat(HalfFormat.BF16.narrow(drawn[i]) << 16);
                        case F16 -> Float.float16ToFloat(Float.floatToFloat16(drawn[i]));
                        default -> drawn[i];
                    };
                    if (stored[i] != rounded) {
                        throw new AssertionError(name + "[" + i + "]: stored " + stored[i] + ", drawn " + drawn[i]);
                    }
                }
            });
        }
    }

    @Test
    void write_givesTheSameBytes_whateverTheNumberOfThreads() throws IOException {
        RandomModel.write(dir.resolve("common"), CONFIG, DType.BF16, 5, (done, total) -> {});
        try (ForkJoinPool one = new ForkJoinPool(1)) {
            one.submit(() -> RandomModel.write(dir.resolve("one"), CONFIG, DType.BF16, 5, (done, total) -> {}))
                    .join();
        }
        String name = "diffusion_pytorch_model.safetensors";
        assertThat(Files.mismatch(
                        dir.resolve("common").resolve(name), dir.resolve("one").resolve(name)))
                .isEqualTo(-1);
    }

    @Test
    void inMemory_drawsTheScalesOfItsDescription() {
        try (Arena arena = Arena.ofConfined()) {
            WeightSource model = RandomModel.inMemory(CONFIG, 11, arena);
            assertMoments(model, "blocks.3.ffn.0.weight", Shape.of(1300, 240), 0, 1 / Math.sqrt(240));
            assertMoments(model, "blocks.3.ffn.2.weight", Shape.of(240, 1300), 0, 1 / Math.sqrt(1300 * 16));
            assertMoments(model, "blocks.3.self_attn.q.weight", Shape.of(240, 240), 0, 1 / Math.sqrt(240));
            assertMoments(model, "blocks.3.cross_attn.o.weight", Shape.of(240, 240), 0, 1 / Math.sqrt(240 * 16));
            assertMoments(model, "patch_embedding.weight", Shape.of(240, 16, 1, 2, 2), 0, 1 / 8.0);
            assertMoments(model, "blocks.3.modulation", Shape.of(1, 6, 240), 0, 0.45);
            assertMoments(model, "time_projection.1.bias", Shape.of(1440), 0, 0.2);
            assertMoments(model, "blocks.3.self_attn.norm_q.weight", Shape.of(240), 1.1, 0.25);
        }
    }

    private static void assertMoments(WeightSource model, String name, Shape shape, double mean, double std) {
        float[] values = model.get(name, shape).toFloats();
        double measuredMean = doubles(values).average().orElseThrow();
        double measuredStd = Math.sqrt(doubles(values)
                .map(x -> (x - measuredMean) * (x - measuredMean))
                .average()
                .orElseThrow());
        // Four standard errors: of the mean s / sqrt(n), of the deviation about s / sqrt(2 n).
        double error = 4 * std / Math.sqrt(values.length);
        assertThat(measuredMean).as(name).isCloseTo(mean, within(error));
        assertThat(measuredStd).as(name).isCloseTo(std, within(error));
    }

    private static DoubleStream doubles(float[] values) {
        return IntStream.range(0, values.length).mapToDouble(i -> values[i]);
    }

    @Test
    void inMemory_drawsOtherValues_forOtherNamesAndSeeds() {
        try (Arena arena = Arena.ofConfined()) {
            Shape shape = Shape.of(240, 240);
            float[] q = RandomModel.inMemory(CONFIG, 1, arena)
                    .get("blocks.0.self_attn.q.weight", shape)
                    .toFloats();
            float[] k = RandomModel.inMemory(CONFIG, 1, arena)
                    .get("blocks.0.self_attn.k.weight", shape)
                    .toFloats();
            float[] otherSeed = RandomModel.inMemory(CONFIG, 2, arena)
                    .get("blocks.0.self_attn.q.weight", shape)
                    .toFloats();
            assertThat(correlation(q, k)).isCloseTo(0, within(4 / 240.0));
            assertThat(correlation(q, otherSeed)).isCloseTo(0, within(4 / 240.0));
            assertThat(correlation(q, q)).isCloseTo(1, within(0.05));
        }
    }

    /** For values of mean 0 and deviation 1 / sqrt(240). */
    private static double correlation(float[] a, float[] b) {
        return IntStream.range(0, a.length)
                .mapToDouble(i -> 240.0 * a[i] * b[i])
                .average()
                .orElseThrow();
    }

    @Test
    void inMemory_refusesWhatTheModelDoesNotHave() {
        WeightSource model = RandomModel.inMemory(CONFIG, 1, Arena.global());
        assertThatThrownBy(() -> model.get("blocks.8.modulation", Shape.of(1, 6, 240)))
                .isInstanceOf(WanException.class)
                .hasMessage("random model: no parameter blocks.8.modulation");
        assertThatThrownBy(() -> model.get("blocks.0.modulation", Shape.of(6, 240)))
                .hasMessage("random model, blocks.0.modulation: expected [6, 240], got [1, 6, 240]");
    }

    @Test
    void write_saysWhy_whenItCannot() throws IOException {
        WanConfig huge = new WanConfig(1 << 20, 1 << 20, 16, 16, 16, 2, 1000, 24, 6, 1e-6f);
        assertThatThrownBy(() -> RandomModel.write(dir.resolve("new/model"), huge, DType.F32, 1, (done, total) -> {}))
                .isExactlyInstanceOf(WanException.class)
                .hasMessageMatching(
                        dir.resolve("new/model") + ": not enough space: needs \\d+\\.\\d GB, \\d+\\.\\d GB are free");
        try (Stream<Path> files = Files.list(dir)) {
            assertThat(files).isEmpty();
        }
        Path file = HeaderBytes.write(dir.resolve("file"), new byte[0]);
        assertThatThrownBy(() -> RandomModel.write(file, CONFIG, DType.F32, 1, (done, total) -> {}))
                .isExactlyInstanceOf(WanException.class)
                .hasMessageStartingWith(file + ": cannot write: ");
    }
}
