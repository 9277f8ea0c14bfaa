package wan.jvm.vector;

import static wan.jvm.vector.Lanes.PANEL;
import static wan.jvm.vector.Lanes.WIDTH;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import wan.jvm.kernel.JvmLinear;
import wan.jvm.kernel.Workers;
import wan.op.DType;

/**
 * Weights [out, in] in the order in which the vector kernel reads them: {@code [in / SUPER][out / PANEL][in % SUPER][out %
 * PANEL]}, off-heap, on cache lines, the last panel padded with zero columns.
 *
 * <p>bfloat16 stays bfloat16, with columns j and j + WIDTH of a panel in one int, so that a shift and a mask widen them.
 * That is done once for all rows of a block: within the product it took 40 % of the time. Everything else becomes float32.
 */
final class PackedWeights {
    /** Inputs of a super-block: this deep a tile of x fits the first-level cache. */
    static final int SUPER = 384;

    private static final int UPPER_HALF = 0xffff_0000;
    private static final int COPY = 64;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(Lanes.ORDER);
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(Lanes.ORDER);

    private PackedWeights() {}

    /** Bytes of one row of a panel. */
    static int rowBytes(boolean bfloat16) {
        return PANEL * (bfloat16 ? 2 : 4);
    }

    /** Of a whole matrix. */
    static long bytes(JvmLinear weights) {
        return (long) weights.inFeatures()
                * Math.ceilDiv(weights.outFeatures(), PANEL)
                * rowBytes(weights.isBfloat16());
    }

    /** Byte offset of a panel within the super-block that starts at {@code firstInput}. */
    static long offset(JvmLinear weights, int firstInput, int panel) {
        int in = weights.inFeatures();
        int panels = Math.ceilDiv(weights.outFeatures(), PANEL);
        int depth = Math.min(SUPER, in - firstInput);
        return ((long) firstInput * panels + (long) panel * depth) * rowBytes(weights.isBfloat16());
    }

    static MemorySegment pack(JvmLinear weights, Arena arena, Workers workers) {
        boolean bfloat16 = weights.isBfloat16();
        int in = weights.inFeatures();
        int panels = Math.ceilDiv(weights.outFeatures(), PANEL);
        MemorySegment packed = arena.allocate(bytes(weights), 64);
        DType dtype = weights.weight().dtype();
        boolean direct = dtype == DType.BF16 || dtype == DType.F16 || dtype == DType.F32;
        MemorySegment source = direct
                ? weights.weight().data()
                : MemorySegment.ofArray(weights.weight().toFloats());
        DType sourceType = direct ? dtype : DType.F32;
        workers.run(panels, (panel, _) -> {
            for (int first = 0; first < in; first += SUPER) {
                int depth = Math.min(SUPER, in - first);
                long to = offset(weights, first, panel);
                for (int k = 0; k < depth; k += COPY) {
                    int count = Math.min(COPY, depth - k);
                    for (int j = 0; j < PANEL && panel * PANEL + j < weights.outFeatures(); j++) {
                        long from = (long) (panel * PANEL + j) * in + first + k;
                        copy(source, sourceType, from, packed, to + (long) k * rowBytes(bfloat16), j, count);
                    }
                }
            }
        });
        return packed;
    }

    /** Copies {@code count} neighbouring inputs of one output feature to column j of a panel. */
    private static void copy(
            MemorySegment source, DType type, long from, MemorySegment packed, long to, int j, int count) {
        switch (type) {
            case BF16 -> {
                long at = to + 4L * (j % WIDTH) + 2L * (j / WIDTH);
                for (int i = 0; i < count; i++) {
                    packed.set(SHORT, at + (long) i * 2 * PANEL, source.get(SHORT, 2 * (from + i)));
                }
            }
            case F16 -> {
                for (int i = 0; i < count; i++) {
                    float value = Float.float16ToFloat(source.get(SHORT, 2 * (from + i)));
                    packed.set(FLOAT, to + 4L * j + (long) i * 4 * PANEL, value);
                }
            }
            default -> {
                for (int i = 0; i < count; i++) {
                    packed.set(FLOAT, to + 4L * j + (long) i * 4 * PANEL, source.get(FLOAT, 4 * (from + i)));
                }
            }
        }
    }

    /** Widens {@code count} rows of bfloat16 panels to float32 [count, PANEL]. */
    static void widen(MemorySegment packed, long at, int count, MemorySegment panels) {
        for (long row = 0; row < count; row++) {
            IntVector pair = IntVector.fromMemorySegment(Lanes.INT, packed, at + row * 2 * PANEL, Lanes.ORDER);
            long to = row * 4 * PANEL;
            pair.lanewise(VectorOperators.LSHL, 16).intoMemorySegment(panels, to, Lanes.ORDER);
            pair.and(UPPER_HALF).intoMemorySegment(panels, to + 4L * WIDTH, Lanes.ORDER);
        }
    }
}
