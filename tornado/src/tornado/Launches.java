package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Counts on the device which kernels have run, beside the same sums on the host. A launch or a transfer that fails alone among good ones
 * shows in nothing else: TornadoVM's native code only prints it, and what a kernel should have written keeps its old values.
 *
 * <p>Every kernel adds its execution's number to the counter of its task when its first item is done. The number comes up with the slots, so slots
 * that did not arrive show too. Counters lie behind the activations.
 */
final class Launches {
    /** Where a slot says which float of the activations counts its task. */
    static final int COUNTER = 16;

    /** Where a slot has the number of its execution. */
    static final int NUMBER = 17;

    /** Sums stay below, so that they are exact in float32: numbers are at most a third of it. */
    private static final int LIMIT = 1 << 22;

    private final int[] sums;
    private int number;

    /** Counters of so many tasks. */
    Launches(int tasks) {
        sums = new int[tasks];
    }

    int tasks() {
        return sums.length;
    }

    /** Begins an execution and returns its number, which no recent one had. */
    int next() {
        number = number % (LIMIT / 4) + 1;
        return number;
    }

    /** The device adds an execution's number for one task of it. */
    void expect(int task, int execution) {
        int next = sums[task] + execution;
        sums[task] = next >= LIMIT ? next - LIMIT : next;
    }

    /** The first task whose counter is not what it should be, or -1. */
    int firstWrong(FloatArray counters, int from) {
        for (int task = 0; task < sums.length; task++) {
            if (counters.get(from + task) != sums[task]) {
                return task;
            }
        }
        return -1;
    }

    /** What a task's counter lacks: where one execution of it is missing, that one's number. */
    int missing(int task, float counted) {
        int missing = sums[task] - (int) counted;
        return missing < 0 ? missing + LIMIT : missing;
    }

    /** The last statement of a kernel. */
    static void count(KernelContext context, IntArray step, int slot, FloatArray act) {
        if (context.globalIdx == 0) {
            add(act, step.get(slot + COUNTER), step.get(slot + NUMBER));
        }
    }

    /** Adds the number of an execution to a counter. */
    static void add(FloatArray act, int counter, float number) {
        float sum = act.get(counter) + number;
        act.set(counter, sum < LIMIT ? sum : sum - LIMIT);
    }
}
