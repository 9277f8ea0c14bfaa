package wan.pass;

import java.util.List;

/**
 * Pages of a cache, copied to the host.
 *
 * @param cache which of the run's caches
 * @param pages of each layer
 * @param from the first layer
 * @param end after the last layer
 * @param values keys and values of each page, layer by layer
 */
public record SavedPages(int cache, List<Integer> pages, int from, int end, List<float[][]> values) {
    /** Copies the lists. */
    public SavedPages {
        pages = List.copyOf(pages);
        values = List.copyOf(values);
    }

    /** Those of some of the layers. */
    public SavedPages layers(int first, int last) {
        int low = Math.max(from, first);
        int high = Math.max(low, Math.min(end, last));
        return new SavedPages(
                cache, pages, low, high, values.subList((low - from) * pages.size(), (high - from) * pages.size()));
    }
}
