package tornado;

import java.lang.foreign.MemorySegment;
import java.util.BitSet;
import org.jspecify.annotations.Nullable;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.collections.VectorFloat16;

/**
 * Pages of one size for many caches, as vLLM's block pool: a cache is a range of page numbers, so that all layers and all sessions use
 * the same arrays and the same compiled graphs.
 */
final class PagePool {
    /** What the pages of a pool have in common. */
    record Geometry(int pageTokens, int numHeads, int headDim) {
        int keyFloats() {
            return Math.multiplyExact(
                    numHeads * Math.ceilDiv(pageTokens, LinearKernels.PANEL) * LinearKernels.PANEL, headDim);
        }

        int valueFloats() {
            return Math.multiplyExact(
                    numHeads * Math.ceilDiv(headDim, LinearKernels.PANEL) * LinearKernels.PANEL, pageTokens);
        }
    }

    private final Geometry geometry;
    private final int limitPages;
    private final BitSet used = new BitSet();
    private int capacity;
    private final Half keys;
    private final Half values;

    /** An empty pool whose arrays stay below {@code limitFloats}. */
    PagePool(Geometry geometry, long limitFloats) {
        this.geometry = geometry;
        this.limitPages = Math.toIntExact(limitFloats / Math.max(geometry.keyFloats(), geometry.valueFloats()));
        this.keys = new Half(geometry.keyFloats());
        this.values = new Half(geometry.valueFloats());
    }

    Geometry geometry() {
        return geometry;
    }

    VectorStore keys() {
        return keys;
    }

    VectorStore values() {
        return values;
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
        return first;
    }

    void giveBack(int first, int pages) {
        used.clear(first, first + pages);
    }

    /** The keys or the values of all pages. */
    private final class Half implements VectorStore {
        private final int pageFloats;
        private @Nullable VectorFloat16 array;

        Half(int pageFloats) {
            this.pageFloats = pageFloats;
        }

        @Override
        public VectorFloat16 array() {
            VectorFloat16 present = array;
            if (present == null || changed()) {
                FloatArray larger = new FloatArray(capacity * pageFloats);
                if (present != null) {
                    MemorySegment old = present.getArray().getSegment();
                    larger.getSegment().asSlice(0, old.byteSize()).copyFrom(old);
                }
                present = new VectorFloat16(larger);
                array = present;
            }
            return present;
        }

        @Override
        public boolean changed() {
            return array == null || array.getArray().getSize() < capacity * pageFloats;
        }

        @Override
        public boolean mutable() {
            return true;
        }

        @Override
        public long bytes() {
            return 4L * capacity * pageFloats;
        }
    }
}
