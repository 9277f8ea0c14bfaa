package wan.jvm.onednn;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import wan.jvm.kernel.Epilogue;
import wan.jvm.kernel.JvmLinear;
import wan.jvm.kernel.Workers;
import wan.jvm.vector.Lanes;
import wan.op.DType;

/**
 * Linear layers on oneDNN: rows in blocks, output features in chunks, one product of oneDNN for each pair, on one of our threads.
 * Which pairs there are depends on the shapes alone.
 *
 * <p>Bias and GELU are oneDNN's; residual and gate are ours, since y lies on the heap and has to be written from here anyway.
 */
final class OneDnnLinear {
    /** Rows of a block, at most: 1560 and 4680 are almost whole numbers of blocks, and 16 divides it. */
    static final int BLOCK_ROWS = 224;
    /** Output features of a chunk: it and a block of x fit the second-level cache. */
    private static final int CHUNK = 512;
    /** Tasks per thread, at least, if there are so many. */
    private static final int TASKS = 8;

    private final OneDnn oneDnn;
    private final Workers workers;
    private final OneDnnBuffer x;
    private final OneDnnBuffer[] y;

    OneDnnLinear(OneDnn oneDnn, Workers workers) {
        this.oneDnn = oneDnn;
        this.workers = workers;
        x = new OneDnnBuffer();
        y = OneDnnBuffer.several(workers.threads());
    }

    /** Rows or keys of a block: equal ones, a multiple of {@code multiple} unless one block is enough. */
    static int blockSize(int count, int most, int multiple) {
        int blocks = Math.ceilDiv(count, most);
        int even = Math.ceilDiv(count, blocks);
        return blocks == 1 ? count : Math.ceilDiv(even, multiple) * multiple;
    }

    /** Byte offsets of the chunks, of the bias after them, and of the end. */
    private long[] offsets(JvmLinear weights) {
        int chunks = Math.ceilDiv(weights.outFeatures(), CHUNK);
        long[] offsets = new long[chunks + 2];
        for (int chunk = 0; chunk < chunks; chunk++) {
            long bytes =
                    oneDnn.layout(weights.inFeatures(), width(weights, chunk)).bytes();
            offsets[chunk + 1] = offsets[chunk] + Math.ceilDiv(bytes, 64) * 64;
        }
        offsets[chunks + 1] = offsets[chunks] + 4L * weights.outFeatures();
        return offsets;
    }

    private static int width(JvmLinear weights, int chunk) {
        return Math.min(CHUNK, weights.outFeatures() - chunk * CHUNK);
    }

    /** Of packed weights. */
    long bytes(JvmLinear weights) {
        long[] offsets = offsets(weights);
        return offsets[offsets.length - 1];
    }

    /** What {@link #run} takes. */
    long scratchBytes(int rows, JvmLinear weights) {
        if (rows == 0) {
            return 0;
        }
        int blockRows = blockSize(rows, BLOCK_ROWS, 16);
        long inputs = (long) Math.ceilDiv(rows, blockRows) * blockRows * weights.inFeatures();
        return oneDnn.dtype().bytes(inputs) + 4L * blockRows * CHUNK * workers.threads();
    }

    MemorySegment pack(JvmLinear weights, Arena arena) {
        long[] offsets = offsets(weights);
        int chunks = offsets.length - 2;
        int in = weights.inFeatures();
        MemorySegment packed = arena.allocate(offsets[chunks + 1], 64);
        MemorySegment.copy(weights.bias(), 0, packed, ValueLayout.JAVA_FLOAT, offsets[chunks], weights.outFeatures());
        try (Arena temporary = Arena.ofShared()) {
            DType stored = weights.weight().dtype();
            boolean direct = stored == DType.BF16 || stored == DType.F32;
            DType type = direct ? stored : DType.F32;
            MemorySegment source = weights.weight().data();
            if (!direct) {
                source = temporary.allocateFrom(
                        ValueLayout.JAVA_FLOAT, weights.weight().toFloats());
            } else if (!source.isNative()) {
                MemorySegment heap = source;
                source = temporary.allocate(heap.byteSize(), 64).copyFrom(heap);
            }
            MemorySegment from = source;
            workers.run(
                    chunks,
                    (chunk, _) -> oneDnn.pack(
                            from.asSlice(type.bytes((long) chunk * CHUNK * in)),
                            type,
                            1,
                            in,
                            oneDnn.layout(in, width(weights, chunk)),
                            packed.asSlice(offsets[chunk])));
        }
        return packed;
    }

    void run(float[] input, int rows, JvmLinear weights, MemorySegment packed, Epilogue epilogue, float[] output) {
        if (rows == 0) {
            return;
        }
        int in = weights.inFeatures();
        int out = weights.outFeatures();
        DType dtype = oneDnn.dtype();
        int blockRows = blockSize(rows, BLOCK_ROWS, 16);
        int blocks = Math.ceilDiv(rows, blockRows);
        long[] offsets = offsets(weights);
        int chunks = offsets.length - 2;
        MemorySegment inputs = x.atLeast(dtype.bytes((long) blocks * blockRows * in));
        workers.ranges(
                rows,
                16,
                (from, to) -> OneDnnBuffer.store(
                        input, from * in, (to - from) * in, dtype, inputs, dtype.bytes((long) from * in)));

        OneDnnMatmul.PostOp fused =
                epilogue.kind() == Epilogue.Kind.GELU ? OneDnnMatmul.PostOp.BIAS_GELU : OneDnnMatmul.PostOp.BIAS;
        OneDnnMatmul wide = oneDnn.matmul(blockRows, in, Math.min(CHUNK, out), in, Math.min(CHUNK, out), fused);
        int lastWidth = width(weights, chunks - 1);
        OneDnnMatmul last = oneDnn.matmul(blockRows, in, lastWidth, in, lastWidth, fused);
        int groups = Math.clamp(Math.ceilDiv(TASKS * workers.threads(), blocks), 1, chunks);
        workers.run(blocks * groups, (task, worker) -> {
            int block = task / groups;
            int group = task % groups;
            MemorySegment sums = y[worker].atLeast(4L * blockRows * CHUNK);
            for (int chunk = chunks * group / groups; chunk < chunks * (group + 1) / groups; chunk++) {
                int width = width(weights, chunk);
                (chunk == chunks - 1 ? last : wide)
                        .run(
                                worker,
                                inputs.asSlice(dtype.bytes((long) block * blockRows * in)),
                                packed.asSlice(offsets[chunk]),
                                sums,
                                packed.asSlice(offsets[chunks] + 4L * chunk * CHUNK));
                int end = Math.min(blockRows, rows - block * blockRows);
                for (int row = 0; row < end; row++) {
                    int at = (block * blockRows + row) * out + chunk * CHUNK;
                    finish(sums, row * width, width, epilogue, block * blockRows + row, chunk * CHUNK, output, at);
                }
            }
        });
    }

    /** One row of a chunk into y. */
    private static void finish(
            MemorySegment sums, int from, int width, Epilogue epilogue, int row, int feature, float[] y, int at) {
        switch (epilogue.kind()) {
            case STORE, GELU -> MemorySegment.copy(sums, ValueLayout.JAVA_FLOAT, 4L * from, y, at, width);
            case ADD -> add(sums, from, width, y, at);
            case ADD_GATED -> addGated(sums, from, width, epilogue.gate(), epilogue.gateIndex(row) + feature, y, at);
        }
    }

    private static void add(MemorySegment sums, int from, int width, float[] y, int at) {
        int whole = Lanes.FLOAT.loopBound(width);
        for (int i = 0; i < whole; i += Lanes.WIDTH) {
            FloatVector.fromArray(Lanes.FLOAT, y, at + i)
                    .add(FloatVector.fromMemorySegment(Lanes.FLOAT, sums, 4L * (from + i), Lanes.ORDER))
                    .intoArray(y, at + i);
        }
        for (int i = whole; i < width; i++) {
            y[at + i] += sums.getAtIndex(Lanes.FLOATS, from + i);
        }
    }

    private static void addGated(MemorySegment sums, int from, int width, float[] gate, int gateAt, float[] y, int at) {
        int whole = Lanes.FLOAT.loopBound(width);
        for (int i = 0; i < whole; i += Lanes.WIDTH) {
            FloatVector.fromMemorySegment(Lanes.FLOAT, sums, 4L * (from + i), Lanes.ORDER)
                    .fma(
                            FloatVector.fromArray(Lanes.FLOAT, gate, gateAt + i),
                            FloatVector.fromArray(Lanes.FLOAT, y, at + i))
                    .intoArray(y, at + i);
        }
        for (int i = whole; i < width; i++) {
            y[at + i] = Math.fma(sums.getAtIndex(Lanes.FLOATS, from + i), gate[gateAt + i], y[at + i]);
        }
    }

    void close() {
        x.close();
        OneDnnBuffer.close(y);
    }
}
