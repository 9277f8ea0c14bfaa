package tornado;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tornado.TornadoDevices.Settings;
import uk.ac.manchester.tornado.api.TaskGraph;
import wan.RolloutErrors;
import wan.backend.Storage;
import wan.op.AttentionTap;
import wan.op.DType;
import wan.op.DeviceException;
import wan.op.Dyn;
import wan.op.HalfFormat;
import wan.op.KvTensor;
import wan.op.Ops;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;
import wan.selftest.SelfTest;

/** Attention by cuDNN, called by our provider: as the emulator has it, or as the tests' driver has it under TornadoVM itself. */
@Tag("slow")
@Tag(EmulatedCuda.NO_LIBRARY)
@ExtendWith(EmulatedCuda.class)
class CudnnTest {
    private static final int HEADS = 2;
    private static final int HEAD_DIM = 16;
    private static final int PAGE = 12;
    private static final int QUERIES = 6;

    private static Settings stored(DType weights, Set<Library> libraries) {
        return new Settings("", new Storage(weights, DType.F16), libraries, 0);
    }

    private static Settings cudnn() {
        return stored(DType.F32, Set.of(Library.CUDNN));
    }

    private static void onlyEmulated() {
        assumeTrue(!TaskGraph.class.getModule().isNamed(), "the emulator fails as it is told");
    }

    @Test
    void everyOperation_matchesTheOracle() {
        try (TornadoOps ops = TornadoDevices.open("tornado", cudnn())) {
            assertThat(ops.libraries()).containsExactly(Library.CUDNN);
            assertThat(SelfTest.run(ops, cudnn().storage(), "")).allMatch(SelfTest.Result::passed);
        }
    }

    @Test
    void run_staysNearTheReference_withBothLibraries() {
        String name = "rollout-d2";
        Settings settings = stored(DType.BF16, EnumSet.allOf(Library.class));
        RolloutErrors errors = RolloutErrors.of(name, () -> TornadoDevices.open("tornado", settings));
        String figures = String.format(Locale.ROOT, "matrices %.1e, latents %.1e", errors.matrices(), errors.latents());
        System.out.println("cuBLAS and cuDNN, " + name + ": " + figures);
        assertThat(errors.matrices()).as(figures).isLessThan(RolloutErrors.limit(name, HalfFormat.BF16));
        assertThat(errors.latents()).as(figures).isLessThan(RolloutErrors.limit(name, HalfFormat.BF16));
    }

    /** The result of an attention, and the masses of its keys in groups. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Attended(float[] result, List<Float> masses) {}

    /**
     * An attention of two samples over three pages of keys, which are the same wherever they lie.
     *
     * @param numbers of the pages in a cache of seven
     */
    private static Attended attend(Settings settings, int keyGroupTokens, int... numbers) {
        int batch = 2;
        int dim = HEADS * HEAD_DIM;
        List<Float> masses = new ArrayList<>();
        try (TornadoOps ops = TornadoDevices.open("tornado", settings);
                Scope _ = ops.scope()) {
            Random random = new Random(5);
            Tensor q = random(ops, random, batch * QUERIES, dim);
            Tensor k = random(ops, random, batch * numbers.length * PAGE, dim);
            Tensor v = random(ops, random, batch * numbers.length * PAGE, dim);
            KvTensor cache = ops.kvCache(batch, 7, PAGE, HEADS, HEAD_DIM);
            Dyn pages = new Dyn("pages", numbers.length);
            pages.set(numbers);
            ops.append(cache, k, v, pages);
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
                    for (float value : values) {
                        masses.add(value);
                    }
                }

                @Override
                public void acceptTokens(
                        Quantity quantity, int sample, int head, int first, int queries, int keys, float[] tile) {
                    throw new AssertionError(quantity);
                }
            };
            float[] result = ops.read(ops.attention(q, cache, pages, QUERIES, keyGroupTokens, tap));
            return new Attended(result, masses);
        }
    }

    private static Tensor random(Ops ops, Random random, int rows, int columns) {
        Tensor tensor = ops.scratch(Shape.of(rows, columns));
        float[] values = new float[rows * columns];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        ops.write(tensor, values);
        return tensor;
    }

    /** Pages side by side are read as they lie, in whatever order they are asked for; scattered ones by a table of blocks of four tokens. */
    @ParameterizedTest
    @ValueSource(ints = {PAGE, 4, 1})
    void pages_areAttendedToWhereverTheyLie(int keyGroupTokens) {
        Attended expected = attend(stored(DType.F32, Set.of()), keyGroupTokens, 0, 1, 2);
        int[][] places = {{0, 1, 2}, {3, 4, 5}, {5, 3, 4}, {6, 0, 3}, {1, 5, 4}};
        for (int[] numbers : places) {
            Attended actual = attend(cudnn(), keyGroupTokens, numbers);
            assertThat(actual.result()).hasSameSizeAs(expected.result());
            for (int i = 0; i < actual.result().length; i++) {
                assertThat(actual.result()[i]).isCloseTo(expected.result()[i], within(4e-3f));
            }
            assertThat(actual.masses()).hasSameSizeAs(expected.masses());
            for (int i = 0; i < actual.masses().size(); i++) {
                assertThat(actual.masses().get(i)).isCloseTo(expected.masses().get(i), within(2e-3f));
            }
        }
    }

    @Test
    void missingLibrary_isOneLine() {
        onlyEmulated();
        System.setProperty(EmulatedCuda.PROPERTY, "cuda,no-cudnn");
        assertThatThrownBy(() -> attend(cudnn(), PAGE, 0, 1, 2))
                .isInstanceOf(DeviceException.class)
                .hasMessage("device tornado:0:0: cuDNN: expected a library with the function"
                        + " cudnnBackendCreateDescriptor, got none");
    }

    @Test
    void oldLibrary_isOneLine() {
        onlyEmulated();
        System.setProperty(EmulatedCuda.PROPERTY, "cuda,old-cudnn");
        assertThatThrownBy(() -> attend(cudnn(), PAGE, 0, 1, 2))
                .isInstanceOf(WanException.class)
                .hasMessageEndingWith("cuDNN: expected version 9.15 or newer, got 90100");
    }

    /** The message names what failed, and the layer; whoever runs passes adds which one. */
    @Test
    void callThatFails_endsTheRun() {
        onlyEmulated();
        System.setProperty(EmulatedCuda.PROPERTY, "cuda,fails-cudnn-3");
        try (TornadoOps ops = TornadoDevices.open("tornado", cudnn())) {
            assertThatThrownBy(() -> TornadoRecordingTest.rollOut("rollout-a", ops, () -> {}))
                    .isInstanceOf(DeviceException.class)
                    .hasMessageMatching("block0\\.step0: device tornado:0:0 in or before blocks\\.[0-9.a-z_]+: cuDNN:"
                            + " cudnnBackendExecute of q \\[\\d+, \\d+, \\d+, \\d+], \\d+ keys, to f32: expected success,"
                            + " got status 5000 \\(the launch failed\\)");
        }
        System.setProperty(EmulatedCuda.PROPERTY, "cuda,fails-cudnn-1");
        assertThatThrownBy(() -> attend(cudnn(), PAGE, 6, 0, 3))
                .hasMessageContaining("36 keys in blocks of 4, masses of 8");
    }
}
