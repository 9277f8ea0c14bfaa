package tornado;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tornado.TornadoDevices.Settings;
import wan.Goldens;
import wan.backend.MemoryPlan;
import wan.backend.Storage;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.model.WanModel;
import wan.op.AttentionTap;
import wan.op.DType;
import wan.op.Dyn;
import wan.op.HostTensor;
import wan.op.KvTensor;
import wan.op.ObservedOps;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TracingOps;
import wan.op.WanException;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.run.Replay;
import wan.sampling.CausalSampler;
import wan.sampling.RunListener;
import wan.sampling.RunPlan;

/** What is recorded, when, and what capturing adds to it. */
class TornadoRecordingTest {
    private static TornadoOps tornado() {
        return TornadoDevices.open("tornado", Settings.DEFAULT);
    }

    /** Runs a rollout of the reference; returns its latents. */
    static HostTensor rollOut(String name, Ops ops, Runnable afterEachPass) {
        try (Goldens golden = Goldens.open(name);
                Replay replay = Replay.open(Goldens.path(name));
                Goldens parameters =
                        Goldens.open("model-" + golden.config().get("model").asString())) {
            WanModel model =
                    new WanModel(Goldens.modelConfig(golden.config().get("model_config")), parameters.weights(), ops);
            RunPlan plan = RunPlan.of(replay.settings(), model.config().numLayers());
            CausalSampler sampler = new CausalSampler(plan, replay, replay.initialLatent());
            try (PassRunner runner = sampler.open(model, replay.promptEmbeds())) {
                return sampler.run(runner, new RunListener() {
                    @Override
                    public PassObserver passStarted(Pass pass) {
                        return PassObserver.NONE;
                    }

                    @Override
                    public void passDone(
                            Pass pass, HostTensor latents, @Nullable HostTensor flow, @Nullable HostTensor x0) {
                        afterEachPass.run();
                    }
                });
            }
        }
    }

    @Test
    void trace_isTheSame_eagerAndRecorded() {
        List<List<String>> traces = new ArrayList<>();
        for (Ops backend : List.of(new JvmOps(new JvmOptions(1, JvmOptions.Kind.AUTO)), tornado())) {
            try (TracingOps ops = new TracingOps(backend)) {
                HostTensor _ = rollOut("rollout-d2", ops, () -> {});
                traces.add(List.copyOf(ops.trace()));
            }
        }
        assertThat(traces.get(0)).isNotEmpty().isEqualTo(traces.get(1));
    }

    /** Counts the kernels that the operations it sees should take. */
    private static final class CountingOps extends ObservedOps {
        private long kernels;

        CountingOps(Ops ops) {
            super(ops);
        }

        @Override
        protected Tensor observe(String op, double flops, Supplier<Tensor> call) {
            kernels += switch (op) {
                case "append" -> 2; // keys and values
                case "modulation" -> 0; // those that use it add
                default -> 1;
            };
            return call.get();
        }

        @Override
        public float[] read(Tensor source) {
            kernels++;
            return super.read(source);
        }
    }

    @Test
    void passes_runTheKernelsOfTheirOperations_recordedOrReplayed() {
        List<Long> expected = new ArrayList<>();
        List<Long> launched = new ArrayList<>();
        int[] passes = {0};
        TornadoOps ops = tornado();
        try (CountingOps counting = new CountingOps(ops)) {
            HostTensor _ = rollOut("rollout-d2", counting, () -> {
                passes[0]++;
                int together = passes[0]; // timesteps and latents of a pass go up at once
                expected.add(counting.kernels - together);
                // One in each graph but those that fill the device and, before it is filled anew, fetch what is there.
                long around = ops.counters().executions() - 2L * ops.counters().programs() + 1;
                launched.add(ops.counters().kernels() - around);
            });
        }
        assertThat(launched).isNotEmpty().isEqualTo(expected);
    }

    /** What is written goes up before all calls of its graph, but only where that changes nothing. */
    @Test
    void writes_keepTheirPlaceAmongCalls() {
        try (Ops ops = tornado();
                Scope _ = ops.scope()) {
            Tensor x = ops.scratch(Shape.of(1, 2));
            ops.write(x, new float[] {1, 2});
            ops.write(x, new float[] {3, 4});
            Tensor before = ops.silu(x);
            ops.write(x, new float[] {5, 6});
            Tensor after = ops.silu(x);
            Tensor fresh = ops.scratch(Shape.of(1, 3));
            ops.write(fresh, new float[] {7, 8, 9});
            Tensor last = ops.silu(fresh);
            assertThat(ops.read(before)).containsExactly(silu(3, 4), within(1e-5f));
            assertThat(ops.read(after)).containsExactly(silu(5, 6), within(1e-5f));
            assertThat(ops.read(last)).containsExactly(silu(7, 8, 9), within(1e-5f));
        }
    }

    /** The device reads the grid of a task where it is kept between executions. */
    @ParameterizedTest
    @CsvSource({"3, 3, 1", "3, 40, 1", "3, 400, 2"})
    void graphThatRunsAgain_waits_onlyWhereItsGridsChange(int first, int second, int waits) {
        try (TornadoOps ops = tornado()) {
            try (Scope _ = ops.scope()) {
                Tensor x = ops.scratch(Shape.of(1, 1200));
                for (int columns : new int[] {first, second}) {
                    try (Scope _ = ops.scope()) {
                        ops.averageHeads(x, 1200 / columns, new int[] {0}, 1);
                    }
                }
            }
            assertThat(ops.counters().traffic().waits()).isEqualTo(waits);
        }
    }

    private static float[] silu(float... values) {
        float[] result = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            result[i] = (float) (values[i] / (1 + Math.exp(-values[i])));
        }
        return result;
    }

    @ParameterizedTest
    @CsvSource({"F32, F32, 5", "BF16, F32, 5", "BF16, F16, 5"})
    void passes_compileNothing_afterTheFirstOfEachKind(DType weights, DType cache, int graphs) {
        try (TornadoOps ops =
                TornadoDevices.open("tornado", new Settings("", new Storage(weights, cache), Set.of(), 0))) {
            List<Integer> compiled = new ArrayList<>();
            List<Integer> programs = new ArrayList<>();
            HostTensor _ = rollOut("rollout-a", ops, () -> {
                compiled.add(ops.counters().compiledGraphs());
                programs.add(ops.counters().programs());
            });
            // [1,3,3] frames, four steps and a context pass each: one recording serves all of them.
            assertThat(compiled).hasSize(15);
            assertThat(compiled.subList(1, 15)).containsOnly(compiled.getFirst());
            assertThat(programs).containsOnly(2); // one for the text, one with the model
            // Two of the text; embedding, a layer, head.
            assertThat(ops.counters().graphs()).isEqualTo(graphs);
        }
    }

    @ParameterizedTest
    @CsvSource({"F32, F32", "BF16, F16"})
    void rehearsedRollout_isRecordedOnce_andGivesTheSameBits(DType weights, DType cache) {
        Settings settings = new Settings("", new Storage(weights, cache), Set.of(), 0);
        HostTensor expected;
        try (Ops ops = TornadoDevices.open("tornado", settings)) {
            expected = rollOut("rollout-a", ops, () -> {});
        }
        Forecast forecast;
        MemoryPlan needed;
        try (TornadoOps ops = TornadoDevices.rehearse("tornado", settings)) {
            HostTensor _ = rollOut("rollout-a", ops, () -> {});
            forecast = ops.forecast();
            needed = ops.memoryPlan();
        }
        try (TornadoOps ops = TornadoDevices.open("tornado", settings, forecast)) {
            HostTensor actual = rollOut("rollout-a", ops, () -> {});
            assertThat(actual.values()).isEqualTo(expected.values());
            assertThat(ops.counters().programs()).isEqualTo(1);
            assertThat(ops.memoryPlan()).isEqualTo(needed);
        }
        // What was foreseen may not come: another rollout has other sizes and parameters.
        try (TornadoOps ops = TornadoDevices.open("tornado", settings, forecast)) {
            HostTensor other = rollOut("rollout-d2", ops, () -> {});
            try (Ops plain = TornadoDevices.open("tornado", settings)) {
                assertThat(other.values())
                        .isEqualTo(rollOut("rollout-d2", plain, () -> {}).values());
            }
        }
    }

    /** One attention with or without a tap; what it has executed and recorded, and its result. */
    record Attention(long executions, int graphs, long copiedBytes, List<Float> result) {
        private static Attention of(AttentionTap tap) {
            return of(Settings.DEFAULT, tap);
        }

        static Attention of(Settings settings, AttentionTap tap) {
            try (TornadoOps ops = TornadoDevices.open("tornado", settings);
                    Scope _ = ops.scope()) {
                Tensor q = ops.scratch(Shape.of(6, 16));
                ops.write(q, random(96));
                Dyn page = new Dyn("page", 1);
                page.set(0);
                KvTensor cache = ops.kvCache(1, 1, 6, 2, 8);
                ops.append(cache, q, q, page);
                Tensor y = ops.attention(q, cache, page, 6, 6, tap);
                List<Float> result = new ArrayList<>();
                for (float value : ops.read(y)) {
                    result.add(value);
                }
                Counters counters = ops.counters();
                return new Attention(
                        counters.executions(),
                        counters.graphs(),
                        counters.traffic().copiedBytes(),
                        result);
            }
        }
    }

    private static float[] random(int count) {
        java.util.Random random = new java.util.Random(1);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** Takes what is wanted of both heads. */
    static AttentionTap tap(Set<Quantity> wanted, List<Quantity> seen) {
        return new AttentionTap() {
            @Override
            public Set<Quantity> wanted() {
                return wanted;
            }

            @Override
            public int[] heads() {
                return new int[] {0, 1};
            }

            @Override
            public List<int[]> regions() {
                return List.of(new int[] {0, 2});
            }

            @Override
            public void accept(Quantity quantity, Shape shape, float[] values) {
                seen.add(quantity);
            }

            @Override
            public void acceptTokens(
                    Quantity quantity, int batch, int headIndex, int firstQuery, int queries, int keys, float[] tile) {
                seen.add(quantity);
            }
        };
    }

    @Test
    void capture_addsExactlyItsGraphs_andChangesNoBit() {
        Attention off = Attention.of(AttentionTap.NONE);
        List<Quantity> seen = new ArrayList<>();
        Attention nothing = Attention.of(tap(Set.of(), seen));
        Attention one = Attention.of(tap(Set.of(Quantity.FRAME_LOGITS), seen));
        Attention two = Attention.of(tap(Set.of(Quantity.FRAME_LOGITS, Quantity.KEY_LOGITS), seen));
        Attention mass = Attention.of(tap(Set.of(Quantity.FRAME_MASS), seen));
        assertThat(nothing.graphs()).isEqualTo(off.graphs());
        assertThat(nothing.executions()).isEqualTo(off.executions());
        assertThat(one.graphs()).isEqualTo(off.graphs() + 1);
        assertThat(one.executions()).isEqualTo(off.executions() + 1);
        assertThat(two.graphs()).isEqualTo(off.graphs() + 2);
        assertThat(two.executions()).isEqualTo(off.executions() + 2);
        // Masses come from an attention that keeps them; reading its result is then a graph of its own.
        assertThat(mass.graphs()).isEqualTo(off.graphs() + 1);
        assertThat(mass.executions()).isEqualTo(off.executions() + 1);
        assertThat(seen)
                .containsExactly(
                        Quantity.FRAME_LOGITS, Quantity.FRAME_LOGITS, Quantity.KEY_LOGITS, Quantity.FRAME_MASS);
        assertThat(mass.result()).isEqualTo(off.result());
        assertThat(one.result()).isEqualTo(off.result());
        assertThat(two.result()).isEqualTo(off.result());
    }

    /** The plan of a rehearsal and that of the program which the same rollout then had. */
    @Test
    void rehearsal_knowsTheMemoryOfTheRun_andRunsNothing() {
        for (String name : List.of("rollout-a", "rollout-d2")) {
            MemoryPlan needed;
            try (TornadoOps ops = TornadoDevices.rehearse("tornado", Settings.DEFAULT)) {
                rollOut(name, ops, () -> {});
                assertThat(ops.counters().executions()).isZero();
                needed = ops.memoryPlan();
            }
            try (TornadoOps ops = tornado()) {
                rollOut(name, ops, () -> {});
                assertThat(ops.memoryPlan()).as(name).isEqualTo(needed);
            }
        }
    }

    @Test
    void morePagesThanAGraphCanName_areRefused() {
        try (TornadoOps ops = tornado();
                Scope _ = ops.scope()) {
            int pages = 8193;
            Tensor k = ops.scratch(Shape.of(pages, 2));
            KvTensor cache = ops.kvCache(1, pages, 1, 1, 2);
            Dyn all = new Dyn("pages", pages);
            all.set(IntStream.range(0, pages).toArray());
            ops.append(cache, k, k, all);
            assertThatThrownBy(() -> ops.read(k))
                    .isInstanceOf(WanException.class)
                    .hasMessageStartingWith(
                            "one graph: expected at most 8192 numbers of pages and heads, got 8193; use");
        }
    }

    @Test
    void open_refuses_aDeviceThatIsNotThere() {
        assertThatThrownBy(() -> TornadoDevices.open("tornado:7:0", Settings.DEFAULT))
                .isInstanceOf(WanException.class)
                .hasMessageContaining("device.name tornado:7:0: expected tornado or one of tornado:0:0");
    }

    @Test
    void recording_isRefused_beforeItAllocatesMoreThanThereIs() {
        try (TornadoOps ops = TornadoDevices.open("tornado", new Settings("", Storage.F32, Set.of(), 1 << 20));
                Scope _ = ops.scope()) {
            Tensor x = ops.scratch(Shape.of(1024, 1024));
            assertThatThrownBy(() -> ops.read(ops.silu(x)))
                    .isInstanceOf(WanException.class)
                    .hasMessageContaining("expected 12.")
                    .hasMessageContaining("got 1.0 MiB")
                    .hasMessageContaining("device.memory_bytes");
        }
    }

    /** Widths of the 14B model, and the tokens of its whole video. */
    @Test
    void activationsThatOneArrayCannotHold_areRefusedByTheRehearsal() {
        try (TornadoOps ops = TornadoDevices.rehearse("tornado", Settings.DEFAULT);
                Scope _ = ops.scope()) {
            for (int i = 0; i < 7; i++) {
                Tensor _ = ops.scratch(Shape.of(32760, 5120));
            }
            for (int i = 0; i < 2; i++) {
                Tensor _ = ops.scratch(Shape.of(32760, 13824));
            }
            assertThatThrownBy(() -> ops.scratch(Shape.of(32760, 13824)))
                    .isInstanceOf(WanException.class)
                    .hasMessage("scratch [32760, 13824]: expected at most 2147479551 activations at once,"
                            + " which one array can hold, got 2532741136; fewer frames at once or a smaller video");
        }
    }

    @Test
    void attention_refuses_aPageThatWasNeverWritten() {
        try (TornadoOps ops = tornado();
                Scope _ = ops.scope()) {
            Dyn page = new Dyn("page", 1);
            page.set(1);
            Tensor q = ops.scratch(Shape.of(6, 8));
            KvTensor cache = ops.kvCache(1, 2, 6, 2, 4);
            assertThatThrownBy(() -> ops.attention(q, cache, page, 6, 6, AttentionTap.NONE))
                    .isInstanceOf(WanException.class)
                    .hasMessageContaining("a page that was written");
        }
    }
}
