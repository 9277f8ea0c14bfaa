package capture.analysis;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** The agreement of two observations of the same heads: two prompts, seeds or passes. Heads without a value in either one
 * are left out. */
public final class Agreement {
    private Agreement() {}

    /**
     * A figure with its bootstrap interval.
     *
     * @param value of the heads as they are; NaN if it cannot be told
     * @param low lower end of the 95 % percentile interval
     * @param high upper end
     * @param heads how many heads it rests on
     */
    public record Estimate(double value, double low, double high, int heads) {}

    /** Spearman's rank correlation; ties have their mean rank. NaN under 2 pairs, or if one side is constant. */
    public static double spearman(double[] a, double[] b) {
        int[] pairs = pairs(a, b);
        return correlationOfRanks(ranks(pick(a, pairs)), ranks(pick(b, pairs)));
    }

    /** Pearson's correlation of ranks from 1 on, without gaps. */
    static double correlationOfRanks(double[] x, double[] y) {
        double mean = (x.length + 1) / 2.0;
        double xy = 0;
        double xx = 0;
        double yy = 0;
        for (int i = 0; i < x.length; i++) {
            xy += (x[i] - mean) * (y[i] - mean);
            xx += (x[i] - mean) * (x[i] - mean);
            yy += (y[i] - mean) * (y[i] - mean);
        }
        return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : Double.NaN;
    }

    /**
     * Jaccard index of the heads with the k highest values on either side: shared ones over all of them. The earlier head on a tie.
     *
     * @param k at least 1; at most the number of pairs counts
     */
    public static double topJaccard(double[] a, double[] b, int k) {
        int[] pairs = pairs(a, b);
        if (pairs.length == 0) {
            return Double.NaN;
        }
        Set<Integer> shared = top(pick(a, pairs), k);
        Set<Integer> all = new HashSet<>(shared);
        Set<Integer> other = top(pick(b, pairs), k);
        all.addAll(other);
        shared.retainAll(other);
        return (double) shared.size() / all.size();
    }

    /**
     * Adjusted Rand index of two sortings (Hubert and Arabie 1985): 1 is the same partition, 0 what chance gives. 1 if both put all
     * heads into one class, or each into its own.
     */
    public static double adjustedRand(List<? extends @Nullable String> a, List<? extends @Nullable String> b) {
        Map<String, Integer> cells = new HashMap<>();
        Map<String, Integer> rows = new HashMap<>();
        Map<String, Integer> columns = new HashMap<>();
        int n = 0;
        for (int i = 0; i < a.size(); i++) {
            String x = a.get(i);
            String y = b.get(i);
            if (x != null && y != null) {
                cells.merge(x + '\0' + y, 1, Integer::sum);
                rows.merge(x, 1, Integer::sum);
                columns.merge(y, 1, Integer::sum);
                n++;
            }
        }
        if (n < 2) {
            return Double.NaN;
        }
        double together = pairsWithin(cells);
        double inA = pairsWithin(rows);
        double inB = pairsWithin(columns);
        double expected = inA * inB / (n * (n - 1) / 2.0);
        double most = (inA + inB) / 2;
        return most == expected ? 1 : (together - expected) / (most - expected);
    }

    /**
     * A figure with its 95 % percentile bootstrap interval: heads are drawn with replacement.
     *
     * @param heads how many there are
     * @param rounds how often they are drawn
     * @param seed the same seed gives the same interval
     * @param figure of the heads with the given positions
     */
    public static Estimate bootstrap(int heads, int rounds, long seed, ToDoubleFunction<int[]> figure) {
        if (heads == 0) {
            return new Estimate(Double.NaN, Double.NaN, Double.NaN, 0);
        }
        SplittableRandom random = new SplittableRandom(seed);
        double[] drawn = new double[rounds];
        for (int i = 0; i < rounds; i++) {
            drawn[i] = figure.applyAsDouble(random.ints(heads, 0, heads).toArray());
        }
        double[] known = Arrays.stream(drawn)
                .filter(value -> !Double.isNaN(value))
                .sorted()
                .toArray();
        return new Estimate(
                figure.applyAsDouble(IntStream.range(0, heads).toArray()),
                quantile(known, 0.025),
                quantile(known, 0.975),
                heads);
    }

    /** Positions at which both have a value. */
    public static int[] pairs(double[] a, double[] b) {
        return IntStream.range(0, a.length)
                .filter(i -> !Double.isNaN(a[i]) && !Double.isNaN(b[i]))
                .toArray();
    }

    /** The values at some positions. */
    public static double[] pick(double[] values, int[] positions) {
        return IntStream.of(positions).mapToDouble(i -> values[i]).toArray();
    }

    /** The roles at some positions. */
    public static List<@Nullable String> pick(List<@Nullable String> values, int[] positions) {
        List<@Nullable String> picked = new ArrayList<>();
        for (int i : positions) {
            picked.add(values.get(i));
        }
        return picked;
    }

    /** Positions at which both have a role. */
    public static int[] pairs(List<@Nullable String> a, List<@Nullable String> b) {
        return IntStream.range(0, a.size())
                .filter(i -> Objects.nonNull(a.get(i)) && Objects.nonNull(b.get(i)))
                .toArray();
    }

    /** Ranks from 1 on, the highest value first; ties have their mean rank. */
    static double[] ranks(double[] values) {
        Integer[] order = descending(values);
        double[] ranks = new double[values.length];
        for (int i = 0; i < order.length; ) {
            int end = i;
            while (end < order.length && values[order[end]] == values[order[i]]) {
                end++;
            }
            for (int j = i; j < end; j++) {
                ranks[order[j]] = (i + 1 + end) / 2.0;
            }
            i = end;
        }
        return ranks;
    }

    private static Set<Integer> top(double[] values, int k) {
        return new HashSet<>(Arrays.asList(descending(values)).subList(0, Math.min(k, values.length)));
    }

    private static Integer[] descending(double[] values) {
        Integer[] order = new Integer[values.length];
        Arrays.setAll(order, i -> i);
        Arrays.sort(order, Comparator.comparingDouble((Integer i) -> values[i]).reversed());
        return order;
    }

    private static double pairsWithin(Map<String, Integer> counts) {
        return counts.values().stream().mapToDouble(n -> n * (n - 1.0) / 2).sum();
    }

    /** Linear between the order statistics, as numpy's default. */
    static double quantile(double[] sorted, double at) {
        if (sorted.length == 0) {
            return Double.NaN;
        }
        double position = at * (sorted.length - 1);
        int below = (int) position;
        int above = Math.min(below + 1, sorted.length - 1);
        return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
    }
}
