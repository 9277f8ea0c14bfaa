package tornado;

import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.op.DType;

/**
 * Pages of one size for many caches, as vLLM's block pool: a cache is a range of page numbers, so that all layers and all sessions use
 * the same arrays and the same compiled graphs.
 */
final class PagePool {
    /** What the pages of a pool have in common. */
    record Geometry(int pageTokens, int numHeads, int headDim) {
        int keyElements() {
            return Math.multiplyExact(
                    numHeads * Math.ceilDiv(pageTokens, LinearKernels.PANEL) * LinearKernels.PANEL, headDim);
        }

        /** Of keys, and of values, that are stored as rows. */
        int rowElements() {
            return Math.multiplyExact(pageTokens * numHeads, headDim);
        }

        int valueElements() {
            return Math.multiplyExact(
                    numHeads * Math.ceilDiv(headDim, LinearKernels.PANEL) * LinearKernels.PANEL, pageTokens);
        }
    }

    private final Geometry geometry;
    private final int limitPages;
    private final BitSet used = new BitSet();
    private int capacity;
    private final DType dtype;
    private final boolean rows;
    private final Half keys;
    private final Half values;

    /**
     * An empty pool whose arrays stay below {@code limitElements}.
     *
     * @param rows whether pages are rows [heads, headDim] of tokens, as a library takes them, or panels, as our kernels do
     */
    PagePool(Geometry geometry, DType dtype, boolean rows, long limitElements) {
        this.geometry = geometry;
        this.dtype = dtype;
        this.rows = rows;
        this.limitPages = Math.toIntExact(limitElements / Math.max(geometry.keyElements(), geometry.valueElements()));
        this.keys = new Half(rows ? geometry.rowElements() : geometry.keyElements());
        this.values = new Half(rows ? geometry.rowElements() : geometry.valueElements());
    }

    Geometry geometry() {
        return geometry;
    }

    Half keys() {
        return keys;
    }

    Half values() {
        return values;
    }

    /** Its arrays, always in the same order. */
    List<Store> stores() {
        return List.of(keys, values, keys.wide, values.wide);
    }

    /** Makes room for as many pages as another pool of this geometry has. */
    void reserve(PagePool like) {
        capacity = Math.max(capacity, like.capacity);
        keys.wide.reserve(like.keys.wide.floats());
        values.wide.reserve(like.values.wide.floats());
    }

    /** Whether kernels can read the pages where they lie. */
    boolean isWide() {
        return dtype == DType.F32;
    }

    /** Whether pages are stored as a library takes them. */
    boolean isRows() {
        return rows;
    }

    /** Takes consecutive pages; -1 if so many are not free. */
    int take(int pages) {
        int first = 0;
        while (true) {
            first = used.nextClearBit(first);
            int next = used.nextSetBit(first);
            if (next < 0 || next - first >= pages) {
                break;
            }
            first = next;
        }
        if (first + pages > limitPages) {
            return -1;
        }
        used.set(first, first + pages);
        capacity = Math.max(capacity, first + pages);
        if (!isWide()) {
            keys.wide.reserve(pages * geometry.keyElements());
            values.wide.reserve(pages * geometry.valueElements());
        }
        return first;
    }

    void giveBack(int first, int pages) {
        used.clear(first, first + pages);
    }

    /** The keys or the values of all pages. */
    final class Half implements Store {
        private final int pageElements;
        private final WideStore wide = new WideStore();
        private int present;
        private @Nullable Object array;

        private Half(int pageElements) {
            this.pageElements = pageElements;
        }

        int pageElements() {
            return pageElements;
        }

        /** Room for the pages of one cache in float32, where the pool's are not. */
        WideStore wide() {
            return wide;
        }

        @Override
        public Object array() {
            Object now = array;
            if (now == null || changed()) {
                now = Store.larger(now, dtype, capacity * pageElements);
                present = capacity;
                array = now;
            }
            return now;
        }

        @Override
        public boolean changed() {
            return present < capacity;
        }

        @Override
        public Use use() {
            return Use.PAGES;
        }

        @Override
        public DType dtype() {
            return dtype;
        }

        @Override
        public long bytes() {
            return dtype.bytes((long) capacity * pageElements);
        }
    }
}
