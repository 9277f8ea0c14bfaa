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
import wan.jvm.kernel.TaskPlan;
import wan.jvm.kernel.Workers;
import wan.op.AttentionTap;

/**
 * Streaming-softmax attention with the vector lanes along the queries: maximum, sum and exponential need no reduction across
 * lanes, and both products are those of {@link RegisterTile}, with keys and values read as {@link PagedKv} keeps them.
 *
 * <p>A piece of a task of {@link AttentionPlan} is one head and at most {@value #PIECE_QUERIES} queries; it walks over the keys in blocks that
 * end where pages end, and over its panels of queries within each block, while the block's keys and values lie in the
 * second-level cache.
 */
final class VectorAttention {
    /** Queries of a piece, at most: the more, the less often keys and values come from memory. */
    private static final int PIECE_QUERIES = 544;

    private static final int PIECE_PANELS = PIECE_QUERIES / PANEL;
    /** Keys of a block, at most. */
    private static final int BLOCK_KEYS = 264;
    /** Keys whose captured logits are formed at once. */
    private static final int TOKEN_BLOCK = BLOCK_KEYS / TILE * TILE;
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

    /** Softmax sums of some panels of queries over some keys. */
    private static final class State {
        final int outputFloats;
        /** [panel][channel][PANEL]: the running sum of weighted values. */
        final float[] outputs;
        /** [panel][PANEL]: the largest logit so far, in base 2. */
        final float[] maxima;
        /** [panel][PANEL]: of the weights. */
        final float[] sums;

        State(int headDim, int panels) {
            outputFloats = outputFloats(headDim);
            outputs = new float[Math.multiplyExact(panels, outputFloats)];
            maxima = new float[panels * PANEL];
            sums = new float[panels * PANEL];
        }

        static long floats(int headDim, int panels) {
            return (long) panels * (outputFloats(headDim) + 2 * PANEL);
        }

        void reset(int from, int end) {
            Arrays.fill(outputs, from * outputFloats, end * outputFloats, 0);
            Arrays.fill(maxima, from * PANEL, end * PANEL, Float.NEGATIVE_INFINITY);
            Arrays.fill(sums, from * PANEL, end * PANEL, 0);
        }

        /**
         * Adds what the same queries have of other keys.
         *
         * @param factors memory for two panels
         */
        void merge(int panel, State more, int morePanel, float[] factors) {
            for (int half = 0; half < PANEL; half += WIDTH) {
                int at = panel * PANEL + half;
                int from = morePanel * PANEL + half;
                FloatVector mine = FloatVector.fromArray(FLOAT, maxima, at);
                FloatVector theirs = FloatVector.fromArray(FLOAT, more.maxima, from);
                FloatVector max = mine.blend(theirs, theirs.compare(VectorOperators.GT, mine));
                mine.sub(max).intoArray(factors, half);
                theirs.sub(max).intoArray(factors, PANEL + half);
                max.intoArray(maxima, at);
            }
            for (int i = 0; i < 2 * PANEL; i += WIDTH) {
                VectorMath.exp2(FloatVector.fromArray(FLOAT, factors, i)).intoArray(factors, i);
            }
            for (int half = 0; half < PANEL; half += WIDTH) {
                add(sums, panel * PANEL + half, more.sums, morePanel * PANEL + half, WIDTH, factors, half);
                add(
                        outputs,
                        panel * outputFloats + half,
                        more.outputs,
                        morePanel * outputFloats + half,
                        outputFloats,
                        factors,
                        half);
            }
        }

        /** One vector of each row. */
        private static void add(
                float[] to, int toAt, float[] from, int fromAt, int count, float[] factors, int factorsAt) {
            FloatVector mine = FloatVector.fromArray(FLOAT, factors, factorsAt);
            FloatVector theirs = FloatVector.fromArray(FLOAT, factors, PANEL + factorsAt);
            for (int i = 0; i < count; i += PANEL) {
                FloatVector.fromArray(FLOAT, from, fromAt + i)
                        .mul(theirs)
                        .add(FloatVector.fromArray(FLOAT, to, toAt + i).mul(mine))
                        .intoArray(to, toAt + i);
            }
        }
    }

    /** One worker's memory, sized for one head size. */
    private static final class Scratch {
        final int headDim;
        static final int LOGITS = (BLOCK_KEYS + 2 * TILE) * PANEL;
        static final int WEIGHTS = (BLOCK_KEYS + TILE) * PANEL;

        /** [panel][channel][PANEL]: queries times scale times log2(e). */
        final MemorySegment queries;
        /** [key][PANEL]: the weights of one panel and block, not yet normalised. */
        final MemorySegment weights;
        /** [key][PANEL]: logits in base 2. */
        final float[] logits = new float[LOGITS];
        /** Of all keys so far, and of a part of them. */
        final State total;

        final State part;
        /** What the current block multiplies earlier sums with; room for two panels. */
        final float[] rescale = new float[2 * PANEL];

        final float[] blockSums = new float[PANEL];
        final float[] product = new float[TILE * PANEL];
        final RunningMasses masses = new RunningMasses(PANEL);
        /** A page of keys and one of values that are stored in 16 bits, in float32. */
        float[] keyRoom = new float[0];

        float[] valueRoom = new float[0];

        Scratch(int headDim, Arena arena) {
            this.headDim = headDim;
            queries = arena.allocate(4L * PIECE_PANELS * headDim * PANEL, 64);
            weights = arena.allocate(4L * WEIGHTS, 64);
            total = new State(headDim, PIECE_PANELS);
            part = new State(headDim, PIECE_PANELS);
        }

        void makeRoom(int floats) {
            if (keyRoom.length < floats) {
                keyRoom = new float[floats];
                valueRoom = new float[floats];
            }
        }
    }

    /** All workers' memory. */
    HostBytes scratch(PagedKv cache, int queries, int pages, int keyGroups) {
        int headDim = cache.headDim();
        long pieceQueries = (long) PIECE_PANELS * PANEL;
        long heap = 2L * cache.roomFloats()
                + Scratch.LOGITS
                + 2 * State.floats(headDim, PIECE_PANELS)
                + 2 * pieceQueries * keyGroups;
        long outside = pieceQueries * headDim + Scratch.WEIGHTS;
        HostBytes all = new HostBytes(Float.BYTES * heap, Float.BYTES * outside).times(workers.threads());
        if (queries == 0 || pages == 0) {
            return all;
        }
        int[] seen = new int[cache.numHeads()];
        Arrays.fill(seen, pages);
        int panels = Math.ceilDiv(queries, PANEL);
        AttentionPlan plan = AttentionPlan.of(
                cache.batch(), seen, pages, cache.pageTokens(), panels, PIECE_PANELS, workers.threads());
        long kept = plan.planes() * State.floats(headDim, panels);
        long masses = 2L * cache.batch() * seen.length * panels * PANEL * keyGroups;
        return plan.isSplit() ? all.plus(new HostBytes(Float.BYTES * (kept + masses), 0)) : all;
    }

    private static int outputFloats(int headDim) {
        return Math.ceilDiv(headDim, TILE) * TILE * PANEL;
    }

    private Scratch scratchOf(int worker, PagedKv cache) {
        Scratch mine = scratch[worker];
        if (mine == null || mine.headDim != cache.headDim()) {
            mine = new Scratch(cache.headDim(), arena);
            scratch[worker] = mine;
        }
        mine.makeRoom(cache.roomFloats());
        return mine;
    }

    void run(AttentionCall call, float[] out, @Nullable FrameMass mass) {
        int panels = Math.ceilDiv(call.queries(), PANEL);
        if (panels == 0) {
            return;
        }
        AttentionPlan plan = AttentionPlan.of(call, panels, PIECE_PANELS, workers.threads());
        if (plan.isSplit()) {
            runSplit(plan, call, panels, out, mass);
            return;
        }
        workers.run(plan.tasks(), (plane, from, to, worker) -> {
            AttentionPlan.Plane of = plan.plane(plane);
            new Task(call, plan, of.sample(), of.head(), scratchOf(worker, call.cache()), from, to - from)
                    .run(out, mass);
        });
    }

    /** Parts first, each kept, then all parts of a panel merged. */
    private void runSplit(AttentionPlan plan, AttentionCall call, int panels, float[] out, @Nullable FrameMass mass) {
        PagedKv cache = call.cache();
        int headDim = cache.headDim();
        int heads = cache.numHeads();
        State[][] states = new State[cache.batch() * heads][];
        RunningMasses[] masses = new RunningMasses[states.length];
        for (int i = 0; i < states.length; i++) {
            states[i] = new State[plan.parts(i % heads)];
            for (int part = 0; part < states[i].length; part++) {
                states[i][part] = new State(headDim, panels);
            }
            masses[i] = new RunningMasses(PANEL);
            if (mass != null && mass.wants(i % heads)) {
                masses[i].reset(panels * PANEL, mass.keyGroups());
            }
        }
        workers.run(plan.tasks(), (plane, from, to, worker) -> {
            AttentionPlan.Plane of = plan.plane(plane);
            int i = of.sample() * heads + of.head();
            new Task(call, plan, of.sample(), of.head(), scratchOf(worker, call.cache()), from, to - from)
                    .runPart(of.part(), states[i][of.part()], masses[i], mass);
        });
        workers.run(
                TaskPlan.even(states.length, panels, PIECE_PANELS, workers.threads()),
                (i, from, to, worker) -> new Task(
                                call, plan, i / heads, i % heads, scratchOf(worker, call.cache()), from, to - from)
                        .merge(states[i], masses[i], out, mass));
    }

    /** One head and some panels of queries of a sample. */
    private record Task(
            AttentionCall call, AttentionPlan plan, int sample, int head, Scratch scratch, int firstPanel, int panels) {

        /** Everything, from the queries to {@code out}. */
        void run(float[] out, @Nullable FrameMass allMass) {
            FrameMass mass = wanted(allMass);
            if (isSilent(mass)) {
                silence(out);
                return;
            }
            packQueries();
            if (mass != null) {
                scratch.masses.reset(panels * PANEL, mass.keyGroups());
            }
            for (int part = 0; part < plan.parts(head); part++) {
                State state = part == 0 ? scratch.total : scratch.part;
                attend(part, state, 0, scratch.masses, mass);
                for (int panel = 0; part > 0 && panel < panels; panel++) {
                    scratch.total.merge(panel, state, panel, scratch.rescale);
                }
            }
            finish(scratch.total, 0, scratch.masses, out, mass);
        }

        /** One part of the keys; the state and the masses are those of all of a head's panels. */
        void runPart(int part, State state, RunningMasses masses, @Nullable FrameMass allMass) {
            FrameMass mass = wanted(allMass);
            if (!isSilent(mass)) {
                packQueries();
                attend(part, state, firstPanel, masses, mass);
            }
        }

        /** What {@link #run} does once all parts are there. */
        void merge(State[] parts, RunningMasses masses, float[] out, @Nullable FrameMass allMass) {
            FrameMass mass = wanted(allMass);
            if (isSilent(mass)) {
                silence(out);
                return;
            }
            for (int panel = firstPanel; panel < firstPanel + panels; panel++) {
                for (int part = 1; part < parts.length; part++) {
                    parts[0].merge(panel, parts[part], panel, scratch.rescale);
                }
            }
            finish(parts[0], firstPanel, masses, out, mass);
        }

        private @Nullable FrameMass wanted(@Nullable FrameMass mass) {
            return mass != null && mass.wants(head) ? mass : null;
        }

        private boolean isSilent(@Nullable FrameMass mass) {
            return call.edit().outputScale(head) == 0 && mass == null;
        }

        private void packQueries() {
            float factor = (float) (call.scale() * call.edit().logitScale(head) * VectorMath.LOG2_E);
            for (int panel = 0; panel < panels; panel++) {
                packQueries(panel, (firstPanel + panel) * PANEL, factor);
            }
        }

        /**
         * Attends a part of the keys.
         *
         * @param at of the first panel in the state and the masses
         */
        private void attend(int part, State state, int at, RunningMasses masses, @Nullable FrameMass mass) {
            state.reset(at, at + panels);
            int pageTokens = call.cache().pageTokens();
            int blocks = Math.ceilDiv(pageTokens, BLOCK_KEYS);
            int blockKeys = Math.ceilDiv(Math.ceilDiv(pageTokens, blocks), TILE) * TILE;
            boolean biased = call.edit().biased(head);
            int[] seen = call.seen(head);
            for (int j = plan.firstPage(head, part); j < plan.firstPage(head, part + 1); j++) {
                int i = seen[j];
                float[] keys = call.cache().keys(sample, call.pages()[i], head, 0, pageTokens, scratch.keyRoom);
                float[] values = call.cache().values(sample, call.pages()[i], head, scratch.valueRoom);
                for (int key = 0; key < pageTokens; key += blockKeys) {
                    int count = Math.min(blockKeys, pageTokens - key);
                    for (int panel = 0; panel < panels; panel++) {
                        logits(keys, key, count, panel);
                        if (biased) {
                            addBias(i * pageTokens + key, count);
                        }
                        softmax(count, state, at + panel);
                        if (mass != null) {
                            addMasses(i * pageTokens + key, count, at + panel, mass, masses, state.maxima);
                        }
                        weightedValues(values, key, count, state, at + panel);
                    }
                }
            }
        }

        private void finish(State state, int at, RunningMasses masses, float[] out, @Nullable FrameMass mass) {
            float outputScale = call.edit().outputScale(head);
            for (int panel = 0; panel < panels; panel++) {
                int query = (firstPanel + panel) * PANEL;
                int queries = Math.min(PANEL, call.queries() - query);
                store(state, at + panel, query, queries, outputScale, out);
                if (mass != null) {
                    float[] normalised = masses.normalised((at + panel) * PANEL, state.maxima, state.sums);
                    mass.add(sample, head, query, queries, normalised, PANEL);
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

        void softmax(int count, State state, int panel) {
            for (int half = 0; half < PANEL; half += WIDTH) {
                int at = panel * PANEL + half;
                raiseMaximum(scratch.logits, half, count, state.maxima, at, scratch.rescale);
                exponentials(scratch.logits, half, count, state.maxima, at, scratch.weights, scratch.blockSums);
                FloatVector.fromArray(FLOAT, state.sums, at)
                        .fma(
                                FloatVector.fromArray(FLOAT, scratch.rescale, half),
                                FloatVector.fromArray(FLOAT, scratch.blockSums, half))
                        .intoArray(state.sums, at);
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

        void weightedValues(float[] values, int firstKey, int count, State state, int panel) {
            int to = panel * state.outputFloats;
            for (int channel = 0; channel < scratch.headDim; channel += TILE) {
                int from = call.cache().valueIndex(channel) + firstKey * TILE;
                RegisterTile.multiply(values, from, scratch.weights, 0, count, scratch.product, 0);
                accumulate(scratch.product, scratch.rescale, state.outputs, to + channel * PANEL);
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

        private void silence(float[] out) {
            int end = Math.min((firstPanel + panels) * PANEL, call.queries());
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

        private void store(State state, int panel, int firstQuery, int queries, float outputScale, float[] out) {
            int from = panel * state.outputFloats;
            for (int query = 0; query < queries; query++) {
                int to = call.index(sample, firstQuery + query, head);
                float sum = state.sums[panel * PANEL + query];
                for (int channel = 0; channel < scratch.headDim; channel++) {
                    out[to + channel] = state.outputs[from + channel * PANEL + query] / sum;
                }
                if (outputScale != 1) {
                    for (int channel = 0; channel < scratch.headDim; channel++) {
                        out[to + channel] = outputScale == 0 ? 0 : out[to + channel] * outputScale;
                    }
                }
            }
        }

        /** The logits of at most {@value #TOKEN_BLOCK} keys of a page, NaN where the head gave the page back. */
        void tokenLogits(int page, int key, int queries, float[] tile) {
            PagedKv cache = call.cache();
            int count = Math.min(TOKEN_BLOCK, cache.pageTokens() - key);
            int to = page * cache.pageTokens() + key;
            if (!cache.holds(sample, call.pages()[page], head)) {
                for (int query = 0; query < queries; query++) {
                    int at = query * call.keys() + to;
                    Arrays.fill(tile, at, at + count, Float.NaN);
                }
                return;
            }
            float[] keys = cache.keys(sample, call.pages()[page], head, key, count, scratch.keyRoom);
            logits(keys, key, count, 0);
            for (int j = 0; j < count; j++) {
                for (int query = 0; query < queries; query++) {
                    tile[query * call.keys() + to + j] = scratch.logits[j * PANEL + query];
                }
            }
        }

        /** Adds the weights of one block to its key groups; the softmax itself is not touched. */
        private void addMasses(
                int firstKey, int count, int panel, FrameMass mass, RunningMasses masses, float[] maxima) {
            int groupTokens = mass.keyGroupTokens();
            for (int key = firstKey; key < firstKey + count; ) {
                int group = key / groupTokens;
                int end = Math.min(firstKey + count, (group + 1) * groupTokens);
                for (int half = 0; half < PANEL; half += WIDTH) {
                    int query = panel * PANEL + half;
                    if (end - key == count) {
                        masses.add(query, group, scratch.blockSums, half, maxima);
                    } else {
                        sumWeights(
                                scratch.weights,
                                (key - firstKey) * PANEL,
                                (end - firstKey) * PANEL,
                                half,
                                scratch.product);
                        masses.add(query, group, scratch.product, half, maxima);
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

    /** The logits of a panel of queries, which several tasks may form. */
    private static final class LogitTile {
        private final int size;
        private int missing;
        private float @Nullable [] values;

        LogitTile(int size, int blocks) {
            this.size = size;
            missing = blocks;
        }

        synchronized float[] values() {
            float[] present = values == null ? new float[size] : values;
            values = present;
            return present;
        }

        /** Whether none is missing any more; then this keeps nothing. */
        synchronized boolean add(int blocks) {
            missing -= blocks;
            if (missing == 0) {
                values = null;
            }
            return missing == 0;
        }
    }

    /** Planes are panels of queries of a captured head, units blocks of keys. */
    static TaskPlan tokenTasks(int panels, int blocks, int threads) {
        return TaskPlan.planes(panels, blocks, threads);
    }

    void tokenLogits(AttentionCall call, AttentionTap tap) {
        int[] heads = tap.heads();
        int panels = Math.ceilDiv(call.queries(), PANEL);
        AttentionPlan plan = AttentionPlan.of(call, panels, PIECE_PANELS, workers.threads());
        int blocksOfPage = Math.ceilDiv(call.cache().pageTokens(), TOKEN_BLOCK);
        int blocks = call.pages().length * blocksOfPage;
        LogitTile[] tiles = new LogitTile[call.cache().batch() * heads.length * panels];
        Arrays.setAll(
                tiles, i -> new LogitTile(Math.min(PANEL, call.queries() - i % panels * PANEL) * call.keys(), blocks));
        workers.run(tokenTasks(tiles.length, blocks, workers.threads()), (plane, from, to, worker) -> {
            int panel = plane % panels;
            int headIndex = plane / panels % heads.length;
            int head = heads[headIndex];
            int sample = plane / panels / heads.length;
            int firstQuery = panel * PANEL;
            int queries = Math.min(PANEL, call.queries() - firstQuery);
            Task rows = new Task(call, plan, sample, head, scratchOf(worker, call.cache()), panel, 1);
            rows.packQueries(0, firstQuery, (float) call.scale());
            float[] tile = tiles[plane].values();
            for (int block = from; block < to; block++) {
                rows.tokenLogits(block / blocksOfPage, block % blocksOfPage * TOKEN_BLOCK, queries, tile);
            }
            if (tiles[plane].add(to - from)) {
                call.edit().deliver(tap, sample, headIndex, head, firstQuery, queries, call.keys(), tile);
            }
        });
    }
}
