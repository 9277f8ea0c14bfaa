package tornado;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tornado.TornadoDevices.Settings;
import wan.RolloutErrors;
import wan.backend.Storage;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.op.DType;
import wan.op.HostTensor;
import wan.op.PassObserver;
import wan.op.Shape;
import wan.op.TensorView;
import wan.pass.Context;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.sampling.RunPlan;
import wan.sampling.RunSettings;

/** What a pass asks of a device: tornado/README.md has these numbers in a table. */
@ExtendWith(EmulatedCuda.class)
class TrafficTest {
    private static final WanConfig WAN = WanConfig.wan13b();

    /** The traffic of each pass of the 1.3B model at 480 x 832, by a rehearsal. */
    private static List<Traffic> rehearsed(Settings settings, int frames) {
        List<Traffic> passes = new ArrayList<>();
        try (Arena arena = Arena.ofConfined();
                TornadoOps ops = TornadoDevices.rehearse("tornado", settings)) {
            MemorySegment zeros = arena.allocate(4L * 6 * WAN.dim() * WAN.dim()); // the largest;
            WanModel model = new WanModel(
                    WAN,
                    (name, shape) ->
                            new TensorView(name, DType.F32, shape, zeros.asSlice(0, DType.F32.bytes(shape.size()))),
                    ops);
            RunPlan plan = RunPlan.of(RunSettings.of(60, 104, frames), WAN.numLayers());
            Context text = new Context(HostTensor.zeros(Shape.of(1, WAN.textLen(), WAN.textDim())));
            try (PassRunner runner =
                    new PassRunner(List.of(model), List.of(text), 60, 104, plan.caches(), plan.numLayers())) {
                for (Pass pass : plan.passes()) {
                    Traffic before = ops.counters().traffic();
                    HostTensor latents = HostTensor.zeros(Shape.of(1, pass.frames(), WAN.inDim(), 60, 104));
                    HostTensor _ = runner.run(pass, latents, PassObserver.NONE);
                    passes.add(ops.counters().traffic().since(before));
                }
            }
        }
        return passes;
    }

    private static Settings settings(String kernels, DType weights, DType cache, Set<Library> libraries) {
        return new Settings(kernels, new Storage(weights, cache), libraries, 0);
    }

    /** A denoising pass of the second frame block of three; with longer caches only the bytes copied of 16-bit keys and values grow. */
    @ParameterizedTest
    @CsvSource({
        "shared, F32, F32, '', 34, 436, 0, 0",
        "shared, BF16, F16, '', 34, 1071, 0, 16.5",
        "tensor, BF16, F16, '', 34, 439, 0, 0.1",
        "shared, F32, F32, CUBLAS, 34, 284, 242, 0",
        "tensor, BF16, F16, CUBLAS, 34, 285, 242, 0.0",
        "tensor, F8_E4M3, F16, CUBLAS, 34, 375, 242, 0.0",
        "tensor, F8_E4M3, F16, CUBLAS CUDNN, 34, 315, 302, 0.0",
        "shared, BF16, F16, CUBLAS CUDNN, 34, 225, 302, 0.0",
        "tensor, BF16, F16, CUBLAS CUDNN, 34, 225, 302, 0.0",
    })
    void pass_of13b(
            String kernels,
            DType weights,
            DType cache,
            String libraries,
            int executions,
            int launches,
            int calls,
            double copied) {
        Set<Library> chosen = EnumSet.noneOf(Library.class);
        for (String library : libraries.split(" ", -1)) {
            if (!library.isEmpty()) {
                chosen.add(Library.valueOf(library));
            }
        }
        List<Traffic> passes = rehearsed(settings(kernels, weights, cache, chosen), 7);
        Traffic pass = passes.get(passes.size() - 2);
        assertThat(pass.executions()).isEqualTo(executions);
        assertThat(pass.launches()).isEqualTo(launches);
        assertThat(pass.libraryCalls()).isEqualTo(calls);
        assertThat(pass.waits()).isEqualTo(1);
        assertThat(pass.copiedBytes() * 1e-9).isCloseTo(copied, within(0.05));
    }

    /** What is counted as it is asked for is what then runs, and what a rehearsal has counted. */
    @Test
    void traffic_isWhatRuns() {
        // The emulator has a thread for each item of the others.
        Settings settings = new Settings("vector", new Storage(DType.BF16, DType.F16), EnumSet.allOf(Library.class), 0);
        Forecast forecast;
        Traffic rehearsed;
        try (TornadoOps ops = TornadoDevices.rehearse("tornado", settings)) {
            HostTensor _ = TornadoRecordingTest.rollOut("rollout-d2", ops, () -> {});
            forecast = ops.forecast();
            rehearsed = ops.counters().traffic();
        }
        try (TornadoOps ops = TornadoDevices.open("tornado", settings, forecast)) {
            HostTensor _ = TornadoRecordingTest.rollOut("rollout-d2", ops, () -> {});
            Counters counters = ops.counters();
            Traffic asked = counters.traffic();
            assertThat(asked).isEqualTo(rehearsed);
            assertThat(asked.launches() + asked.libraryCalls()).isEqualTo(counters.kernels());
            assertThat(asked.executions()).isEqualTo(counters.executions() - 1); // one fills the device
            assertThat(asked.waits()).isEqualTo(7); // the text, and six passes
            assertThat(asked.copiedBytes()).isPositive();
        }
    }

    /** What is captured of a pass comes with its end. */
    @Test
    void captures_addNoWait() {
        List<TornadoOps> opened = new ArrayList<>();
        RolloutErrors _ = RolloutErrors.of("rollout-d2", () -> {
            opened.add(TornadoDevices.open("tornado", settings("vector", DType.F32, DType.F32, Set.of())));
            return opened.getFirst();
        });
        assertThat(opened.getFirst().counters().traffic().waits()).isEqualTo(7); // the text, and six passes
    }
}
