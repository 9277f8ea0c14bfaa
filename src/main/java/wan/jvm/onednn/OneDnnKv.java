package wan.jvm.onednn;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import org.jspecify.annotations.Nullable;
import wan.jvm.kernel.HostBytes;
import wan.jvm.kernel.PagedKv;
import wan.op.CachePart;
import wan.op.DType;
import wan.op.WanException;

/**
 * A cache with keys and values as oneDNN multiplies them, in blocks of keys that end where pages end, the last one padded with
 * zeros. The keys are there once more as they came, in float32: captured logits are sums over these.
 *
 * <p>With BF16 a token takes as much memory as in a {@link PagedKv}, half of it off the heap; with F32 half as much again.
 */
final class OneDnnKv extends PagedKv {
    /** Keys of a block, at most: logits, weights, keys and values of a task fit the second-level cache. */
    static final int BLOCK_KEYS = 320;

    private final OneDnn oneDnn;
    private final Arena arena = Arena.ofShared();
    private final int blockKeys;
    private final int blocks;
    private final OneDnn.Layout keyLayout;
    private final OneDnn.Layout valueLayout;
    /** Per head of a page: its blocks of keys, then those of values. */
    private final @Nullable MemorySegment[] packed;
    /** What heads gave back: an arena frees only as a whole. */
    private final Deque<MemorySegment> spare = new ArrayDeque<>();

    private boolean released;

    OneDnnKv(OneDnn oneDnn, int batch, int pages, int pageTokens, int numHeads, int headDim, int tile) {
        super(batch, pages, pageTokens, numHeads, headDim, tile, DType.F32);
        this.oneDnn = oneDnn;
        blockKeys = OneDnnLinear.blockSize(pageTokens, BLOCK_KEYS, 64);
        blocks = Math.ceilDiv(pageTokens, blockKeys);
        keyLayout = oneDnn.layout(headDim, blockKeys);
        valueLayout = oneDnn.layout(blockKeys, headDim);
        packed = new MemorySegment[batch * pages * numHeads];
    }

    /** Keys of a block. */
    int blockKeys() {
        return blockKeys;
    }

    /** Blocks of a page. */
    int blocks() {
        return blocks;
    }

    /** [headDim, blockKeys], in oneDNN's layout. */
    MemorySegment keyBlock(int sample, int page, int head, int block) {
        return head(sample, page, head).asSlice(block * aligned(keyLayout));
    }

    /** [blockKeys, headDim], in oneDNN's layout. */
    MemorySegment valueBlock(int sample, int page, int head, int block) {
        return head(sample, page, head).asSlice(blocks * aligned(keyLayout) + block * aligned(valueLayout));
    }

    private static long aligned(OneDnn.Layout layout) {
        return Math.ceilDiv(layout.bytes(), 64) * 64;
    }

    private MemorySegment head(int sample, int page, int head) {
        requireWritten(sample, page);
        MemorySegment memory = packed[slot(sample, page) * numHeads() + head];
        if (memory == null) {
            throw new WanException("kv cache: head " + head + " gave page " + page + " back");
        }
        return memory;
    }

    @Override
    public HostBytes headBytes() {
        return new HostBytes(Float.BYTES * pageKeyFloats(), packedBytes());
    }

    private long packedBytes() {
        return blocks * (aligned(keyLayout) + aligned(valueLayout));
    }

    @Override
    public void allocate(int sample, int page) {
        allocateKeys(sample, page);
        int first = slot(sample, page) * numHeads();
        for (int at = first; at < first + numHeads(); at++) {
            if (packed[at] == null) {
                packed[at] = spare.isEmpty() ? arena.allocate(packedBytes(), 64) : spare.pop();
            }
        }
    }

    @Override
    public void discard(int sample, int page, int head) {
        super.discard(sample, page, head);
        int at = slot(sample, page) * numHeads() + head;
        MemorySegment memory = packed[at];
        if (memory != null) {
            spare.push(memory);
            packed[at] = null;
        }
    }

    @Override
    public void append(int sample, int page, int head, float[] k, float[] v, int firstRow) {
        appendKeys(sample, page, head, k, firstRow);
        try (Arena temporary = Arena.ofConfined()) {
            MemorySegment rows = temporary.allocate(4L * blockKeys * headDim(), 64);
            for (int block = 0; block < blocks; block++) {
                copyRows(k, head, firstRow, block, rows);
                oneDnn.pack(rows, DType.F32, 1, headDim(), keyLayout, keyBlock(sample, page, head, block));
                copyRows(v, head, firstRow, block, rows);
                oneDnn.pack(rows, DType.F32, headDim(), 1, valueLayout, valueBlock(sample, page, head, block));
            }
        }
    }

    /** One block of one head, zeros beyond the page: [blockKeys, headDim]. */
    private void copyRows(float[] from, int head, int firstRow, int block, MemorySegment rows) {
        int count = Math.min(blockKeys, pageTokens() - block * blockKeys);
        for (int i = 0; i < count; i++) {
            int at = ((firstRow + block * blockKeys + i) * numHeads() + head) * headDim();
            MemorySegment.copy(from, at, rows, ValueLayout.JAVA_FLOAT, 4L * i * headDim(), headDim());
        }
        rows.asSlice(4L * count * headDim()).fill((byte) 0);
    }

    @Override
    public void read(CachePart part, int sample, int page, float[] out, int firstRow) {
        if (part == CachePart.KEYS) {
            super.read(part, sample, page, out, firstRow);
            return;
        }
        try (Arena temporary = Arena.ofConfined()) {
            MemorySegment rows = temporary.allocate(4L * blockKeys * headDim(), 64);
            for (int head = 0; head < numHeads(); head++) {
                boolean held = holds(sample, page, head);
                for (int token = 0; token < pageTokens(); token++) {
                    if (held && token % blockKeys == 0) {
                        MemorySegment block = valueBlock(sample, page, head, token / blockKeys);
                        oneDnn.unpack(block, valueLayout, rows);
                    }
                    int to = ((firstRow + token) * numHeads() + head) * headDim();
                    if (!held) {
                        Arrays.fill(out, to, to + headDim(), 0);
                        continue;
                    }
                    long from = 4L * (token % blockKeys) * headDim();
                    MemorySegment.copy(rows, ValueLayout.JAVA_FLOAT, from, out, to, headDim());
                }
            }
        }
    }

    boolean isReleased() {
        return released;
    }

    @Override
    public void release() {
        super.release();
        if (!released) {
            released = true;
            Arrays.fill(packed, null);
            spare.clear();
            arena.close();
        }
    }
}
