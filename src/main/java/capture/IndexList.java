package capture;

import java.util.List;
import java.util.TreeSet;
import wan.op.UsageException;

/** Lists of 0-based indices as options take them: {@code 3}, {@code 0-5,9}, {@code all}. */
public final class IndexList {
    private IndexList() {}

    /**
     * Reads a list.
     *
     * @param option for messages
     * @param text what was given
     * @param count how many there are; valid indices are 0 to count - 1
     * @param what what the option takes besides, for messages
     * @return ascending, without repeats
     * @throws UsageException if it is malformed or an index is out of range
     */
    public static List<Integer> parse(String option, String text, int count, String what) {
        TreeSet<Integer> indices = new TreeSet<>();
        if (text.equals("all") && count < Integer.MAX_VALUE) {
            for (int i = 0; i < count; i++) {
                indices.add(i);
            }
            return List.copyOf(indices);
        }
        for (String part : text.split(",", -1)) {
            String[] ends = part.strip().split("-", -1);
            if (ends.length > 2 || !ends[0].matches("\\d{1,6}") || !ends[ends.length - 1].matches("\\d{1,6}")) {
                throw new UsageException(option + ": expected " + what + " such as 3, 0-5,9"
                        + (count < Integer.MAX_VALUE ? " or all" : "") + ", got \"" + text + "\"");
            }
            int first = Integer.parseInt(ends[0]);
            int last = Integer.parseInt(ends[ends.length - 1]);
            if (first > last) {
                throw new UsageException(option + ": the range " + part.strip() + " runs backwards");
            }
            if (last >= count) {
                throw new UsageException(option + ": expected indices from 0 to " + (count - 1) + ", got " + last
                        + " (they count from 0)");
            }
            for (int i = first; i <= last; i++) {
                indices.add(i);
            }
        }
        return List.copyOf(indices);
    }
}
