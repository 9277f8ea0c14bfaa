package wan.jvm.onednn;

import static wan.jvm.vector.Lanes.FLOAT;
import static wan.jvm.vector.Lanes.FLOATS;
import static wan.jvm.vector.Lanes.ORDER;
import static wan.jvm.vector.Lanes.WIDTH;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import org.jspecify.annotations.Nullable;
import wan.jvm.kernel.AttentionCall;
import wan.jvm.kernel.FrameMass;
import wan.jvm.kernel.HostBytes;
import wan.jvm.kernel.TaskPlan;
import wan.jvm.kernel.Workers;
import wan.jvm.vector.RunningMasses;
import wan.jvm.vector.VectorMath;
import wan.op.DType;

/**
 * Streaming-softmax attention with both products on oneDNN and the softmax in float32 between them, on our side.
 *
 * <p>A task is one head and some {@value OneDnnLinear#BLOCK_ROWS} queries; it walks over the blocks of {@link OneDnnKv}, so no more
 * than a block's logits exist at a time. Queries and weights are rounded to what oneDNN multiplies; logits, maxima, sums and
 * outputs are float32, and the sums and frame masses are those of the weights before rounding.
 */
final class OneDnnAttention {
    /** Queries that are handed to {@link FrameMass} at a time. */
    static final int MASS_QUERIES = 16;

    private static final int TASK_QUERIES = OneDnnLinear.BLOCK_ROWS;
    /** The bias of a blocked key that shares its page with others: finite, so that a maximum of such keys is one too. */
    private static final float BLOCKED = -1e30f;

    private final OneDnn oneDnn;
    private final Workers workers;
    private final Scratch[] scratch;

    OneDnnAttention(OneDnn oneDnn, Workers workers) {
        this.oneDnn = oneDnn;
        this.workers = workers;
        scratch = new Scratch[workers.threads()];
        for (int i = 0; i < scratch.length; i++) {
            scratch[i] = new Scratch();
        }
    }

    /** One worker's memory. */
    private static final class Scratch implements AutoCloseable {
        /** [query][channel], rounded. */
        final OneDnnBuffer queries = new OneDnnBuffer();
        /** [query][stride]: logits, then weights, not yet normalised. */
        final OneDnnBuffer logits = new OneDnnBuffer();
        /** [query][stride]: the weights, rounded. */
        final OneDnnBuffer rounded = new OneDnnBuffer();
        /** [query][channel]: the running sum of weighted values. */
        final OneDnnBuffer outputs = new OneDnnBuffer();
        /** Of the logits so far, in base 2. */
        final float[] maxima = new float[TASK_QUERIES];

        final float[] sums = new float[TASK_QUERIES];
        /** What the present block multiplies earlier sums with. */
        final float[] rescale = new float[TASK_QUERIES];

        final float[] blockSums = new float[TASK_QUERIES];
        final float[] groupSums = new float[TASK_QUERIES];
        final float[] lanes = new float[WIDTH];
        final RunningMasses masses = new RunningMasses(MASS_QUERIES);

        @Override
        public void close() {
            queries.close();
            logits.close();
            rounded.close();
            outputs.close();
        }
    }

    void run(AttentionCall call, OneDnnKv cache, float[] out, @Nullable FrameMass mass) {
        if (call.queries() == 0) {
            return;
        }
        int heads = cache.numHeads();
        int headDim = cache.headDim();
        int tile = OneDnnLinear.blockSize(call.queries(), TASK_QUERIES, MASS_QUERIES);
        int tiles = Math.ceilDiv(call.queries(), tile);
        int keys = cache.blockKeys();
        int stride = stride(cache);
        OneDnnMatmul logits = oneDnn.matmul(tile, headDim, keys, headDim, stride, OneDnnMatmul.PostOp.STORE);
        OneDnnMatmul outputs = oneDnn.matmul(tile, keys, headDim, stride, headDim, OneDnnMatmul.PostOp.ADD);
        long[] costs = new long[cache.batch() * heads];
        for (int plane = 0; plane < costs.length; plane++) {
            costs[plane] = call.seen(plane % heads).length;
        }
        workers.run(TaskPlan.of(costs, tiles, 1, workers.threads()), (plane, from, to, worker) -> {
            FrameMass wanted = mass != null && mass.wants(plane % heads) ? mass : null;
            for (int first = from * tile; first < Math.min(to * tile, call.queries()); first += tile) {
                int queries = Math.min(tile, call.queries() - first);
                new Task(call, cache, plane / heads, plane % heads, first, queries, tile, stride, scratch[worker])
                        .run(worker, logits, outputs, oneDnn.dtype(), out, wanted);
            }
        });
    }

    /** What {@link #run} takes. */
    HostBytes scratch(OneDnnKv cache, int queries, int keyGroups) {
        if (queries == 0) {
            return HostBytes.NONE;
        }
        DType dtype = oneDnn.dtype();
        long tile = OneDnnLinear.blockSize(queries, TASK_QUERIES, MASS_QUERIES);
        long logits = tile * stride(cache);
        long outputs = tile * cache.headDim();
        long heap = 2L * Float.BYTES * TASK_QUERIES * keyGroups;
        long rounded = dtype == DType.F32 ? 0 : dtype.bytes(logits);
        return new HostBytes(heap, dtype.bytes(outputs) + Float.BYTES * (logits + outputs) + rounded)
                .times(workers.threads());
    }

    /** Floats from row to row of a block's logits: whole vectors of any width. */
    private static int stride(OneDnnKv cache) {
        return Math.ceilDiv(cache.blockKeys(), 16) * 16;
    }

    void close() {
        for (Scratch each : scratch) {
            each.close();
        }
    }

    /**
     * One head and some queries of a sample.
     *
     * @param tile rows of the products, of which {@code queries} count
     * @param stride floats from row to row of the logits
     */
    private record Task(
            AttentionCall call,
            OneDnnKv cache,
            int sample,
            int head,
            int firstQuery,
            int queries,
            int tile,
            int stride,
            Scratch scratch) {

        void run(
                int worker,
                OneDnnMatmul logitProduct,
                OneDnnMatmul outputProduct,
                DType dtype,
                float[] out,
                @Nullable FrameMass mass) {
            int headDim = cache.headDim();
            float outputScale = call.edit().outputScale(head);
            if (outputScale == 0 && mass == null) {
                silence(out);
                return;
            }
            MemorySegment q = scratch.queries.atLeast(dtype.bytes((long) tile * headDim));
            MemorySegment logits = scratch.logits.atLeast(4L * tile * stride);
            MemorySegment rounded = dtype == DType.F32 ? logits : scratch.rounded.atLeast(2L * tile * stride);
            MemorySegment outputs = scratch.outputs.atLeast(4L * tile * headDim);
            for (int i = 0; i < queries; i++) {
                int from = call.index(sample, firstQuery + i, head);
                OneDnnBuffer.store(call.q(), from, headDim, dtype, q, dtype.bytes((long) i * headDim));
            }
            outputs.asSlice(0, 4L * tile * headDim).fill((byte) 0);
            Arrays.fill(scratch.maxima, Float.NEGATIVE_INFINITY);
            Arrays.fill(scratch.sums, 0);
            if (mass != null) {
                scratch.masses.reset(queries, mass.keyGroups());
            }
            MemorySegment none = MemorySegment.NULL;
            boolean biased = call.edit().biased(head);
            for (int i : call.seen(head)) {
                int page = call.pages()[i];
                for (int block = 0; block < cache.blocks(); block++) {
                    int key = block * cache.blockKeys();
                    int count = Math.min(cache.blockKeys(), cache.pageTokens() - key);
                    logitProduct.run(worker, q, cache.keyBlock(sample, page, head, block), logits, none);
                    if (biased) {
                        addBias(logits, i * cache.pageTokens() + key, count);
                    }
                    softmax(logits, count, rounded);
                    if (mass != null) {
                        addMasses(logits, i * cache.pageTokens() + key, count, mass);
                    }
                    rescaleOutputs(outputs);
                    outputProduct.run(worker, rounded, cache.valueBlock(sample, page, head, block), outputs, none);
                }
            }
            store(outputs, outputScale, out);
            if (mass != null) {
                deliverMasses(mass);
            }
        }

        private void silence(float[] out) {
            for (int i = 0; i < queries; i++) {
                int to = call.index(sample, firstQuery + i, head);
                Arrays.fill(out, to, to + cache.headDim(), 0);
            }
        }

        /** The edit's bias, before the scale that the softmax multiplies with. */
        private void addBias(MemorySegment logits, int firstKey, int count) {
            double scale = call.scale() * call.edit().logitScale(head);
            for (int key = 0; key < count; key++) {
                float bias = call.edit().bias(head, firstKey + key);
                if (bias != 0) {
                    float added = Math.max(BLOCKED, (float) (bias / scale));
                    for (int i = 0; i < queries; i++) {
                        long at = (long) i * stride + key;
                        logits.setAtIndex(FLOATS, at, logits.getAtIndex(FLOATS, at) + added);
                    }
                }
            }
        }

        /** Logits to weights, where they are, and rounded where that is another place. */
        private void softmax(MemorySegment logits, int count, MemorySegment rounded) {
            float factor = (float) (call.scale() * call.edit().logitScale(head) * VectorMath.LOG2_E);
            int columns = Math.ceilDiv(cache.blockKeys(), WIDTH) * WIDTH;
            for (int i = 0; i < queries; i++) {
                long row = (long) i * stride;
                for (int key = count; key < columns; key++) { // so these weigh 2^-126, and their values are zeros
                    logits.setAtIndex(FLOATS, row + key, Float.NEGATIVE_INFINITY);
                }
                float max = maximum(logits, row, columns, scratch.lanes) * factor;
                float before = scratch.maxima[i];
                scratch.maxima[i] = before < max ? max : before;
                scratch.rescale[i] = before - scratch.maxima[i];
            }
            for (int i = 0; i < TASK_QUERIES; i += WIDTH) {
                VectorMath.exp2(FloatVector.fromArray(FLOAT, scratch.rescale, i))
                        .intoArray(scratch.rescale, i);
            }
            boolean round = !rounded.equals(logits);
            for (int i = 0; i < queries; i++) {
                long row = (long) i * stride;
                float sum = weights(logits, row, columns, factor, scratch.maxima[i], rounded, round, scratch.lanes);
                scratch.blockSums[i] = sum;
                scratch.sums[i] = scratch.sums[i] * scratch.rescale[i] + sum;
            }
        }

        /** The largest of a row; not a number does not count. */
        private static float maximum(MemorySegment logits, long row, int columns, float[] lanes) {
            FloatVector max = FloatVector.broadcast(FLOAT, Float.NEGATIVE_INFINITY);
            for (int i = 0; i < columns; i += WIDTH) {
                FloatVector logit = FloatVector.fromMemorySegment(FLOAT, logits, 4 * (row + i), ORDER);
                max = max.blend(logit, logit.compare(VectorOperators.GT, max));
            }
            max.intoArray(lanes, 0);
            float largest = Float.NEGATIVE_INFINITY;
            for (float lane : lanes) {
                largest = lane > largest ? lane : largest;
            }
            return largest;
        }

        /** 2^(logit * factor - max) of a row; gives their sum. */
        private static float weights(
                MemorySegment logits,
                long row,
                int columns,
                float factor,
                float max,
                MemorySegment rounded,
                boolean round,
                float[] lanes) {
            FloatVector sum = FloatVector.zero(FLOAT);
            FloatVector scale = FloatVector.broadcast(FLOAT, factor);
            FloatVector shift = FloatVector.broadcast(FLOAT, max);
            for (int i = 0; i < columns; i += WIDTH) {
                // Not fused: the largest has to come out as 0 however large it is, rounded as its maximum was.
                FloatVector weight = VectorMath.exp2(FloatVector.fromMemorySegment(FLOAT, logits, 4 * (row + i), ORDER)
                        .mul(scale)
                        .sub(shift));
                weight.intoMemorySegment(logits, 4 * (row + i), ORDER);
                if (round) {
                    OneDnnBuffer.storeBfloat16(weight, rounded, 2 * (row + i));
                }
                sum = sum.add(weight);
            }
            sum.intoArray(lanes, 0);
            float total = 0;
            for (float lane : lanes) {
                total += lane;
            }
            return total;
        }

        private void rescaleOutputs(MemorySegment outputs) {
            int headDim = cache.headDim();
            for (int i = 0; i < queries; i++) {
                if (scratch.rescale[i] != 1) {
                    scale(outputs, (long) i * headDim, headDim, scratch.rescale[i]);
                }
            }
        }

        private static void scale(MemorySegment outputs, long row, int headDim, float factor) {
            int whole = FLOAT.loopBound(headDim);
            for (int i = 0; i < whole; i += WIDTH) {
                FloatVector.fromMemorySegment(FLOAT, outputs, 4 * (row + i), ORDER)
                        .mul(factor)
                        .intoMemorySegment(outputs, 4 * (row + i), ORDER);
            }
            for (int i = whole; i < headDim; i++) {
                outputs.setAtIndex(FLOATS, row + i, outputs.getAtIndex(FLOATS, row + i) * factor);
            }
        }

        private void store(MemorySegment outputs, float outputScale, float[] out) {
            int headDim = cache.headDim();
            for (int i = 0; i < queries; i++) {
                int to = call.index(sample, firstQuery + i, head);
                MemorySegment.copy(outputs, FLOATS, 4L * i * headDim, out, to, headDim);
                for (int channel = 0; channel < headDim; channel++) {
                    out[to + channel] /= scratch.sums[i];
                }
                if (outputScale != 1) {
                    for (int channel = 0; channel < headDim; channel++) {
                        out[to + channel] = outputScale == 0 ? 0 : out[to + channel] * outputScale;
                    }
                }
            }
        }

        /** Adds the weights of one block to its key groups; the softmax itself is not touched. */
        private void addMasses(MemorySegment weights, int firstKey, int count, FrameMass mass) {
            int groupTokens = mass.keyGroupTokens();
            for (int key = firstKey; key < firstKey + count; ) {
                int group = key / groupTokens;
                int end = Math.min(firstKey + count, (group + 1) * groupTokens);
                float[] sums = scratch.blockSums;
                if (end - key < count) {
                    sums = scratch.groupSums;
                    for (int i = 0; i < queries; i++) {
                        float sum = 0;
                        for (int j = key - firstKey; j < end - firstKey; j++) {
                            sum += weights.getAtIndex(FLOATS, (long) i * stride + j);
                        }
                        sums[i] = sum;
                    }
                }
                for (int i = 0; i < queries; i += WIDTH) {
                    scratch.masses.add(i, group, sums, i, scratch.maxima);
                }
                key = end;
            }
        }

        private void deliverMasses(FrameMass mass) {
            for (int query = 0; query < queries; query += MASS_QUERIES) {
                float[] masses = scratch.masses.normalised(query, scratch.maxima, scratch.sums);
                int count = Math.min(MASS_QUERIES, queries - query);
                mass.add(sample, head, firstQuery + query, count, masses, MASS_QUERIES);
            }
        }
    }
}
