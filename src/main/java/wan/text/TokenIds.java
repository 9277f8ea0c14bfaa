package wan.text;

import java.util.Arrays;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import wan.op.FormatException;

/**
 * A text as the encoder takes it: ids of fixed length.
 *
 * @param ids pieces, then {@code </s>}, then padding
 * @param count how many of them are not padding; at least 1
 * @param truncated whether pieces had to be left out
 */
@SuppressWarnings("ArrayRecordComponent") // handed over, never compared
public record TokenIds(int[] ids, int count, boolean truncated) {
    private static final Pattern BETWEEN = Pattern.compile("[\\s,]+");

    /**
     * Ids that were written down.
     *
     * @param line ids separated by spaces or commas, in brackets or not; zeros at the end are padding
     * @param where for messages
     * @return the ids without padding
     * @throws FormatException if something else stands there, or nothing
     */
    public static TokenIds parse(String line, String where) {
        String text = line.strip();
        String bare = text.startsWith("[") && text.endsWith("]") ? text.substring(1, text.length() - 1) : text;
        int[] ids = BETWEEN.splitAsStream(bare.strip())
                .mapToInt(word -> id(word, where))
                .toArray();
        int count = ids.length;
        while (count > 0 && ids[count - 1] == 0) {
            count--;
        }
        if (count == 0) {
            throw new FormatException(where, "expected token ids, got only padding");
        }
        return new TokenIds(Arrays.copyOf(ids, count), count, false);
    }

    private static int id(String word, String where) {
        try {
            int id = Integer.parseInt(word);
            if (id >= 0) {
                return id;
            }
        } catch (NumberFormatException _) {
            // told below
        }
        throw new FormatException(where, "expected token ids separated by spaces or commas, got \"" + word + "\"");
    }

    /** The ids without padding, separated by spaces. */
    public String line() {
        return Arrays.stream(ids, 0, count).mapToObj(Integer::toString).collect(Collectors.joining(" "));
    }

    /** 1 for every id that is not padding, else 0. */
    public int[] mask() {
        int[] mask = new int[ids.length];
        Arrays.fill(mask, 0, count, 1);
        return mask;
    }
}
