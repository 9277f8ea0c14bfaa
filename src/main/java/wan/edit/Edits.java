package wan.edit;

import capture.Indices;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import wan.file.TensorStore;
import wan.op.AttentionEdit;
import wan.op.AttentionKind;
import wan.op.ForwardingObserver;
import wan.op.HostTensor;
import wan.op.KvTensor;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Site;
import wan.op.Tensor;
import wan.op.UsageException;
import wan.op.WanException;
import wan.pass.Pass;

/** Applies a plan to one run, with an observer for each pass. It opens the files that the plan reads, so close it. */
public final class Edits implements AutoCloseable {
    private final EditPlan plan;
    private final @Nullable HeadCaches caches;
    private final Sizes sizes;
    private final Map<String, Recording> recordings = new HashMap<>();
    private final Map<Effect.Add, float[]> vectors = new HashMap<>();

    /**
     * What the plan is applied to.
     *
     * @param numLayers of the model
     * @param numHeads of the model
     * @param headDim channels of a head
     * @param frameSeqLen tokens of a frame, S
     * @param textLen tokens of the text
     */
    public record Sizes(int numLayers, int numHeads, int headDim, int frameSeqLen, int textLen) {}

    /**
     * Opens what the plan reads.
     *
     * @throws UsageException if a layer or head is not there
     */
    public Edits(EditPlan plan, Sizes sizes) {
        this(plan, null, sizes);
    }

    /**
     * As the other, with a cache policy.
     *
     * @param caches what each head keeps, or null
     */
    public Edits(EditPlan plan, @Nullable HeadCaches caches, Sizes sizes) {
        plan.check(sizes.numLayers(), sizes.numHeads());
        this.plan = plan;
        this.caches = caches;
        this.sizes = sizes;
        if (caches != null) {
            caches.begin();
        }
        try {
            for (Rule rule : plan.rules()) {
                switch (rule.effect()) {
                    case Effect.Patch patch ->
                        recordings.computeIfAbsent(key(patch), _ -> RecordingFile.open(patch.from(), patch.prefix()));
                    case Effect.Add add -> vectors.computeIfAbsent(add, Edits::vector);
                    default -> {}
                }
            }
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private static String key(Effect.Patch patch) {
        return patch.from() + "\n" + patch.prefix();
    }

    private static float[] vector(Effect.Add add) {
        Path path = add.from();
        try (TensorStore file = TensorStore.open(path)) {
            return file.tensor(add.tensor()).toFloats();
        }
    }

    /**
     * Checks that the recordings hold what the plan takes from them.
     *
     * @param passes of the run
     * @throws WanException if something is missing
     */
    public void check(List<Pass> passes) {
        for (Rule rule : plan.rules()) {
            if (rule.effect() instanceof Effect.Patch patch) {
                Recording recording = recording(patch);
                Site site = site(rule, patch.site());
                for (Pass pass : passes) {
                    for (int layer = 0; layer < pass.numLayers(); layer++) {
                        if (rule.actsIn(pass)
                                && rule.heads().inLayer(layer)
                                && !recording.has(pass.id(), layer, site)) {
                            throw new WanException("edit patch: expected " + pass.id() + ".layer" + layer + "."
                                    + site.tensor() + " in " + recording.name()
                                    + ", got none; record it there, or name the passes to patch");
                        }
                    }
                }
            }
        }
    }

    private Recording recording(Effect.Patch patch) {
        Recording recording = recordings.get(key(patch));
        if (recording == null) {
            throw new IllegalStateException("not opened: " + patch);
        }
        return recording;
    }

    /** What changes one pass; {@link PassObserver#NONE} where the plan changes nothing in it. */
    public PassObserver observe(Pass pass) {
        return observer(pass, HeadCaches.isFirst(pass), caches != null && caches.choosesIn(pass));
    }

    /** The same for a pass that is all that runs again of its frame block, to fill the caches as they were. */
    public PassObserver observeAgain(Pass pass) {
        return observer(pass, caches == null || caches.preparesAgain(pass), false);
    }

    /** Whether a cache policy is decided by a pass's queries. */
    public boolean asks(Pass pass) {
        return caches != null && caches.asks(pass);
    }

    private PassObserver observer(Pass pass, boolean beginsFrameBlock, boolean choosesHeads) {
        List<Rule> rules =
                plan.rules().stream().filter(rule -> rule.actsIn(pass)).toList();
        return rules.isEmpty() && caches == null
                ? PassObserver.NONE
                : new Editor(pass, rules, beginsFrameBlock, choosesHeads);
    }

    /** The first layer that the plan changes anything in, of a pass; the number of layers if there is none. */
    public int firstChange(Pass pass) {
        PassObserver observer = observe(pass);
        if (observer.equals(PassObserver.NONE)) {
            return sizes.numLayers();
        }
        if (caches != null) {
            return 0;
        }
        for (int layer = 0; layer < sizes.numLayers(); layer++) {
            for (AttentionKind kind : AttentionKind.values()) {
                if (!observer.edit(layer, kind).isNone()) {
                    return layer;
                }
            }
            for (Site site : Site.values()) {
                if (observer.changes(layer, site)) {
                    return layer;
                }
            }
        }
        return sizes.numLayers();
    }

    /** The site of a rule's attention. */
    private static Site site(Rule rule, Site self) {
        if (rule.attention() == AttentionKind.SELF) {
            return self;
        }
        return switch (self) {
            case Q, Q_RAW, CROSS_Q -> Site.CROSS_Q;
            case Z, CROSS_Z -> Site.CROSS_Z;
            case ATTN_OUT, CROSS_OUT -> Site.CROSS_OUT;
            default ->
                throw new UsageException("edit " + rule.effect().name()
                        + ": expected q, z or attn-out with cross-attention, got " + self.option());
        };
    }

    private final class Editor implements PassObserver {
        private final Pass pass;
        private final List<Rule> rules;
        private final boolean beginsFrameBlock;
        private final boolean choosesHeads;
        /** Of the layer that runs. */
        private @Nullable KvTensor cache;

        Editor(Pass pass, List<Rule> rules, boolean beginsFrameBlock, boolean choosesHeads) {
            this.choosesHeads = choosesHeads;
            this.beginsFrameBlock = beginsFrameBlock;
            this.pass = pass;
            this.rules = rules;
        }

        @Override
        public AttentionEdit edit(int layer, AttentionKind kind) {
            List<Rule> mine = rules.stream()
                    .filter(rule -> rule.attention() == kind
                            && rule.effect() instanceof Effect.OnAttention
                            && rule.heads().inLayer(layer))
                    .toList();
            if (caches == null || kind != AttentionKind.SELF) {
                return mine.isEmpty() ? AttentionEdit.NONE : attentionEdit(layer, kind, mine, 0);
            }
            if (!caches.perFrame()) {
                return attentionEdit(layer, kind, mine, 0);
            }
            return AttentionEdit.ofQueryGroups(IntStream.range(0, pass.frames())
                    .mapToObj(frame -> attentionEdit(layer, kind, mine, frame))
                    .toList());
        }

        @Override
        public void begin(int layer, KvTensor cache, Ops ops) {
            this.cache = cache;
            if (caches != null && beginsFrameBlock) {
                caches.prepare(pass, layer, cache, ops);
            }
        }

        private AttentionEdit attentionEdit(int layer, AttentionKind kind, List<Rule> mine, int frame) {
            boolean self = kind == AttentionKind.SELF;
            int frames = self ? pass.placement().keys() : 1;
            int frameTokens = self ? sizes.frameSeqLen() : sizes.textLen();
            boolean byToken = !self
                    || mine.stream()
                            .anyMatch(rule -> rule.effect() instanceof Effect.Bias bias
                                    && !bias.tokens().equals(Indices.ALL));
            int groupTokens = byToken ? 1 : frameTokens;
            AttentionEdit.Builder edit =
                    new AttentionEdit.Builder(sizes.numHeads(), frames * (frameTokens / groupTokens), groupTokens);
            if (caches != null && self) {
                caches.hide(pass, frame, layer, edit, frameTokens / groupTokens);
            }
            for (Rule rule : mine) {
                for (int head : rule.heads().in(layer, sizes.numHeads())) {
                    switch ((Effect.OnAttention) rule.effect()) {
                        case Effect.Zero _ -> scaleOutput(edit, rule, layer, head, 0);
                        case Effect.Scale scale -> scaleOutput(edit, rule, layer, head, scale.value());
                        case Effect.Temperature temperature -> edit.scaleLogits(head, 1 / temperature.value());
                        case Effect.Bias bias -> {
                            for (int group = 0; group < frames * (frameTokens / groupTokens); group++) {
                                int slot = group * groupTokens / frameTokens;
                                int token = group * groupTokens % frameTokens;
                                if ((!self || isIn(bias.frames(), slot))
                                        && (!byToken || bias.tokens().contains(token))) {
                                    edit.addBias(head, group, bias.value());
                                }
                            }
                        }
                        case Effect.Keep keep -> {
                            if (!self) {
                                throw new UsageException("edit keep: expected self-attention, got cross-attention");
                            }
                            for (int group = 0; group < frames * (frameTokens / groupTokens); group++) {
                                int key = pass.placement().keyFrames().get(group * groupTokens / frameTokens);
                                if (key >= keep.sink() && key < pass.firstFrame() - keep.window()) {
                                    edit.addBias(head, group, Float.NEGATIVE_INFINITY);
                                }
                            }
                        }
                    }
                }
            }
            return edit.build();
        }

        private void scaleOutput(AttentionEdit.Builder edit, Rule rule, int layer, int head, float factor) {
            if (!comesAfterChange(rule, layer, head)) {
                edit.scaleOutput(head, factor);
            }
        }

        /** Whether an earlier rule changes the output of the head where it is visited: what comes later has to wait until then. */
        private boolean comesAfterChange(Rule rule, int layer, int head) {
            Site output = site(rule, Site.Z);
            return rules.subList(0, rules.lastIndexOf(rule)).stream()
                    .anyMatch(earlier -> earlier.effect() instanceof Effect.OnSite effect
                            && site(earlier, effect.site()) == output
                            && earlier.heads().contains(layer, head));
        }

        private boolean isIn(Indices frames, int slot) {
            int frame = pass.placement().keyFrames().get(slot);
            return frame >= 0 ? frames.contains(frame) : frames.equals(Indices.ALL);
        }

        private boolean isAt(Rule rule, int layer, Site site) {
            return rule.effect() instanceof Effect.OnSite effect
                    && rule.heads().inLayer(layer)
                    && site(rule, effect.site()) == site;
        }

        @Override
        public boolean changes(int layer, Site site) {
            return looksToChoose(site) || rules.stream().anyMatch(rule -> isAt(rule, layer, site));
        }

        /** The factor of a rule for outputs that earlier rules have changed. */
        private void scaleVisited(Rule rule, int layer, Site site, Tensor x, Ops ops) {
            boolean outputs = site == (rule.attention() == AttentionKind.SELF ? Site.Z : Site.CROSS_Z);
            boolean scales = rule.effect() instanceof Effect.Zero || rule.effect() instanceof Effect.Scale;
            if (!outputs || !scales) {
                return;
            }
            int[] heads = Arrays.stream(rule.heads().in(layer, sizes.numHeads()))
                    .filter(head -> comesAfterChange(rule, layer, head))
                    .toArray();
            if (heads.length > 0) {
                float factor = rule.effect() instanceof Effect.Scale scale ? scale.value() : 0;
                mix(
                        ops,
                        x,
                        sizes.numHeads(),
                        heads,
                        factor,
                        new float[x.shape().dim(0) * heads.length * sizes.headDim()]);
            }
        }

        private boolean looksToChoose(Site site) {
            return (choosesHeads && (site == Site.Q || site == Site.Z)) || asks(site);
        }

        private boolean asks(Site site) {
            return site == Site.Q && Edits.this.asks(pass);
        }

        @Override
        public void visit(int layer, Site site, Tensor x, Ops ops) {
            for (Rule rule : rules) {
                if (rule.effect() instanceof Effect.OnAttention && rule.heads().inLayer(layer)) {
                    scaleVisited(rule, layer, site, x, ops);
                }
                if (!isAt(rule, layer, site)) {
                    continue;
                }
                int[] heads = site.byHead() ? rule.heads().in(layer, sizes.numHeads()) : new int[] {0};
                int numHeads = site.byHead() ? sizes.numHeads() : 1;
                int headDim = x.shape().dim(1) / numHeads;
                int rows = x.shape().dim(0);
                switch ((Effect.OnSite) rule.effect()) {
                    case Effect.Mean mean ->
                        ops.averageHeads(
                                x,
                                numHeads,
                                heads,
                                mean.perFrame() ? sizes.frameSeqLen() : pass.frames() * sizes.frameSeqLen());
                    case Effect.Patch patch ->
                        mix(ops, x, numHeads, heads, 0, recorded(patch, layer, site, rows, heads, headDim));
                    case Effect.Add add -> mix(ops, x, numHeads, heads, 1, repeated(add, rows, heads, headDim));
                    case Effect.Noise noise ->
                        mix(ops, x, numHeads, heads, 1, noise(noise, layer, site, rows, heads, headDim));
                }
            }
            if (caches == null || cache == null) {
                return;
            }
            if (choosesHeads) {
                caches.look(pass, layer, site, x, cache, ops);
            }
            if (asks(site)) {
                caches.ask(pass, layer, x, beginsFrameBlock, cache, ops);
            }
        }

        private static void mix(Ops ops, Tensor x, int numHeads, int[] heads, float keep, float[] values) {
            try (Scope _ = ops.scope()) {
                int rows = x.shape().dim(0);
                Tensor other = ops.scratch(Shape.of(rows, values.length / rows));
                ops.write(other, values);
                ops.mixHeads(x, numHeads, heads, keep, other);
            }
        }

        /** [rows, heads, headDim]. */
        private float[] recorded(Effect.Patch patch, int layer, Site site, int rows, int[] heads, int headDim) {
            Recording recording = recording(patch);
            HostTensor all = recording.get(pass.id(), layer, site);
            int[] there = recording.heads();
            int recordedHeads = all.values().length / rows / headDim;
            boolean listed = site.byHead() && there.length == recordedHeads;
            if (all.values().length != rows * recordedHeads * headDim || recordedHeads == 0) {
                throw WanException.mismatch(
                        "edit patch from " + recording.name(),
                        rows + " rows of " + site.option() + " in " + pass.id(),
                        all.shape(),
                        "record a run of the same sizes");
            }
            float[] values = new float[rows * heads.length * headDim];
            for (int i = 0; i < heads.length; i++) {
                int from = listed ? Arrays.binarySearch(there, heads[i]) : heads[i];
                if (from < 0 || from >= recordedHeads) {
                    throw WanException.mismatch(
                            "edit patch from " + recording.name(), "head " + heads[i], all.shape(), "record it too");
                }
                for (int row = 0; row < rows; row++) {
                    System.arraycopy(
                            all.values(),
                            (row * recordedHeads + from) * headDim,
                            values,
                            (row * heads.length + i) * headDim,
                            headDim);
                }
            }
            return values;
        }

        private float[] repeated(Effect.Add add, int rows, int[] heads, int headDim) {
            float[] vector = vectors.get(add);
            int width = heads.length * headDim;
            if (vector == null || (vector.length != width && vector.length != headDim)) {
                throw WanException.mismatch(
                        "edit add, tensor " + add.tensor(),
                        width + " or " + headDim + " values",
                        vector == null ? 0 : vector.length,
                        "");
            }
            float[] values = new float[rows * width];
            for (int i = 0; i < values.length; i++) {
                values[i] = add.value() * vector[i % width % vector.length];
            }
            return values;
        }

        private float[] noise(Effect.Noise noise, int layer, Site site, int rows, int[] heads, int headDim) {
            float[] values = new float[rows * heads.length * headDim];
            for (int i = 0; i < heads.length; i++) {
                String where = pass.id().label() + "." + layer + "." + site + "." + heads[i];
                Random random = new Random(noise.seed() ^ ((long) where.hashCode() << 20));
                for (int row = 0; row < rows; row++) {
                    for (int channel = 0; channel < headDim; channel++) {
                        values[(row * heads.length + i) * headDim + channel] =
                                noise.value() * (float) random.nextGaussian();
                    }
                }
            }
            return values;
        }
    }

    @Override
    public void close() {
        recordings.values().forEach(Recording::close);
        recordings.clear();
    }

    /** A plan's observer and another that watches what the plan has changed. */
    public static PassObserver watched(PassObserver edits, PassObserver watcher) {
        if (edits.equals(PassObserver.NONE)) {
            return watcher;
        }
        return new ForwardingObserver(watcher) {
            @Override
            public AttentionEdit edit(int layer, AttentionKind kind) {
                return edits.edit(layer, kind);
            }

            @Override
            public void begin(int layer, KvTensor cache, Ops ops) {
                edits.begin(layer, cache, ops);
                watcher.begin(layer, cache, ops);
            }

            @Override
            public boolean changes(int layer, Site site) {
                return edits.changes(layer, site);
            }

            @Override
            public void visit(int layer, Site site, Tensor x, Ops ops) {
                if (edits.changes(layer, site)) {
                    edits.visit(layer, site, x, ops);
                }
                if (watcher.looksAt(layer, site)) {
                    watcher.visit(layer, site, x, ops);
                }
            }
        };
    }
}
