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

    /** What the device adds for one task of this execution. */
    void expect(int task) {
        sums[task] = added(sums[task], number);
    }

    private static int added(int sum, int number) {
        int next = sum + number;
        return next >= LIMIT ? next - LIMIT : next;
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

    /** The last statement of a kernel. */
    static void count(KernelContext context, IntArray step, int slot, FloatArray act) {
        if (context.globalIdx == 0) {
            int counter = step.get(slot + COUNTER);
            float sum = act.get(counter) + step.get(slot + NUMBER);
            act.set(counter, sum < LIMIT ? sum : sum - LIMIT);
        }
    }

    /** As the other, of what goes up: there the number stands behind the values. */
    static void countUpload(KernelContext context, IntArray step, int slot, FloatArray act, FloatArray input) {
        if (context.globalIdx == 0) {
            int counter = step.get(slot + COUNTER);
            float sum = act.get(counter) + input.get(step.get(slot));
            act.set(counter, sum < LIMIT ? sum : sum - LIMIT);
        }
    }
}
