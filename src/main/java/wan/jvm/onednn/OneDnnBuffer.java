package wan.jvm.onednn;

import static wan.jvm.vector.Lanes.FLOAT;
import static wan.jvm.vector.Lanes.ORDER;
import static wan.jvm.vector.Lanes.WIDTH;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;
import wan.jvm.vector.Lanes;
import wan.op.DType;
import wan.op.HalfFormat;

/** Native memory that oneDNN reads and writes: as large as it had to be so far. */
final class OneDnnBuffer implements AutoCloseable {
    /** As many shorts as a vector has floats. */
    private static final VectorSpecies<Short> SHORT =
            ShortVector.SPECIES_64.withShape(VectorShape.forBitSize(FLOAT.vectorBitSize() / 2));

    private static final ValueLayout.OfShort SHORTS = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ORDER);
    private static final int NAN = 0x7fc0;

    private Arena arena = Arena.ofShared();
    private MemorySegment memory = MemorySegment.NULL;

    static OneDnnBuffer[] several(int count) {
        OneDnnBuffer[] buffers = new OneDnnBuffer[count];
        for (int i = 0; i < count; i++) {
            buffers[i] = new OneDnnBuffer();
        }
        return buffers;
    }

    /** At least so many bytes, on a cache line; zeros, or what was there. */
    MemorySegment atLeast(long bytes) {
        if (memory.byteSize() < bytes) {
            close();
            arena = Arena.ofShared();
            memory = arena.allocate(bytes, 64);
        }
        return memory;
    }

    /** Stores floats as BF16, to the nearest with ties to even, or as F32. */
    static void store(float[] from, int at, int count, DType dtype, MemorySegment to, long offset) {
        if (dtype == DType.F32) {
            MemorySegment.copy(from, at, to, ValueLayout.JAVA_FLOAT, offset, count);
            return;
        }
        int whole = FLOAT.loopBound(count);
        for (int i = 0; i < whole; i += WIDTH) {
            storeBfloat16(FloatVector.fromArray(FLOAT, from, at + i), to, offset + 2L * i);
        }
        for (int i = whole; i < count; i++) {
            to.set(SHORTS, offset + 2L * i, HalfFormat.BF16.narrow(from[at + i]));
        }
    }

    /** Stores one vector as BF16. */
    static void storeBfloat16(FloatVector values, MemorySegment to, long offset) {
        IntVector bits = values.reinterpretAsInts();
        bits.lanewise(VectorOperators.LSHR, 16)
                .and(1)
                .add(0x7fff)
                .add(bits)
                .lanewise(VectorOperators.LSHR, 16)
                .blend(NAN, values.test(VectorOperators.IS_NAN).cast(Lanes.INT))
                .convertShape(VectorOperators.I2S, SHORT, 0)
                .reinterpretAsShorts()
                .intoMemorySegment(to, offset, ORDER);
    }

    static void close(OneDnnBuffer[] buffers) {
        for (OneDnnBuffer buffer : buffers) {
            buffer.close();
        }
    }

    @Override
    public void close() {
        memory = MemorySegment.NULL;
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
