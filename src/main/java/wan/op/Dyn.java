package wan.op;

import java.util.Arrays;

/**
 * Integers that change from step to step while the operations stay the same: time positions, the pages to attend to.
 *
 * <p>The host sets them before a pass; only a backend reads them. Model code never does (an ArchUnit rule holds this), so it
 * cannot branch on them, and one recording serves every step. A device keeps the {@code capacity} integers and the count in a
 * small array that is transferred with each execution.
 */
public final class Dyn {
    private final String name;
    private final int[] values;
    private int count;

    /**
     * No values yet.
     *
     * @param name for messages and recordings
     * @param capacity the most values it ever holds
     */
    public Dyn(String name, int capacity) {
        this.name = name;
        this.values = new int[capacity];
    }

    /**
     * Replaces the values.
     *
     * @param newValues at most {@link #capacity()} integers
     */
    public void set(int... newValues) {
        if (newValues.length > values.length) {
            throw WanException.mismatch("dyn " + name, "at most " + values.length + " values", newValues.length, "");
        }
        System.arraycopy(newValues, 0, values, 0, newValues.length);
        count = newValues.length;
    }

    /** For backends: value {@code i} of the current step. */
    public int get(int i) {
        if (i >= count) {
            throw WanException.mismatch("dyn " + name, "an index below " + count, i, "");
        }
        return values[i];
    }

    /** For backends: all values of the current step. */
    public int[] values() {
        return Arrays.copyOf(values, count);
    }

    /** For backends: how many values the current step has. */
    public int count() {
        return count;
    }

    /** The most values it ever holds. */
    public int capacity() {
        return values.length;
    }

    @Override
    public String toString() {
        return name + Arrays.toString(Arrays.copyOf(values, count));
    }
}
