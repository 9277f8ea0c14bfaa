package wan.edit;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import wan.cache.CacheLayout;
import wan.cache.Placement;
import wan.cache.PolicySchedule;
import wan.cache.PolicySchedule.Assembling;
import wan.cache.PolicySchedule.Blending;
import wan.cache.PolicySchedule.Block;
import wan.cache.PolicySchedule.Choosing;
import wan.cache.PolicySchedule.Making;
import wan.cache.PolicySchedule.Slot;
import wan.op.AttentionEdit;
import wan.op.CachePart;
import wan.op.Dyn;
import wan.op.Grid;
import wan.op.KvTensor;
import wan.op.Ops;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Site;
import wan.op.Tensor;
import wan.op.UsageException;
import wan.pass.Pass;
import wan.pass.PassId;

/**
 * Carries out a cache policy: it replaces the cache places of the passes of a plan, hides from each head what its group does
 * not see, computes blended pages, and frees what a head no longer keeps.
 */
public final class HeadCaches {
    private final PolicySchedule schedule;
    private final @Nullable HeadGroups groups;
    private final @Nullable HeadChoice choice;
    private final int numHeads;
    /** The patches that the current frame block's pages are made of, once their layer has chosen them. */
    private int[] chosen = {};
    /** Where pages are made of tokens that queries choose; null for other policies. */
    private @Nullable TokenChoice tokens;
    /** The passes whose queries such a choice is made by. */
    private final Set<PassId> asked = new HashSet<>();

    /**
     * Carries a schedule out.
     *
     * @param groups of the schedule's policy
     */
    public HeadCaches(PolicySchedule schedule, HeadGroups groups, int numLayers, int numHeads) {
        this.schedule = schedule;
        this.groups = groups;
        this.choice = null;
        this.numHeads = numHeads;
        for (int layer = 0; layer < numLayers; layer++) {
            for (int head = 0; head < numHeads; head++) {
                String _ = groups.of(layer, head); // every head has one
            }
        }
    }

    private HeadCaches(PolicySchedule schedule, HeadChoice choice, int numHeads) {
        this.schedule = schedule;
        this.groups = null;
        this.choice = choice;
        this.numHeads = numHeads;
    }

    /**
     * Carries a schedule out whose policy chooses the groups of heads by itself, in the run.
     *
     * @param seed of what the choice draws
     */
    public static HeadCaches choosing(PolicySchedule schedule, int numLayers, int numHeads, long seed) {
        return new HeadCaches(schedule, new HeadChoice(numLayers, numHeads, schedule.choosingFrames(), seed), numHeads);
    }

    /**
     * Says what a page is, which policies need that move single tokens.
     *
     * @param frame tokens of one frame
     * @param headDim channels of a head
     */
    public HeadCaches on(Grid frame, int headDim) {
        tokens = schedule.recentQueries() == 0
                ? null
                : new TokenChoice(new HostRotary(frame, headDim), numHeads, schedule.turns());
        return this;
    }

    /** Whether a pass is the one in which the groups are chosen, for which it has to run all layers. */
    public boolean choosesIn(Pass pass) {
        return choice != null
                && schedule.choosesAt(pass.firstFrame())
                && (pass.id().kind() == PassId.Kind.CONTEXT || pass.id().kind() == PassId.Kind.INIT);
    }

    /** Whether the groups are chosen in the run. */
    public boolean chooses() {
        return choice != null;
    }

    /** The groups that the run has chosen, as {@link HeadGroups} reads them; null where it has not, or they were given. */
    public @Nullable String chosenGroups() {
        return choice == null ? null : choice.text();
    }

    /** Goes on with groups that an earlier part of the run has chosen. */
    public void restoreGroups(String groups) {
        if (choice != null) {
            choice.restore(groups);
        }
    }

    /** A run begins. */
    void begin() {
        if (choice != null) {
            choice.begin();
        }
        if (tokens != null) {
            tokens.begin();
        }
    }

    /** Whether a pass's queries decide which tokens are kept. */
    public boolean asks(Pass pass) {
        return asked.contains(pass.id());
    }

    /** Whether a pass that runs again, to fill the caches, does what comes before its frame block. */
    boolean preparesAgain(Pass pass) {
        return choosings(block(pass)).isEmpty() || isFirst(pass);
    }

    /** Looks at the queries of a pass that is {@link #asks asked}; if it begins its frame block, the tokens are chosen now. */
    void ask(Pass pass, int layer, Tensor q, boolean begins, KvTensor cache, Ops ops) {
        if (tokens == null) {
            throw new IllegalStateException("the sizes of a page were not said");
        }
        if (!ops.rehearses()) {
            tokens.see(layer, ops.read(q), cache.batch(), schedule.recentQueries());
        }
        List<Choosing> choosings = choosings(block(pass));
        if (begins && !choosings.isEmpty()) {
            tokens.make(choosings, layer, cache, ops);
            discard(block(pass), layer, cache, ops);
        }
    }

    private static List<Choosing> choosings(Block block) {
        return block.made().stream()
                .filter(Choosing.class::isInstance)
                .map(Choosing.class::cast)
                .toList();
    }

    /** Looks at the pass in which groups are chosen. */
    void look(Pass pass, int layer, Site site, Tensor x, KvTensor cache, Ops ops) {
        if (choice != null && site == Site.Q) {
            choice.draw(layer, cache.pageTokens(), cache.batch(), x, ops);
        } else if (choice != null && site == Site.Z) {
            choice.attend(pass, layer, cache, ops);
        }
    }

    /** How the run's cache has to be made. */
    public CacheLayout layout() {
        return schedule.turns()
                ? CacheLayout.unrotated(schedule.pages(), schedule.mostSlots())
                : CacheLayout.rotated(schedule.pages());
    }

    /** The passes of a rollout, frame block after frame block, with the policy's keys. */
    public List<Pass> place(List<Pass> passes) {
        List<Pass> placed = new ArrayList<>();
        for (Pass pass : passes) {
            Block block = block(pass);
            List<Slot> slots = block.slots();
            placed.add(pass.withPlacement(new Placement(
                    block.written(),
                    slots.stream().map(Slot::page).toList(),
                    List.of(),
                    IntStream.range(pass.firstFrame(), pass.firstFrame() + pass.frames())
                            .boxed()
                            .toList(),
                    slots.stream()
                            .map(slot -> slot.made() ? Placement.GIVEN : slot.frame())
                            .toList(),
                    slots.stream().map(Slot::position).toList(),
                    Collections.nCopies(slots.size(), ""),
                    List.of(),
                    0)));
        }
        noteAsked(passes);
        return placed;
    }

    /** Of each choice of tokens the pass that begins the frame block, and those before it that make up the recent frames. */
    private void noteAsked(List<Pass> passes) {
        asked.clear();
        for (int i = 0; i < passes.size(); i++) {
            if (!isFirst(passes.get(i)) || choosings(block(passes.get(i))).isEmpty()) {
                continue;
            }
            int frames = 0;
            for (int p = i; p >= 0 && frames < schedule.recentQueries(); p--) {
                asked.add(passes.get(p).id());
                frames += passes.get(p).frames();
            }
        }
    }

    private Block block(Pass pass) {
        return schedule.blocks().stream()
                .filter(block -> block.firstFrame() == pass.firstFrame() && block.frames() == pass.frames())
                .findFirst()
                .orElseThrow(() ->
                        new UsageException("cache policy: expected passes of one frame block each, got " + pass.id()));
    }

    /**
     * Keys that one head keeps at most, in frames.
     *
     * @param layer of the head
     */
    public int mostPages(int layer, int head) {
        return schedule.mostPages(group(layer, head));
    }

    /** The group that a head is treated as. */
    public String group(int layer, int head) {
        return schedule.groupIn(
                layer,
                choice != null
                        ? choice.of(layer, head)
                        : Objects.requireNonNull(groups).of(layer, head));
    }

    /** What part of the keys that a run's heads keep with a cache of all frames they keep here, at most at a time. */
    public double keptShare(int numLayers, int allFrames) {
        double kept = 0;
        for (int layer = 0; layer < numLayers; layer++) {
            for (int head = 0; head < numHeads; head++) {
                kept += mostPages(layer, head);
            }
        }
        return kept / ((double) numLayers * numHeads * allFrames);
    }

    /** What part of the products of queries and keys over all frames the passes make. */
    public double attendedShare(List<Pass> passes) {
        double seen = 0;
        double all = 0;
        for (Pass pass : passes) {
            for (int layer = 0; layer < pass.numLayers(); layer++) {
                for (int head = 0; head < numHeads; head++) {
                    seen += seen(pass, layer, head);
                    all += (double) pass.frames() * (pass.firstFrame() + pass.frames());
                }
            }
        }
        return seen / all;
    }

    /** Key slots that a head attends to in a pass, summed over the pass's frames. */
    public int seen(Pass pass, int layer, int head) {
        return seenBy(block(pass), layer, head).stream()
                .mapToInt(BitSet::cardinality)
                .sum();
    }

    /** The key slots that a head attends to in a pass, by any of its frames. */
    public BitSet seenKeys(Pass pass, int layer, int head) {
        BitSet all = new BitSet();
        seenBy(block(pass), layer, head).forEach(all::or);
        return all;
    }

    /** Whether the frames of a pass may see different slots. */
    boolean perFrame() {
        return schedule.perFrame();
    }

    private List<BitSet> seenBy(Block block, int layer, int head) {
        List<BitSet> seen = block.seen().get(group(layer, head));
        if (seen == null) {
            throw new IllegalStateException("no slots of " + group(layer, head));
        }
        return seen;
    }

    /** Hides what a head does not see in one frame of a pass, which counts from the first. */
    void hide(Pass pass, int frame, int layer, AttentionEdit.Builder edit, int groupsPerFrame) {
        Block block = block(pass);
        for (int head = 0; head < numHeads; head++) {
            BitSet seen = seenBy(block, layer, head).get(frame);
            for (int slot = seen.nextClearBit(0); slot < block.slots().size(); slot = seen.nextClearBit(slot + 1)) {
                for (int group = slot * groupsPerFrame; group < (slot + 1) * groupsPerFrame; group++) {
                    edit.addBias(head, group, Float.NEGATIVE_INFINITY);
                }
            }
        }
    }

    /** Whether a pass is the first of its frame block, for which {@link #prepare} is done. */
    static boolean isFirst(Pass pass) {
        return pass.id().step() == 0 && pass.id().kind() != PassId.Kind.CONTEXT;
    }

    /** What happens to a layer's cache before a frame block. */
    void prepare(Pass pass, int layer, KvTensor cache, Ops ops) {
        Block block = block(pass);
        for (Making making : block.made()) {
            switch (making) {
                case Blending blend -> blend(blend, cache, ops);
                case Assembling patches -> assemble(patches, layer, cache, ops);
                case Choosing _ -> {} // when the queries are there
            }
        }
        if (choosings(block).isEmpty()) {
            discard(block, layer, cache, ops);
        }
    }

    private void discard(Block block, int layer, KvTensor cache, Ops ops) {
        for (String group : block.freed().keySet()) {
            int[] pages = block.freed().get(group).stream()
                    .mapToInt(Integer::intValue)
                    .toArray();
            int[] heads = IntStream.range(0, numHeads)
                    .filter(head -> group(layer, head).equals(group))
                    .toArray();
            if (pages.length > 0 && heads.length > 0) {
                ops.discard(cache, heads, pages);
            }
        }
    }

    /**
     * Makes a page of patches. Done on the host, once in a frame block: the layer that chooses reads four pages of keys, each
     * layer copies what three pages hold. Layers before it attend to no patch, but their page has to be there: theirs holds the
     * first frame until it is freed.
     */
    private void assemble(Assembling patches, int layer, KvTensor cache, Ops ops) {
        int[] sources = patches.sources().stream().mapToInt(Integer::intValue).toArray();
        if (layer == patches.layer()) {
            int[] heads = IntStream.range(0, numHeads)
                    .filter(head -> group(layer, head).equals(patches.group()))
                    .toArray();
            PatchChoice choice =
                    new PatchChoice(cache.pageTokens(), patches.patches(), cache.numHeads(), cache.headDim(), heads);
            chosen = choice.leastLike(ops.readPages(cache, CachePart.KEYS, sources), sources.length);
        }
        int[] taken =
                layer < patches.layer() ? IntStream.range(0, patches.patches()).toArray() : chosen;
        try (Scope _ = ops.scope()) {
            Dyn to = new Dyn("patches", 1);
            to.set(patches.page());
            ops.append(
                    cache,
                    taken(CachePart.KEYS, sources, taken, patches.patches(), cache, ops),
                    taken(CachePart.VALUES, sources, taken, patches.patches(), cache, ops),
                    to);
        }
    }

    /** Patches of the sources, counted through all of them, one after the other in scratch. */
    private static Tensor taken(CachePart part, int[] sources, int[] patches, int perFrame, KvTensor cache, Ops ops) {
        float[] from = ops.readPages(cache, part, Arrays.copyOf(sources, sources.length - 1));
        Shape shape = Shape.of((long) cache.batch() * cache.pageTokens(), (long) cache.numHeads() * cache.headDim());
        float[] values = new float[shape.intSize()];
        int length = values.length / cache.batch() / perFrame;
        for (int sample = 0; sample < cache.batch(); sample++) {
            for (int i = 0; i < patches.length; i++) {
                System.arraycopy(
                        from,
                        (sample * (sources.length - 1) * perFrame + patches[i]) * length,
                        values,
                        (sample * perFrame + i) * length,
                        length);
            }
        }
        Tensor rows = ops.scratch(shape);
        ops.write(rows, values);
        return rows;
    }

    private static void blend(Blending blend, KvTensor cache, Ops ops) {
        try (Scope _ = ops.scope()) {
            Dyn to = new Dyn("blend", 1);
            to.set(blend.page());
            ops.append(
                    cache,
                    blended(CachePart.KEYS, blend, cache, ops),
                    blended(CachePart.VALUES, blend, cache, ops),
                    to);
        }
    }

    /** The weighted sum of one part of a blend's sources, in scratch. */
    private static Tensor blended(CachePart part, Blending blend, KvTensor cache, Ops ops) {
        @Nullable Tensor sum = null;
        for (int i = 0; i < blend.sources().size(); i++) {
            Dyn page = new Dyn("source", 1);
            page.set(blend.sources().get(i));
            Tensor source = ops.loadPages(cache, part, page);
            if (sum == null) {
                sum = ops.scratch(source.shape());
                ops.write(sum, new float[source.shape().intSize()]);
            }
            ops.mixHeads(source, 1, new int[] {0}, blend.weights().get(i).floatValue(), sum);
            sum = source;
        }
        return Objects.requireNonNull(sum, "a blend of nothing");
    }
}
