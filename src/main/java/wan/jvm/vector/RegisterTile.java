package wan.jvm.vector;

import static wan.jvm.vector.Lanes.FLOAT;
import static wan.jvm.vector.Lanes.ORDER;
import static wan.jvm.vector.Lanes.PANEL;
import static wan.jvm.vector.Lanes.TILE;
import static wan.jvm.vector.Lanes.WIDTH;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * The innermost product of everything here: c [TILE, PANEL] = start + a^T b, with a [depth, TILE] and b [depth, PANEL], all of
 * it in registers until the end.
 *
 * <p>Written out row by row, because C2 keeps local variables in registers and array elements not. Each element is one chain of
 * fused multiply-adds in the order of k, whatever else is in the tile. Some steps at once, because the loop's own instructions
 * would otherwise take the slots of the multiply-adds. start, a and c are heap arrays: C1 runs out of virtual
 * registers on stores to memory segments, and the method then stays interpreted for ever.
 */
final class RegisterTile {
    private static final long VECTOR_BYTES = 4L * WIDTH;

    private static final float[] ZERO = new float[TILE * PANEL];

    private RegisterTile() {}

    /** c = start + a^T b; start may be c. */
    static void add(
            float[] start, int startAt, float[] a, int aAt, MemorySegment b, long bAt, int depth, float[] c, int cAt) {
        if (TILE == 13) {
            add13(start, startAt, a, aAt, b, bAt, depth, c, cAt);
        } else {
            add5(start, startAt, a, aAt, b, bAt, depth, c, cAt);
        }
    }

    /** c = a^T b. */
    static void multiply(float[] a, int aAt, MemorySegment b, long bAt, int depth, float[] c, int cAt) {
        add(ZERO, 0, a, aAt, b, bAt, depth, c, cAt);
    }

    /** 13 rows. */
    private static void add13(
            float[] start, int startAt, float[] a, int aAt, MemorySegment b, long bAt, int depth, float[] c, int cAt) {
        FloatVector c0a = FloatVector.fromArray(FLOAT, start, startAt);
        FloatVector c0b = FloatVector.fromArray(FLOAT, start, startAt + WIDTH);
        FloatVector c1a = FloatVector.fromArray(FLOAT, start, startAt + PANEL);
        FloatVector c1b = FloatVector.fromArray(FLOAT, start, startAt + PANEL + WIDTH);
        FloatVector c2a = FloatVector.fromArray(FLOAT, start, startAt + 2 * PANEL);
        FloatVector c2b = FloatVector.fromArray(FLOAT, start, startAt + 2 * PANEL + WIDTH);
        FloatVector c3a = FloatVector.fromArray(FLOAT, start, startAt + 3 * PANEL);
        FloatVector c3b = FloatVector.fromArray(FLOAT, start, startAt + 3 * PANEL + WIDTH);
        FloatVector c4a = FloatVector.fromArray(FLOAT, start, startAt + 4 * PANEL);
        FloatVector c4b = FloatVector.fromArray(FLOAT, start, startAt + 4 * PANEL + WIDTH);
        FloatVector c5a = FloatVector.fromArray(FLOAT, start, startAt + 5 * PANEL);
        FloatVector c5b = FloatVector.fromArray(FLOAT, start, startAt + 5 * PANEL + WIDTH);
        FloatVector c6a = FloatVector.fromArray(FLOAT, start, startAt + 6 * PANEL);
        FloatVector c6b = FloatVector.fromArray(FLOAT, start, startAt + 6 * PANEL + WIDTH);
        FloatVector c7a = FloatVector.fromArray(FLOAT, start, startAt + 7 * PANEL);
        FloatVector c7b = FloatVector.fromArray(FLOAT, start, startAt + 7 * PANEL + WIDTH);
        FloatVector c8a = FloatVector.fromArray(FLOAT, start, startAt + 8 * PANEL);
        FloatVector c8b = FloatVector.fromArray(FLOAT, start, startAt + 8 * PANEL + WIDTH);
        FloatVector c9a = FloatVector.fromArray(FLOAT, start, startAt + 9 * PANEL);
        FloatVector c9b = FloatVector.fromArray(FLOAT, start, startAt + 9 * PANEL + WIDTH);
        FloatVector c10a = FloatVector.fromArray(FLOAT, start, startAt + 10 * PANEL);
        FloatVector c10b = FloatVector.fromArray(FLOAT, start, startAt + 10 * PANEL + WIDTH);
        FloatVector c11a = FloatVector.fromArray(FLOAT, start, startAt + 11 * PANEL);
        FloatVector c11b = FloatVector.fromArray(FLOAT, start, startAt + 11 * PANEL + WIDTH);
        FloatVector c12a = FloatVector.fromArray(FLOAT, start, startAt + 12 * PANEL);
        FloatVector c12b = FloatVector.fromArray(FLOAT, start, startAt + 12 * PANEL + WIDTH);
        int k = 0;
        for (; k + 1 < depth; k += 2) {
            FloatVector ba = FloatVector.fromMemorySegment(FLOAT, b, bAt, ORDER);
            FloatVector bb = FloatVector.fromMemorySegment(FLOAT, b, bAt + VECTOR_BYTES, ORDER);
            FloatVector x = FloatVector.broadcast(FLOAT, a[aAt]);
            c0a = x.fma(ba, c0a);
            c0b = x.fma(bb, c0b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 1]);
            c1a = x.fma(ba, c1a);
            c1b = x.fma(bb, c1b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 2]);
            c2a = x.fma(ba, c2a);
            c2b = x.fma(bb, c2b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 3]);
            c3a = x.fma(ba, c3a);
            c3b = x.fma(bb, c3b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 4]);
            c4a = x.fma(ba, c4a);
            c4b = x.fma(bb, c4b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 5]);
            c5a = x.fma(ba, c5a);
            c5b = x.fma(bb, c5b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 6]);
            c6a = x.fma(ba, c6a);
            c6b = x.fma(bb, c6b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 7]);
            c7a = x.fma(ba, c7a);
            c7b = x.fma(bb, c7b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 8]);
            c8a = x.fma(ba, c8a);
            c8b = x.fma(bb, c8b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 9]);
            c9a = x.fma(ba, c9a);
            c9b = x.fma(bb, c9b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 10]);
            c10a = x.fma(ba, c10a);
            c10b = x.fma(bb, c10b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 11]);
            c11a = x.fma(ba, c11a);
            c11b = x.fma(bb, c11b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 12]);
            c12a = x.fma(ba, c12a);
            c12b = x.fma(bb, c12b);
            ba = FloatVector.fromMemorySegment(FLOAT, b, bAt + 2 * VECTOR_BYTES, ORDER);
            bb = FloatVector.fromMemorySegment(FLOAT, b, bAt + 3 * VECTOR_BYTES, ORDER);
            x = FloatVector.broadcast(FLOAT, a[aAt + 13]);
            c0a = x.fma(ba, c0a);
            c0b = x.fma(bb, c0b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 14]);
            c1a = x.fma(ba, c1a);
            c1b = x.fma(bb, c1b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 15]);
            c2a = x.fma(ba, c2a);
            c2b = x.fma(bb, c2b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 16]);
            c3a = x.fma(ba, c3a);
            c3b = x.fma(bb, c3b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 17]);
            c4a = x.fma(ba, c4a);
            c4b = x.fma(bb, c4b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 18]);
            c5a = x.fma(ba, c5a);
            c5b = x.fma(bb, c5b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 19]);
            c6a = x.fma(ba, c6a);
            c6b = x.fma(bb, c6b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 20]);
            c7a = x.fma(ba, c7a);
            c7b = x.fma(bb, c7b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 21]);
            c8a = x.fma(ba, c8a);
            c8b = x.fma(bb, c8b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 22]);
            c9a = x.fma(ba, c9a);
            c9b = x.fma(bb, c9b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 23]);
            c10a = x.fma(ba, c10a);
            c10b = x.fma(bb, c10b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 24]);
            c11a = x.fma(ba, c11a);
            c11b = x.fma(bb, c11b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 25]);
            c12a = x.fma(ba, c12a);
            c12b = x.fma(bb, c12b);
            aAt += 26;
            bAt += 4 * VECTOR_BYTES;
        }
        if (k < depth) {
            FloatVector ba = FloatVector.fromMemorySegment(FLOAT, b, bAt, ORDER);
            FloatVector bb = FloatVector.fromMemorySegment(FLOAT, b, bAt + VECTOR_BYTES, ORDER);
            FloatVector x = FloatVector.broadcast(FLOAT, a[aAt]);
            c0a = x.fma(ba, c0a);
            c0b = x.fma(bb, c0b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 1]);
            c1a = x.fma(ba, c1a);
            c1b = x.fma(bb, c1b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 2]);
            c2a = x.fma(ba, c2a);
            c2b = x.fma(bb, c2b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 3]);
            c3a = x.fma(ba, c3a);
            c3b = x.fma(bb, c3b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 4]);
            c4a = x.fma(ba, c4a);
            c4b = x.fma(bb, c4b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 5]);
            c5a = x.fma(ba, c5a);
            c5b = x.fma(bb, c5b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 6]);
            c6a = x.fma(ba, c6a);
            c6b = x.fma(bb, c6b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 7]);
            c7a = x.fma(ba, c7a);
            c7b = x.fma(bb, c7b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 8]);
            c8a = x.fma(ba, c8a);
            c8b = x.fma(bb, c8b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 9]);
            c9a = x.fma(ba, c9a);
            c9b = x.fma(bb, c9b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 10]);
            c10a = x.fma(ba, c10a);
            c10b = x.fma(bb, c10b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 11]);
            c11a = x.fma(ba, c11a);
            c11b = x.fma(bb, c11b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 12]);
            c12a = x.fma(ba, c12a);
            c12b = x.fma(bb, c12b);
        }
        c0a.intoArray(c, cAt);
        c0b.intoArray(c, cAt + WIDTH);
        c1a.intoArray(c, cAt + PANEL);
        c1b.intoArray(c, cAt + PANEL + WIDTH);
        c2a.intoArray(c, cAt + 2 * PANEL);
        c2b.intoArray(c, cAt + 2 * PANEL + WIDTH);
        c3a.intoArray(c, cAt + 3 * PANEL);
        c3b.intoArray(c, cAt + 3 * PANEL + WIDTH);
        c4a.intoArray(c, cAt + 4 * PANEL);
        c4b.intoArray(c, cAt + 4 * PANEL + WIDTH);
        c5a.intoArray(c, cAt + 5 * PANEL);
        c5b.intoArray(c, cAt + 5 * PANEL + WIDTH);
        c6a.intoArray(c, cAt + 6 * PANEL);
        c6b.intoArray(c, cAt + 6 * PANEL + WIDTH);
        c7a.intoArray(c, cAt + 7 * PANEL);
        c7b.intoArray(c, cAt + 7 * PANEL + WIDTH);
        c8a.intoArray(c, cAt + 8 * PANEL);
        c8b.intoArray(c, cAt + 8 * PANEL + WIDTH);
        c9a.intoArray(c, cAt + 9 * PANEL);
        c9b.intoArray(c, cAt + 9 * PANEL + WIDTH);
        c10a.intoArray(c, cAt + 10 * PANEL);
        c10b.intoArray(c, cAt + 10 * PANEL + WIDTH);
        c11a.intoArray(c, cAt + 11 * PANEL);
        c11b.intoArray(c, cAt + 11 * PANEL + WIDTH);
        c12a.intoArray(c, cAt + 12 * PANEL);
        c12b.intoArray(c, cAt + 12 * PANEL + WIDTH);
    }

    /** 5 rows. */
    private static void add5(
            float[] start, int startAt, float[] a, int aAt, MemorySegment b, long bAt, int depth, float[] c, int cAt) {
        FloatVector c0a = FloatVector.fromArray(FLOAT, start, startAt);
        FloatVector c0b = FloatVector.fromArray(FLOAT, start, startAt + WIDTH);
        FloatVector c1a = FloatVector.fromArray(FLOAT, start, startAt + PANEL);
        FloatVector c1b = FloatVector.fromArray(FLOAT, start, startAt + PANEL + WIDTH);
        FloatVector c2a = FloatVector.fromArray(FLOAT, start, startAt + 2 * PANEL);
        FloatVector c2b = FloatVector.fromArray(FLOAT, start, startAt + 2 * PANEL + WIDTH);
        FloatVector c3a = FloatVector.fromArray(FLOAT, start, startAt + 3 * PANEL);
        FloatVector c3b = FloatVector.fromArray(FLOAT, start, startAt + 3 * PANEL + WIDTH);
        FloatVector c4a = FloatVector.fromArray(FLOAT, start, startAt + 4 * PANEL);
        FloatVector c4b = FloatVector.fromArray(FLOAT, start, startAt + 4 * PANEL + WIDTH);
        int k = 0;
        for (; k + 3 < depth; k += 4) {
            FloatVector ba = FloatVector.fromMemorySegment(FLOAT, b, bAt, ORDER);
            FloatVector bb = FloatVector.fromMemorySegment(FLOAT, b, bAt + VECTOR_BYTES, ORDER);
            FloatVector x = FloatVector.broadcast(FLOAT, a[aAt]);
            c0a = x.fma(ba, c0a);
            c0b = x.fma(bb, c0b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 1]);
            c1a = x.fma(ba, c1a);
            c1b = x.fma(bb, c1b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 2]);
            c2a = x.fma(ba, c2a);
            c2b = x.fma(bb, c2b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 3]);
            c3a = x.fma(ba, c3a);
            c3b = x.fma(bb, c3b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 4]);
            c4a = x.fma(ba, c4a);
            c4b = x.fma(bb, c4b);
            ba = FloatVector.fromMemorySegment(FLOAT, b, bAt + 2 * VECTOR_BYTES, ORDER);
            bb = FloatVector.fromMemorySegment(FLOAT, b, bAt + 3 * VECTOR_BYTES, ORDER);
            x = FloatVector.broadcast(FLOAT, a[aAt + 5]);
            c0a = x.fma(ba, c0a);
            c0b = x.fma(bb, c0b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 6]);
            c1a = x.fma(ba, c1a);
            c1b = x.fma(bb, c1b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 7]);
            c2a = x.fma(ba, c2a);
            c2b = x.fma(bb, c2b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 8]);
            c3a = x.fma(ba, c3a);
            c3b = x.fma(bb, c3b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 9]);
            c4a = x.fma(ba, c4a);
            c4b = x.fma(bb, c4b);
            ba = FloatVector.fromMemorySegment(FLOAT, b, bAt + 4 * VECTOR_BYTES, ORDER);
            bb = FloatVector.fromMemorySegment(FLOAT, b, bAt + 5 * VECTOR_BYTES, ORDER);
            x = FloatVector.broadcast(FLOAT, a[aAt + 10]);
            c0a = x.fma(ba, c0a);
            c0b = x.fma(bb, c0b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 11]);
            c1a = x.fma(ba, c1a);
            c1b = x.fma(bb, c1b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 12]);
            c2a = x.fma(ba, c2a);
            c2b = x.fma(bb, c2b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 13]);
            c3a = x.fma(ba, c3a);
            c3b = x.fma(bb, c3b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 14]);
            c4a = x.fma(ba, c4a);
            c4b = x.fma(bb, c4b);
            ba = FloatVector.fromMemorySegment(FLOAT, b, bAt + 6 * VECTOR_BYTES, ORDER);
            bb = FloatVector.fromMemorySegment(FLOAT, b, bAt + 7 * VECTOR_BYTES, ORDER);
            x = FloatVector.broadcast(FLOAT, a[aAt + 15]);
            c0a = x.fma(ba, c0a);
            c0b = x.fma(bb, c0b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 16]);
            c1a = x.fma(ba, c1a);
            c1b = x.fma(bb, c1b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 17]);
            c2a = x.fma(ba, c2a);
            c2b = x.fma(bb, c2b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 18]);
            c3a = x.fma(ba, c3a);
            c3b = x.fma(bb, c3b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 19]);
            c4a = x.fma(ba, c4a);
            c4b = x.fma(bb, c4b);
            aAt += 20;
            bAt += 8 * VECTOR_BYTES;
        }
        for (; k < depth; k++) {
            FloatVector ba = FloatVector.fromMemorySegment(FLOAT, b, bAt, ORDER);
            FloatVector bb = FloatVector.fromMemorySegment(FLOAT, b, bAt + VECTOR_BYTES, ORDER);
            FloatVector x = FloatVector.broadcast(FLOAT, a[aAt]);
            c0a = x.fma(ba, c0a);
            c0b = x.fma(bb, c0b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 1]);
            c1a = x.fma(ba, c1a);
            c1b = x.fma(bb, c1b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 2]);
            c2a = x.fma(ba, c2a);
            c2b = x.fma(bb, c2b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 3]);
            c3a = x.fma(ba, c3a);
            c3b = x.fma(bb, c3b);
            x = FloatVector.broadcast(FLOAT, a[aAt + 4]);
            c4a = x.fma(ba, c4a);
            c4b = x.fma(bb, c4b);
            aAt += 5;
            bAt += 2 * VECTOR_BYTES;
        }
        c0a.intoArray(c, cAt);
        c0b.intoArray(c, cAt + WIDTH);
        c1a.intoArray(c, cAt + PANEL);
        c1b.intoArray(c, cAt + PANEL + WIDTH);
        c2a.intoArray(c, cAt + 2 * PANEL);
        c2b.intoArray(c, cAt + 2 * PANEL + WIDTH);
        c3a.intoArray(c, cAt + 3 * PANEL);
        c3b.intoArray(c, cAt + 3 * PANEL + WIDTH);
        c4a.intoArray(c, cAt + 4 * PANEL);
        c4b.intoArray(c, cAt + 4 * PANEL + WIDTH);
    }
}
