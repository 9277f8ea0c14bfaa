package wan.cache;

import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Which keys each group of heads attends to: pure integers, in frames. A pass's own frames are always attended; a policy says
 * what else.
 *
 * <p>Only the distance of a key to a query counts in a rotary embedding, so positions are given as the distance from the pass's
 * first frame back to the key: the frame {@code g} stays where it was at a distance of {@code firstFrame - g}.
 */
public interface HeadPolicy {
    /** The method's name. */
    String name();

    /** The groups of heads that it treats differently. */
    List<String> groups();

    /**
     * What a group attends to in the passes of a frame block besides the block itself, in slot order.
     *
     * @param group one of {@link #groups}
     * @param history sizes of the frame blocks before this one, in order
     */
    List<Key> keys(String group, History history);

    /**
     * Whether each frame of a block attends to keys of its own, for which {@link #keysOf} is asked; {@link #keys} is
     * not then.
     */
    default boolean perFrame() {
        return false;
    }

    /**
     * As {@link #keys}, of one frame of the block.
     *
     * @param queryFrame counted from the block's first frame; distances count from there too
     */
    default List<Key> keysOf(String group, History history, int queryFrame) {
        return keys(group, history);
    }

    /** The frame block in whose last pass, at t = 0, the method chooses the groups of heads by itself; -1 where they are given. */
    default int choosingBlock() {
        return -1;
    }

    /** Where the method chooses the groups: how many key slots count as the first frames, a third of whose tokens' number is drawn of the queries. */
    default int choosingFrames() {
        return 1;
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

        /**
         * A page of the tokens that the queries of the frame block's first pass want most, rotated as they were, in the order of the candidates: those
         * with the highest product of their key and the sum of the queries, over all heads, for each layer and sample. The queries are those of the
         * last {@code recent} frames that have passed through the layer, the pass's own among them.
         *
         * <p>Equal if chosen in the same frame block, for the same place: what they are chosen from follows from that.
         *
         * @param chosenAt first frame of the frame block in which they are chosen
         * @param page which of the pages that are chosen together
         * @param pages how many these are
         * @param recent frames of queries
         * @param mostUses how often a token may be chosen, at most
         * @param candidates what they are chosen from; a frame last
         */
        record Top(int chosenAt, int page, int pages, int recent, int mostUses, List<Content> candidates)
                implements Content {
            /** Copies the list. */
            public Top {
                candidates = List.copyOf(candidates);
            }

            // Candidates hold earlier pages of this kind twice: comparing them would double with every choice.
            @Override
            public boolean equals(@Nullable Object other) {
                return other instanceof Top top && top.chosenAt == chosenAt && top.page == page;
            }

            @Override
            public int hashCode() {
                return Objects.hash(chosenAt, page);
            }

            @Override
            public String toString() {
                return "page " + page + " of the tokens chosen at frame " + chosenAt;
            }
        }

        /** The last frame that it holds anything of, as its number. */
        default int lastFrame() {
            return switch (this) {
                case Frame frame -> frame.frame();
                case Blend blend ->
                    blend.parts().stream().mapToInt(Content::lastFrame).max().orElse(0);
                case Patches patches ->
                    patches.frames().get(patches.frames().size() - 2).lastFrame();
                case Top top -> top.candidates().getLast().lastFrame();
            };
        }
    }

    /**
     * The frame blocks before a pass's.
     *
     * @param blocks their sizes
     * @param frames size of the pass's own
     */
    record History(List<Integer> blocks, int frames) {
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
