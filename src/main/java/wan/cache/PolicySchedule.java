package wan.cache;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import wan.op.UsageException;

/**
 * A policy over a whole rollout: for every frame block the pages to write and to attend to, which slots each group sees, what
 * is blended before, and what is freed. Pure integers; since all of the rollout is known, a page is free as soon as nothing to
 * come needs it.
 *
 * <p>All groups share the list of slots: a group sees some of them. Two groups that see the same content at two positions have
 * two slots.
 */
public final class PolicySchedule {
    private final HeadPolicy policy;
    private final List<Block> blocks;
    private final int pages;
    private final boolean turns;
    private final int mostSlots;

    /**
     * One frame block.
     *
     * @param firstFrame absolute number of its first frame
     * @param frames of the block
     * @param written the page of each of its frames
     * @param slots what its passes attend to, the block's own frames last
     * @param seen by group, for each frame of the block: which slots, ascending
     * @param made pages that have to be made before the first pass, in this order
     * @param freed by group: pages that the group needs no longer when the first pass begins
     */
    public record Block(
            int firstFrame,
            int frames,
            List<Integer> written,
            List<Slot> slots,
            Map<String, List<BitSet>> seen,
            List<Making> made,
            Map<String, List<Integer>> freed) {}

    /**
     * A key slot.
     *
     * @param page where its keys are
     * @param frame the absolute frame that it holds, of what is made of several the last one
     * @param position time position
     * @param made whether it is made of several
     */
    public record Slot(int page, int frame, int position, boolean made) {}

    /** A page that is made of others. */
    public sealed interface Making {
        /** Where it goes. */
        int page();
    }

    /**
     * A weighted sum.
     *
     * @param page where the sum goes; may be one of the sources
     * @param sources pages
     * @param weights one each
     */
    public record Blending(int page, List<Integer> sources, List<Double> weights) implements Making {}

    /**
     * Patches of other pages, as {@link HeadPolicy.Content.Patches} says.
     *
     * @param page where they go
     * @param sources pages of neighbouring frames; of the last one nothing is taken
     */
    public record Assembling(int page, List<Integer> sources, int patches, int layer, String group) implements Making {}

    /**
     * Tokens of other pages, as {@link HeadPolicy.Content.Top} says.
     *
     * @param page where they go
     * @param position time position of this page
     * @param sources pages of the candidates
     * @param positions time positions of these
     * @param top what is chosen
     */
    public record Choosing(
            int page, int position, List<Integer> sources, List<Integer> positions, HeadPolicy.Content.Top top)
            implements Making {}

    private PolicySchedule(HeadPolicy policy, List<Block> blocks, int pages, boolean turns, int mostSlots) {
        this.policy = policy;
        this.blocks = blocks;
        this.pages = pages;
        this.turns = turns;
        this.mostSlots = mostSlots;
    }

    /** The frame blocks, in order. */
    public List<Block> blocks() {
        return blocks;
    }

    /** Pages that a cache needs. */
    public int pages() {
        return pages;
    }

    /** Whether keys have to be kept unrotated: where some stand elsewhere than they were, or are blended. */
    public boolean turns() {
        return turns;
    }

    /** Whether groups that are not given are chosen in frames from this one on; false for other frames and policies. */
    public boolean choosesAt(int firstFrame) {
        int block = policy.choosingBlock();
        return block >= 0 && block < blocks.size() && blocks.get(block).firstFrame() == firstFrame;
    }

    /** How many frames of queries choose the tokens that are kept; 0 where none are chosen. */
    public int recentQueries() {
        return blocks.stream()
                .flatMap(block -> block.made().stream())
                .mapToInt(making ->
                        making instanceof Choosing choosing ? choosing.top().recent() : 0)
                .max()
                .orElse(0);
    }

    /** How many key slots count as the first frames where groups are chosen. */
    public int choosingFrames() {
        return policy.choosingFrames();
    }

    /** The group that a head of a group is treated as in one layer. */
    public String groupIn(int layer, String group) {
        return policy.groupIn(layer, group);
    }

    /**
     * Checks that frames can be cut into the patches that the policy keeps.
     *
     * @param frameTokens tokens of a frame
     * @throws UsageException if they cannot
     */
    public void check(int frameTokens) {
        for (Block block : blocks) {
            for (Making making : block.made()) {
                if (making instanceof Assembling patches && frameTokens % patches.patches() != 0) {
                    throw new UsageException("cache.policy "
                            + policy.name().toLowerCase(Locale.ROOT).replace('_', '-')
                            + ": expected frames of a multiple of "
                            + patches.patches() + " tokens, which it cuts into patches, got " + frameTokens
                            + "; use another frame size");
                }
            }
        }
    }

    /** Whether the frames of a block may see different slots. */
    public boolean perFrame() {
        return policy.perFrame();
    }

    /** The most slots that any pass attends to. */
    public int mostSlots() {
        return mostSlots;
    }

    /**
     * The most pages whose keys one group keeps at a time, the current block's own among them.
     *
     * @param group of the policy
     */
    public int mostPages(String group) {
        Set<Integer> kept = new HashSet<>();
        int most = 0;
        for (Block block : blocks) {
            block.made().forEach(making -> kept.add(making.page()));
            kept.removeAll(block.freed().getOrDefault(group, List.of()));
            kept.addAll(block.written());
            most = Math.max(most, kept.size());
        }
        return most;
    }

    /**
     * Schedules a rollout.
     *
     * @param blockSizes of all frame blocks, given ones first
     */
    public static PolicySchedule of(HeadPolicy policy, List<Integer> blockSizes) {
        return new Scheduler(policy, blockSizes).schedule();
    }

    private static final class Scheduler {
        private final HeadPolicy policy;
        private final List<Integer> sizes;
        /** By block, group and frame of the block; one list where it is the same for all frames. */
        private final List<Map<String, List<List<HeadPolicy.Key>>>> keys = new ArrayList<>();
        /** By group: the last block in which a content is needed, for itself or to make another. */
        private final Map<String, Map<HeadPolicy.Content, Integer>> lastUse = new HashMap<>();

        private final Map<HeadPolicy.Content, Integer> pageOf = new LinkedHashMap<>();
        private final BitSet used = new BitSet();
        private int highest;

        Scheduler(HeadPolicy policy, List<Integer> sizes) {
            this.policy = policy;
            this.sizes = sizes;
        }

        PolicySchedule schedule() {
            for (int b = 0; b < sizes.size(); b++) {
                HeadPolicy.History history = new HeadPolicy.History(sizes.subList(0, b), sizes.get(b));
                Map<String, List<List<HeadPolicy.Key>>> byGroup = new LinkedHashMap<>();
                for (String group : policy.groups()) {
                    List<List<HeadPolicy.Key>> mine = new ArrayList<>();
                    for (int frame = 0; frame < (policy.perFrame() ? sizes.get(b) : 1); frame++) {
                        mine.add(
                                policy.perFrame() ? policy.keysOf(group, history, frame) : policy.keys(group, history));
                        for (HeadPolicy.Key key : mine.getLast()) {
                            need(group, key.content(), b);
                        }
                    }
                    byGroup.put(group, mine);
                }
                keys.add(byGroup);
            }
            List<Block> blocks = new ArrayList<>();
            boolean turns = false;
            int most = 0;
            int first = 0;
            for (int b = 0; b < sizes.size(); b++) {
                Block block = block(b, first);
                blocks.add(block);
                most = Math.max(most, block.slots().size());
                for (List<List<HeadPolicy.Key>> mine : keys.get(b).values()) {
                    for (HeadPolicy.Key key :
                            mine.stream().flatMap(List::stream).toList()) {
                        turns |= key.content() instanceof HeadPolicy.Content.Blend
                                || first - key.distance() != key.content().lastFrame();
                    }
                }
                first += sizes.get(b);
            }
            return new PolicySchedule(policy, List.copyOf(blocks), Math.max(1, highest), turns, most);
        }

        /** Notes that a block needs a content. What it is made of is needed until it is made: before the block of its own first use. */
        private void need(String group, HeadPolicy.Content content, int block) {
            Map<HeadPolicy.Content, Integer> uses = lastUse.computeIfAbsent(group, g -> new HashMap<>());
            boolean fresh = uses.put(content, block) == null;
            if (fresh) {
                for (HeadPolicy.Content part : parts(content)) {
                    need(group, part, Math.max(block - 1, uses.getOrDefault(part, block - 1)));
                }
            }
        }

        private static List<HeadPolicy.Content> parts(HeadPolicy.Content content) {
            return switch (content) {
                case HeadPolicy.Content.Frame _ -> List.of();
                case HeadPolicy.Content.Blend blend -> blend.parts();
                case HeadPolicy.Content.Patches patches -> patches.frames();
                case HeadPolicy.Content.Top top -> top.candidates();
            };
        }

        private boolean needs(String group, HeadPolicy.Content content, int block) {
            return lastUse.getOrDefault(group, Map.of()).getOrDefault(content, -1) >= block;
        }

        private Block block(int b, int first) {
            int frames = sizes.get(b);
            // Pages are made while their parts are still there; then everything that nobody needs goes.
            List<Making> made = new ArrayList<>();
            for (List<List<HeadPolicy.Key>> mine : keys.get(b).values()) {
                mine.forEach(each -> each.forEach(key -> make(key.content(), made)));
            }
            Map<String, List<Integer>> freed = new LinkedHashMap<>();
            for (String group : policy.groups()) {
                List<Integer> mine = new ArrayList<>();
                pageOf.forEach((content, page) -> {
                    // A block's frames are attended by its own passes, whatever a policy says of them later.
                    if (!needs(group, content, b) && !isWithin(content, first, frames)) {
                        mine.add(page);
                    }
                });
                freed.put(group, mine);
            }
            pageOf.entrySet().removeIf(entry -> {
                boolean gone = policy.groups().stream().noneMatch(group -> needs(group, entry.getKey(), b));
                if (gone) {
                    used.clear(entry.getValue());
                }
                return gone;
            });
            List<Integer> written = new ArrayList<>();
            for (int i = 0; i < frames; i++) {
                written.add(take(new HeadPolicy.Content.Frame(first + i)));
            }
            Set<HeadPolicy.Key> union = new LinkedHashSet<>();
            keys.get(b).values().forEach(mine -> mine.forEach(union::addAll));
            List<HeadPolicy.Key> ordered = new ArrayList<>(union);
            Collections.sort(ordered, (x, y) -> Integer.compare(y.distance(), x.distance()));
            List<Slot> slots = new ArrayList<>();
            for (HeadPolicy.Key key : ordered) {
                slots.add(new Slot(
                        page(key.content()),
                        key.content().lastFrame(),
                        first - key.distance(),
                        !parts(key.content()).isEmpty()));
            }
            Map<String, List<BitSet>> seen = new LinkedHashMap<>();
            for (String group : policy.groups()) {
                List<BitSet> byFrame = new ArrayList<>();
                for (List<HeadPolicy.Key> mine : keys.get(b).getOrDefault(group, List.of())) {
                    BitSet bits = new BitSet();
                    mine.forEach(key -> bits.set(ordered.indexOf(key)));
                    bits.set(slots.size(), slots.size() + frames);
                    byFrame.add(bits);
                }
                seen.put(group, byFrame.size() == frames ? byFrame : Collections.nCopies(frames, byFrame.getFirst()));
            }
            for (int i = 0; i < frames; i++) {
                slots.add(new Slot(written.get(i), first + i, first + i, false));
            }
            return new Block(first, frames, written, List.copyOf(slots), seen, made, freed);
        }

        private static boolean isWithin(HeadPolicy.Content content, int first, int frames) {
            return content instanceof HeadPolicy.Content.Frame frame
                    && frame.frame() >= first
                    && frame.frame() < first + frames;
        }

        private void make(HeadPolicy.Content content, List<Making> made) {
            if (pageOf.containsKey(content) || parts(content).isEmpty()) {
                return;
            }
            parts(content).forEach(part -> make(part, made));
            List<Integer> sources = parts(content).stream().map(this::page).toList();
            int page = take(content);
            switch (content) {
                case HeadPolicy.Content.Frame _ -> {}
                case HeadPolicy.Content.Blend blend -> made.add(new Blending(page, sources, blend.weights()));
                case HeadPolicy.Content.Patches patches ->
                    made.add(new Assembling(page, sources, patches.patches(), patches.layer(), patches.group()));
                case HeadPolicy.Content.Top top ->
                    made.add(new Choosing(
                            page,
                            top.lastFrame(),
                            sources,
                            top.candidates().stream()
                                    .map(HeadPolicy.Content::lastFrame)
                                    .toList(),
                            top));
            }
        }

        private int page(HeadPolicy.Content content) {
            Integer page = pageOf.get(content);
            if (page == null) {
                throw new IllegalStateException(policy.name() + " needs " + content + ", which is not there any more");
            }
            return page;
        }

        private int take(HeadPolicy.Content content) {
            int page = used.nextClearBit(0);
            used.set(page);
            pageOf.put(content, page);
            highest = Math.max(highest, page + 1);
            return page;
        }
    }
}
