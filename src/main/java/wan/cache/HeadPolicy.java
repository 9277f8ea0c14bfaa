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

    /** The frame block in whose last pass, at t = 0, the method chooses the groups of heads by itself; -1 where they are given. */
    default int choosingBlock() {
        return -1;
    }

    /**
     * The group that a head of a group is treated as in one layer.
     *
     * @param layer from 0
     */
    default String groupIn(int layer, String group) {
        return group;
    }

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

        /**
         * A page of patches, rotated as they were: of all patches of neighbouring frames those whose keys are least like the keys of the same tokens
         * one frame later, in the order of the video. As many are kept as a frame has.
         *
         * @param frames neighbours; the last one is what the one before is compared with
         * @param patches runs of tokens that a frame is cut into
         * @param layer where they are chosen, for the layers behind it too
         * @param group whose keys are compared: of each token the keys of all these heads as one vector
         */
        record Patches(List<Content> frames, int patches, int layer, String group) implements Content {
            /** Copies the list. */
            public Patches {
                frames = List.copyOf(frames);
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
