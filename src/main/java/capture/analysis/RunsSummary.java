package capture.analysis;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;
import wan.op.WanException;

/**
 * A summary of the agreement of many runs, for pairs of runs of one prompt and of different prompts.
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
     * @param withinInterval where the first would lie with other prompts, or other seeds if there is one prompt
     * @param acrossInterval where the second would lie with other prompts
     */
    public record Pairs(double within, double across, Interval withinInterval, Interval acrossInterval) {}

    /** A 95 % percentile bootstrap interval, for which prompts are drawn with replacement; NaN where there are too few. */
    public record Interval(double low, double high) {}

    /**
     * One measure.
     *
     * @param mean over heads and runs
     * @param betweenHeads standard deviation of the heads' means
     * @param betweenRuns standard deviation of a head's values over the runs, mean over heads
     * @param spearman rank correlation of the heads of two runs
     * @param means over the runs, of each head
     */
    public record OfMeasure(
            Measure measure, double mean, double betweenHeads, double betweenRuns, Pairs spearman, List<Double> means) {
        /** Copies the list. */
        public OfMeasure {
            means = List.copyOf(means);
        }
    }

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

    /**
     * One run.
     *
     * @param heads where each head stands in the values
     * @param values of each measure, a number for each head
     * @param roles by each rule
     * @param prompt in words
     */
    public record Run(
            Map<HeadId, Integer> heads, SequencedMap<Measure, double[]> values, List<Roles> roles, String prompt) {
        /** What is kept of a run: so many runs fit into memory. */
        public static Run of(Analysis analysis, List<Measure> measures, List<Roles> roles, String prompt) {
            SequencedMap<Measure, double[]> values = new LinkedHashMap<>();
            measures.forEach(measure -> values.put(measure, analysis.measure(measure)));
            return new Run(analysis.positions(), values, List.copyOf(roles), prompt);
        }
    }

    /** As {@link #of(List, int, long)}, with a thousand rounds. */
    public static RunsSummary of(List<Run> runs) {
        return of(runs, 1000, 0);
    }

    /**
     * Summarizes runs of one model.
     *
     * @param rounds how often prompts are drawn for the intervals
     * @param seed the same seed gives the same intervals
     * @throws WanException if they have fewer than two heads in common
     */
    public static RunsSummary of(List<Run> runs, int rounds, long seed) {
        List<Map<HeadId, Integer>> positions = runs.stream().map(Run::heads).toList();
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
        RunPairs pairs = new RunPairs(runs.stream().map(Run::prompt).toList(), rounds, seed);
        List<OfMeasure> measures = new ArrayList<>();
        for (Measure measure : runs.getFirst().values().keySet()) {
            double[][] values = new double[runs.size()][];
            for (int r = 0; r < values.length; r++) {
                double[] all = runs.get(r).values().get(measure);
                values[r] = all == null ? new double[0] : Agreement.pick(all, at.get(r));
            }
            if (Arrays.stream(values).allMatch(run -> run.length == heads.size())) {
                measures.add(ofMeasure(measure, values, pairs));
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
                rules.add(ofRule(first.rule(), roles, pairs));
            }
        }
        return new RunsSummary(runs.size(), pairs.prompts(), heads, measures, rules);
    }

    private static OfMeasure ofMeasure(Measure measure, double[][] values, RunPairs pairs) {
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
        Pairs spearman = pairs.mean((a, b) ->
                whole ? Agreement.correlationOfRanks(ranks[a], ranks[b]) : Agreement.spearman(values[a], values[b]));
        return new OfMeasure(
                measure,
                mean(known(means)),
                deviation(known(means)),
                mean(known(deviations)),
                spearman,
                Arrays.stream(means).boxed().toList());
    }

    private static OfRule ofRule(RoleRule rule, List<List<@Nullable String>> roles, RunPairs pairs) {
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
                rule, consensus, shares, pairs.mean((a, b) -> Agreement.adjustedRand(roles.get(a), roles.get(b))));
    }

    /** A number for each head that all runs have. */
    public SequencedMap<HeadId, Double> byHead(List<Double> numbers) {
        SequencedMap<HeadId, Double> map = new LinkedHashMap<>();
        for (int h = 0; h < heads.size(); h++) {
            map.put(heads.get(h), numbers.get(h));
        }
        return map;
    }

    /** Of each head the share of the runs that give it its most frequent role, mean over the rules; 1 without rules. */
    public SequencedMap<HeadId, Double> stability() {
        List<Double> shares = new ArrayList<>();
        for (int h = 0; h < heads.size(); h++) {
            int head = h;
            shares.add(rules.stream()
                    .mapToDouble(rule -> rule.shares().get(head))
                    .average()
                    .orElse(1));
        }
        return byHead(shares);
    }

    /**
     * The heads whose roles change most from run to run, with the share of the runs that give them their most frequent role, mean over
     * the rules: the least first, at most so many, none that never change.
     */
    public List<Map.Entry<HeadId, Double>> unstable(int most) {
        return stability().entrySet().stream()
                .filter(entry -> entry.getValue() < 1)
                .sorted(Map.Entry.comparingByValue(Comparator.naturalOrder()))
                .limit(most)
                .toList();
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
