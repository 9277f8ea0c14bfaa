package wan.op;

import java.util.List;
import java.util.Set;

/**
 * Observes one attention call. {@link #NONE} adds no operation and changes no bit.
 *
 * <p>Observing never changes the attention's output: captures are computed from the same queries and keys, separately from it.
 * Keys appear in the order in which the call attends to them.
 */
public interface AttentionTap {
    /** Observes nothing. */
    AttentionTap NONE = new AttentionTap() {
        @Override
        public Set<Quantity> wanted() {
            return Set.of();
        }

        @Override
        public int[] heads() {
            return new int[0];
        }

        @Override
        public void accept(Quantity quantity, Shape shape, float[] values) {
            throw new IllegalStateException("nothing was asked for");
        }

        @Override
        public void acceptTokens(
                Quantity quantity, int batch, int headIndex, int firstQuery, int queries, int keys, float[] tile) {
            throw new IllegalStateException("nothing was asked for");
        }
    };

    /** What is to be delivered; empty for nothing. */
    Set<Quantity> wanted();

    /** The heads to watch, ascending; they are axis N of everything delivered. */
    int[] heads();

    /** The regions of {@link Quantity#REGION_LOGITS} and {@link Quantity#REGION_MASS}: indices of a sample's queries, each region at least one. */
    default List<int[]> regions() {
        return List.of();
    }

    /**
     * Receives one whole quantity, once per call of the attention; any but those that come in tiles.
     *
     * @param shape as {@link Quantity} says
     * @param values C order; the receiver may keep the array
     */
    void accept(Quantity quantity, Shape shape, float[] values);

    /**
     * Receives rows of {@link Quantity#TOKEN_LOGITS} or {@link Quantity#LOGITS_USED}. May be called from several threads at once, in any
     * order; each row comes once.
     *
     * @param quantity which of the two
     * @param batch sample
     * @param headIndex index into {@link #heads()}
     * @param firstQuery first row of the tile
     * @param queries rows in the tile
     * @param keys columns, Lk
     * @param tile [queries, keys]; only valid during the call
     */
    void acceptTokens(Quantity quantity, int batch, int headIndex, int firstQuery, int queries, int keys, float[] tile);
}
