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
 * <p>Bias and GELU are oneDNN's, but for int8, whose sums have to be scaled first; residual and gate are ours, since y lies on the heap and has to be written from here anyway.
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

    /** Byte offsets of the chunks, of the bias after them, of the scales of int8 after it, and of the end. */
    private long[] offsets(JvmLinear weights) {
        int chunks = Math.ceilDiv(weights.outFeatures(), CHUNK);
        long[] offsets = new long[chunks + 3];
        for (int chunk = 0; chunk < chunks; chunk++) {
            long bytes =
                    oneDnn.layout(weights.inFeatures(), width(weights, chunk)).bytes();
            offsets[chunk + 1] = offsets[chunk] + Math.ceilDiv(bytes, 64) * 64;
        }
        long floats = 4L * stride(weights.outFeatures());
        offsets[chunks + 1] = offsets[chunks] + floats;
        offsets[chunks + 2] = offsets[chunks + 1] + (isInt8() ? floats : 0);
        return offsets;
    }

    private static int width(JvmLinear weights, int chunk) {
        return Math.min(CHUNK, weights.outFeatures() - chunk * CHUNK);
    }

    /** Floats from row to row, so that whole vectors may be read and written. */
    private static int stride(int width) {
        return Math.ceilDiv(width, 16) * 16;
    }

    private boolean isInt8() {
        return oneDnn.dtype() == DType.I8;
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
        return inputBytes(rows, blockRows, weights.inFeatures()) + 4L * blockRows * CHUNK * workers.threads();
    }

    /** Of x and, for int8, of its scales after it, one a row. */
    private long inputBytes(int rows, int blockRows, int in) {
        return scalesAt(rows, blockRows, in) + (isInt8() ? 4L * rows : 0);
    }

    private long scalesAt(int rows, int blockRows, int in) {
        return Math.ceilDiv(oneDnn.dtype().bytes((long) Math.ceilDiv(rows, blockRows) * blockRows * in), 64L) * 64;
    }

    MemorySegment pack(JvmLinear weights, Arena arena) {
        long[] offsets = offsets(weights);
        int chunks = offsets.length - 3;
        int in = weights.inFeatures();
        MemorySegment packed = arena.allocate(offsets[chunks + 2], 64);
        MemorySegment.copy(weights.bias(), 0, packed, ValueLayout.JAVA_FLOAT, offsets[chunks], weights.outFeatures());
        if (isInt8()) {
            workers.run(chunks, (chunk, _) -> packInt8(weights, chunk, packed, offsets));
            return packed;
        }
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

    private void packInt8(JvmLinear weights, int chunk, MemorySegment packed, long[] offsets) {
        int in = weights.inFeatures();
        int width = width(weights, chunk);
        try (Arena temporary = Arena.ofConfined()) {
            MemorySegment bytes = temporary.allocate((long) width * in, 64);
            for (int i = 0; i < width; i++) {
                int feature = chunk * CHUNK + i;
                float[] row = weights.weight().floats((long) feature * in, in);
                float scale = OneDnnInt8.store(row, 0, in, bytes, (long) i * in);
                packed.set(Lanes.FLOATS, offsets[offsets.length - 2] + 4L * feature, scale);
            }
            oneDnn.pack(bytes, DType.I8, 1, in, oneDnn.layout(in, width), packed.asSlice(offsets[chunk]));
        }
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
        int chunks = offsets.length - 3;
        long scalesAt = scalesAt(rows, blockRows, in);
        MemorySegment inputs = x.atLeast(inputBytes(rows, blockRows, in));
        workers.ranges(rows, 16, (from, to) -> {
            if (isInt8()) {
                for (int row = from; row < to; row++) {
                    float scale = OneDnnInt8.store(input, row * in, in, inputs, (long) row * in);
                    inputs.set(Lanes.FLOATS, scalesAt + 4L * row, scale);
                }
            } else {
                OneDnnBuffer.store(input, from * in, (to - from) * in, dtype, inputs, dtype.bytes((long) from * in));
            }
        });

        boolean gelu = epilogue.kind() == Epilogue.Kind.GELU;
        OneDnnMatmul.PostOp fused =
                isInt8() ? OneDnnMatmul.PostOp.STORE : gelu ? OneDnnMatmul.PostOp.BIAS_GELU : OneDnnMatmul.PostOp.BIAS;
        int firstWidth = width(weights, 0);
        OneDnnMatmul wide = oneDnn.matmul(blockRows, in, firstWidth, in, stride(firstWidth), fused);
        int lastWidth = width(weights, chunks - 1);
        OneDnnMatmul last = oneDnn.matmul(blockRows, in, lastWidth, in, stride(lastWidth), fused);
        int groups = Math.clamp(Math.ceilDiv(TASKS * workers.threads(), blocks), 1, chunks);
        workers.run(blocks * groups, (task, worker) -> {
            int block = task / groups;
            int group = task % groups;
            MemorySegment sums = y[worker].atLeast(4L * blockRows * CHUNK);
            for (int chunk = chunks * group / groups; chunk < chunks * (group + 1) / groups; chunk++) {
                int width = width(weights, chunk);
                int stride = stride(width);
                long bias = offsets[chunks] + 4L * chunk * CHUNK;
                (chunk == chunks - 1 ? last : wide)
                        .run(
                                worker,
                                inputs.asSlice(dtype.bytes((long) block * blockRows * in)),
                                packed.asSlice(offsets[chunk]),
                                sums,
                                packed.asSlice(bias));
                int end = Math.min(blockRows, rows - block * blockRows);
                for (int row = 0; row < end; row++) {
                    int of = block * blockRows + row;
                    if (isInt8()) {
                        float scale = inputs.get(Lanes.FLOATS, scalesAt + 4L * of);
                        long scales = offsets[chunks + 1] + 4L * chunk * CHUNK;
                        OneDnnInt8.scale(sums, 4L * row * stride, width, scale, packed, scales, bias);
                        if (gelu) {
                            OneDnnInt8.gelu(sums, 4L * row * stride, width);
                        }
                    }
                    finish(sums, row * stride, width, epilogue, of, chunk * CHUNK, output, of * out + chunk * CHUNK);
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
