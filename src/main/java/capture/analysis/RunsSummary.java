package capture.analysis;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleBiFunction;
import org.jspecify.annotations.Nullable;
import wan.op.WanException;

/**
 * How many runs agree about their heads, in a few figures: of pairs of runs of one prompt and of different prompts.
 *
 * @param runs how many
 * @param prompts how many different ones
 * @param heads that all runs have
 * @param measures one for each measure that all runs have
 * @param rules one for each rule for roles that all runs have
 */
public record RunsSummary(int runs, int prompts, List<HeadId> heads, List<OfMeasure> measures, List<OfRule> rules) {
    /** Share of the runs in which a head has to have its most frequent role to be called stable. */
    public static final double STABLE = 0.9;

    /** Copies the lists. */
    public RunsSummary {
        heads = List.copyOf(heads);
        measures = List.copyOf(measures);
        rules = List.copyOf(rules);
    }

    /**
     * Mean agreement of pairs of runs.
     *
     * @param within of runs with the same prompt; NaN if there are none
     * @param across of runs with different prompts; NaN if there are none
     */
    public record Pairs(double within, double across) {}

    /**
     * One measure.
     *
     * @param mean over heads and runs
     * @param betweenHeads standard deviation of the heads' means
     * @param betweenRuns standard deviation of a head's values over the runs, mean over heads
     * @param spearman rank correlation of the heads of two runs
     */
    public record OfMeasure(Measure measure, double mean, double betweenHeads, double betweenRuns, Pairs spearman) {}

    /**
     * One rule for roles.
     *
     * @param consensus how many heads have each role as their most frequent one, the earlier role on a tie
     * @param shares of each head: the share of the runs that give it its most frequent role
     * @param adjustedRand of the roles of two runs
     */
    public record OfRule(RoleRule rule, Map<String, Integer> consensus, List<Double> shares, Pairs adjustedRand) {
        /** Copies the list. */
        public OfRule {
            shares = List.copyOf(shares);
        }

        /** Heads that have one role in at least {@link #STABLE} of the runs. */
        public int stable() {
            return (int) shares.stream().filter(share -> share >= STABLE).count();
        }
    }

    /** One run: its heads, its roles, and its prompt. */
    public record Run(Analysis analysis, List<Measure> measures, List<Roles> roles, String prompt) {}

    /**
     * Summarizes runs of one model.
     *
     * @throws WanException if they have fewer than two heads in common
     */
    public static RunsSummary of(List<Run> runs) {
        List<Map<HeadId, Integer>> positions =
                runs.stream().map(run -> run.analysis().positions()).toList();
        List<HeadId> heads = positions.getFirst().keySet().stream()
                .filter(head -> positions.stream().allMatch(each -> each.containsKey(head)))
                .toList();
        if (heads.size() < 2) {
            throw new WanException(
                    "expected at least two heads that all " + runs.size() + " runs have, got " + heads.size());
        }
        List<int[]> at = positions.stream()
                .map(each -> heads.stream().mapToInt(each::get).toArray())
                .toList();
        List<String> prompts = runs.stream().map(Run::prompt).toList();
        List<OfMeasure> measures = new ArrayList<>();
        for (Measure measure : runs.getFirst().measures()) {
            if (runs.stream().allMatch(run -> run.measures().contains(measure))) {
                double[][] values = new double[runs.size()][];
                for (int r = 0; r < values.length; r++) {
                    values[r] = Agreement.pick(runs.get(r).analysis().measure(measure), at.get(r));
                }
                measures.add(ofMeasure(measure, values, prompts));
            }
        }
        List<OfRule> rules = new ArrayList<>();
        for (Roles first : runs.getFirst().roles()) {
            List<List<@Nullable String>> roles = new ArrayList<>();
            for (int r = 0; r < runs.size(); r++) {
                int[] mine = at.get(r);
                runs.get(r).roles().stream()
                        .filter(each -> each.rule() == first.rule())
                        .findFirst()
                        .ifPresent(each -> roles.add(Agreement.pick(each.roles(), mine)));
            }
            if (roles.size() == runs.size()) {
                rules.add(ofRule(first.rule(), roles, prompts));
            }
        }
        return new RunsSummary(runs.size(), new HashSet<>(prompts).size(), heads, measures, rules);
    }

    private static OfMeasure ofMeasure(Measure measure, double[][] values, List<String> prompts) {
        int heads = values[0].length;
        double[] means = new double[heads];
        double[] deviations = new double[heads];
        for (int h = 0; h < heads; h++) {
            int head = h;
            double[] ofHead = Arrays.stream(values)
                    .mapToDouble(run -> run[head])
                    .filter(value -> !Double.isNaN(value))
                    .toArray();
            means[h] = mean(ofHead);
            deviations[h] = deviation(ofHead);
        }
        // The ranks of a run serve all its pairs; where a head has no value, each pair ranks what both have.
        double[][] ranks = new double[values.length][];
        boolean whole = Arrays.stream(values).allMatch(run -> Arrays.stream(run).noneMatch(Double::isNaN));
        if (whole) {
            Arrays.setAll(ranks, r -> Agreement.ranks(values[r]));
        }
        Pairs spearman = pairs(
                prompts,
                (a, b) -> whole
                        ? Agreement.correlationOfRanks(ranks[a], ranks[b])
                        : Agreement.spearman(values[a], values[b]));
        return new OfMeasure(measure, mean(known(means)), deviation(known(means)), mean(known(deviations)), spearman);
    }

    private static OfRule ofRule(RoleRule rule, List<List<@Nullable String>> roles, List<String> prompts) {
        Map<String, Integer> consensus = new LinkedHashMap<>();
        rule.names().forEach(name -> consensus.put(name, 0));
        List<Double> shares = new ArrayList<>();
        for (int h = 0; h < roles.getFirst().size(); h++) {
            Map<String, Integer> counts = new HashMap<>();
            for (List<@Nullable String> run : roles) {
                String role = run.get(h);
                if (role != null) {
                    counts.merge(role, 1, Integer::sum);
                }
            }
            String most = null;
            for (String name : rule.names()) {
                if (counts.getOrDefault(name, 0) > (most == null ? 0 : counts.getOrDefault(most, 0))) {
                    most = name;
                }
            }
            if (most != null) {
                consensus.merge(most, 1, Integer::sum);
            }
            shares.add(most == null ? 0 : (double) counts.getOrDefault(most, 0) / roles.size());
        }
        return new OfRule(
                rule, consensus, shares, pairs(prompts, (a, b) -> Agreement.adjustedRand(roles.get(a), roles.get(b))));
    }

    /**
     * The heads whose roles change most from run to run, with the share of the runs that give them their most frequent role, mean over
     * the rules: the least first, at most so many, none that never change.
     */
    public List<Map.Entry<HeadId, Double>> unstable(int most) {
        if (rules.isEmpty()) {
            return List.of();
        }
        List<Map.Entry<HeadId, Double>> all = new ArrayList<>();
        for (int h = 0; h < heads.size(); h++) {
            int head = h;
            all.add(Map.entry(
                    heads.get(h),
                    rules.stream()
                            .mapToDouble(rule -> rule.shares().get(head))
                            .average()
                            .orElse(1)));
        }
        return all.stream()
                .filter(entry -> entry.getValue() < 1)
                .sorted(Map.Entry.comparingByValue(Comparator.naturalOrder()))
                .limit(most)
                .toList();
    }

    private static Pairs pairs(List<String> prompts, ToDoubleBiFunction<Integer, Integer> agreement) {
        double[] sums = new double[2];
        int[] counts = new int[2];
        for (int a = 0; a < prompts.size(); a++) {
            for (int b = a + 1; b < prompts.size(); b++) {
                double value = agreement.applyAsDouble(a, b);
                if (!Double.isNaN(value)) {
                    int which = prompts.get(a).equals(prompts.get(b)) ? 0 : 1;
                    sums[which] += value;
                    counts[which]++;
                }
            }
        }
        return new Pairs(
                counts[0] == 0 ? Double.NaN : sums[0] / counts[0], counts[1] == 0 ? Double.NaN : sums[1] / counts[1]);
    }

    private static double[] known(double[] values) {
        return Arrays.stream(values).filter(value -> !Double.isNaN(value)).toArray();
    }

    private static double mean(double[] values) {
        return Arrays.stream(values).average().orElse(Double.NaN);
    }

    /** With n - 1; NaN of fewer than two. */
    private static double deviation(double[] values) {
        double mean = mean(values);
        return values.length < 2
                ? Double.NaN
                : Math.sqrt(Arrays.stream(values)
                                .map(value -> (value - mean) * (value - mean))
                                .sum()
                        / (values.length - 1));
    }
}
