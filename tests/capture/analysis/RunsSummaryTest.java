package capture.analysis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.app.CommandLineRun;

class RunsSummaryTest {
    private static final List<String> PROMPTS = List.of("a cat", "a cat", "a dog", "a dog", "a dog");

    @TempDir
    private Path folder;

    private List<Path> files() {
        List<Path> files = new ArrayList<>();
        for (int i = 0; i < PROMPTS.size(); i++) {
            files.add(ResultFiles.made(folder.resolve("run" + i + ".safetensors"), 3, 4, 4, 2, i + 1, PROMPTS.get(i)));
        }
        return files;
    }

    private static RunsSummary.Run run(Path file) {
        try (SavedResult result = SavedResult.open(file)) {
            Analysis analysis =
                    Analysis.of(result, result.slot("first"), result.frameBlock("last"), MeasureOptions.DEFAULT);
            List<Roles> roles = Arrays.stream(RoleRule.values())
                    .map(rule -> rule.of(analysis, RoleOptions.DEFAULT))
                    .toList();
            return RunsSummary.Run.of(
                    analysis, analysis.measures(), roles, result.info().text("prompt"));
        }
    }

    @Test
    void figures_areMeansOverThePairsOfRuns() {
        List<RunsSummary.Run> runs = files().stream().map(RunsSummaryTest::run).toList();
        RunsSummary summary = RunsSummary.of(runs);
        assertThat(summary.prompts()).isEqualTo(2);
        assertThat(summary.heads()).hasSize(12);
        assertThat(summary.measures()).hasSizeGreaterThan(5);
        for (RunsSummary.OfMeasure each : summary.measures()) {
            double[] sums = new double[2];
            int[] counts = new int[2];
            double all = 0;
            for (int a = 0; a < runs.size(); a++) {
                double[] x = Objects.requireNonNull(runs.get(a).values().get(each.measure()));
                all += Arrays.stream(x).average().orElseThrow() / runs.size();
                for (int b = a + 1; b < runs.size(); b++) {
                    double rho = Agreement.spearman(
                            x, Objects.requireNonNull(runs.get(b).values().get(each.measure())));
                    int which = PROMPTS.get(a).equals(PROMPTS.get(b)) ? 0 : 1;
                    if (!Double.isNaN(rho)) {
                        sums[which] += rho;
                        counts[which]++;
                    }
                }
            }
            assertThat(each.mean()).isCloseTo(all, within(1e-9));
            if (counts[0] > 0 && counts[1] > 0) {
                assertThat(each.spearman().within()).isCloseTo(sums[0] / counts[0], within(1e-12));
                assertThat(each.spearman().across()).isCloseTo(sums[1] / counts[1], within(1e-12));
            }
        }
        for (RunsSummary.OfRule rule : summary.rules()) {
            assertThat(rule.shares()).hasSize(12).allMatch(share -> share >= 0 && share <= 1);
            assertThat(rule.consensus().values().stream()
                            .mapToInt(Integer::intValue)
                            .sum())
                    .isLessThanOrEqualTo(12);
        }
    }

    @Test
    void oneRunManyTimes_agreesWithItself() {
        RunsSummary.Run run = run(files().getFirst());
        RunsSummary summary = RunsSummary.of(List.of(run, run, run));
        assertThat(summary.unstable(12)).isEmpty();
        assertThat(summary.rules())
                .isNotEmpty()
                .allMatch(rule -> rule.adjustedRand().within() == 1);
        for (RunsSummary.OfMeasure each : summary.measures()) {
            assertThat(each.betweenRuns()).isCloseTo(0, within(1e-12));
            assertThat(each.spearman().across()).isNaN();
        }
    }

    @Test
    void unstableHeads_areThoseWhoseRolesChange() {
        List<RunsSummary.Run> runs = files().stream().map(RunsSummaryTest::run).toList();
        List<Map.Entry<HeadId, Double>> unstable = RunsSummary.of(runs).unstable(3);
        assertThat(unstable).hasSize(3).isSortedAccordingTo(Map.Entry.comparingByValue());
    }

    @Test
    void analyze_putsManyRunsOnOneScreen_andPairsWhereTheyAreAskedFor() {
        List<Object> args = new ArrayList<>(List.of("analyze"));
        args.addAll(files());
        CommandLineRun summary = CommandLineRun.of(args.toArray());
        assertThat(summary.exitCode()).as(summary.err()).isZero();
        assertThat(summary.out().lines().count()).isLessThanOrEqualTo(40);
        assertThat(summary.out()).contains("5 runs of 2 prompts, 12 heads", "sink_score", "least stable heads");
        args.addAll(List.of("--format", "json"));
        assertThat(CommandLineRun.of(args.toArray()).out()).contains("\"summary\"", "\"share_of_runs\"");
        args.addAll(List.of("--compare", "runs", "--bootstrap", "2"));
        assertThat(CommandLineRun.of(args.toArray()).out())
                .contains("\"b\" : \"run4 step0\"")
                .doesNotContain("\"summary\"");
    }
}
