package wan.text;

import java.util.Arrays;

/**
 * A text as the encoder takes it: ids of fixed length.
 *
 * @param ids pieces, then {@code </s>}, then padding
 * @param count how many of them are not padding; at least 1
 * @param truncated whether pieces had to be left out
 */
@SuppressWarnings("ArrayRecordComponent") // handed over, never compared
public record TokenIds(int[] ids, int count, boolean truncated) {
    /** 1 for every id that is not padding, else 0. */
    public int[] mask() {
        int[] mask = new int[ids.length];
        Arrays.fill(mask, 0, count, 1);
        return mask;
    }
}
