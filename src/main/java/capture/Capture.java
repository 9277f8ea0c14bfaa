package capture;

import java.util.BitSet;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import wan.op.AttentionKind;
import wan.op.AttentionTap;
import wan.op.HostTensor;
import wan.op.NonFiniteException;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Quantity;
import wan.op.Shape;
import wan.op.Site;
import wan.op.Tensor;
import wan.op.WanException;
import wan.pass.Pass;

/**
 * Captures the quantities of a plan during a run: it makes the taps of the passes, sends tensors to a sink, and assembles one
 * frame matrix per layer.
 *
 * <p>Pass {@link #observe} to the run; read {@link #matrix} on the thread of the run or after it.
 */
public final class Capture {
    /** How far a query's masses may be from 1 in sum: bfloat16 products and thousands of key groups stay well below it. */
    private static final double MASS_TOLERANCE = 1e-3;

    /** Quantities that are also assembled over the whole rollout. */
    private static final Set<Quantity> ASSEMBLED = Set.of(Quantity.FRAME_LOGITS, Quantity.FRAME_MASS);

    private final CapturePlan plan;
    private final RunGeometry run;
    private final CaptureSink sink;
    private final boolean keepNonFinite;
    private final SeenKeys seenKeys;
    private final Map<Quantity, Map<Integer, FrameMatrix>> matrices = new EnumMap<>(Quantity.class);

    /** As the other, ending the run at the first value that is not finite. */
    public Capture(CapturePlan plan, RunGeometry run, CaptureSink sink) {
        this(plan, run, sink, false);
    }

    /** As the other, with heads that see all keys. */
    public Capture(CapturePlan plan, RunGeometry run, CaptureSink sink, boolean keepNonFinite) {
        this(plan, run, sink, keepNonFinite, SeenKeys.ALL);
    }

    /**
     * Prepares a capture.
     *
     * @param run the sizes of the run
     * @param sink where the tensors go
     * @param keepNonFinite whether values that are not finite are kept as they are; else they end the run
     * @param seenKeys the keys that each head attends to; values of other keys are not checked
     */
    public Capture(CapturePlan plan, RunGeometry run, CaptureSink sink, boolean keepNonFinite, SeenKeys seenKeys) {
        plan.passes().check(run.numSteps());
        this.plan = plan;
        this.run = run;
        this.sink = sink;
        this.keepNonFinite = keepNonFinite;
        this.seenKeys = seenKeys;
        for (Quantity quantity : assembled(plan)) {
            matrices.put(quantity, new TreeMap<>());
        }
    }

    private static Set<Quantity> assembled(CapturePlan plan) {
        Set<Quantity> assembled = EnumSet.noneOf(Quantity.class);
        if (plan.kinds().contains(AttentionKind.SELF)) {
            assembled.addAll(ASSEMBLED);
            assembled.retainAll(plan.quantities());
        }
        return assembled;
    }

    /** Bytes of all matrices of a capture. */
    public static long matrixBytes(CapturePlan plan, RunGeometry run) {
        long cells = (long) run.totalFrames() * run.totalFrames();
        return cells
                * assembled(plan).size()
                * plan.layers().size()
                * (1 + (long) Float.BYTES * plan.heads().size());
    }

    /** The observer of one pass. Its taps throw {@link NonFiniteException}s, which name layer, head and quantity. */
    public PassObserver observe(Pass pass) {
        boolean wanted = plan.passes().includes(pass.id(), run.numSteps());
        return new PassObserver() {
            @Override
            public AttentionTap tap(int layer, AttentionKind kind) {
                return wanted
                                && plan.layers().contains(layer)
                                && plan.kinds().contains(kind)
                                && !plan.wanted(pass).isEmpty()
                        ? new Tap(pass, layer, kind)
                        : AttentionTap.NONE;
            }

            @Override
            public boolean keepsNonFinite() {
                return keepNonFinite;
            }

            @Override
            public boolean looksAt(int layer, Site site) {
                return wanted
                        && plan.layers().contains(layer)
                        && plan.recorded().sites().contains(site);
            }

            @Override
            public void visit(int layer, Site site, Tensor x, Ops ops) {
                float[] all = ops.read(x);
                float[] values = site.byHead() ? capturedHeads(all) : all;
                Shape shape = plan.shape(pass, site, run);
                if (!keepNonFinite) {
                    NonFiniteException.check("layer " + layer + ", " + site.option(), shape, values);
                }
                sink.write(CapturePlan.name(pass.id(), layer, site), shape, values);
            }
        };
    }

    /** The plan's heads of [R, numHeads, headDim]. */
    private float[] capturedHeads(float[] all) {
        int headDim = plan.recorded().headDim();
        int numHeads = plan.recorded().numHeads();
        int heads = plan.heads().size();
        float[] some = new float[all.length / numHeads * heads];
        for (int i = 0; i < some.length / headDim; i++) {
            int from = i / heads * numHeads + plan.heads().get(i % heads);
            System.arraycopy(all, from * headDim, some, i * headDim, headDim);
        }
        return some;
    }

    /** Layers of which a quantity has been captured so far, ascending, with their matrices. */
    public Map<Integer, FrameMatrix> matrices(Quantity quantity) {
        return new TreeMap<>(matrices.getOrDefault(quantity, Map.of()));
    }

    /**
     * The self-attention frame logits of one layer.
     *
     * @throws WanException if they were not captured
     */
    public FrameMatrix matrix(int layer) {
        FrameMatrix matrix =
                matrices.getOrDefault(Quantity.FRAME_LOGITS, Map.of()).get(layer);
        if (matrix == null) {
            throw new WanException("capture: no frame logits of layer " + layer + " have been captured");
        }
        return matrix;
    }

    /**
     * Takes into its matrices what was captured of the same plan before.
     *
     * @param passes that were run, in order
     * @param written gives a tensor by its name, or null if it was not captured
     */
    public void restore(List<Pass> passes, Function<String, @Nullable HostTensor> written) {
        for (Pass pass : plan.captured(passes, run.numSteps())) {
            for (Quantity quantity : matrices.keySet()) {
                for (int layer : plan.layers()) {
                    HostTensor tensor =
                            written.apply(CapturePlan.name(pass.id(), layer, AttentionKind.SELF, quantity, run));
                    if (tensor != null) {
                        enter(quantity, layer, pass, tensor.values());
                    }
                }
            }
        }
    }

    private void enter(Quantity quantity, int layer, Pass pass, float[] values) {
        Map<Integer, FrameMatrix> assembled = matrices.get(quantity);
        if (assembled != null) {
            assembled
                    .computeIfAbsent(layer, l -> new FrameMatrix(plan.heads().size(), run.totalFrames()))
                    .put(pass, values);
        }
    }

    private final class Tap implements AttentionTap {
        private final Pass pass;
        private final int layer;
        private final AttentionKind kind;
        private final Map<Quantity, CaptureSink.Pieces> tiled = new EnumMap<>(Quantity.class);

        Tap(Pass pass, int layer, AttentionKind kind) {
            this.pass = pass;
            this.layer = layer;
            this.kind = kind;
        }

        @Override
        public Set<Quantity> wanted() {
            return plan.wanted(pass);
        }

        @Override
        public List<int[]> regions() {
            return plan.regions().queries(pass);
        }

        @Override
        public int[] heads() {
            return plan.heads().stream().mapToInt(Integer::intValue).toArray();
        }

        @Override
        public void accept(Quantity quantity, Shape shape, float[] values) {
            check(quantity, shape, values);
            if (kind == AttentionKind.SELF) {
                enter(quantity, layer, pass, values);
            }
            sink.write(CapturePlan.name(pass.id(), layer, kind, quantity, run), shape, values);
        }

        @Override
        public void acceptTokens(
                Quantity quantity, int batch, int headIndex, int firstQuery, int queries, int keys, float[] tile) {
            BitSet seen = seen(headIndex);
            for (int i = 0; i < queries * keys && !keepNonFinite; i++) {
                if (seen != null && !seen.get(i % keys / run.frameSeqLen())) {
                    continue;
                }
                boolean blocked = tile[i] == Float.NEGATIVE_INFINITY && (quantity == Quantity.LOGITS_USED || masked());
                if (!Float.isFinite(tile[i]) && !blocked) {
                    throw new NonFiniteException(String.format(
                            Locale.ROOT,
                            "%s: expected finite numbers, got %s at query %d, key %d",
                            where(quantity, headIndex),
                            tile[i],
                            firstQuery + i / keys,
                            i % keys));
                }
            }
            long row =
                    ((long) batch * plan.heads().size() + headIndex) * pass.frames() * run.frameSeqLen() + firstQuery;
            pieces(quantity).write(row * keys, tile, queries * keys);
        }

        /** @param shape [B, N, query groups or queries, key groups or keys] */
        private void check(Quantity quantity, Shape shape, float[] captured) {
            int heads = shape.dim(1);
            int columns = shape.dim(3);
            float[] values = withoutUnseen(shape, captured);
            for (int row = 0; row < values.length; row += columns) {
                double sum = 0;
                for (int i = row; i < row + columns; i++) {
                    sum += values[i] == Float.NEGATIVE_INFINITY && masked() ? 0 : values[i];
                }
                int head = row / columns / shape.dim(2) % heads;
                if (!Double.isFinite(sum)) {
                    if (!keepNonFinite) {
                        NonFiniteException.check(where(quantity, head), shape, values);
                    }
                } else if (quantity.isMass() && Math.abs(sum - 1) > MASS_TOLERANCE) {
                    throw WanException.mismatch(
                            pass.id() + ": " + where(quantity, head),
                            "weights that sum to 1",
                            sum,
                            "a fault of the backend");
                }
            }
        }

        private @Nullable BitSet seen(int headIndex) {
            return kind == AttentionKind.SELF
                    ? seenKeys.of(pass, layer, plan.heads().get(headIndex))
                    : null;
        }

        /** The values with zeros where a head does not see the key. */
        private float[] withoutUnseen(Shape shape, float[] captured) {
            int columns = shape.dim(3);
            int rowsOfHead = shape.dim(2);
            float[] values = captured;
            boolean copied = false;
            for (int row = 0; row < captured.length / columns; row++) {
                BitSet seen = seen(row / rowsOfHead % shape.dim(1));
                for (int i = 0; seen != null && i < columns; i++) {
                    if (!seen.get(i * pass.placement().keys() / columns)) {
                        values = copied ? values : captured.clone();
                        copied = true;
                        values[row * columns + i] = 0;
                    }
                }
            }
            return values;
        }

        /** Whether the pass hides keys, whose logits then are minus infinity. */
        private boolean masked() {
            return kind == AttentionKind.SELF && pass.causalFrames() > 0;
        }

        private String where(Quantity quantity, int headIndex) {
            return String.format(
                    Locale.ROOT,
                    "layer %d, head %d, %s-attention %s",
                    layer,
                    plan.heads().get(headIndex),
                    kind.name().toLowerCase(Locale.ROOT),
                    quantity.option());
        }

        private synchronized CaptureSink.Pieces pieces(Quantity quantity) {
            return tiled.computeIfAbsent(
                    quantity,
                    q -> sink.open(CapturePlan.name(pass.id(), layer, kind, q, run), plan.shape(pass, kind, q, run)));
        }
    }
}
