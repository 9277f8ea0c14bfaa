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
import wan.pass.Pass;
import wan.pass.PassRunner;
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

    /** Stops and goes on at every checkpoint of a run, and compares every bit. */
    public static void compare(RunSettings settings, Rng rng, Ops ops) {
        WanConfig config = RandomModel.tiny();
        RunPlan plan = RunPlan.of(settings, config.numLayers()).withAllFlows(config.numLayers());
        try (Arena arena = Arena.ofConfined()) {
            WanModel model = new WanModel(config, RandomModel.inMemory(config, 7, arena), ops);
            List<Integer> stops = new ArrayList<>();
            SequencedMap<String, HostTensor> whole = run(model, plan, rng, null, stops);
            assertThat(stops).hasSize(settings.blockSizes().size());
            int frame = 0;
            for (int i = 0; i < stops.size(); i++) {
                frame += settings.blockSizes().get(i);
                HostTensor kept = HostTensor.zeros(tensor(whole, "output").shape());
                kept.setFrames(0, tensor(whole, "output").frames(0, frame));
                SequencedMap<String, HostTensor> resumed =
                        run(model, plan, rng, new Checkpoint(stops.get(i), kept), new ArrayList<>());
                resumed.forEach((name, tensor) -> assertThat(tensor.values().length)
                        .as(name)
                        .isEqualTo(tensor(whole, name).values().length));
                assertThat(resumed.keySet().stream().filter(name -> !same(tensor(resumed, name), tensor(whole, name))))
                        .isEmpty();
                long expected = plan.passes()
                        .subList(stops.get(i), plan.passes().size())
                        .size();
                assertThat(resumed.keySet().stream().filter(name -> name.endsWith(".flow")))
                        .hasSize((int) expected);
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
            WanModel model, RunPlan plan, Rng rng, @Nullable Checkpoint from, List<Integer> stops) {
        WanConfig config = model.config();
        RunSettings settings = plan.settings();
        CapturePlan everything = new CapturePlan(
                IndexList.parse("layers", "all", config.numLayers(), ""),
                EnumSet.allOf(AttentionKind.class),
                PassChoice.parse("all"),
                IndexList.parse("heads", "all", config.numHeads(), ""),
                EnumSet.allOf(Quantity.class));
        MemorySink sink = new MemorySink();
        RunGeometry geometry =
                new RunGeometry(1, settings.totalFrames(), settings.frameSeqLen(), config.textLen(), STEPS.size());
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
        CausalSampler sampler = new CausalSampler(plan, noise, given);
        HostTensor embeds = waves(Shape.of(1, config.textLen(), config.textDim()));
        SequencedMap<String, HostTensor> all = new LinkedHashMap<>();
        try (PassRunner runner = sampler.open(model, embeds)) {
            RunListener listener = new RunListener() {
                @Override
                public PassObserver passStarted(Pass pass) {
                    return capture.observe(pass);
                }

                @Override
                public void passDone(
                        Pass pass, HostTensor latents, @Nullable HostTensor flow, @Nullable HostTensor x0) {
                    if (flow != null && x0 != null) {
                        all.put(pass.id() + ".flow", flow);
                        all.put(pass.id() + ".x0", x0);
                    }
                }

                @Override
                public void frameBlockDone(int passes, int firstFrame, HostTensor latents) {
                    stops.add(passes);
                }
            };
            HostTensor output = from == null ? sampler.run(runner, listener) : sampler.resume(runner, from, listener);
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
        CacheRestore.of(passes, done).forEach(pass -> layers.put(pass.id().label(), pass.numLayers()));
        return layers;
    }
}
