package wan.op;

import java.util.List;

/**
 * For backends: gathers the logits of the queries of a tap's regions, row by row, and delivers {@link Quantity#REGION_LOGITS} and
 * {@link Quantity#REGION_MASS}. Rows of different regions, heads and samples may come from several threads at once.
 */
public final class RegionRows {
    private final AttentionTap tap;
    private final AttentionEdit edit;
    private final Shape shape;
    private final int pageTokens;
    private final int[] heads;
    private final List<int[]> regions;
    private final double[][] logits;
    private final double[][] masses;

    /**
     * Nothing gathered yet.
     *
     * @param edit of the call; masses are of what it leaves
     * @param keys of a sample, Lk
     * @param pageTokens keys of a page
     */
    public RegionRows(AttentionTap tap, AttentionEdit edit, int batch, int keys, int pageTokens) {
        this.tap = tap;
        this.edit = edit;
        this.pageTokens = pageTokens;
        this.heads = tap.heads();
        this.regions = tap.regions();
        this.shape = Shape.of(batch, heads.length, regions.size(), keys);
        int rows = batch * heads.length * regions.size();
        this.logits = new double[rows][keys];
        this.masses = new double[rows][keys];
    }

    /**
     * Takes the logits of one query of a region.
     *
     * @param row [sample, headIndex, region], flattened
     * @param values scaled logits, Lk of them from {@code from} on; where a page is not held any more they count for nothing
     */
    public void add(int row, float[] values, int from) {
        int head = heads[row / regions.size() % heads.length];
        int[] seen = edit.seen(head, shape.dim(3) / pageTokens, pageTokens);
        double[] logitSums = logits[row];
        double[] massSums = masses[row];
        for (int key = 0; key < logitSums.length; key++) {
            logitSums[key] += values[from + key];
        }
        double max = Double.NEGATIVE_INFINITY;
        for (int page : seen) {
            for (int key = page * pageTokens; key < (page + 1) * pageTokens; key++) {
                max = Math.max(max, used(head, key, values[from + key]));
            }
        }
        double sum = 0;
        for (int page : seen) {
            for (int key = page * pageTokens; key < (page + 1) * pageTokens; key++) {
                sum += Math.exp(used(head, key, values[from + key]) - max);
            }
        }
        for (int page : seen) {
            for (int key = page * pageTokens; key < (page + 1) * pageTokens; key++) {
                massSums[key] += Math.exp(used(head, key, values[from + key]) - max) / sum;
            }
        }
    }

    private double used(int head, int key, float logit) {
        return (double) logit * edit.logitScale(head) + edit.bias(head, key);
    }

    /** Hands the means over the queries of each region to the tap; every row has come. */
    public void deliver() {
        if (tap.wanted().contains(Quantity.REGION_LOGITS)) {
            tap.accept(Quantity.REGION_LOGITS, shape, means(logits));
        }
        if (tap.wanted().contains(Quantity.REGION_MASS)) {
            tap.accept(Quantity.REGION_MASS, shape, means(masses));
        }
    }

    private float[] means(double[][] sums) {
        float[] means = new float[shape.intSize()];
        for (int i = 0; i < means.length; i++) {
            int row = i / shape.dim(3);
            means[i] = (float) (sums[row][i % shape.dim(3)] / regions.get(row % regions.size()).length);
        }
        return means;
    }
}
