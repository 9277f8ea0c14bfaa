package tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.BFloat16;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.collections.VectorFloat16;

/**
 * Between 16 or 8 bits, in which weights and pages may be stored, and float32, in which everything is computed.
 *
 * <p>A table of all 65,536 values says what a pattern means. So the kernels are the same for both types and exact, and they run on
 * devices without half precision; OpenCL through TornadoVM has no way to see a float's bits.
 */
final class HalfKernels {
    private HalfKernels() {}

    /** Slot: items, table, first element. */
    static void widenWeights(
            KernelContext context,
            IntArray step,
            int slot,
            FloatArray act,
            FloatArray params,
            ShortArray from,
            VectorFloat16 to) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int pattern = from.get(step.get(slot + 2) + i) & 0xffff;
            to.getArray().set(i, params.get(step.get(slot + 1) + pattern));
        }
        Launches.count(context, step, slot, act);
    }

    /** From 8 bits. Slot: items, table, first element, where the scales of the channels are, channels of the input. */
    static void widenBytes(
            KernelContext context,
            IntArray step,
            int slot,
            FloatArray act,
            FloatArray params,
            ShortArray from,
            VectorFloat16 to) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int element = step.get(slot + 2) + i;
            int both = from.get(element / 2) & 0xffff;
            int pattern = both % 256;
            if (element % 2 == 1) {
                pattern = both / 256;
            }
            int channel = i / (32 * step.get(slot + 4)) * 32 + i % 32;
            to.getArray().set(i, params.get(step.get(slot + 1) + pattern) * params.get(step.get(slot + 3) + channel));
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * Pages of a pool side by side.
     *
     * <p>Slot: items, table, elements of a page, which pages.
     */
    static void widenPages(
            KernelContext context,
            IntArray step,
            int slot,
            FloatArray act,
            FloatArray params,
            ShortArray from,
            VectorFloat16 to) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            int pattern = from.get(inPool(step, slot, i)) & 0xffff;
            to.getArray().set(i, params.get(step.get(slot + 1) + pattern));
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * The way back; a page numbered -1 is left out.
     *
     * <p>Slot: as {@link #widenPages}, then where a table of {@link #pattern} begins.
     */
    static void narrowPages(
            KernelContext context,
            IntArray step,
            int slot,
            FloatArray act,
            FloatArray params,
            ShortArray to,
            VectorFloat16 from) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            float value = from.getArray().get(i);
            int at = inPool(step, slot, i);
            if (at >= 0) {
                to.set(at, (short) pattern(step, step.get(slot + 4), act, params, value));
            }
        }
        Launches.count(context, step, slot, act);
    }

    /**
     * The pattern nearest to a value, ties to even. The first call that meets what is not finite in 16 bits leaves its number;
     * NaN becomes infinity.
     *
     * <p>From {@code at}: table, mantissa bits, exponent of infinity, what is rounded to infinity, where the number goes, the
     * number.
     */
    static int pattern(IntArray step, int at, FloatArray act, FloatArray params, float value) {
        int table = step.get(at);
        int mantissaBits = step.get(at + 1);
        int infinity = step.get(at + 2);
        float size = value;
        int sign = 0;
        if (value < 0f) {
            size = -value;
            sign = 0x8000;
        }
        int pattern = infinity << mantissaBits;
        if (size < params.get(step.get(at + 3))) {
            int exponent = 0; // the largest whose first value is not above
            for (int bit = 128; bit > 0; bit = bit / 2) {
                if (exponent + bit < infinity) {
                    if (params.get(table + ((exponent + bit) << mantissaBits)) <= size) {
                        exponent = exponent + bit;
                    }
                }
            }
            pattern = exponent << mantissaBits;
            float base = params.get(table + pattern);
            float unit = params.get(table + pattern + 1) - base;
            if (unit > 0f) { // a device that flushes denormals has none among bfloat16's
                pattern = pattern + (int) ((size - base) / unit);
                // Not every device divides exactly.
                if (params.get(table + pattern) > size) {
                    pattern = pattern - 1;
                }
                if (params.get(table + pattern + 1) <= size) {
                    pattern = pattern + 1;
                }
                float below = size - params.get(table + pattern);
                float above = params.get(table + pattern + 1) - size;
                if (pattern + 1 == infinity << mantissaBits) {
                    above = unit - below;
                }
                if (below > above) {
                    pattern = pattern + 1;
                } else if (below == above) {
                    pattern = pattern + pattern % 2;
                }
            }
        } else {
            int flag = step.get(at + 4);
            if (act.get(flag) == 0f) {
                act.set(flag, step.get(at + 5));
            }
        }
        return sign + pattern;
    }

    /**
     * The pattern nearest to a value in float16, by the device's own conversion: for kernels of devices that have it. What is not finite
     * then is reported as by {@link #pattern}.
     *
     * <p>From {@code at}: the limit of a value among the parameters, where the number goes, the number.
     */
    static int half(IntArray step, int at, FloatArray act, FloatArray params, float value) {
        int pattern = 0x7c00;
        if (TornadoMath.abs(value) < params.get(step.get(at))) {
            pattern = new HalfFloat(value).getHalfFloatValue() & 0xffff;
        } else if (act.get(step.get(at + 1)) == 0f) {
            act.set(step.get(at + 1), step.get(at + 2));
        }
        return pattern;
    }

    /**
     * The pattern nearest to a value, by the device's own conversions, of any of the two types. What is not finite then is reported as by
     * {@link #pattern}.
     *
     * <p>From {@code at}: as {@link #half}, the pattern of infinity, and whether it is float16.
     */
    static int rounded(IntArray step, int at, FloatArray act, FloatArray params, float value) {
        int pattern = step.get(at + 3);
        if (TornadoMath.abs(value) < params.get(step.get(at))) {
            if (step.get(at + 4) == 0) {
                pattern = BFloat16.bf16FromFloat(value);
            } else {
                pattern = new HalfFloat(value).getHalfFloatValue();
            }
        } else if (act.get(step.get(at + 1)) == 0f) {
            act.set(step.get(at + 1), step.get(at + 2));
        }
        return pattern;
    }

    /** Slot: items, from, to, where a table of {@link #rounded} begins. */
    static void roundRows(
            KernelContext context, IntArray step, int slot, FloatArray act, FloatArray params, ShortArray halves) {
        int i = context.globalIdx;
        if (i < step.get(slot)) {
            float value = act.get(step.get(slot + 1) + i);
            halves.set(step.get(slot + 2) + i, (short) rounded(step, step.get(slot + 3), act, params, value));
        }
        Launches.count(context, step, slot, act);
    }

    /** Where element {@code i} of the listed pages lies. One division: they cost more than all the rest here. */
    private static int inPool(IntArray step, int slot, int i) {
        int unit = step.get(slot + 2);
        int index = i / unit;
        return step.get(step.get(slot + 3) + index) * unit + (i - index * unit);
    }
}
