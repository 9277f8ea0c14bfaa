package wan.file;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import wan.op.DType;
import wan.op.Shape;

class ZerosTest {
    private static final int LARGE = 1536;
    /** Floats in 20 KiB. */
    private static final int PIECE = 5 * 1024;

    @TempDir
    Path dir;

    private final float[] matrix = new float[LARGE * LARGE];

    @BeforeEach
    void fill() {
        Random random = new Random(1);
        for (int i = 0; i < matrix.length; i++) {
            matrix[i] = (float) random.nextGaussian();
        }
    }

    private boolean found(DType dtype, Shape shape, float[] values, boolean table) {
        Path file = dir.resolve("w.safetensors");
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, 256)) {
            writer.add("w", dtype, shape).write(Arrays.copyOf(values, shape.intSize()));
            writer.finish(Map.of());
        }
        try (TensorStore store = TensorStore.open(file)) {
            return !Zeros.in(store, store.names(), table ? Set.of("w") : Set.of())
                    .isEmpty();
        }
    }

    @ParameterizedTest
    @ValueSource(doubles = {0, 0.1, 0.5, 0.9, 0.999, 0.9999})
    void in_findsAnEndOfZeros_whereverItBegins(double from) {
        for (int size : new int[] {16, 200, LARGE}) {
            for (DType dtype : new DType[] {DType.F32, DType.BF16, DType.F16}) {
                float[] values = matrix.clone();
                int begin = Math.min((int) (size * size * from), size * size - 128);
                Arrays.fill(values, Math.max(0, begin), size * size, 0);
                assertThat(found(dtype, Shape.of(size, size), values, false)).isTrue();
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 1023, 100_000, 1_000_001, 1_700_000, LARGE * LARGE - PIECE - 64})
    void in_findsAMissingPiece(int from) {
        float[] values = matrix.clone();
        Arrays.fill(values, from, from + PIECE, 0);
        assertThat(found(DType.F32, Shape.of(LARGE, LARGE), values, false)).isTrue();
    }

    @Test
    void in_passesOver_whatTrainedModelsMayHold() {
        assertThat(found(DType.F32, Shape.of(LARGE, LARGE), matrix, false)).isFalse();
        assertThat(found(DType.F32, Shape.of(LARGE), new float[LARGE], false))
                .as("a bias of zeros")
                .isFalse();
        assertThat(found(DType.F32, Shape.of(3, 3), new float[9], false))
                .as("too small to tell")
                .isFalse();
        float[] sparse = new float[LARGE * LARGE];
        for (int i = 0; i < sparse.length; i += 40) {
            sparse[i] = 1;
        }
        assertThat(found(DType.F32, Shape.of(LARGE, LARGE), sparse, false))
                .as("sparse")
                .isFalse();
        float[] pruned = matrix.clone();
        Arrays.fill(pruned, 700 * LARGE, 701 * LARGE, 0);
        assertThat(found(DType.F32, Shape.of(LARGE, LARGE), pruned, false))
                .as("a row of zeros")
                .isFalse();
        float[] table = matrix.clone();
        Arrays.fill(table, 0, 20 * LARGE, 0);
        Arrays.fill(table, table.length - 20 * LARGE, table.length, 0);
        assertThat(found(DType.F32, Shape.of(LARGE, LARGE), table, true))
                .as("rows of no token")
                .isFalse();
    }

    @Test
    void in_findsTheHalfOfATable_andABiasThatEndsInZeros() {
        float[] half = matrix.clone();
        Arrays.fill(half, half.length / 2, half.length, 0);
        assertThat(found(DType.F32, Shape.of(LARGE, LARGE), half, true)).isTrue();
        Arrays.fill(half, 1000, LARGE, 0);
        assertThat(found(DType.F32, Shape.of(LARGE), half, false)).isTrue();
    }
}
