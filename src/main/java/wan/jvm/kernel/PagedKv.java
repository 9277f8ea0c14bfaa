package wan.jvm.kernel;

import java.util.Arrays;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import wan.op.CachePart;
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
    private final float[] @Nullable [] keys;
    private final float[] @Nullable [] values;
    private final boolean[] written;
    private boolean released;

    public PagedKv(int batch, int pages, int pageTokens, int numHeads, int headDim, int tile) {
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
        if (Math.max(pageKeyFloats(), pageValueFloats()) > Integer.MAX_VALUE - 8) {
            throw new WanException(
                    "kvCache: a head of a page of " + pageTokens + " tokens has more elements than a Java array holds");
        }
        int slots = Math.multiplyExact(batch, pages);
        keys = new float[Math.multiplyExact(slots, numHeads)][];
        values = new float[Math.multiplyExact(slots, numHeads)][];
        written = new boolean[slots];
    }

    /** What {@link #allocate} takes for one head. */
    public HostBytes headBytes() {
        return new HostBytes(Float.BYTES * (pageKeyFloats() + pageValueFloats()), 0);
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

    /** The keys of one head of a page that has been written. */
    public float[] keys(int sample, int page, int head) {
        return held(keys, sample, page, head);
    }

    /** The values of one head of a page that has been written. */
    public float[] values(int sample, int page, int head) {
        return held(values, sample, page, head);
    }

    private float[] held(float[] @Nullable [] store, int sample, int page, int head) {
        requireWritten(sample, page);
        float[] array = store[slot(sample, page) * numHeads + head];
        if (array == null) {
            throw new WanException("kv cache: head " + head + " gave page " + page + " back");
        }
        return array;
    }

    /** Checks that a page has been written. */
    public final void requireWritten(int sample, int page) {
        if (!written[slot(sample, page)]) {
            throw new WanException("kv cache: page " + page + " of sample " + sample + " has not been written");
        }
    }

    /** Whether a head still has a page. */
    public final boolean holds(int sample, int page, int head) {
        return keys[slot(sample, page) * numHeads + head] != null;
    }

    /** What the keys and values take that are held. */
    public final long heldBytes() {
        long floats = 0;
        for (int at = 0; at < keys.length; at++) {
            float[] mine = keys[at];
            float[] values = this.values[at];
            floats += (mine == null ? 0 : mine.length) + (values == null ? 0 : values.length);
        }
        return Float.BYTES * floats;
    }

    /** Gives the memory of one head of a page back; it can be written again. */
    public void discard(int sample, int page, int head) {
        int at = slot(sample, page) * numHeads + head;
        keys[at] = null;
        values[at] = null;
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
            if (values[at] == null) {
                values[at] = new float[(int) pageValueFloats()];
            }
        }
    }

    /** Makes sure that all heads of a page have an array of keys. */
    protected final void allocateKeys(int sample, int page) {
        int slot = slot(sample, page);
        written[slot] = true;
        for (int at = slot * numHeads; at < (slot + 1) * numHeads; at++) {
            if (keys[at] == null) {
                keys[at] = new float[(int) pageKeyFloats()];
            }
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
        float[] pageValues = values(sample, page, head);
        int dim = numHeads * headDim;
        for (int channel = 0; channel < headDim; channel += tile) {
            int width = Math.min(tile, headDim - channel);
            int to = valueIndex(channel);
            for (int token = 0; token < pageTokens; token++) {
                System.arraycopy(
                        v, (firstRow + token) * dim + head * headDim + channel, pageValues, to + token * tile, width);
            }
        }
    }

    /** Writes one head of a page's keys. */
    protected final void appendKeys(int sample, int page, int head, float[] k, int firstRow) {
        float[] pageKeys = keys(sample, page, head);
        int dim = numHeads * headDim;
        for (int token = 0; token < pageTokens; token++) {
            int from = (firstRow + token) * dim + head * headDim;
            int to = keyIndex(token);
            for (int channel = 0; channel < headDim; channel++) {
                pageKeys[to + channel * tile] = k[from + channel];
            }
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
            float @Nullable [] from = (part == CachePart.KEYS ? keys : values)[slot(sample, page) * numHeads + head];
            for (int token = 0; token < pageTokens; token++) {
                int to = ((firstRow + token) * numHeads + head) * headDim;
                for (int channel = 0; channel < headDim; channel++) {
                    if (from == null) {
                        out[to + channel] = 0;
                    } else {
                        out[to + channel] = part == CachePart.KEYS
                                ? from[keyIndex(token) + channel * tile]
                                : from[valueIndex(channel) + token * tile];
                    }
                }
            }
        }
    }

    /** Releases the memory. */
    public void release() {
        released = true;
        Arrays.fill(keys, null);
        Arrays.fill(values, null);
        Arrays.fill(written, false);
    }

    @Override
    public String toString() {
        return String.format(
                Locale.ROOT, "kv cache [%d, %d x %d, %d, %d]", batch, pages, pageTokens, numHeads, headDim);
    }
}
