package wan.jvm.kernel;

import java.util.Arrays;
import java.util.Locale;
import wan.op.CachePart;
import wan.op.DType;
import wan.op.KvTensor;
import wan.op.WanException;

/**
 * Keys and values in the order in which the attention kernels read them.
 *
 * <p>Each head of each page of each sample has one array for its keys and one for its values, allocated when the page is first written: a
 * cache for 21 frames of the full model would be 12 GB. A head that no longer needs a page gives its arrays back. Keys are {@code [key /
 * tile][channel][key % tile]} and values {@code [channel / tile][key][channel % tile]}, padded with zeros to whole tiles, so that both
 * products of the attention read {@code tile} neighbours at each step of their inner loop.
 */
public class PagedKv implements KvTensor {
    private final int batch;
    private final int pages;
    private final int pageTokens;
    private final int numHeads;
    private final int headDim;
    private final int tile;
    private final DType type;
    private final KvStore<?> keys;
    private final KvStore<?> values;
    private final boolean[] written;
    private boolean released;

    /**
     * An empty cache.
     *
     * @param tile neighbours in the inner loops
     * @param type F32, F16 or BF16: what keys and values are rounded to
     */
    public PagedKv(int batch, int pages, int pageTokens, int numHeads, int headDim, int tile, DType type) {
        if (batch < 1 || pages < 1 || pageTokens < 1 || numHeads < 1 || headDim < 1) {
            throw WanException.mismatch(
                    "kvCache",
                    "positive extents",
                    String.format(
                            Locale.ROOT,
                            "batch %d, pages %d, pageTokens %d, numHeads %d, headDim %d",
                            batch,
                            pages,
                            pageTokens,
                            numHeads,
                            headDim),
                    "");
        }
        this.batch = batch;
        this.pages = pages;
        this.pageTokens = pageTokens;
        this.numHeads = numHeads;
        this.headDim = headDim;
        this.tile = tile;
        this.type = type;
        if (Math.max(pageKeyFloats(), pageValueFloats()) > Integer.MAX_VALUE - 8) {
            throw new WanException(
                    "kvCache: a head of a page of " + pageTokens + " tokens has more elements than a Java array holds");
        }
        int slots = Math.multiplyExact(batch, pages);
        int arrays = Math.multiplyExact(slots, numHeads);
        keys = KvStore.of(type, arrays, (int) pageKeyFloats());
        values = KvStore.of(type, arrays, (int) pageValueFloats());
        written = new boolean[slots];
    }

    /** What {@link #allocate} takes for one head. */
    public HostBytes headBytes() {
        return new HostBytes(type.bytes(pageKeyFloats() + pageValueFloats()), 0);
    }

    /** Floats of a head's keys of a page. */
    protected final long pageKeyFloats() {
        return (long) tiles(pageTokens) * tile * headDim;
    }

    private long pageValueFloats() {
        return (long) tiles(headDim) * tile * pageTokens;
    }

    private int tiles(int count) {
        return Math.ceilDiv(count, tile);
    }

    @Override
    public int batch() {
        return batch;
    }

    @Override
    public int pages() {
        return pages;
    }

    @Override
    public int pageTokens() {
        return pageTokens;
    }

    @Override
    public int numHeads() {
        return numHeads;
    }

    @Override
    public int headDim() {
        return headDim;
    }

    /** Neighbours in the inner loops. */
    public int tile() {
        return tile;
    }

    /** Numbers that {@link #keys} and {@link #values} want room for: none where they are float32 already. */
    public int roomFloats() {
        return type == DType.F32 ? 0 : (int) Math.max(pageKeyFloats(), pageValueFloats());
    }

    /**
     * The keys of one head of a page that has been written, at least those that are asked for.
     *
     * @param room of {@link #roomFloats()}, which may be what is returned
     */
    public float[] keys(int sample, int page, int head, int firstKey, int count, float[] room) {
        int end = Math.ceilDiv(firstKey + count, tile) * tile * headDim;
        return held(keys, sample, page, head, keyIndex(firstKey / tile * tile), end, room);
    }

    /**
     * The values of one head of a page that has been written.
     *
     * @param room of {@link #roomFloats()}, which may be what is returned
     */
    public float[] values(int sample, int page, int head, float[] room) {
        return held(values, sample, page, head, 0, (int) pageValueFloats(), room);
    }

    private float[] held(KvStore<?> store, int sample, int page, int head, int from, int to, float[] room) {
        requireWritten(sample, page);
        int at = slot(sample, page) * numHeads + head;
        if (!store.holds(at)) {
            throw new WanException("kv cache: head " + head + " gave page " + page + " back");
        }
        return store.floats(at, from, to, room);
    }

    /** Checks that a page has been written. */
    public final void requireWritten(int sample, int page) {
        if (!written[slot(sample, page)]) {
            throw new WanException("kv cache: page " + page + " of sample " + sample + " has not been written");
        }
    }

    /** Whether a head still has a page. */
    public final boolean holds(int sample, int page, int head) {
        return keys.holds(slot(sample, page) * numHeads + head);
    }

    /** What the keys and values take that are held. */
    public final long heldBytes() {
        return keys.heldBytes() + values.heldBytes();
    }

    /** Gives the memory of one head of a page back; it can be written again. */
    public void discard(int sample, int page, int head) {
        int at = slot(sample, page) * numHeads + head;
        keys.discard(at);
        values.discard(at);
    }

    /** The number of a page among those of all samples. */
    protected final int slot(int sample, int page) {
        if (released) {
            throw new WanException("kv cache: used after it was released");
        }
        if (page < 0 || page >= pages) {
            throw WanException.mismatch("kv cache", "a page below " + pages, page, "");
        }
        return sample * pages + page;
    }

    /** Index of channel 0 of a key among a head's; its channels follow at distance {@link #tile()}. */
    public int keyIndex(int key) {
        return key / tile * tile * headDim + key % tile;
    }

    /** Index of one channel of key 0 among a head's; the channel of the next keys follow at distance {@link #tile()}. */
    public int valueIndex(int channel) {
        return channel / tile * tile * pageTokens + channel % tile;
    }

    /** Makes sure that all heads of a page have arrays. */
    public void allocate(int sample, int page) {
        allocateKeys(sample, page);
        int first = slot(sample, page) * numHeads;
        for (int at = first; at < first + numHeads; at++) {
            values.allocate(at);
        }
    }

    /** Makes sure that all heads of a page have an array of keys. */
    protected final void allocateKeys(int sample, int page) {
        int slot = slot(sample, page);
        written[slot] = true;
        for (int at = slot * numHeads; at < (slot + 1) * numHeads; at++) {
            keys.allocate(at);
        }
    }

    /**
     * Writes one head of a page.
     *
     * @param k [tokens, numHeads * headDim]
     * @param v as k
     * @param firstRow the row of k and v with the page's first token
     */
    public void append(int sample, int page, int head, float[] k, float[] v, int firstRow) {
        appendKeys(sample, page, head, k, firstRow);
        int at = slot(sample, page) * numHeads + head;
        for (int channel = 0; channel < headDim; channel += tile) {
            int width = Math.min(tile, headDim - channel);
            for (int token = 0; token < pageTokens; token++) {
                int from = ((firstRow + token) * numHeads + head) * headDim + channel;
                values.put(at, valueIndex(channel) + token * tile, 1, v, from, width);
            }
        }
    }

    /** Writes one head of a page's keys. */
    protected final void appendKeys(int sample, int page, int head, float[] k, int firstRow) {
        int at = slot(sample, page) * numHeads + head;
        for (int token = 0; token < pageTokens; token++) {
            keys.put(at, keyIndex(token), tile, k, ((firstRow + token) * numHeads + head) * headDim, headDim);
        }
    }

    /**
     * Copies a page out again; zeros for heads that gave it back.
     *
     * @param out [tokens, numHeads, headDim]
     * @param firstRow the row of {@code out} for the page's first token
     */
    public void read(CachePart part, int sample, int page, float[] out, int firstRow) {
        requireWritten(sample, page);
        for (int head = 0; head < numHeads; head++) {
            int array = slot(sample, page) * numHeads + head;
            KvStore<?> store = part == CachePart.KEYS ? keys : values;
            boolean held = store.holds(array);
            for (int token = 0; token < pageTokens; token++) {
                int to = ((firstRow + token) * numHeads + head) * headDim;
                for (int channel = 0; channel < headDim; channel++) {
                    int at = part == CachePart.KEYS
                            ? keyIndex(token) + channel * tile
                            : valueIndex(channel) + token * tile;
                    out[to + channel] = held ? store.get(array, at) : 0;
                }
            }
        }
    }

    /** Releases the memory. */
    public void release() {
        released = true;
        keys.discardAll();
        values.discardAll();
        Arrays.fill(written, false);
    }

    @Override
    public String toString() {
        return String.format(
                Locale.ROOT, "kv cache [%d, %d x %d, %d, %d]", batch, pages, pageTokens, numHeads, headDim);
    }
}
