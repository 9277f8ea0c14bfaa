package wan.edit;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import wan.op.AttentionTap;
import wan.op.Dyn;
import wan.op.KvTensor;
import wan.op.Ops;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;
import wan.pass.Pass;

/**
 * Dummy Forcing's choice of heads in the run itself, as csguoh/DummyForcing's dummyforcing.py makes it: in one pass, a third as many queries as the
 * first frames have tokens, drawn with repetition from the whole pass, tell how much weight each head gives to the first frames and to the frames
 * between them and the pass's own. Each is divided by its sum over all heads; the half of the heads whose larger share is least are dummies, the
 * others mid heads where the frames between have the larger share, else sink heads. The first sample decides for all.
 *
 * <p>The weights are those of an attention of these queries alone beside the pass's own, on the device. Which queries are drawn follows from a
 * seed, by other numbers than PyTorch's.
 */
final class HeadChoice {
    private static final List<String> GROUPS = List.of("sink", "mid", "dummy");

    private final int numLayers;
    private final int numHeads;
    /** How many key slots count as the first frames. */
    private final int firstFrames;

    private final long seed;
    /** By layer: queries that were drawn, until their attention is. */
    private final Map<Integer, float[]> drawn = new LinkedHashMap<>();
    /** [layers * heads]: weight of the first frame. */
    private final double[] first;
    /** [layers * heads]: weight of the frames between. */
    private final double[] between;

    private int layersSeen;
    private @Nullable HeadGroups chosen;

    HeadChoice(int numLayers, int numHeads, int firstFrames, long seed) {
        this.numLayers = numLayers;
        this.numHeads = numHeads;
        this.firstFrames = firstFrames;
        this.seed = seed;
        first = new double[numLayers * numHeads];
        between = new double[numLayers * numHeads];
    }

    /** Forgets what was chosen. */
    void begin() {
        layersSeen = 0;
        chosen = null;
        drawn.clear();
    }

    /** Takes what an earlier part of the run has chosen. */
    void restore(String groups) {
        chosen = HeadGroups.parse(GROUPS, groups);
    }

    /** The groups, as {@link HeadGroups} reads them; null before they are chosen. */
    @Nullable
    String text() {
        HeadGroups groups = groups();
        if (groups == null) {
            return null;
        }
        Map<String, List<String>> heads = new LinkedHashMap<>();
        for (int layer = 0; layer < numLayers; layer++) {
            for (int head = 0; head < numHeads; head++) {
                heads.computeIfAbsent(groups.of(layer, head), _ -> new ArrayList<>())
                        .add(layer + ":" + head);
            }
        }
        return heads.entrySet().stream()
                .map(entry -> entry.getKey() + "=" + String.join(",", entry.getValue()))
                .collect(Collectors.joining(";"));
    }

    /** The group of a head; until it is chosen, the one that keeps most, which then attends to what the others do. */
    String of(int layer, int head) {
        HeadGroups groups = groups();
        return groups == null ? "mid" : groups.of(layer, head);
    }

    private @Nullable HeadGroups groups() {
        if (chosen == null && layersSeen == numLayers) {
            chosen = HeadGroups.parse(GROUPS, sorted());
        }
        return chosen;
    }

    private String sorted() {
        double[] sinks = shares(first);
        double[] mids = shares(between);
        int[] dummies = IntStream.range(0, sinks.length)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> Math.max(sinks[i], mids[i])))
                .limit(sinks.length / 2)
                .mapToInt(Integer::intValue)
                .sorted()
                .toArray();
        return IntStream.range(0, sinks.length)
                .mapToObj(i -> {
                    boolean dummy = Arrays.binarySearch(dummies, i) >= 0;
                    String group = dummy ? "dummy" : sinks[i] < mids[i] ? "mid" : "sink";
                    return group + "=" + i / numHeads + ":" + i % numHeads;
                })
                .collect(Collectors.joining(";"));
    }

    private static double[] shares(double[] weights) {
        double sum = Arrays.stream(weights).sum();
        return Arrays.stream(weights).map(weight -> weight / sum).toArray();
    }

    /** The rows of a pass that are drawn in a layer. */
    int[] rows(int layer, int queries, int frameTokens) {
        Random random = new Random(seed ^ ((long) layer << 32));
        return IntStream.generate(() -> random.nextInt(queries))
                .limit(Math.max(1, firstFrames * frameTokens / 3))
                .toArray();
    }

    /**
     * Draws queries.
     *
     * @param q rotated, [batch * queries, dim]
     */
    void draw(int layer, int frameTokens, int batch, Tensor q, Ops ops) {
        float[] all = ops.read(q);
        int dim = q.shape().dim(1);
        int queries = q.shape().dim(0) / batch;
        int[] rows = rows(layer, queries, frameTokens);
        float[] some = new float[batch * rows.length * dim];
        for (int sample = 0; sample < batch; sample++) {
            for (int i = 0; i < rows.length; i++) {
                System.arraycopy(all, (sample * queries + rows[i]) * dim, some, (sample * rows.length + i) * dim, dim);
            }
        }
        drawn.put(layer, some);
    }

    /** Has them attend to what the pass attends to, its own keys among it. */
    void attend(Pass pass, int layer, KvTensor cache, Ops ops) {
        float[] some = drawn.remove(layer);
        if (some == null) {
            throw new IllegalStateException("no queries of layer " + layer);
        }
        int dim = cache.numHeads() * cache.headDim();
        int count = some.length / cache.batch() / dim;
        Dyn pages = new Dyn("chosen by", pass.placement().attended().size());
        pages.set(
                pass.placement().attended().stream().mapToInt(Integer::intValue).toArray());
        try (Scope _ = ops.scope()) {
            Tensor q = ops.scratch(Shape.of((long) cache.batch() * count, dim));
            ops.write(q, some);
            Tensor _ = ops.attention(q, cache, pages, count, cache.pageTokens(), new Listener(layer, pass.frames()));
        }
    }

    /** Takes weights, [batch, heads, 1, key frames], of which the last are the pass's own. */
    private final class Listener implements AttentionTap {
        private final int layer;
        private final int ownFrames;

        Listener(int layer, int ownFrames) {
            this.layer = layer;
            this.ownFrames = ownFrames;
        }

        @Override
        public Set<Quantity> wanted() {
            return Set.of(Quantity.FRAME_MASS);
        }

        @Override
        public int[] heads() {
            return IntStream.range(0, numHeads).toArray();
        }

        @Override
        public void accept(Quantity quantity, Shape shape, float[] values) {
            int keys = shape.dim(3);
            for (int head = 0; head < numHeads; head++) {
                double early = 0;
                double late = 0;
                for (int key = 0; key < keys - ownFrames; key++) {
                    double weight = values[head * keys + key];
                    early += key < firstFrames ? weight : 0;
                    late += key < firstFrames ? 0 : weight;
                }
                first[layer * numHeads + head] = early;
                between[layer * numHeads + head] = late;
            }
            layersSeen++;
        }

        @Override
        public void acceptTokens(
                Quantity quantity, int batch, int headIndex, int firstQuery, int queries, int keys, float[] tile) {
            throw new WanException("frame masses were asked for, got " + quantity);
        }
    }
}
