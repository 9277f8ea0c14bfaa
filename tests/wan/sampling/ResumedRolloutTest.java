package wan.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import capture.Capture;
import capture.CapturePlan;
import capture.IndexList;
import capture.MemorySink;
import capture.PassChoice;
import capture.RunGeometry;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.noise.CudaGeometry;
import wan.noise.NoiseSource;
import wan.noise.Rng;
import wan.op.AttentionKind;
import wan.op.HostTensor;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Quantity;
import wan.op.Shape;
import wan.pass.Context;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.sampling.Method.CacheRule;
import wan.sampling.Method.Solver;
import wan.weights.RandomModel;

/** A rollout that goes on from any of its checkpoints gives the bits of one that was never stopped. */
public class ResumedRolloutTest {
    private static final List<Float> STEPS = List.of(1000f, 500f);

    static List<RunSettings> settings() {
        return List.of(
                new RunSettings(4, 4, 7, 0, 3, true, STEPS, 5, true, -1, 0, 0),
                new RunSettings(4, 4, 10, 0, 2, false, STEPS, 5, true, 4, 0, 0),
                new RunSettings(4, 4, 9, 0, 1, true, STEPS, 5, true, 3, 1, 20),
                new RunSettings(4, 4, 13, 0, 3, true, STEPS, 5, true, 6, 3, 0),
                new RunSettings(4, 4, 6, 4, 3, true, STEPS, 5, true, -1, 0, 0),
                new RunSettings(4, 4, 9, 3, 3, false, STEPS, 5, true, 4, 3, 0));
    }

    @ParameterizedTest
    @MethodSource("settings")
    void run_givesTheSameBits_fromEveryCheckpoint(RunSettings settings) {
        compare(settings, Rng.TORCH_CUDA);
    }

    @ParameterizedTest
    @EnumSource(Rng.class)
    void run_givesTheSameBits_ofEveryGenerator(Rng rng) {
        compare(new RunSettings(2, 2, 5, 0, 2, true, STEPS, 5, true, -1, 0, 0), rng);
    }

    private static void compare(RunSettings settings, Rng rng) {
        try (Ops ops = new JvmOps(new JvmOptions(1, JvmOptions.Kind.AUTO))) {
            compare(settings, rng, ops);
        }
    }

    static List<RunSettings> otherSamplers() {
        RunSettings base = new RunSettings(4, 4, 8, 0, 2, false, List.of(1000f, 750f, 500f), 5, true, -1, 0, 0);
        RunSettings solved = new RunSettings(4, 4, 4, 0, 2, false, STEPS, 5, true, -1, 0, 0);
        return List.of(
                base.with(new Method.RollingWindow(6, 8)),
                base.with(new Method.RollingWindow(4, 10)),
                base.with(new Method.RecomputedKeys(4, true, -1, 1)),
                base.with(new Method.RecomputedKeys(4, true, 2, 3)),
                base.with(new Method.FewStep(List.of(), CacheRule.LONGLIVE, true, List.of(4), false)),
                solved.with(new Method.Ode(Solver.UNIPC, 5, 6)),
                solved.with(new Method.Ode(Solver.DPMPP, 4, 1)),
                solved.with(new Method.Ode(Solver.UNIPC, 4, 3, 2, 3, false, true)),
                solved.with(new Method.Ode(Solver.DPMPP, 3, 3, 2, 3, false, true)));
    }

    @ParameterizedTest
    @MethodSource("otherSamplers")
    void run_givesTheSameBits_ofEverySampler(RunSettings settings) {
        compare(settings, Rng.TORCH_CPU);
    }

    /** A tensor that a run kept, with the place to go on from. */
    private record Kept(int passes, String name, HostTensor tensor) {}

    /** How often a run can be stopped: after a frame block, a window, or a step. */
    private static int places(RunSettings settings) {
        return switch (settings.method()) {
            case Method.RollingWindow _ ->
                settings.blockSizes().size() + settings.denoisingSteps().size() - 1;
            case Method.Ode ode ->
                ode.steps() * (ode.perFrameBlock() ? settings.blockSizes().size() : 1);
            default -> settings.blockSizes().size();
        };
    }

    /** Stops and goes on at every checkpoint of a run, and compares every bit. */
    public static void compare(RunSettings settings, Rng rng, Ops ops) {
        WanConfig config = RandomModel.tiny();
        RunPlan plan = RunPlan.of(settings, config.numLayers());
        if (settings.method().equals(Method.SELF_FORCING)) {
            plan = plan.withAllFlows(config.numLayers());
        }
        try (Arena arena = Arena.ofConfined()) {
            WanModel model = new WanModel(config, RandomModel.inMemory(config, 7, arena), ops);
            List<Kept> kept = new ArrayList<>();
            SequencedMap<String, HostTensor> whole = run(model, plan, rng, null, kept);
            assertThat(kept).hasSize(places(settings));
            for (Kept stop : kept) {
                Map<String, HostTensor> until = kept.stream()
                        .filter(one -> one.passes() <= stop.passes())
                        .collect(Collectors.toMap(Kept::name, Kept::tensor));
                List<Kept> later = new ArrayList<>();
                SequencedMap<String, HostTensor> resumed =
                        run(model, plan, rng, new Checkpoint(stop.passes(), until::get), later);
                assertThat(later).hasSize(kept.size() - kept.indexOf(stop) - 1);
                resumed.forEach((name, tensor) -> assertThat(tensor.values().length)
                        .as(name)
                        .isEqualTo(tensor(whole, name).values().length));
                assertThat(resumed.keySet().stream().filter(name -> !same(tensor(resumed, name), tensor(whole, name))))
                        .isEmpty();
                assertThat(resumed.keySet().stream().filter(name -> name.endsWith(".in")))
                        .hasSize(plan.passes().size() - stop.passes());
            }
        }
    }

    private static HostTensor tensor(SequencedMap<String, HostTensor> all, String name) {
        return Objects.requireNonNull(all.get(name), name);
    }

    private static boolean same(HostTensor a, HostTensor b) {
        return IntStream.range(0, a.values().length)
                .allMatch(i -> Float.floatToRawIntBits(a.values()[i]) == Float.floatToRawIntBits(b.values()[i]));
    }

    private static SequencedMap<String, HostTensor> run(
            WanModel model, RunPlan plan, Rng rng, @Nullable Checkpoint from, List<Kept> kept) {
        WanConfig config = model.config();
        RunSettings settings = plan.settings();
        CapturePlan everything = new CapturePlan(
                IndexList.parse("layers", "all", config.numLayers(), ""),
                EnumSet.allOf(AttentionKind.class),
                PassChoice.parse("all"),
                IndexList.parse("heads", "all", config.numHeads(), ""),
                EnumSet.allOf(Quantity.class));
        MemorySink sink = new MemorySink();
        RunGeometry geometry = new RunGeometry(
                1,
                settings.totalFrames(),
                settings.frameSeqLen(),
                config.textLen(),
                plan.timesteps().size());
        Capture capture = new Capture(everything, geometry, sink);
        NoiseSource noise = NoiseSource.of(rng, 42, true, CudaGeometry.H100);
        HostTensor given = settings.numInitialFrames() == 0
                ? null
                : waves(Shape.of(
                        1,
                        settings.numInitialFrames(),
                        config.inDim(),
                        settings.latentHeight(),
                        settings.latentWidth()));
        Sampler sampler = Sampler.of(plan, new SamplerInputs(noise, given));
        HostTensor embeds = waves(Shape.of(1, config.textLen(), config.textDim()));
        List<Context> prompts = List.of(new Context(embeds), new Context(HostTensor.zeros(embeds.shape())));
        SequencedMap<String, HostTensor> all = new LinkedHashMap<>();
        try (PassRunner runner = sampler.open(List.of(model), prompts)) {
            RunListener listener = new RunListener() {
                @Override
                public PassObserver passStarted(Pass pass) {
                    return capture.observe(pass);
                }

                @Override
                public void passDone(
                        Pass pass, HostTensor latents, @Nullable HostTensor flow, @Nullable HostTensor x0) {
                    all.put(pass.id() + ".in", latents);
                    if (flow != null && x0 != null) {
                        all.put(pass.id() + ".flow", flow);
                        all.put(pass.id() + ".x0", x0);
                    }
                }

                @Override
                public void resumable(int passes, String name, HostTensor tensor) {
                    kept.add(new Kept(passes, name, tensor));
                }

                @Override
                public void tensor(String name, HostTensor value) {
                    all.put(name, value);
                }
            };
            HostTensor output = from == null ? sampler.run(runner, listener) : sampler.run(runner, from, listener);
            all.putAll(sink.tensors());
            all.put("output", output);
        }
        return all;
    }

    private static HostTensor waves(Shape shape) {
        float[] values = new float[shape.intSize()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) Math.sin(i);
        }
        return new HostTensor(shape, values);
    }

    @Test
    void restore_takesNoMorePassesThanMatter() {
        // A window of one frame block before the present one, three layers: each step back needs one layer less.
        RunSettings settings = new RunSettings(4, 4, 12, 0, 2, false, STEPS, 5, true, 4, 0, 0);
        List<Pass> passes = RunPlan.of(settings, 3).passes();
        assertThat(restored(passes, 15))
                .isEqualTo(new TreeMap<>(Map.of("block2.ctx", 1, "block3.ctx", 2, "block4.ctx", 3)));
        // Nothing is attended any more.
        assertThat(restored(passes, passes.size())).isEmpty();
        // Without a window, all that came before.
        List<Pass> open = RunPlan.of(new RunSettings(4, 4, 12, 0, 2, false, STEPS, 5, true, -1, 0, 0), 3)
                .passes();
        assertThat(restored(open, 15).keySet())
                .containsExactlyElementsOf(IntStream.range(0, 5)
                        .mapToObj(b -> "block" + b + ".ctx")
                        .toList());
    }

    private static Map<String, Integer> restored(List<Pass> passes, int done) {
        TreeMap<String, Integer> layers = new TreeMap<>();
        CacheRestore.of(passes, done, _ -> false)
                .forEach(pass -> layers.put(pass.id().label(), pass.numLayers()));
        return layers;
    }
}
