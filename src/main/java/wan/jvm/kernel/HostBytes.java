package wan.jvm.kernel;

/**
 * An amount of memory.
 *
 * @param heap bytes on the Java heap
 * @param outside bytes outside of it
 */
public record HostBytes(long heap, long outside) {
    /** Nothing. */
    public static final HostBytes NONE = new HostBytes(0, 0);

    /** Both together. */
    public HostBytes plus(HostBytes other) {
        return new HostBytes(heap + other.heap, outside + other.outside);
    }

    /** So many of these; may be negative. */
    public HostBytes times(long count) {
        return new HostBytes(count * heap, count * outside);
    }

    /** What is enough for each of the two. */
    public HostBytes max(HostBytes other) {
        return new HostBytes(Math.max(heap, other.heap), Math.max(outside, other.outside));
    }
}
