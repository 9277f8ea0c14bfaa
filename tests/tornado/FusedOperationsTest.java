package tornado;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tornado.TornadoDevices.Settings;
import uk.ac.manchester.tornado.api.TaskGraph;
import wan.backend.Storage;
import wan.op.DType;
import wan.op.HostTensor;
import wan.op.ObservedOps;
import wan.op.Ops;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;

/** What is one launch where it can be gives the bits of its parts: recording an activation between them changes nothing. */
@ExtendWith(EmulatedCuda.class)
class FusedOperationsTest {
    /** Takes operations that are made of others apart. */
    private static final class Apart extends ObservedOps {
        Apart(Ops ops) {
            super(ops);
        }

        @Override
        protected Tensor observe(String op, double flops, Supplier<Tensor> call) {
            return call.get();
        }
    }

    @ParameterizedTest
    @CsvSource({"vector, F32, F32", "vector, F32, F16", "shared, F32, F32", "tensor, BF16, F16"})
    void rollout_isTheSame_together_andApart(String kernels, DType weights, DType cache) {
        assumeTrue(!TaskGraph.class.getModule().isNamed(), "a compiler may round a product and a sum once, or twice");
        Settings settings = new Settings(kernels, new Storage(weights, cache), Set.of(), 0);
        List<float[]> results = new ArrayList<>();
        List<Long> launches = new ArrayList<>();
        for (boolean apart : List.of(false, true)) {
            TornadoOps device = TornadoDevices.open("tornado", settings);
            try (Ops ops = apart ? new Apart(device) : device) {
                HostTensor latents = TornadoRecordingTest.rollOut("rollout-d2", ops, () -> {});
                results.add(latents.values());
                launches.add(device.counters().traffic().launches());
            }
        }
        assertThat(results.get(0)).isEqualTo(results.get(1));
        assertThat(launches.get(0)).isLessThan(launches.get(1));
    }

    /** The sums are made when they are read, and are used from then on. */
    @Test
    void modulation_thatIsReadOrWritten_isTheTensorThatItsShapeSays() {
        try (Ops ops = TornadoDevices.open("tornado", Settings.DEFAULT);
                Scope _ = ops.scope()) {
            Tensor table = ops.parameter(TornadoStorageTest.view("table", Shape.of(1, 2, 2), 1, 2, 3, 4));
            Tensor embedding = ops.scratch(Shape.of(1, 4));
            ops.write(embedding, new float[] {10, 20, 30, 40});
            Tensor m = ops.modulation(table, embedding);
            Tensor x = ops.scratch(Shape.of(1, 2));
            ops.write(x, new float[] {-1, 1}); // normalised already
            float[] before = ops.read(ops.layerNormModulate(x, m, 0, 1, 0));
            assertThat(before).containsExactly(-(1 + 33) + 11, (1 + 44) + 22);
            assertThat(ops.read(m)).containsExactly(11, 22, 33, 44);
            assertThat(ops.read(ops.layerNormModulate(x, m, 0, 1, 0))).containsExactly(before);
            ops.write(m, new float[] {0, 0, 1, 1});
            assertThat(ops.read(ops.layerNormModulate(x, m, 0, 1, 0))).containsExactly(-2, 2);
        }
    }
}
