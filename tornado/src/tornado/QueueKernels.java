package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Kernels around those of a model: they let many graphs run one after the other without the host, which sends the slots of all of them
 * at once, in the queue that {@link StepQueue} writes.
 */
final class QueueKernels {
    private QueueKernels() {}

    /** The first of a batch. It counts itself with what stands before all values that go up, so that a transfer that did not arrive shows. */
    static void begin(KernelContext context, IntArray queue, FloatArray input, FloatArray act) {
        if (context.globalIdx < 1) {
            Launches.add(act, queue.get(StepQueue.BEGIN), input.get(0));
        }
    }

    /**
     * The first of a segment: takes the next entry of the queue to where kernels read their slots and tables. One group.
     *
     * @param tables where tables begin in {@code step}
     */
    static void feed(KernelContext context, IntArray queue, IntArray step, FloatArray act, int tables) {
        int[] shared = context.allocateIntLocalArray(4);
        if (context.localIdx == 0) {
            shared[0] = queue.get(StepQueue.NEXT);
        }
        context.localBarrier();
        int entry = shared[0];
        if (entry > 0) { // else the queue did not arrive
            int slots = queue.get(entry);
            int places = entry + StepQueue.HEAD;
            int values = places + slots;
            for (int i = context.localIdx; i < slots * Call.SLOT; i += context.localGroupSizeX) {
                step.set(queue.get(places + i / Call.SLOT) + i % Call.SLOT, queue.get(values + i));
            }
            int from = values + slots * Call.SLOT;
            int count = queue.get(entry + 1);
            for (int i = context.localIdx; i < count; i += context.localGroupSizeX) {
                step.set(tables + i, queue.get(from + i));
            }
            if (context.localIdx == 0) {
                queue.set(StepQueue.NEXT, from + count);
                Launches.add(act, queue.get(entry + 2), queue.get(entry + 3));
            }
        }
    }

    /**
     * The last of a batch: behind all values that come down it leaves the ticket, the watched value and the counters. The queue is empty
     * from now on, even if the next one does not arrive.
     */
    static void confirm(KernelContext context, IntArray queue, FloatArray act, FloatArray output) {
        int i = context.globalIdx;
        int to = queue.get(StepQueue.TAIL);
        int counters = queue.get(StepQueue.COUNTERS);
        int from = queue.get(StepQueue.FIRST_COUNTER);
        for (int j = i; j < counters; j += context.globalGroupSizeX) {
            output.set(to + 2 + j, act.get(from + j));
        }
        if (i == 0) {
            output.set(to, queue.get(StepQueue.TICKET));
            output.set(to + 1, act.get(queue.get(StepQueue.WATCHED)));
            queue.set(StepQueue.NEXT, 0);
        }
    }
}
