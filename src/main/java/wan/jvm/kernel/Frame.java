package wan.jvm.kernel;

import java.lang.foreign.MemorySegment;

/**
 * Floats in native order, [channels, kept, columns]: a frame of which the {@code kept} rows written last are there.
 *
 * @param rows of the frame
 * @param kept of them at once; row r lies where row r - kept was
 */
public record Frame(MemorySegment values, int rows, int kept, int columns) {
    /** Where a row of a channel begins, in bytes. */
    public long at(int channel, int row) {
        return ((long) channel * kept + row % kept) * columns * Float.BYTES;
    }
}
