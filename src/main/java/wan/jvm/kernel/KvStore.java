package wan.jvm.kernel;

import java.util.Arrays;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import wan.op.DType;
import wan.op.HalfFormat;
import wan.op.NonFiniteException;

/**
 * The arrays of keys, or of values: one for each head of each page of each sample, in float32 or rounded to 16 bits.
 *
 * @param <A> an array
 */
abstract sealed class KvStore<A> {
    private final A[] arrays;
    /** In the place of an array that is not held. */
    private final A none;

    private final Supplier<A> fresh;
    private final long arrayBytes;

    /** Allocates no array yet: all of them are the same one, which is none. */
    private KvStore(A[] arrays, A none, Supplier<A> fresh, long arrayBytes) {
        this.arrays = arrays;
        this.none = none;
        this.fresh = fresh;
        this.arrayBytes = arrayBytes;
        discardAll();
    }

    /**
     * A store without arrays.
     *
     * @param type F32, F16 or BF16
     * @param arrays how many there may be
     * @param length of each, above 0
     */
    static KvStore<?> of(DType type, int arrays, int length) {
        return type == DType.F32 ? new Floats(arrays, length) : new Halves(arrays, length, HalfFormat.of(type));
    }

    /** An array, which has no elements where it is not held. */
    final A array(int array) {
        return arrays[array];
    }

    @SuppressWarnings("ReferenceEquality") // which array it is, not what it holds
    final boolean holds(int array) {
        return arrays[array] != none;
    }

    final void allocate(int array) {
        if (!holds(array)) {
            arrays[array] = fresh.get();
        }
    }

    final void discard(int array) {
        arrays[array] = none;
    }

    final void discardAll() {
        Arrays.fill(arrays, none);
    }

    /** Bytes of the arrays that are held. */
    final long heldBytes() {
        return arrayBytes
                * IntStream.range(0, arrays.length).filter(this::holds).count();
    }

    /**
     * Writes {@code count} numbers, {@code stride} apart.
     *
     * @throws NonFiniteException if a number is finite and would become infinite
     */
    abstract void put(int array, int to, int stride, float[] from, int first, int count);

    /** One number. */
    abstract float get(int array, int at);

    /**
     * An array in float32: itself, or {@code room} of which the numbers from one index to another are filled.
     *
     * @param room as long as an array where it is not float32
     */
    abstract float[] floats(int array, int from, int to, float[] room);

    private static final class Floats extends KvStore<float[]> {
        Floats(int arrays, int length) {
            super(new float[arrays][], new float[0], () -> new float[length], DType.F32.bytes(length));
        }

        @Override
        void put(int array, int to, int stride, float[] from, int first, int count) {
            float[] mine = array(array);
            for (int i = 0; i < count; i++) {
                mine[to + i * stride] = from[first + i];
            }
        }

        @Override
        float get(int array, int at) {
            return array(array)[at];
        }

        @Override
        float[] floats(int array, int from, int to, float[] room) {
            return array(array);
        }
    }

    private static final class Halves extends KvStore<short[]> {
        private final HalfFormat format;

        Halves(int arrays, int length, HalfFormat format) {
            super(new short[arrays][], new short[0], () -> new short[length], DType.F16.bytes(length));
            this.format = format;
        }

        @Override
        void put(int array, int to, int stride, float[] from, int first, int count) {
            short[] mine = array(array);
            float limit = format.limit();
            for (int i = 0; i < count; i++) {
                float value = from[first + i];
                if (Math.abs(value) >= limit && Float.isFinite(value)) {
                    throw new NonFiniteException("keys and values: expected numbers up to " + format.max() + " as "
                            + DType.valueOf(format.name()).option() + ", got " + value
                            + "; device.cache bf16 has the range of f32");
                }
                mine[to + i * stride] = format.narrow(value);
            }
        }

        @Override
        float get(int array, int at) {
            return format.widen(array(array)[at]);
        }

        @Override
        float[] floats(int array, int from, int to, float[] room) {
            short[] mine = array(array);
            if (format == HalfFormat.F16) { // two loops, each simple enough for C2 to make vectors of it
                for (int i = from; i < to; i++) {
                    room[i] = Float.float16ToFloat(mine[i]);
                }
            } else {
                for (int i = from; i < to; i++) {
                    room[i] = Float.intBitsToFloat(mine[i] << 16);
                }
            }
            return room;
        }
    }
}
