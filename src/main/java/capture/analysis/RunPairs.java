package capture.analysis;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * Means over pairs of runs, of one prompt and of different prompts, with bootstrap intervals over the prompts: runs of one
 * prompt are not independent samples. With only one prompt, runs are resampled instead.
 */
final class RunPairs {
    /** Of more pairs than this so many are drawn: their mean is as good. */
    private static final int MOST_PAIRS = 1_000_000;
    /** Of more prompts than this several are drawn together. */
    private static final int MOST_UNITS = 300;

    private final int runs;
    private final int[] prompt;
    private final int prompts;
    private final int rounds;
    private final long seed;

    /** Tells how well two runs agree, by their numbers; NaN if that cannot be told. */
    interface OfTwo {
        double agreement(int a, int b);
    }

    /** A mean in the making. */
    private static final class Mean {
        private double sum;
        private long count;

        void add(double value, long times) {
            sum += value;
            count += times;
        }

        double value() {
            return count == 0 ? Double.NaN : sum / count;
        }
    }

    RunPairs(List<String> prompts, int rounds, long seed) {
        Map<String, Integer> numbers = new LinkedHashMap<>();
        prompts.forEach(each -> numbers.putIfAbsent(each, numbers.size()));
        this.runs = prompts.size();
        this.prompt = prompts.stream().mapToInt(numbers::get).toArray();
        this.prompts = numbers.size();
        this.rounds = rounds;
        this.seed = seed;
    }

    int prompts() {
        return prompts;
    }

    RunsSummary.Pairs mean(OfTwo agreement) {
        // Sums over the pairs of two units, prompts or runs, are all that a draw of units needs.
        int units = Math.min(prompts > 1 ? prompts : runs, MOST_UNITS);
        Sums alike = new Sums(units);
        Sums apart = new Sums(units);
        SplittableRandom random = new SplittableRandom(seed);
        if ((long) runs * (runs - 1) / 2 <= MOST_PAIRS) {
            for (int a = 0; a < runs; a++) {
                for (int b = a + 1; b < runs; b++) {
                    add(a, b, agreement, alike, apart);
                }
            }
        } else {
            for (int i = 0; i < MOST_PAIRS; i++) {
                int a = random.nextInt(runs);
                int b = random.nextInt(runs - 1);
                add(a, b < a ? b : b + 1, agreement, alike, apart);
            }
        }
        double[] drawnAlike = new double[units > 1 ? rounds : 0];
        double[] drawnApart = drawnAlike.clone();
        for (int i = 0; i < drawnAlike.length; i++) {
            int[] draw = random.ints(units, 0, units).toArray();
            drawnAlike[i] = alike.of(draw);
            drawnApart[i] = apart.of(draw);
        }
        if (prompts == 1) {
            RunsSummary.Interval none = new RunsSummary.Interval(Double.NaN, Double.NaN);
            return new RunsSummary.Pairs(apart.all.value(), Double.NaN, interval(drawnApart), none);
        }
        return new RunsSummary.Pairs(alike.all.value(), apart.all.value(), interval(drawnAlike), interval(drawnApart));
    }

    private void add(int a, int b, OfTwo agreement, Sums alike, Sums apart) {
        double value = agreement.agreement(a, b);
        if (!Double.isNaN(value)) {
            boolean same = prompts > 1 && prompt[a] == prompt[b];
            (same ? alike : apart).add(prompts > 1 ? prompt[a] : a, prompts > 1 ? prompt[b] : b, value);
        }
    }

    private static RunsSummary.Interval interval(double[] drawn) {
        double[] known = Arrays.stream(drawn)
                .filter(each -> !Double.isNaN(each))
                .sorted()
                .toArray();
        return new RunsSummary.Interval(Agreement.quantile(known, 0.025), Agreement.quantile(known, 0.975));
    }

    /** Over the pairs of two units each. */
    private static final class Sums {
        private final int units;
        private final double[] sums;
        private final long[] counts;
        private final Mean all = new Mean();

        Sums(int units) {
            this.units = units;
            sums = new double[units * units];
            counts = new long[units * units];
        }

        void add(int a, int b, double value) {
            int x = Math.min(a % units, b % units);
            int y = Math.max(a % units, b % units);
            sums[x * units + y] += value;
            counts[x * units + y]++;
            all.add(value, 1);
        }

        /** Of two draws of one unit only what is within it counts, once for each: a run is no second look at itself. */
        double of(int[] draw) {
            Mean mean = new Mean();
            for (int i = 0; i < draw.length; i++) {
                mean.add(sums[draw[i] * units + draw[i]], counts[draw[i] * units + draw[i]]);
                for (int j = i + 1; j < draw.length; j++) {
                    if (draw[i] != draw[j]) {
                        int at = Math.min(draw[i], draw[j]) * units + Math.max(draw[i], draw[j]);
                        mean.add(sums[at], counts[at]);
                    }
                }
            }
            return mean.value();
        }
    }
}
