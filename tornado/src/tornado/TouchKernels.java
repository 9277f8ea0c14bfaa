package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.collections.VectorFloat16;

/**
 * Put arrays on a device: TornadoVM drops the transfer of what no task of a graph reads or what its first task only writes, so each
 * array is read and written. One of its values is left among the activations, which shows the host that it has arrived.
 *
 * <p>Slot, for each array: which value, where it is left. The first integer of all is 0 here.
 */
final class TouchKernels {
    private TouchKernels() {}

    static void touch(KernelContext context, IntArray step, int slot, FloatArray act, FloatArray array) {
        if (context.globalIdx < 1) {
            array.set(0, array.get(0) + step.get(0));
            leave(step, slot, act, array.get(step.get(slot)));
        }
    }

    static void touchVectors(KernelContext context, IntArray step, int slot, FloatArray act, VectorFloat16 array) {
        if (context.globalIdx < 1) {
            array.getArray().set(0, array.getArray().get(0) + step.get(0));
            leave(step, slot, act, array.getArray().get(step.get(slot)));
        }
    }

    /** TornadoVM never ends compiling a task that is given one array twice. */
    static void touchFour(
            KernelContext context,
            IntArray step,
            int slot,
            FloatArray act,
            VectorFloat16 first,
            VectorFloat16 second,
            VectorFloat16 third,
            VectorFloat16 fourth) {
        if (context.globalIdx < 1) {
            first.getArray().set(0, first.getArray().get(0) + step.get(0));
            second.getArray().set(0, second.getArray().get(0) + step.get(0));
            third.getArray().set(0, third.getArray().get(0) + step.get(0));
            fourth.getArray().set(0, fourth.getArray().get(0) + step.get(0));
            leave(step, slot, act, first.getArray().get(step.get(slot)));
            leave(step, slot + 2, act, second.getArray().get(step.get(slot + 2)));
            leave(step, slot + 4, act, third.getArray().get(step.get(slot + 4)));
            leave(step, slot + 6, act, fourth.getArray().get(step.get(slot + 6)));
        }
    }

    static void touchShorts(KernelContext context, IntArray step, int slot, FloatArray act, ShortArray array) {
        if (context.globalIdx < 1) {
            array.set(0, (short) (array.get(0) + step.get(0)));
            leave(step, slot, act, array.get(step.get(slot)));
        }
    }

    private static void leave(IntArray step, int slot, FloatArray act, float value) {
        int place = step.get(slot + 1);
        act.set(place, act.get(place) * step.get(0) + value);
    }
}
