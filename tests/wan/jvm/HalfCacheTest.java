package wan.jvm;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import wan.RolloutErrors;
import wan.op.AttentionTap;
import wan.op.CachePart;
import wan.op.DType;
import wan.op.Dyn;
import wan.op.HalfFormat;
import wan.op.KvTensor;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;

/** Keys and values in 16 bits: all that is computed from them is what float32 gives for the rounded numbers, bit for bit. */
class HalfCacheTest {
    private static final int HEADS = 3;
    private static final int HEAD_DIM = 20;
    private static final int PAGES = 3;
    private static final int TOKENS = 30;
    private static final int DIM = HEADS * HEAD_DIM;

    static Stream<Arguments> kernels() {
        return Stream.of(JvmOptions.Kind.VECTOR, JvmOptions.Kind.SCALAR)
                .flatMap(kind -> Stream.of(DType.F16, DType.BF16).map(type -> Arguments.of(kind, type)));
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void attention_isThatOfTheRoundedKeysAndValues(JvmOptions.Kind kernels, DType type) {
        Random random = new Random(3);
        float[] k = Tensors.random(random, PAGES * TOKENS * DIM, false);
        float[] v = Tensors.random(random, PAGES * TOKENS * DIM, false);
        List<float[]> halves = results(new JvmOptions(2, kernels, type), k, v);
        List<float[]> floats = results(new JvmOptions(1, kernels), rounded(k, type), rounded(v, type));
        assertThat(halves).hasSameSizeAs(floats).hasSizeGreaterThan(6);
        for (int i = 0; i < floats.size(); i++) {
            assertThat(halves.get(i)).as("result %d", i).isEqualTo(floats.get(i));
        }
        assertThat(halves.getFirst())
                .isNotEqualTo(results(new JvmOptions(1, kernels), k, v).getFirst());
    }

    private static float[] rounded(float[] values, DType type) {
        float[] rounded = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            rounded[i] = HalfFormat.of(type).round(values[i]);
        }
        return rounded;
    }

    /** Whole rollouts of the float32 reference: off by no more than rounding the factors of products allows. */
    @ParameterizedTest
    @CsvSource({"rollout-d2, F16", "rollout-d2, BF16", "rollout-h128, F16", "rollout-h128, BF16"})
    void run_staysNearTheReference(String name, DType type) {
        RolloutErrors errors = RolloutErrors.of(name, () -> new JvmOps(new JvmOptions(2, JvmOptions.Kind.AUTO, type)));
        String figures = String.format(Locale.ROOT, "matrices %.1e, latents %.1e", errors.matrices(), errors.latents());
        double limit = RolloutErrors.limit(name, HalfFormat.of(type));
        assertThat(errors.matrices()).as(figures).isLessThan(limit).isGreaterThan(limit / 1000);
        assertThat(errors.latents()).as(figures).isLessThan(limit).isGreaterThan(limit / 1000);
    }

    /** The output, every quantity, keys and values. */
    private static List<float[]> results(JvmOptions options, float[] k, float[] v) {
        Random random = new Random(5);
        List<float[]> results = new ArrayList<>();
        try (JvmOps ops = new JvmOps(options);
                Scope _ = ops.scope()) {
            KvTensor cache = ops.kvCache(1, PAGES, TOKENS, HEADS, HEAD_DIM);
            Dyn pages = new Dyn("pages", PAGES);
            pages.set(new int[] {2, 0, 1});
            ops.append(cache, tensor(ops, k), tensor(ops, v), pages);
            RecordingTap tap = new RecordingTap(new int[] {0, 2}, Quantity.values());
            Tensor q = tensor(ops, Tensors.random(random, 40 * DIM, false));
            results.add(ops.read(ops.attention(q, cache, pages, 20, TOKENS, AttentionTap.NONE)));
            results.add(ops.read(ops.attention(q, cache, pages, 20, TOKENS, tap)));
            for (Quantity quantity : Quantity.values()) {
                results.add(quantity.inTiles() ? tap.tiles(quantity, 1, 40, PAGES * TOKENS) : tap.values(quantity));
            }
            results.add(ops.readPages(cache, CachePart.KEYS, new int[] {0, 1, 2}));
            results.add(ops.read(ops.loadPages(cache, CachePart.VALUES, pages)));
        }
        return results;
    }

    private static Tensor tensor(JvmOps ops, float[] values) {
        Tensor tensor = ops.scratch(Shape.of(values.length / DIM, DIM));
        ops.write(tensor, values);
        return tensor;
    }
}
