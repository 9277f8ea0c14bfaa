package capture.analysis;

import java.util.Comparator;

/**
 * One attention head.
 *
 * @param layer 0-based
 * @param head 0-based
 */
public record HeadId(int layer, int head) {
    /** By layer, then head. */
    public static final Comparator<HeadId> ORDER =
            Comparator.comparingInt(HeadId::layer).thenComparingInt(HeadId::head);

    /** The papers' 1-based name, for example {@code L1H1} for layer 0, head 0. */
    public String label() {
        return "L" + (layer + 1) + "H" + (head + 1);
    }
}
