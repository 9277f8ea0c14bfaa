package wan.cache;

import java.util.List;

/**
 * Which keys each group of heads attends: pure integers, in frames. A pass's own frames are always attended; a policy says what else.
 *
 * <p>Only the distance of a key to a query counts in a rotary embedding, so positions are given as the distance from the pass's first frame
 * back to the key: the frame {@code g} stays where it was at a distance of {@code firstFrame - g}.
 */
public interface HeadPolicy {
    /** The method's name. */
    String name();

    /** The groups of heads that it treats differently. */
    List<String> groups();

    /**
     * What a group attends in the passes of a frame block besides the block itself, in slot order.
     *
     * @param group one of {@link #groups}
     * @param history sizes of the frame blocks before this one, in order
     */
    List<Key> keys(String group, History history);

    /**
     * A key slot.
     *
     * @param content what it holds
     * @param distance how many frames it stands before the pass's first frame
     */
    record Key(Content content, int distance) {}

    /** What a key slot holds. */
    sealed interface Content {
        /** The keys and values of a frame, as its context pass left them. */
        record Frame(int frame) implements Content {}

        /**
         * A weighted sum of unrotated keys, and of their values, token by token.
         *
         * @param parts what is summed
         * @param weights one each
         */
        record Blend(List<Content> parts, List<Double> weights) implements Content {
            /** Copies the lists. */
            public Blend {
                parts = List.copyOf(parts);
                weights = List.copyOf(weights);
            }
        }
    }

    /**
     * The frame blocks before a pass's.
     *
     * @param blocks their sizes
     */
    record History(List<Integer> blocks) {
        /** Copies the list. */
        public History {
            blocks = List.copyOf(blocks);
        }

        /** Absolute number of the pass's first frame. */
        public int firstFrame() {
            return blocks.stream().mapToInt(Integer::intValue).sum();
        }

        /** How many frame blocks are done. */
        public int count() {
            return blocks.size();
        }
    }
}
