package wan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import wan.cache.CacheLayout;
import wan.cache.Placement;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.op.AttentionKind;
import wan.op.AttentionTap;
import wan.op.HostTensor;
import wan.op.PassObserver;
import wan.op.Quantity;
import wan.op.Shape;
import wan.pass.Context;
import wan.pass.Pass;
import wan.pass.PassId;
import wan.pass.PassRunner;
import wan.weights.RandomModel;

/** A random model is worth running only if its numbers have the size of a trained one's. */
class RandomModelScaleTest {
    @Test
    void inMemory_keepsLogitsAndFlowOfOrderOne_throughThirtyLayers() {
        WanConfig config = new WanConfig(96, 256, 32, 16, 16, 12, 30, 24, 8, 1e-6f);
        List<Double> deviations = new ArrayList<>();
        try (Arena arena = Arena.ofShared();
                JvmOps ops = new JvmOps(new JvmOptions(1, JvmOptions.Kind.AUTO))) {
            WanModel model = new WanModel(config, RandomModel.inMemory(config, 4, arena), ops);
            HostTensor prompt = normal(Shape.of(1, 8, 24));
            try (PassRunner runner = new PassRunner(
                    List.of(model), List.of(new Context(prompt)), 8, 8, List.of(CacheLayout.passing(3)), 30)) {
                Pass pass = new Pass(
                        PassId.parse("block0.step0"), 0, 3, 1000, Placement.alone("block0.step0", 3), 30, true);
                HostTensor flow = runner.run(pass, normal(Shape.of(1, 3, 16, 8, 8)), collect(deviations));
                assertThat(deviation(Objects.requireNonNull(flow).values())).isBetween(0.5, 2.5);
            }
        }
        assertThat(deviations)
                .hasSizeGreaterThanOrEqualTo(2 * 30 * 12)
                .allSatisfy(std -> assertThat(std).isBetween(0.2, 5.0));
        assertThat(deviations.stream().mapToDouble(std -> std).average()).hasValueCloseTo(1.3, within(0.4));
    }

    private static PassObserver collect(List<Double> out) {
        return new PassObserver() {
            @Override
            public AttentionTap tap(int layer, AttentionKind kind) {
                return new AttentionTap() {
                    @Override
                    public Set<Quantity> wanted() {
                        return Set.of(Quantity.TOKEN_LOGITS);
                    }

                    @Override
                    public int[] heads() {
                        return IntStream.range(0, 12).toArray();
                    }

                    @Override
                    public void accept(Quantity quantity, Shape shape, float[] values) {
                        throw new AssertionError("not wanted");
                    }

                    @Override
                    public void acceptTokens(
                            Quantity quantity,
                            int batch,
                            int headIndex,
                            int firstQuery,
                            int queries,
                            int keys,
                            float[] tile) {
                        out.add(deviation(Arrays.copyOf(tile, queries * keys)));
                    }
                };
            }
        };
    }

    private static double deviation(float[] values) {
        double mean = IntStream.range(0, values.length)
                .mapToDouble(i -> values[i])
                .average()
                .orElseThrow();
        return Math.sqrt(IntStream.range(0, values.length)
                .mapToDouble(i -> (values[i] - mean) * (values[i] - mean))
                .average()
                .orElseThrow());
    }

    private static HostTensor normal(Shape shape) {
        SplittableRandom random = new SplittableRandom(1);
        float[] values = new float[shape.intSize()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return new HostTensor(shape, values);
    }
}
