package wan.jvm.kernel;

import java.util.Arrays;
import wan.op.DType;
import wan.op.HalfFormat;
import wan.op.NonFiniteException;

/** The arrays of keys, or of values: one for each head of each page of each sample, in float32 or rounded to 16 bits. */
abstract sealed class KvStore {
    /** Allocates no array yet. */
    private KvStore() {}

    /**
     * A store without arrays.
     *
     * @param type F32, F16 or BF16
     * @param arrays how many there may be
     * @param length of each, above 0
     */
    static KvStore of(DType type, int arrays, int length) {
        return type == DType.F32
                ? new Floats(new float[arrays][0], length)
                : new Halves(new short[arrays][0], length, HalfFormat.of(type));
    }

    abstract boolean holds(int array);

    abstract void allocate(int array);

    abstract void discard(int array);

    abstract void discardAll();

    /** Bytes of the arrays that are held. */
    abstract long heldBytes();

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

    private static final class Floats extends KvStore {
        private static final float[] NONE = {};

        private final float[][] arrays;
        private final int length;

        Floats(float[][] arrays, int length) {
            this.arrays = arrays;
            this.length = length;
        }

        @Override
        boolean holds(int array) {
            return arrays[array].length > 0;
        }

        @Override
        void allocate(int array) {
            if (!holds(array)) {
                arrays[array] = new float[length];
            }
        }

        @Override
        void discard(int array) {
            arrays[array] = NONE;
        }

        @Override
        void discardAll() {
            Arrays.fill(arrays, NONE);
        }

        @Override
        long heldBytes() {
            return Float.BYTES
                    * Arrays.stream(arrays).mapToLong(mine -> mine.length).sum();
        }

        @Override
        void put(int array, int to, int stride, float[] from, int first, int count) {
            float[] mine = arrays[array];
            for (int i = 0; i < count; i++) {
                mine[to + i * stride] = from[first + i];
            }
        }

        @Override
        float get(int array, int at) {
            return arrays[array][at];
        }

        @Override
        float[] floats(int array, int from, int to, float[] room) {
            return arrays[array];
        }
    }

    private static final class Halves extends KvStore {
        private static final short[] NONE = {};

        private final short[][] arrays;
        private final int length;
        private final HalfFormat format;

        Halves(short[][] arrays, int length, HalfFormat format) {
            this.arrays = arrays;
            this.length = length;
            this.format = format;
        }

        @Override
        boolean holds(int array) {
            return arrays[array].length > 0;
        }

        @Override
        void allocate(int array) {
            if (!holds(array)) {
                arrays[array] = new short[length];
            }
        }

        @Override
        void discard(int array) {
            arrays[array] = NONE;
        }

        @Override
        void discardAll() {
            Arrays.fill(arrays, NONE);
        }

        @Override
        long heldBytes() {
            return Short.BYTES
                    * Arrays.stream(arrays).mapToLong(mine -> mine.length).sum();
        }

        @Override
        void put(int array, int to, int stride, float[] from, int first, int count) {
            short[] mine = arrays[array];
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
            return format.widen(arrays[array][at]);
        }

        @Override
        float[] floats(int array, int from, int to, float[] room) {
            short[] mine = arrays[array];
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
