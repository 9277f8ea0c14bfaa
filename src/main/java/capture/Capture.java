package capture;

import java.util.EnumMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import wan.op.AttentionKind;
import wan.op.AttentionTap;
import wan.op.PassObserver;
import wan.op.Quantity;
import wan.op.Shape;
import wan.op.WanException;
import wan.pass.Pass;

/**
 * Captures what a plan asks for while a run goes on: taps for the passes, tensors to a sink, and one frame matrix per layer.
 *
 * <p>Give {@link #observe} to the run; afterwards, or whenever, read {@link #matrix}.
 */
public final class Capture {
    /** Quantities that are also assembled over the whole rollout. */
    private static final Set<Quantity> ASSEMBLED = Set.of(Quantity.FRAME_LOGITS, Quantity.FRAME_MASS);

    private final CapturePlan plan;
    private final RunGeometry run;
    private final CaptureSink sink;
    private final Map<Quantity, Map<Integer, FrameMatrix>> matrices = new EnumMap<>(Quantity.class);

    /**
     * Prepares a capture.
     *
     * @param run the sizes of the run
     * @param sink where the tensors go
     */
    public Capture(CapturePlan plan, RunGeometry run, CaptureSink sink) {
        plan.passes().check(run.numSteps());
        this.plan = plan;
        this.run = run;
        this.sink = sink;
        for (Quantity quantity : ASSEMBLED) {
            if (plan.kinds().contains(AttentionKind.SELF) && plan.quantities().contains(quantity)) {
                matrices.put(quantity, new TreeMap<>());
            }
        }
    }

    /** The observer of one pass; {@link PassObserver#NONE} where the plan asks for nothing. */
    public PassObserver observe(Pass pass) {
        if (!plan.passes().includes(pass.id(), run.numSteps())) {
            return PassObserver.NONE;
        }
        return new PassObserver() {
            @Override
            public AttentionTap tap(int layer, AttentionKind kind) {
                return plan.layers().contains(layer) && plan.kinds().contains(kind)
                        ? new Tap(pass, layer, kind)
                        : AttentionTap.NONE;
            }
        };
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
            return plan.quantities();
        }

        @Override
        public int[] heads() {
            return plan.heads().stream().mapToInt(Integer::intValue).toArray();
        }

        @Override
        public void accept(Quantity quantity, Shape shape, float[] values) {
            Map<Integer, FrameMatrix> assembled = matrices.get(quantity);
            if (kind == AttentionKind.SELF && assembled != null) {
                assembled
                        .computeIfAbsent(
                                layer, l -> new FrameMatrix(plan.heads().size(), run.totalFrames()))
                        .put(pass, values);
            }
            sink.write(CapturePlan.name(pass.id(), layer, kind, quantity), shape, values);
        }

        @Override
        public void acceptTokens(
                Quantity quantity, int batch, int headIndex, int firstQuery, int queries, int keys, float[] tile) {
            long row =
                    ((long) batch * plan.heads().size() + headIndex) * pass.frames() * run.frameSeqLen() + firstQuery;
            pieces(quantity).write(row * keys, tile, queries * keys);
        }

        private synchronized CaptureSink.Pieces pieces(Quantity quantity) {
            return tiled.computeIfAbsent(
                    quantity,
                    q -> sink.open(CapturePlan.name(pass.id(), layer, kind, q), plan.shape(pass, kind, q, run)));
        }
    }
}
