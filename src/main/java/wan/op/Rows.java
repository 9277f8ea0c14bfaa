package wan.op;

/**
 * Some neighbouring rows of a frame.
 *
 * @param first the first of them
 * @param end the row after the last
 */
public record Rows(int first, int end) {
    /** All rows of a frame [channels, rows, columns]. */
    public static Rows of(Shape frame) {
        return new Rows(0, frame.dim(1));
    }

    /** How many they are. */
    public int count() {
        return end - first;
    }
}
