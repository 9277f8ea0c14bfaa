package wan.jvm.vector;

import static wan.jvm.vector.Lanes.FLOAT;
import static wan.jvm.vector.Lanes.FLOATS;
import static wan.jvm.vector.Lanes.ORDER;
import static wan.jvm.vector.Lanes.PANEL;
import static wan.jvm.vector.Lanes.TILE;
import static wan.jvm.vector.Lanes.WIDTH;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import org.jspecify.annotations.Nullable;
import wan.jvm.kernel.AttentionCall;
import wan.jvm.kernel.FrameMass;
import wan.jvm.kernel.HostBytes;
import wan.jvm.kernel.PagedKv;
import wan.jvm.kernel.Workers;
import wan.op.AttentionTap;

/**
 * Streaming-softmax attention with the vector lanes along the queries: maximum, sum and exponential need no reduction across
 * lanes, and both products are those of {@link RegisterTile}, with keys and values read as {@link PagedKv} keeps them.
 *
 * <p>A task is one head and some {@value #TASK_QUERIES} queries; it walks over the keys in blocks that end where pages end, and
 * over its panels of queries within each block, while the block's keys and values lie in the second-level cache.
 */
final class VectorAttention {
    /** Queries of a task: the more, the less often keys and values come from memory. */
    private static final int TASK_QUERIES = 544;
    /** Keys of a block, at most. */
    private static final int BLOCK_KEYS = 264;
    /** The bias of a blocked key that shares its page with others: finite, so that a maximum of such keys is one too. */
    private static final float BLOCKED = -1e30f;

    private final Workers workers;
    private final Arena arena;
    private final @Nullable Scratch[] scratch;

    VectorAttention(Workers workers, Arena arena) {
        this.workers = workers;
        this.arena = arena;
        scratch = new Scratch[workers.threads()];
    }

    /** One worker's memory, sized for one head size. */
    private static final class Scratch {
        final int headDim;
        static final int PANELS = TASK_QUERIES / PANEL;
        static final int LOGITS = (BLOCK_KEYS + 2 * TILE) * PANEL;
        static final int WEIGHTS = (BLOCK_KEYS + TILE) * PANEL;

        /** [panel][channel][PANEL]: queries times scale times log2(e). */
        final MemorySegment queries;
        /** [key][PANEL]: the weights of one panel and block, not yet normalised. */
        final MemorySegment weights;
        /** [key][PANEL]: logits in base 2. */
        final float[] logits = new float[LOGITS];
        /** [panel][channel][PANEL]: the running sum of weighted values. */
        final float[] outputs;
        /** [panel][PANEL]. */
        final float[] maxima = new float[PANELS * PANEL];
        /** [panel][PANEL]. */
        final float[] sums = new float[PANELS * PANEL];
        /** What the present block multiplies earlier sums with. */
        final float[] rescale = new float[PANEL];

        final float[] blockSums = new float[PANEL];
        final float[] product = new float[TILE * PANEL];
        final RunningMasses masses = new RunningMasses(PANEL);

        Scratch(int headDim, Arena arena) {
            this.headDim = headDim;
            queries = arena.allocate(4L * PANELS * headDim * PANEL, 64);
            weights = arena.allocate(4L * WEIGHTS, 64);
            outputs = new float[PANELS * outputFloats(headDim)];
        }
    }

    /** All workers' memory. */
    HostBytes scratch(int headDim, int keyGroups) {
        long queries = (long) Scratch.PANELS * PANEL;
        long heap = Scratch.LOGITS + Scratch.PANELS * (long) outputFloats(headDim) + 2 * queries * (1 + keyGroups);
        long outside = queries * headDim + Scratch.WEIGHTS;
        return new HostBytes(Float.BYTES * heap, Float.BYTES * outside).times(workers.threads());
    }

    private static int outputFloats(int headDim) {
        return Math.ceilDiv(headDim, TILE) * TILE * PANEL;
    }

    private Scratch scratchOf(int worker, int headDim) {
        Scratch mine = scratch[worker];
        if (mine == null || mine.headDim != headDim) {
            mine = new Scratch(headDim, arena);
            scratch[worker] = mine;
        }
        return mine;
    }

    void run(AttentionCall call, float[] out, @Nullable FrameMass mass) {
        int heads = call.cache().numHeads();
        int panels = Math.ceilDiv(call.queries(), PANEL);
        int groups = Math.ceilDiv(panels, TASK_QUERIES / PANEL);
        int samples = call.cache().batch();
        int[] byWork = call.headsByWork();
        workers.run(samples * heads * groups, (task, worker) -> {
            int group = task % groups;
            int sample = task / groups % samples;
            int head = byWork[task / groups / samples];
            new Task(call, sample, head, scratchOf(worker, call.cache().headDim()))
                    .run(panels * group / groups, panels * (group + 1) / groups, out, mass);
        });
    }

    /** One head and some queries of a sample. */
    private record Task(AttentionCall call, int sample, int head, Scratch scratch) {

        void run(int firstPanel, int endPanel, float[] out, @Nullable FrameMass allMass) {
            FrameMass mass = allMass != null && allMass.wants(head) ? allMass : null;
            int panels = endPanel - firstPanel;
            float outputScale = call.edit().outputScale(head);
            if (outputScale == 0 && mass == null) {
                silence(firstPanel, endPanel, out);
                return;
            }
            float factor = (float) (call.scale() * call.edit().logitScale(head) * VectorMath.LOG2_E);
            for (int panel = 0; panel < panels; panel++) {
                packQueries(panel, (firstPanel + panel) * PANEL, factor);
            }
            Arrays.fill(scratch.outputs, 0, panels * outputFloats(scratch.headDim), 0);
            Arrays.fill(scratch.maxima, Float.NEGATIVE_INFINITY);
            Arrays.fill(scratch.sums, 0);
            if (mass != null) {
                scratch.masses.reset(panels * PANEL, mass.keyGroups());
            }
            int pageTokens = call.cache().pageTokens();
            int blocks = Math.ceilDiv(pageTokens, BLOCK_KEYS);
            int blockKeys = Math.ceilDiv(Math.ceilDiv(pageTokens, blocks), TILE) * TILE;
            boolean biased = call.edit().biased(head);
            for (int i : call.seen(head)) {
                float[] keys = call.cache().keys(sample, call.pages()[i], head);
                float[] values = call.cache().values(sample, call.pages()[i], head);
                for (int key = 0; key < pageTokens; key += blockKeys) {
                    int count = Math.min(blockKeys, pageTokens - key);
                    for (int panel = 0; panel < panels; panel++) {
                        logits(keys, key, count, panel);
                        if (biased) {
                            addBias(i * pageTokens + key, count);
                        }
                        softmax(count, panel);
                        if (mass != null) {
                            addMasses(i * pageTokens + key, count, panel, mass);
                        }
                        weightedValues(values, key, count, panel);
                    }
                }
            }
            for (int panel = 0; panel < panels; panel++) {
                int query = (firstPanel + panel) * PANEL;
                int queries = Math.min(PANEL, call.queries() - query);
                store(panel, query, queries, outputScale, out);
                if (mass != null) {
                    float[] masses = scratch.masses.normalised(panel * PANEL, scratch.maxima, scratch.sums);
                    mass.add(sample, head, query, queries, masses, PANEL);
                }
            }
        }

        /** Queries to [channel][PANEL], zeros beyond the last. */
        void packQueries(int panel, int firstQuery, float factor) {
            int headDim = scratch.headDim;
            long to = (long) panel * headDim * PANEL;
            int queries = Math.min(PANEL, call.queries() - firstQuery);
            for (int query = 0; query < PANEL; query++) {
                int from = call.index(sample, firstQuery + Math.min(query, queries - 1), head);
                for (int channel = 0; channel < headDim; channel++) {
                    float value = query < queries ? call.q()[from + channel] * factor : 0;
                    scratch.queries.setAtIndex(FLOATS, to + (long) channel * PANEL + query, value);
                }
            }
        }

        void logits(float[] keys, int firstKey, int count, int panel) {
            int headDim = scratch.headDim;
            long queriesAt = 4L * panel * headDim * PANEL;
            for (int key = 0; key < count; key += TILE) {
                RegisterTile.multiply(
                        keys,
                        call.cache().keyIndex(firstKey + key),
                        scratch.queries,
                        queriesAt,
                        headDim,
                        scratch.logits,
                        key * PANEL);
            }
        }

        void softmax(int count, int panel) {
            for (int half = 0; half < PANEL; half += WIDTH) {
                int at = panel * PANEL + half;
                raiseMaximum(scratch.logits, half, count, scratch.maxima, at, scratch.rescale);
                exponentials(scratch.logits, half, count, scratch.maxima, at, scratch.weights, scratch.blockSums);
                FloatVector.fromArray(FLOAT, scratch.sums, at)
                        .fma(
                                FloatVector.fromArray(FLOAT, scratch.rescale, half),
                                FloatVector.fromArray(FLOAT, scratch.blockSums, half))
                        .intoArray(scratch.sums, at);
            }
        }

        private static void raiseMaximum(float[] logits, int half, int count, float[] maxima, int at, float[] rescale) {
            FloatVector before = FloatVector.fromArray(FLOAT, maxima, at);
            FloatVector max = before;
            for (int i = half; i < count * PANEL; i += PANEL) {
                FloatVector logit = FloatVector.fromArray(FLOAT, logits, i);
                max = max.blend(logit, logit.compare(VectorOperators.GT, max));
            }
            max.intoArray(maxima, at);
            VectorMath.exp2(before.sub(max)).intoArray(rescale, half);
        }

        private static void exponentials(
                float[] logits, int half, int count, float[] maxima, int at, MemorySegment weights, float[] blockSums) {
            FloatVector max = FloatVector.fromArray(FLOAT, maxima, at);
            FloatVector sum = FloatVector.zero(FLOAT);
            for (int i = half; i < count * PANEL; i += PANEL) {
                FloatVector weight =
                        VectorMath.exp2(FloatVector.fromArray(FLOAT, logits, i).sub(max));
                weight.intoMemorySegment(weights, 4L * i, ORDER);
                sum = sum.add(weight);
            }
            sum.intoArray(blockSums, half);
        }

        void weightedValues(float[] values, int firstKey, int count, int panel) {
            int to = panel * outputFloats(scratch.headDim);
            for (int channel = 0; channel < scratch.headDim; channel += TILE) {
                int from = call.cache().valueIndex(channel) + firstKey * TILE;
                RegisterTile.multiply(values, from, scratch.weights, 0, count, scratch.product, 0);
                accumulate(scratch.product, scratch.rescale, scratch.outputs, to + channel * PANEL);
            }
        }

        private static void accumulate(float[] product, float[] rescale, float[] outputs, int to) {
            FloatVector a = FloatVector.fromArray(FLOAT, rescale, 0);
            FloatVector b = FloatVector.fromArray(FLOAT, rescale, WIDTH);
            for (int i = 0; i < TILE * PANEL; i += PANEL) {
                FloatVector.fromArray(FLOAT, outputs, to + i)
                        .fma(a, FloatVector.fromArray(FLOAT, product, i))
                        .intoArray(outputs, to + i);
                FloatVector.fromArray(FLOAT, outputs, to + i + WIDTH)
                        .fma(b, FloatVector.fromArray(FLOAT, product, i + WIDTH))
                        .intoArray(outputs, to + i + WIDTH);
            }
        }

        private void silence(int firstPanel, int endPanel, float[] out) {
            int end = Math.min(endPanel * PANEL, call.queries());
            for (int query = firstPanel * PANEL; query < end; query++) {
                int to = call.index(sample, query, head);
                Arrays.fill(out, to, to + scratch.headDim, 0);
            }
        }

        /** The edit's bias, in base 2 as the logits are. */
        private void addBias(int firstKey, int count) {
            for (int key = 0; key < count; key++) {
                float bias = call.edit().bias(head, firstKey + key);
                if (bias != 0) {
                    addTo(scratch.logits, key * PANEL, Math.max(BLOCKED, (float) (bias * VectorMath.LOG2_E)));
                }
            }
        }

        private static void addTo(float[] logits, int row, float bias) {
            for (int i = row; i < row + PANEL; i += WIDTH) {
                FloatVector.fromArray(FLOAT, logits, i).add(bias).intoArray(logits, i);
            }
        }

        private void store(int panel, int firstQuery, int queries, float outputScale, float[] out) {
            int from = panel * outputFloats(scratch.headDim);
            for (int query = 0; query < queries; query++) {
                int to = call.index(sample, firstQuery + query, head);
                float sum = scratch.sums[panel * PANEL + query];
                for (int channel = 0; channel < scratch.headDim; channel++) {
                    out[to + channel] = scratch.outputs[from + channel * PANEL + query] / sum;
                }
                if (outputScale != 1) {
                    for (int channel = 0; channel < scratch.headDim; channel++) {
                        out[to + channel] = outputScale == 0 ? 0 : out[to + channel] * outputScale;
                    }
                }
            }
        }

        /** Adds the weights of one block to its key groups; the softmax itself is not touched. */
        private void addMasses(int firstKey, int count, int panel, FrameMass mass) {
            int groupTokens = mass.keyGroupTokens();
            for (int key = firstKey; key < firstKey + count; ) {
                int group = key / groupTokens;
                int end = Math.min(firstKey + count, (group + 1) * groupTokens);
                for (int half = 0; half < PANEL; half += WIDTH) {
                    int query = panel * PANEL + half;
                    if (end - key == count) {
                        scratch.masses.add(query, group, scratch.blockSums, half, scratch.maxima);
                    } else {
                        sumWeights(
                                scratch.weights,
                                (key - firstKey) * PANEL,
                                (end - firstKey) * PANEL,
                                half,
                                scratch.product);
                        scratch.masses.add(query, group, scratch.product, half, scratch.maxima);
                    }
                }
                key = end;
            }
        }

        private static void sumWeights(MemorySegment weights, int from, int to, int half, float[] sums) {
            FloatVector sum = FloatVector.zero(FLOAT);
            for (int i = from + half; i < to; i += PANEL) {
                sum = sum.add(FloatVector.fromMemorySegment(FLOAT, weights, 4L * i, ORDER));
            }
            sum.intoArray(sums, half);
        }
    }

    void tokenLogits(AttentionCall call, AttentionTap tap) {
        int[] heads = tap.heads();
        int panels = Math.ceilDiv(call.queries(), PANEL);
        workers.run(call.cache().batch() * heads.length * panels, (task, worker) -> {
            int panel = task % panels;
            int headIndex = task / panels % heads.length;
            int sample = task / panels / heads.length;
            int firstQuery = panel * PANEL;
            int queries = Math.min(PANEL, call.queries() - firstQuery);
            Task rows = new Task(
                    call,
                    sample,
                    heads[headIndex],
                    scratchOf(worker, call.cache().headDim()));
            rows.packQueries(0, firstQuery, (float) call.scale());
            float[] tile = new float[queries * call.keys()];
            int pageTokens = call.cache().pageTokens();
            for (int i = 0; i < call.pages().length; i++) {
                if (!call.cache().holds(sample, call.pages()[i], heads[headIndex])) {
                    for (int query = 0; query < queries; query++) {
                        int from = query * call.keys() + i * pageTokens;
                        Arrays.fill(tile, from, from + pageTokens, Float.NaN);
                    }
                    continue;
                }
                float[] keys = call.cache().keys(sample, call.pages()[i], heads[headIndex]);
                for (int key = 0; key < pageTokens; key += BLOCK_KEYS / TILE * TILE) {
                    int count = Math.min(BLOCK_KEYS / TILE * TILE, pageTokens - key);
                    rows.logits(keys, key, count, 0);
                    for (int j = 0; j < count; j++) {
                        for (int query = 0; query < queries; query++) {
                            tile[query * call.keys() + i * pageTokens + key + j] =
                                    rows.scratch.logits[j * PANEL + query];
                        }
                    }
                }
            }
            call.edit().deliver(tap, sample, headIndex, heads[headIndex], firstQuery, queries, call.keys(), tile);
        });
    }
}
