package capture;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import wan.op.UsageException;

/**
 * A choice of layers or heads: all of the model, or a list, counted from 0.
 *
 * @param some ascending, without repeats; empty for all
 */
public record Indices(List<Integer> some) {
    /** All of the model. */
    public static final Indices ALL = new Indices(List.of());

    /** Sorts them, and refuses negative ones. */
    public Indices {
        some = some.stream().distinct().sorted().toList();
        if (!some.isEmpty() && some.getFirst() < 0) {
            throw new UsageException("indices: expected numbers from 0, got " + some.getFirst());
        }
    }

    /** Some, at least one. */
    public static Indices of(int... indices) {
        if (indices.length == 0) {
            throw new UsageException("indices: expected at least one, got none");
        }
        return new Indices(Arrays.stream(indices).boxed().toList());
    }

    /**
     * Reads {@code 3}, {@code 0-5,9} or {@code all}.
     *
     * @param name for messages
     * @param what what they are, for messages
     */
    public static Indices parse(String name, String text, String what) {
        return text.equals("all") ? ALL : new Indices(IndexList.parse(name, text, Integer.MAX_VALUE - 1, what));
    }

    /** Whether an index is among them. */
    public boolean contains(int index) {
        return some.isEmpty() || Collections.binarySearch(some, index) >= 0;
    }

    /** As {@link #parse} reads it: {@code 0-5,9}. */
    @Override
    public String toString() {
        if (some.isEmpty()) {
            return "all";
        }
        StringBuilder text = new StringBuilder();
        for (int i = 0, end; i < some.size(); i = end) {
            for (end = i + 1; end < some.size() && some.get(end) == some.get(end - 1) + 1; end++) {}
            text.append(i == 0 ? "" : ",").append(some.get(i));
            if (end > i + 1) {
                text.append('-').append(some.get(end - 1));
            }
        }
        return text.toString();
    }

    /**
     * The indices themselves, ascending.
     *
     * @param name for messages
     * @param count how many the model has
     * @throws UsageException if the model does not have one of them
     */
    public List<Integer> in(String name, int count) {
        if (some.isEmpty()) {
            return IntStream.range(0, count).boxed().toList();
        }
        if (some.getLast() >= count) {
            throw new UsageException(name + ": expected indices from 0 to " + (count - 1) + ", got " + some.getLast()
                    + " (they count from 0)");
        }
        return some;
    }
}
