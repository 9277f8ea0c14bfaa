package tornado;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import tornado.TornadoDevices.Settings;
import wan.Goldens;
import wan.RolloutErrors;
import wan.backend.Storage;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.model.WanModel;
import wan.op.CachePart;
import wan.op.DType;
import wan.op.Dyn;
import wan.op.HalfFormat;
import wan.op.HostTensor;
import wan.op.KvTensor;
import wan.op.Linear;
import wan.op.NonFiniteException;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;
import wan.op.WanException;
import wan.op.WeightSource;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.run.Replay;
import wan.sampling.CausalSampler;
import wan.sampling.RunListener;
import wan.sampling.RunPlan;
import wan.selftest.RoundedOps;

/** Weights, keys and values in 16 bits: what is rounded, how, and what happens where the range ends. */
class TornadoStorageTest {
    private static TornadoOps tornado(DType weights, DType cache) {
        return TornadoDevices.open("tornado", new Settings("", new Storage(weights, cache), Set.of(), 0));
    }

    private static DType dtype(HalfFormat format) {
        return DType.valueOf(format.name());
    }

    /** What comes back when these are stored as keys, in rows of 32. */
    private static float[] stored(TornadoOps ops, float... values) {
        try (Scope _ = ops.scope()) {
            Tensor k = ops.scratch(Shape.of(Math.ceilDiv(values.length, 32), 32));
            ops.write(k, java.util.Arrays.copyOf(values, k.shape().intSize()));
            KvTensor cache = ops.kvCache(1, 1, k.shape().dim(0), 1, 32);
            Dyn page = new Dyn("page", 1);
            page.set(0);
            ops.append(cache, k, k, page);
            return ops.readPages(cache, CachePart.KEYS, new int[] {0});
        }
    }

    @ParameterizedTest
    @EnumSource
    void append_roundsToTheNearest_tiesToEven(HalfFormat format) {
        List<Float> tried = new ArrayList<>(List.of(0f, 1f / 3, -1f / 3, Math.nextDown(format.limit())));
        int infinity = format.infinity() << format.mantissaBits();
        // Normal numbers only of bfloat16: a device may flush float32's denormals.
        int first = format == HalfFormat.F16 ? 0 : 1 << format.mantissaBits();
        for (int pattern = first; pattern < infinity - 1; pattern += pattern < first + 200 ? 1 : 37) {
            float below = format.widen((short) pattern);
            float above = format.widen((short) (pattern + 1));
            float middle = below + (above - below) / 2;
            tried.addAll(List.of(below, middle, -middle, Math.nextUp(middle), Math.nextDown(middle)));
        }
        float[] values = new float[tried.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = tried.get(i);
        }
        try (TornadoOps ops = tornado(DType.F32, dtype(format))) {
            float[] stored = stored(ops, values);
            for (int i = 0; i < values.length; i++) {
                assertThat(stored[i]).as("of %s", values[i]).isEqualTo(format.widen(format.narrow(values[i])));
            }
        }
    }

    @Test
    void append_reports_whatTheTypeHasNoRoomFor() {
        try (TornadoOps ops = tornado(DType.F32, DType.F16)) {
            assertThat(stored(ops, 65519f)[0]).isEqualTo(65504f);
            assertThatThrownBy(() -> stored(ops, 1, 65520f))
                    .isInstanceOf(NonFiniteException.class)
                    .hasMessage("keys: expected finite numbers up to 65504.0 as f16, got larger or undefined ones"
                            + "; device.cache bf16 has the range of f32");
            assertThatThrownBy(() -> stored(ops, 1, Float.NaN)).isInstanceOf(NonFiniteException.class);
            assertThat(stored(ops, -7f)[0]).isEqualTo(-7f); // the next pass is judged on its own
        }
        try (TornadoOps ops = tornado(DType.F32, DType.BF16)) {
            assertThat(stored(ops, 65536f)[0]).isEqualTo(65536f);
            assertThatThrownBy(() -> stored(ops, Float.NEGATIVE_INFINITY)).isInstanceOf(NonFiniteException.class);
        }
    }

    static TensorView view(String name, Shape shape, float... values) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        return new TensorView(name, DType.F32, shape, MemorySegment.ofBuffer(bytes));
    }

    @Test
    void weights_beyondF16_areRefusedByName() {
        try (TornadoOps ops = tornado(DType.F16, DType.F32);
                Scope _ = ops.scope()) {
            Linear linear = ops.linearWeights(
                    view("blocks.3.ffn.0.weight", Shape.of(2, 2), 1, -70000, 65519, 80000),
                    view("blocks.3.ffn.0.bias", Shape.of(2), 0, 0));
            Tensor x = ops.scratch(Shape.of(1, 2));
            ops.write(x, new float[] {1, 1});
            assertThatThrownBy(() -> ops.read(ops.linear(x, linear)))
                    .isInstanceOf(WanException.class)
                    .hasMessage(
                            "linear blocks.3.ffn.0.weight: expected weights up to 65504.0 for device.weights f16, got 2 larger"
                                    + " ones, up to 80000.0; device.weights bf16 has the range of f32");
        }
    }

    /** All flows of a rollout of the reference, then its output. */
    private static List<HostTensor> rollOut(String name, Ops ops, String scaled, float factor) {
        List<HostTensor> flows = new ArrayList<>();
        try (Goldens golden = Goldens.open(name);
                Replay replay = Replay.open(Goldens.path(name));
                Goldens parameters =
                        Goldens.open("model-" + golden.config().get("model").asString())) {
            WeightSource source = (parameter, shape) -> {
                TensorView view = parameters.weights().get(parameter, shape);
                if (!parameter.equals(scaled)) {
                    return view;
                }
                float[] values = view.toFloats();
                for (int i = 0; i < values.length; i++) {
                    values[i] *= factor;
                }
                return view(parameter, shape, values);
            };
            WanModel model = new WanModel(Goldens.modelConfig(golden.config().get("model_config")), source, ops);
            RunPlan plan = RunPlan.of(replay.settings(), model.config().numLayers());
            CausalSampler sampler = new CausalSampler(plan, replay, replay.initialLatent());
            try (PassRunner runner = sampler.open(model, replay.promptEmbeds())) {
                flows.add(sampler.run(runner, new RunListener() {
                    @Override
                    public PassObserver passStarted(Pass pass) {
                        return PassObserver.NONE;
                    }

                    @Override
                    public void passDone(
                            Pass pass, HostTensor latents, @Nullable HostTensor flow, @Nullable HostTensor x0) {
                        if (flow != null) {
                            flows.add(flow);
                        }
                    }
                }));
            }
        }
        return flows;
    }

    /** The largest difference. */
    private static double distance(List<HostTensor> a, List<HostTensor> b) {
        assertThat(a).hasSameSizeAs(b);
        double worst = 0;
        for (int i = 0; i < a.size(); i++) {
            float[] x = a.get(i).values();
            float[] y = b.get(i).values();
            for (int j = 0; j < x.length; j++) {
                worst = Math.max(worst, Math.abs((double) x[j] - y[j]));
            }
        }
        return worst;
    }

    private static List<HostTensor> onJvm(String name, Storage storage) {
        try (Ops ops = new RoundedOps(new JvmOps(new JvmOptions(2, JvmOptions.Kind.AUTO)), storage)) {
            return rollOut(name, ops, "", 1);
        }
    }

    private static List<HostTensor> onDevice(String name, Storage storage) {
        try (Ops ops = tornado(storage.weights(), storage.cache())) {
            return rollOut(name, ops, "", 1);
        }
    }

    @ParameterizedTest
    @CsvSource({"rollout-a, BF16, false", "rollout-d2, F16, false", "rollout-h128, BF16, true"})
    void weights_areAllThatIsRounded(String name, DType weights, boolean checkpointIsOfThatType) {
        Storage storage = new Storage(weights, DType.F32);
        List<HostTensor> device = onDevice(name, storage);
        // Float32's tolerance: the arithmetic is the JVM's, on the same rounded weights.
        assertThat(distance(device, onJvm(name, storage))).isLessThanOrEqualTo(Goldens.ROLLOUT);
        double toExact = distance(device, onJvm(name, Storage.F32));
        if (checkpointIsOfThatType) {
            assertThat(toExact).isLessThanOrEqualTo(Goldens.ROLLOUT);
        } else {
            assertThat(toExact).isGreaterThan(Goldens.ROLLOUT);
        }
    }

    /**
     * A key or value that float32 puts beside a tie may round to the other side, one unit of the last place u away. So the distance to
     * the JVM on rounded keys and values has a bound of the size of u, and the distance to unrounded ones a few times it: 2^-8 for
     * bf16, 2^-11 for f16.
     */
    @ParameterizedTest
    @CsvSource({
        "rollout-a, BF16, -8",
        "rollout-a, F16, -11",
        "rollout-c, BF16, -8",
        "rollout-c2, F16, -11",
        "rollout-d, F16, -11"
    })
    void cache_isRoundedAsItsType(String name, DType cache, int exponent) {
        Storage storage = new Storage(DType.F32, cache);
        double unit = Math.scalb(1.0, exponent);
        List<HostTensor> device = onDevice(name, storage);
        double toRounded = distance(device, onJvm(name, storage));
        double toExact = distance(device, onJvm(name, Storage.F32));
        assertThat(toRounded).isLessThanOrEqualTo(unit);
        assertThat(toExact).isBetween(unit / 64, 4 * unit);
    }

    /** The first block is given, and its passes are not captured: capturing is recorded when all else has been. */
    @ParameterizedTest
    @EnumSource
    void captures_thatAreRecordedLater_readTheSamePages(HalfFormat format) {
        RolloutErrors errors = RolloutErrors.of("rollout-d", () -> tornado(DType.F32, dtype(format)));
        assertThat(errors.matrices()).isLessThan(RolloutErrors.limit("rollout-d", format));
        assertThat(errors.latents()).isLessThan(RolloutErrors.limit("rollout-d", format));
    }

    @Test
    void run_names_thePassAndTheLayer_whereTheRangeEnds() {
        try (Ops ops = tornado(DType.F32, DType.F16)) {
            assertThatThrownBy(() -> rollOut("rollout-a", ops, "blocks.1.self_attn.v.weight", 1e6f))
                    .isInstanceOf(NonFiniteException.class)
                    .hasMessageStartingWith("block0.step0: values after blocks.1.self_attn.v: expected finite");
        }
    }

    @Test
    void run_names_thePass_whereTheFlowIsNotFinite() {
        try (Ops ops = new JvmOps(new JvmOptions(1, JvmOptions.Kind.AUTO))) {
            assertThatThrownBy(() -> rollOut("rollout-a", ops, "head.head.bias", Float.POSITIVE_INFINITY))
                    .isInstanceOf(NonFiniteException.class)
                    .hasMessageStartingWith("block0.step0: flow: expected finite numbers, got 384 of 384 that are not");
        }
    }
}
