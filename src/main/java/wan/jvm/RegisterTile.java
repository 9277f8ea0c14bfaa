package wan.jvm;

import static wan.jvm.Lanes.FLOAT;
import static wan.jvm.Lanes.ORDER;
import static wan.jvm.Lanes.PANEL;
import static wan.jvm.Lanes.TILE;
import static wan.jvm.Lanes.WIDTH;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * The innermost product of everything here: c [TILE, PANEL] = a^T b, with a [depth, TILE] and b [depth, PANEL], all of it in
 * registers until the end.
 *
 * <p>Written out row by row, because C2 keeps local variables in registers and array elements not. Each element is one chain of
 * fused multiply-adds in the order of k, whatever else is in the tile. a and c are heap arrays: C1 runs out of virtual
 * registers on stores to memory segments, and the method then stays interpreted for ever.
 */
final class RegisterTile {
    private static final long VECTOR_BYTES = 4L * WIDTH;

    private RegisterTile() {}

    /** c = a^T b. */
    static void multiply(float[] a, int aAt, MemorySegment b, long bAt, int depth, float[] c, int cAt) {
        if (TILE == 13) {
            product13(a, aAt, b, bAt, depth, c, cAt);
        } else {
            product5(a, aAt, b, bAt, depth, c, cAt);
        }
    }

    /** 13 rows. */
    private static void product13(float[] a, int aAt, MemorySegment b, long bAt, int depth, float[] c, int cAt) {
        FloatVector c0a = FloatVector.zero(FLOAT);
        FloatVector c0b = c0a;
        FloatVector c1a = FloatVector.zero(FLOAT);
        FloatVector c1b = c1a;
        FloatVector c2a = FloatVector.zero(FLOAT);
        FloatVector c2b = c2a;
        FloatVector c3a = FloatVector.zero(FLOAT);
        FloatVector c3b = c3a;
        FloatVector c4a = FloatVector.zero(FLOAT);
        FloatVector c4b = c4a;
        FloatVector c5a = FloatVector.zero(FLOAT);
        FloatVector c5b = c5a;
        FloatVector c6a = FloatVector.zero(FLOAT);
        FloatVector c6b = c6a;
        FloatVector c7a = FloatVector.zero(FLOAT);
        FloatVector c7b = c7a;
        FloatVector c8a = FloatVector.zero(FLOAT);
        FloatVector c8b = c8a;
        FloatVector c9a = FloatVector.zero(FLOAT);
        FloatVector c9b = c9a;
        FloatVector c10a = FloatVector.zero(FLOAT);
        FloatVector c10b = c10a;
        FloatVector c11a = FloatVector.zero(FLOAT);
        FloatVector c11b = c11a;
        FloatVector c12a = FloatVector.zero(FLOAT);
        FloatVector c12b = c12a;
        for (int k = 0; k < depth; k++) {
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
            aAt += 13;
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
    private static void product5(float[] a, int aAt, MemorySegment b, long bAt, int depth, float[] c, int cAt) {
        FloatVector c0a = FloatVector.zero(FLOAT);
        FloatVector c0b = c0a;
        FloatVector c1a = FloatVector.zero(FLOAT);
        FloatVector c1b = c1a;
        FloatVector c2a = FloatVector.zero(FLOAT);
        FloatVector c2b = c2a;
        FloatVector c3a = FloatVector.zero(FLOAT);
        FloatVector c3b = c3a;
        FloatVector c4a = FloatVector.zero(FLOAT);
        FloatVector c4b = c4a;
        for (int k = 0; k < depth; k++) {
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
