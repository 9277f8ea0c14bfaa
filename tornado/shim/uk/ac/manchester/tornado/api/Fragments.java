package uk.ac.manchester.tornado.api;

import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * What the items of a warp hold of the tiles that tensor cores multiply. Here each item keeps whole factors, which on a device are spread
 * over the warp, and its own four sums, as the PTX instruction set places them. Only in the shim.
 */
final class Fragments {
    static final int WARP = 32;

    /** Which 16 bits. */
    enum Type {
        F16,
        BF16
    }

    /** Rows and columns of the left factor; columns of the right one. */
    private static final int ROWS = 16;

    private static final int COLUMNS = 8;

    /** Elements of the left factor. */
    static final int LEFT = ROWS * ROWS;

    /** Elements of the right one. */
    static final int RIGHT = ROWS * COLUMNS;

    /** One object for each pattern. */
    private static final HalfFloat[] HALVES = new HalfFloat[1 << 16];

    static {
        for (int i = 0; i < HALVES.length; i++) {
            HALVES[i] = new HalfFloat((short) i);
        }
    }

    private Fragments() {}

    /** A tile in local memory. */
    record Place(int[] tile, int byteOffset, int count) {
        @Override
        public boolean equals(Object other) {
            return other instanceof Place place
                    && place.tile == tile
                    && place.byteOffset == byteOffset
                    && place.count == count;
        }

        @Override
        public int hashCode() {
            return 31 * System.identityHashCode(tile) + byteOffset;
        }
    }

    /** What is multiplied: [16, 16] and [16, 8]. */
    record Factors(HalfFloat[] left, HalfFloat[] right, Type type) {
        @Override
        public boolean equals(Object other) {
            return other instanceof Factors factors
                    && factors.left == left
                    && factors.right == right
                    && factors.type == type;
        }

        @Override
        public int hashCode() {
            return 31 * System.identityHashCode(left) + System.identityHashCode(right);
        }
    }

    /** 16 bits of memory, two in each integer. */
    static HalfFloat[] load(Place from) {
        if (from.byteOffset % 16 != 0) {
            throw new IllegalArgumentException(
                    "a tile must begin at a multiple of 16 bytes, not at " + from.byteOffset);
        }
        HalfFloat[] fragment = new HalfFloat[from.count];
        for (int i = 0; i < from.count; i++) {
            int at = from.byteOffset / 2 + i;
            fragment[i] = HALVES[(from.tile[at / 2] >>> (at % 2 * 16)) & 0xffff];
        }
        return fragment;
    }

    /** The row of an item's sum, [0, 16). */
    private static int row(int lane, int sum) {
        return lane / 4 + sum / 2 * 8;
    }

    private static int column(int lane, int sum) {
        return lane % 4 * 2 + sum % 2;
    }

    /** The product, [16, 8]. */
    static float[] multiply(Factors of) {
        if (of.left.length != LEFT || of.right.length != RIGHT) {
            throw new IllegalArgumentException("a factor from the load of the other one");
        }
        float[] product = new float[ROWS * COLUMNS];
        for (int row = 0; row < ROWS; row++) {
            for (int k = 0; k < ROWS; k++) {
                float left = value(of.left[row * ROWS + k], of.type);
                for (int column = 0; column < COLUMNS; column++) {
                    product[row * COLUMNS + column] += left * value(of.right[k * COLUMNS + column], of.type);
                }
            }
        }
        return product;
    }

    /** An item's sums with its part of a product added. */
    static float[] add(float[] sums, float[] product, int lane) {
        float[] more = new float[sums.length];
        for (int i = 0; i < sums.length; i++) {
            more[i] = sums[i] + product[row(lane, i) * COLUMNS + column(lane, i)];
        }
        return more;
    }

    private static float value(HalfFloat half, Type type) {
        short bits = half.getHalfFloatValue();
        return type == Type.F16 ? Float.float16ToFloat(bits) : Float.intBitsToFloat(bits << 16);
    }

    /** Writes the item's sums to their places. */
    static void store(float[] sums, FloatArray to, int row, int column, int stride, int lane) {
        for (int i = 0; i < sums.length; i++) {
            to.set((row + row(lane, i)) * stride + column + column(lane, i), sums[i]);
        }
    }
}
