package wan.jvm.vector;

import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * The one vector width of this JVM. Two widths in one process pollute each other's type profiles, and a width that the processor
 * lacks is computed element by element: both cost a factor of a hundred, so the preferred width is taken and kept.
 *
 * <p>The system property {@value #BITS_PROPERTY} forces a width, for tests.
 */
public final class Lanes {
    static final String BITS_PROPERTY = "wan.vector.bits";

    public static final VectorSpecies<Float> FLOAT = species();
    public static final VectorSpecies<Integer> INT = IntVector.SPECIES_128.withShape(FLOAT.vectorShape());

    /** Lanes of a vector. */
    public static final int WIDTH = FLOAT.length();

    /** Columns of a panel: two vectors, because C2 keeps two accumulators a row in registers without spilling. */
    static final int PANEL = 2 * WIDTH;

    /**
     * Rows of a register tile. 13 x 2 accumulators, two vectors of the panel and one broadcast fill 32 registers but for
     * three, and 13 divides the 1560 tokens of a frame and almost divides a head's 128 channels; 5 x 2 is for 16 registers.
     */
    public static final int TILE = manyRegisters() ? 13 : 5;

    /** Of everything packed off-heap: fixed, so that the halves of a bfloat16 pair lie where they are read. */
    public static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

    public static final ValueLayout.OfFloat FLOATS = ValueLayout.JAVA_FLOAT.withOrder(ORDER);

    private Lanes() {}

    private static VectorSpecies<Float> species() {
        int bits = Integer.getInteger(BITS_PROPERTY, FloatVector.SPECIES_PREFERRED.vectorBitSize());
        VectorShape shape = VectorShape.forBitSize(Math.clamp(bits, 128, 512));
        return FloatVector.SPECIES_128.withShape(shape);
    }

    private static boolean manyRegisters() {
        return FLOAT.vectorBitSize() == 512 || System.getProperty("os.arch", "").equals("aarch64");
    }
}
