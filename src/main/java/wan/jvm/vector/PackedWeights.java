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
 * <p>Each worker has a part of its own with some of the panels, which it allocates and writes itself: memory lies beside the core that touches it
 * first, and {@link LinearPlan} gives each worker the panels that lie there.
 *
 * <p>bfloat16 stays bfloat16, with columns j and j + WIDTH of a panel in one int, so that a shift and a mask widen them.
 * That is done once for all rows of a block: within the product it took 40 % of the time. Everything else becomes float32.
 */
final class PackedWeights {
    /** Inputs of a super-block: this deep a tile of x fits the first-level cache. */
    static final int SUPER = 320;

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

    /** The part that a panel lies in. */
    static int part(int panel, int panels, int parts) {
        return (int) (((panel + 1L) * parts - 1) / panels);
    }

    private static int firstPanel(int part, int panels, int parts) {
        return (int) ((long) panels * part / parts);
    }

    /** Byte offset within its part of a panel's super-block that starts at {@code firstInput}. */
    static long offset(JvmLinear weights, int firstInput, int panel, int parts) {
        int panels = Math.ceilDiv(weights.outFeatures(), PANEL);
        int part = part(panel, panels, parts);
        int first = firstPanel(part, panels, parts);
        int beside = firstPanel(part + 1, panels, parts) - first;
        int depth = Math.min(SUPER, weights.inFeatures() - firstInput);
        return ((long) firstInput * beside + (long) (panel - first) * depth) * rowBytes(weights.isBfloat16());
    }

    /** The parts, one for each worker, or for each panel if these are fewer. */
    static MemorySegment[] pack(JvmLinear weights, Arena arena, Workers workers) {
        int panels = Math.ceilDiv(weights.outFeatures(), PANEL);
        MemorySegment[] packed = new MemorySegment[Math.min(workers.threads(), panels)];
        DType dtype = weights.weight().dtype();
        boolean direct = dtype == DType.BF16 || dtype == DType.F16 || dtype == DType.F32;
        MemorySegment source = direct
                ? weights.weight().data()
                : MemorySegment.ofArray(weights.weight().toFloats());
        DType sourceType = direct ? dtype : DType.F32;
        long panelBytes = (long) weights.inFeatures() * rowBytes(weights.isBfloat16());
        workers.runAtHome(packed.length, (part, _) -> {
            int first = firstPanel(part, panels, packed.length);
            int end = firstPanel(part + 1, panels, packed.length);
            packed[part] = arena.allocate((end - first) * panelBytes, 64);
            for (int panel = first; panel < end; panel++) {
                pack(source, sourceType, weights, panel, packed);
            }
        });
        return packed;
    }

    private static void pack(
            MemorySegment source, DType sourceType, JvmLinear weights, int panel, MemorySegment[] packed) {
        int in = weights.inFeatures();
        int columns = Math.min(PANEL, weights.outFeatures() - panel * PANEL);
        int rowBytes = rowBytes(weights.isBfloat16());
        MemorySegment part = packed[part(panel, Math.ceilDiv(weights.outFeatures(), PANEL), packed.length)];
        for (int first = 0; first < in; first += SUPER) {
            int depth = Math.min(SUPER, in - first);
            long to = offset(weights, first, panel, packed.length);
            for (int k = 0; k < depth; k += COPY) {
                int count = Math.min(COPY, depth - k);
                for (int j = 0; j < columns; j++) {
                    long from = (long) (panel * PANEL + j) * in + first + k;
                    copy(source, sourceType, from, part, to + (long) k * rowBytes, j, count);
                }
            }
        }
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

    /** Widens {@code count} rows of a bfloat16 panel to float32 [count, PANEL]. */
    static void widen(MemorySegment packed, long at, int count, MemorySegment panels, long panelsAt) {
        for (long row = 0; row < count; row++) {
            IntVector pair = IntVector.fromMemorySegment(Lanes.INT, packed, at + row * 2 * PANEL, Lanes.ORDER);
            long to = panelsAt + row * 4 * PANEL;
            pair.lanewise(VectorOperators.LSHL, 16).intoMemorySegment(panels, to, Lanes.ORDER);
            pair.and(UPPER_HALF).intoMemorySegment(panels, to + 4L * WIDTH, Lanes.ORDER);
        }
    }
}
