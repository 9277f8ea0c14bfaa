package wan.app.terminal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntToDoubleFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import wan.model.WanConfig;
import wan.pass.Pass;
import wan.sampling.Method;
import wan.sampling.RunCost;
import wan.sampling.RunPlan;
import wan.sampling.RunSettings;
import wan.weights.RandomModel;

class ProgressTest {
    private static final WanConfig CONFIG = RandomModel.tiny();
    private static final Pattern LEFT = Pattern.compile("(?:(\\d+):)?(\\d+):(\\d+) left");

    private final RunSettings settings = new RunSettings(
            4, 6, 21, 0, 3, false, List.of(1000f, 750f, 500f, 250f), 5, true, -1, 0, 0, Method.SELF_FORCING);
    private final RunPlan plan = RunPlan.of(settings, CONFIG.numLayers());
    private final RunCost cost = new RunCost(CONFIG, 1, settings.frameSeqLen());
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private long now;

    /** A run whose operations take the given nanoseconds, by pass; for each line when it was printed. */
    private List<Long> run(IntToDoubleFunction nanosPerFlop) {
        Progress progress = new Progress(
                new PrintStream(out, true, StandardCharsets.UTF_8), Progress.Mode.LINES, cost, plan, () -> now);
        List<Long> printed = new ArrayList<>();
        int lines = 0;
        for (int i = 0; i < plan.passes().size(); i++) {
            Pass pass = plan.passes().get(i);
            progress.passStarted(pass);
            for (int layer = 0; layer < pass.numLayers(); layer++) {
                now += (long) (cost.layerFlops(pass) * nanosPerFlop.applyAsDouble(i));
                progress.layerDone(layer);
            }
            if (lines() > lines) {
                lines++;
                printed.add(now);
            }
        }
        return printed;
    }

    private int lines() {
        return (int) out.toString(StandardCharsets.UTF_8).lines().count();
    }

    /** Nanoseconds for each operation, so that the whole run takes so many seconds. */
    private double pace(double seconds) {
        return seconds * 1e9 / cost.flops(plan);
    }

    @Test
    void estimates_areWithinAFactorOfTwo_whenTheFirstPassesAreSlow() {
        List<Long> printed = run(pass -> pace(60) * (pass == 0 ? 20 : pass == 1 ? 3 : 1));
        List<String> lines = out.toString(StandardCharsets.UTF_8).lines().toList();
        int told = 0;
        for (int i = 2; i < lines.size() - 1; i++) {
            Matcher left = LEFT.matcher(lines.get(i));
            if (left.find()) {
                double said = Integer.parseInt(left.group(2)) * 60 + Integer.parseInt(left.group(3));
                double was = (now - printed.get(i)) / 1e9;
                assertThat(said).as(lines.get(i)).isBetween(was / 2 - 1, was * 2 + 1);
                told++;
            }
        }
        assertThat(told).isGreaterThan(20);
    }

    @Test
    void aShortRun_printsALineASecond_andGuessesNothing() {
        run(_ -> pace(2.5));
        assertThat(lines()).isBetween(2, 4);
        assertThat(out.toString(StandardCharsets.UTF_8))
                .doesNotContain("left")
                .contains(plan.passes().size() + "/" + plan.passes().size());
    }

    @Test
    void aSteadyRun_isEstimatedFromTheFirstPassOn() {
        List<Long> printed = run(_ -> pace(600));
        Matcher left = LEFT.matcher(out.toString(StandardCharsets.UTF_8));
        assertThat(left.find()).isTrue();
        double said = Integer.parseInt(left.group(2)) * 60 + Integer.parseInt(left.group(3));
        assertThat(said).isCloseTo((now - printed.getFirst()) / 1e9, within(10.0));
    }
}
