package wan.op;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * For backends: the tap of an attention that is computed by one call for each group of its queries. Each call gets a {@link
 * #part}; when all have delivered, it delivers what does not come in tiles.
 */
public final class QueryGroupTap {
    private final AttentionTap whole;
    private final int groups;
    private final int groupQueries;
    private final Map<Quantity, float[]> gathered = new EnumMap<>(Quantity.class);
    private final Map<Quantity, Integer> delivered = new EnumMap<>(Quantity.class);

    /**
     * Gathers nothing yet.
     *
     * @param groupQueries queries of a group
     */
    public QueryGroupTap(AttentionTap whole, int groups, int groupQueries) {
        this.whole = whole;
        this.groups = groups;
        this.groupQueries = groupQueries;
    }

    /** The tap of one group's call. */
    public AttentionTap part(int group) {
        return new AttentionTap() {
            @Override
            public Set<Quantity> wanted() {
                return whole.wanted();
            }

            @Override
            public int[] heads() {
                return whole.heads();
            }

            // Those of its own queries; a region without any still has to have one, which then does not count.
            @Override
            public List<int[]> regions() {
                List<int[]> mine = new ArrayList<>();
                for (int region = 0; region < whole.regions().size(); region++) {
                    int[] own = own(region, group);
                    mine.add(own.length == 0 ? new int[] {0} : own);
                }
                return mine;
            }

            @Override
            public void accept(Quantity quantity, Shape shape, float[] values) {
                gather(quantity, group, shape, values);
            }

            @Override
            public void acceptTokens(
                    Quantity quantity, int batch, int headIndex, int firstQuery, int queries, int keys, float[] tile) {
                whole.acceptTokens(quantity, batch, headIndex, group * groupQueries + firstQuery, queries, keys, tile);
            }
        };
    }

    /** The queries of a region that are in a group, counted from its first. */
    private int[] own(int region, int group) {
        int first = group * groupQueries;
        return Arrays.stream(whole.regions().get(region))
                .filter(query -> query >= first && query < first + groupQueries)
                .map(query -> query - first)
                .toArray();
    }

    private void gather(Quantity quantity, int group, Shape shape, float[] values) {
        int rows = shape.dim(2);
        int columns = shape.dim(3);
        int planes = shape.dim(0) * shape.dim(1);
        int allRows = quantity.ofRegions() ? rows : groups * rows;
        float[] all = gathered.computeIfAbsent(quantity, _ -> new float[planes * allRows * columns]);
        for (int plane = 0; plane < planes; plane++) {
            for (int row = 0; row < rows; row++) {
                int from = (plane * rows + row) * columns;
                if (quantity.ofRegions()) {
                    // A mean over the region's queries, of which some are here.
                    float share =
                            (float) own(row, group).length / whole.regions().get(row).length;
                    for (int i = 0; i < columns && share > 0; i++) {
                        all[(plane * rows + row) * columns + i] += share * values[from + i];
                    }
                } else {
                    int to = (plane * allRows + group * rows + row) * columns;
                    System.arraycopy(values, from, all, to, columns);
                }
            }
        }
        if (delivered.merge(quantity, 1, Integer::sum) == groups) {
            whole.accept(quantity, Shape.of(shape.dim(0), shape.dim(1), allRows, columns), all);
        }
    }
}
