package tornado;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import tornado.TornadoDevices.Settings;
import tornado.TornadoRecordingTest.Attention;
import wan.backend.MemoryPlan;
import wan.backend.Storage;
import wan.op.AttentionTap;
import wan.op.DType;
import wan.op.Dyn;
import wan.op.HostTensor;
import wan.op.KvTensor;
import wan.op.NonFiniteException;
import wan.op.Ops;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.selftest.SelfTest;

/** Both libraries together, as the emulator has them. */
@Tag("slow")
@ExtendWith(EmulatedCuda.class)
class TornadoLibrariesTest {

    private static Settings stored(DType weights, DType cache) {
        return new Settings("", new Storage(weights, cache), EnumSet.allOf(Library.class), 0);
    }

    @ParameterizedTest
    @CsvSource({"F16, F16", "BF16, F16", "BF16, BF16"})
    void everyOperation_matchesTheOracle(DType weights, DType cache) {
        Settings settings = stored(weights, cache);
        try (Ops ops = TornadoDevices.open("tornado", settings)) {
            assertThat(SelfTest.run(ops, settings.storage(), "")).allMatch(SelfTest.Result::passed);
        }
    }

    /**
     * As many graphs as with our own kernels. Seven more are compiled than are listed: how the two programs begin, send and fetch, and what
     * fetches the activations of the first.
     */
    @ParameterizedTest
    @CsvSource({"F32, F32, 5, 12", "F16, F32, 5, 12", "BF16, F32, 5, 12", "BF16, F16, 5, 12"})
    void rollout_isRecordedOnce_andItsMemoryKnownBefore(DType weights, DType cache, int graphs, int compiled) {
        MemoryPlan needed;
        try (TornadoOps ops = TornadoDevices.rehearse("tornado", stored(weights, cache))) {
            HostTensor _ = TornadoRecordingTest.rollOut("rollout-a", ops, () -> {});
            needed = ops.memoryPlan();
        }
        try (TornadoOps ops = TornadoDevices.open("tornado", stored(weights, cache))) {
            HostTensor _ = TornadoRecordingTest.rollOut("rollout-a", ops, () -> {});
            assertThat(ops.counters().graphs()).isEqualTo(graphs);
            assertThat(ops.counters().compiledGraphs()).isEqualTo(compiled);
            assertThat(ops.counters().programs()).isEqualTo(2);
            assertThat(ops.memoryPlan()).isEqualTo(needed);
        }
    }

    /** Masses are the library's too: an attention over values that say which group a key is in. */
    @Test
    void masses_areTheLibrarys_andSumToOne() {
        try (TornadoOps ops = TornadoDevices.open("tornado", stored(DType.F32, DType.F16))) {
            List<Float> masses = new ArrayList<>();
            try (Scope _ = ops.scope()) {
                Random random = new Random(3);
                Tensor q = ops.scratch(Shape.of(4, 16));
                ops.write(q, random(random, 64));
                Tensor k = ops.scratch(Shape.of(24, 16));
                ops.write(k, random(random, 24 * 16));
                KvTensor cache = ops.kvCache(1, 12, 2, 2, 8); // more groups than channels: two calls
                Dyn pages = new Dyn("pages", 12);
                pages.set(IntStream.range(0, 12).toArray());
                ops.append(cache, k, k, pages);
                AttentionTap tap = new AttentionTap() {
                    @Override
                    public Set<Quantity> wanted() {
                        return Set.of(Quantity.QUERY_MASS);
                    }

                    @Override
                    public int[] heads() {
                        return new int[] {0, 1};
                    }

                    @Override
                    public void accept(Quantity quantity, Shape shape, float[] values) {
                        assertThat(shape).isEqualTo(Shape.of(1, 2, 4, 12));
                        for (float value : values) {
                            masses.add(value);
                        }
                    }

                    @Override
                    public void acceptTokens(
                            Quantity quantity, int batch, int head, int first, int queries, int keys, float[] tile) {
                        throw new AssertionError(quantity);
                    }
                };
                Tensor _ = ops.attention(q, cache, pages, 4, 2, tap);
            }
            assertThat(ops.counters().traffic().libraryCalls()).isEqualTo(3);
            for (int row = 0; row < 8; row++) {
                double sum = masses.subList(12 * row, 12 * row + 12).stream()
                        .mapToDouble(Float::doubleValue)
                        .sum();
                assertThat(sum).isCloseTo(1, within(12 * 0x1p-12));
            }
        }
    }

    private static float[] random(Random random, int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** Whatever is captured, the result is the library's, to the bit. */
    @ParameterizedTest
    @EnumSource
    void capture_changesNoBit_whereAttentionIsTheLibrarys(Quantity quantity) {
        Settings settings = stored(DType.F32, DType.F16);
        List<Quantity> seen = new ArrayList<>();
        List<Float> plain = Attention.of(settings, AttentionTap.NONE).result();
        AttentionTap tap = TornadoRecordingTest.tap(Set.of(quantity), seen);
        assertThat(Attention.of(settings, tap).result()).isEqualTo(plain);
        assertThat(seen).contains(quantity);
        assertThat(plain)
                .isNotEqualTo(
                        Attention.of(settings.with(Set.of()), AttentionTap.NONE).result());
    }

    /** Logits of mean keys are made of keys as they are stored. */
    @ParameterizedTest
    @CsvSource({"CUDNN, FRAME_LOGITS", "CUDNN, QUERY_LOGITS", ", FRAME_LOGITS"})
    void logitsOfMeanKeys_copyNothing(@Nullable Library library, Quantity quantity) {
        Set<Library> libraries = library == null ? Set.of() : Set.of(library);
        Settings settings = new Settings("tensor", new Storage(DType.F32, DType.F16), libraries, 0);
        AttentionTap tap = TornadoRecordingTest.tap(Set.of(quantity), new ArrayList<>());
        long plain = Attention.of(settings, AttentionTap.NONE).copiedBytes();
        assertThat(Attention.of(settings, tap).copiedBytes()).isEqualTo(plain);
        AttentionTap keys = TornadoRecordingTest.tap(Set.of(Quantity.KEY_LOGITS), new ArrayList<>());
        assertThat(Attention.of(settings, keys).copiedBytes()).isGreaterThan(plain);
    }

    @Test
    void queriesBeyondF16_areReported() {
        try (TornadoOps ops = TornadoDevices.open("tornado", stored(DType.F32, DType.F16))) {
            Scope scope = ops.scope();
            Tensor q = ops.scratch(Shape.of(1, 8));
            ops.write(q, new float[] {1, 2, 3, 4, 5, 6, 7, 65520});
            Tensor k = ops.scratch(Shape.of(1, 8));
            ops.write(k, new float[8]);
            KvTensor cache = ops.kvCache(1, 1, 1, 1, 8);
            Dyn page = new Dyn("page", 1);
            page.set(0);
            ops.append(cache, k, k, page);
            Tensor _ = ops.attention(q, cache, page, 1, 1, AttentionTap.NONE);
            assertThatThrownBy(scope::close)
                    .isInstanceOf(NonFiniteException.class)
                    .hasMessage("queries: expected finite numbers up to 65504.0 as f16, got larger or undefined ones"
                            + "; device.cache bf16 has the range of f32");
        }
    }
}
