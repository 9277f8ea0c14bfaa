package tornado;

import java.util.BitSet;
import wan.op.KvTensor;
import wan.op.WanException;

/** A range of a pool's pages, [batch][pages]. */
final class DeviceCache implements KvTensor {
    private final PagePool pool;
    private final int first;
    private final int batch;
    private final int pages;
    private final BitSet written = new BitSet();
    private boolean released;

    DeviceCache(PagePool pool, int first, int batch, int pages) {
        this.pool = pool;
        this.first = first;
        this.batch = batch;
        this.pages = pages;
    }

    PagePool pool() {
        return pool;
    }

    /** The pool's number of the first sample's first page. */
    int first() {
        return first;
    }

    /** These pages of every sample as numbers of the pool, [batch, pages]; -1 stays -1. */
    int[] inPool(int[] numbers) {
        int[] all = new int[batch * numbers.length];
        for (int i = 0; i < all.length; i++) {
            int number = numbers[i % numbers.length];
            all[i] = number < 0 ? -1 : first + i / numbers.length * pages + number;
        }
        return all;
    }

    void release() {
        if (!released) {
            pool.giveBack(first, batch * pages);
        }
        released = true;
    }

    /** Notes that a page is going to be written. */
    void write(String op, int page) {
        check(op, page);
        written.set(page);
    }

    /** Checks that a page has been written. */
    void require(String op, int page) {
        check(op, page);
        if (!written.get(page)) {
            throw WanException.mismatch(op, "a page that was written", page, "written are " + written);
        }
    }

    private void check(String op, int page) {
        if (released) {
            throw new WanException(op + ": the cache has been released");
        }
        if (page < 0 || page >= pages) {
            throw WanException.mismatch(op, "a page below " + pages, page, "");
        }
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
        return pool.geometry().pageTokens();
    }

    @Override
    public int numHeads() {
        return pool.geometry().numHeads();
    }

    @Override
    public int headDim() {
        return pool.geometry().headDim();
    }
}
