package wan.jvm.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TaskPlanTest {
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 16, 64, 128})
    void pieces_coverEveryUnitOnce_andStayWithinPlanesAndLength(int threads) {
        long[][] costs = {{1}, {1, 1, 1}, {5, 1, 0, 3}, {0, 0}, {7, 7, 7, 7, 7}};
        for (long[] unitCosts : costs) {
            for (int units : new int[] {1, 2, 17, 49, 300}) {
                TaskPlan plan = TaskPlan.of(unitCosts, units, 17, threads);
                int[] seen = new int[unitCosts.length * units];
                for (int task = 0; task < plan.tasks(); task++) {
                    plan.pieces(task, (plane, from, to) -> {
                        assertThat(to).isBetween(from + 1, Math.min(from + 17, units));
                        for (int unit = from; unit < to; unit++) {
                            seen[plane * units + unit]++;
                        }
                    });
                }
                assertThat(seen).containsOnly(1);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 16, 64, 128})
    void planes_areCut_onlyWhereTheyAreTooFew(int threads) {
        for (int planes : new int[] {0, 1, 3, 57, 1000}) {
            TaskPlan plan = TaskPlan.planes(planes, 30, threads);
            int[] seen = new int[planes * 30];
            AtomicInteger pieces = new AtomicInteger();
            for (int task = 0; task < plan.tasks(); task++) {
                plan.pieces(task, (plane, from, to) -> {
                    pieces.incrementAndGet();
                    for (int unit = from; unit < to; unit++) {
                        seen[plane * 30 + unit]++;
                    }
                });
            }
            assertThat(seen).doesNotContain(0, 2);
            double whole = planes / (Math.ceilDiv(planes, threads) * (double) threads);
            if (planes == 0 || whole >= 0.95) {
                assertThat(pieces).hasValue(planes);
            } else {
                assertThat(plan.balance()).isGreaterThan(whole);
            }
        }
    }

    @Test
    void cuts_followTheCost() {
        // Of two heads one sees three times as much: the first of two threads gets two thirds of it.
        TaskPlan plan = TaskPlan.of(new long[] {3, 1}, 60, 60, 2);
        assertThat(plan.tasks()).isEqualTo(2);
        int[] units = new int[2];
        plan.pieces(0, (plane, from, to) -> units[plane] += to - from);
        assertThat(units).containsExactly(40, 0);
        assertThat(plan.balance()).isEqualTo(1);
    }

    @Test
    void balance_isTheMeanOverTheMost() {
        assertThat(TaskPlan.even(1, 3, 1, 2).balance()).isEqualTo(0.75);
        assertThat(TaskPlan.even(1, 1, 1, 64).balance()).isEqualTo(1.0 / 64);
        assertThat(TaskPlan.even(12, 49, 17, 128).balance()).isEqualTo(12 * 49 / (5.0 * 128));
    }

    /** Norms, rope, and the packing of x: rows of 1.3B, at least eight to a task. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 16, 64, 128})
    void rowsOfTheModel_keepAllThreadsBusy(int threads) {
        assertThat(TaskPlan.loop(4680, 8, threads).balance()).isGreaterThan(0.95);
        // A row is not divided: 128 threads have 12 or 13 of 1560 rows each.
        assertThat(TaskPlan.loop(1560, 8, threads).balance()).isGreaterThan(threads == 128 ? 0.93 : 0.95);
    }

    @Test
    void everyWorker_runsItsOwnTasks_atHome() {
        try (Workers workers = new Workers(5)) {
            for (int count : new int[] {1, 5, 13}) {
                int[] worker = new int[count];
                Arrays.fill(worker, -1);
                workers.runAtHome(count, (task, by) -> worker[task] = by);
                for (int task = 0; task < count; task++) {
                    assertThat(task)
                            .isBetween(
                                    TaskPlan.firstTask(count, worker[task], 5),
                                    TaskPlan.firstTask(count, worker[task] + 1, 5) - 1);
                }
            }
        }
    }

    /** Whoever takes task 0 is held up until all others are done: without help this would never end. */
    @Test
    @Timeout(60)
    void others_helpAWorker_thatIsHeldUp() {
        try (Workers workers = new Workers(2)) {
            Set<Integer> done = ConcurrentHashMap.newKeySet();
            workers.run(40, (task, _) -> {
                while (task == 0 && done.size() < 39) {
                    Thread.onSpinWait();
                }
                done.add(task);
            });
            assertThat(done).hasSize(40);
        }
    }
}
