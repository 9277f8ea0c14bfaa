package wan.app.bench;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import wan.app.command.BenchCommand;
import wan.cache.Placement;
import wan.model.Caches;
import wan.model.Step;
import wan.model.WanConfig;
import wan.model.WanLayer;
import wan.model.WanModel;
import wan.op.AttentionKind;
import wan.op.AttentionTap;
import wan.op.DType;
import wan.op.Grid;
import wan.op.HostTensor;
import wan.op.KvTensor;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WeightSource;
import wan.pass.Pass;
import wan.pass.PassId;
import wan.sampling.RunCost;
import wan.weights.RandomModel;

/** A whole layer and a whole pass, by the model itself with random parameters, for {@link BenchCommand}. */
final class BenchModel {
    private static final long SEED = 1;
    private static final float TIMESTEP = 937.5f;

    private final Ops ops;
    private final WanConfig config;
    private final DType dtype;
    private final int frameSeqLen;
    private final int passLayers;
    private final WeightSource weights;
    private @Nullable WanLayer layer;
    private @Nullable WanModel model;

    /**
     * Draws nothing yet.
     *
     * @param config its layers are those that a pass really runs
     * @param dtype stored type of all parameters
     * @param arena the parameters lie there
     * @param passLayers layers of the pass that is asked about; more than the configuration's are estimated
     */
    BenchModel(Ops ops, WanConfig config, DType dtype, int frameSeqLen, int passLayers, Arena arena) {
        this.ops = ops;
        this.config = config;
        this.dtype = dtype;
        this.frameSeqLen = frameSeqLen;
        this.passLayers = passLayers;
        this.weights = RandomModel.inMemory(config, dtype, SEED, arena);
    }

    /** One layer, plain and watched. */
    List<BenchCase> layer(int frames, int keyFrames) {
        return List.of(
                layer(frames, keyFrames, "", Set.of()),
                layer(frames, keyFrames, "+frame-logits", Set.of(Quantity.FRAME_LOGITS)),
                layer(frames, keyFrames, "+frame-mass", Set.of(Quantity.FRAME_MASS)));
    }

    private BenchCase layer(int frames, int keyFrames, String suffix, Set<Quantity> wanted) {
        String shape = String.format(
                Locale.ROOT, "%d x %d, %d heads", frames * frameSeqLen, keyFrames * frameSeqLen, config.numHeads());
        return model("layer " + dtype.option() + suffix, shape, frames, keyFrames, 1, () -> {
            WanLayer measured = layer();
            KvTensor cache = filled(keyFrames);
            KvTensor context;
            try (Scope _ = ops.scope()) {
                context = measured.encodeContext(BenchCase.random(ops, config.textLen(), config.dim()));
            }
            Scope operands = ops.scope();
            Tensor x = BenchCase.random(ops, (long) frames * frameSeqLen, config.dim());
            Tensor e0 = BenchCase.random(ops, frames, 6L * config.dim());
            Step step = step(frames, keyFrames);
            AttentionTap tap = new BenchCase.Listener(wanted, config.numHeads());
            PassObserver observer = new PassObserver() {
                @Override
                public AttentionTap tap(int index, AttentionKind kind) {
                    return kind == AttentionKind.SELF ? tap : AttentionTap.NONE;
                }
            };
            return new BenchCase.Prepared(
                    ops,
                    operands,
                    List.of(cache, context),
                    () -> measured.forward(x, e0, step, cache, context, null, null, observer));
        });
    }

    /** One pass through all layers and the head, its text encoded before. */
    BenchCase pass(int frames, int keyFrames) {
        int measured = config.numLayers();
        String op = "pass " + dtype.option() + (measured < passLayers ? " from " + measured + " layers" : "");
        String shape = String.format(
                Locale.ROOT, "%d x %d, %d layers", frames * frameSeqLen, keyFrames * frameSeqLen, passLayers);
        return model(op, shape, frames, keyFrames, passLayers, () -> {
            WanModel all = model();
            List<KvTensor> caches = new ArrayList<>();
            for (int i = 0; i < measured; i++) {
                caches.add(filled(keyFrames));
            }
            List<KvTensor> context = all.encodeContext(host(1, config.textLen(), config.textDim()), measured);
            HostTensor latents = host(1, frames, config.inDim(), 2, 2L * frameSeqLen);
            float[] timesteps = new float[frames];
            Arrays.fill(timesteps, TIMESTEP);
            Step step = step(frames, keyFrames);
            LayerClock clock = new LayerClock(measured, passLayers);
            Caches both = new Caches(caches, context);
            return new BenchCase.Prepared(
                    ops,
                    ops.scope(),
                    Stream.of(caches, context).flatMap(List::stream).toList(),
                    () -> {
                        HostTensor _ = all.forward(latents, timesteps, step, both, clock);
                    },
                    clock::wholePass);
        });
    }

    private BenchCase model(
            String op, String shape, int frames, int keyFrames, int layers, Supplier<BenchCase.Prepared> prepare) {
        Pass pass = new Pass(
                new PassId(PassId.Kind.DENOISE, 0, 0),
                keyFrames - frames,
                frames,
                TIMESTEP,
                Placement.alone("", keyFrames),
                layers,
                true);
        double dim = config.dim();
        RunCost cost = new RunCost(config, 1, frameSeqLen);
        double floats = dim * frameSeqLen * (2.0 * frames + 2.0 * keyFrames);
        double bytes = layers * (cost.layerParameters() * (double) dtype.bits() / Byte.SIZE + Float.BYTES * floats);
        return new BenchCase(op, shape, cost.flops(pass), bytes, prepare);
    }

    private WanLayer layer() {
        WanLayer made = layer == null ? new WanLayer(0, config, weights, ops) : layer;
        layer = made;
        return made;
    }

    private WanModel model() {
        WanModel made = model == null ? new WanModel(config, weights, ops) : model;
        model = made;
        return made;
    }

    /** The pass's own frames are the last ones. */
    private Step step(int frames, int keyFrames) {
        int first = keyFrames - frames;
        return new Step(
                new Grid(frames, 1, frameSeqLen),
                BenchCase.dyn(IntStream.range(first, keyFrames).toArray()),
                BenchCase.dyn(IntStream.range(first, keyFrames).toArray()),
                BenchCase.dyn(IntStream.range(0, keyFrames).toArray()));
    }

    private KvTensor filled(int keyFrames) {
        return BenchCase.filledCache(ops, keyFrames, frameSeqLen, config.numHeads(), config.headDim());
    }

    private HostTensor host(long... dims) {
        try (Scope _ = ops.scope()) {
            return new HostTensor(Shape.of(dims), ops.read(BenchCase.random(ops, dims)));
        }
    }

    /** Measures layers within a pass, to add those that were not run. */
    private static final class LayerClock implements PassObserver {
        private final int measured;
        private final int wanted;
        private long first;
        private long last;

        LayerClock(int measured, int wanted) {
            this.measured = measured;
            this.wanted = wanted;
        }

        @Override
        public void layerDone(int index) {
            last = System.nanoTime();
            if (index == 0) {
                first = last;
            }
        }

        /** What the whole pass would have taken, given what the measured part of it took. */
        long wholePass(long taken) {
            return wanted == measured ? taken : taken + (wanted - measured) * ((last - first) / (measured - 1));
        }
    }
}
