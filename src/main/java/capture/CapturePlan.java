package capture;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import wan.op.AttentionKind;
import wan.op.Quantity;
import wan.op.Shape;
import wan.op.Site;
import wan.op.UsageException;
import wan.pass.Pass;
import wan.pass.PassId;

/**
 * The captures of a run: layers, attentions, passes, heads and quantities. All come from one run.
 *
 * @param layers 0-based; kept in ascending order
 * @param kinds self- or cross-attention or both
 * @param passes which passes of each frame block
 * @param heads 0-based; kept in ascending order
 * @param quantities the quantities of each attention
 * @param recorded the activations
 * @param regions boxes of queries whose attention is captured for every key token
 */
public record CapturePlan(
        List<Integer> layers,
        Set<AttentionKind> kinds,
        PassChoice passes,
        List<Integer> heads,
        Set<Quantity> quantities,
        Recorded recorded,
        Regions regions) {
    /**
     * One tensor that a capture delivers.
     *
     * @param name in the result file
     * @param shape as {@link Quantity} says, or of a recorded site [B, Lq, N, d], or [B, Lq, dim] where channels belong to no head
     */
    public record Item(String name, Shape shape) {}

    /**
     * Activations that are captured, whatever the attention.
     *
     * @param sites where
     * @param numHeads heads of the model
     * @param headDim channels of each
     */
    public record Recorded(Set<Site> sites, int numHeads, int headDim) {
        /** None. */
        public static final Recorded NONE = new Recorded(Set.of(), 1, 1);

        /** Copies the set. */
        public Recorded {
            sites = Set.copyOf(sites);
        }
    }

    /**
     * Boxes of query tokens.
     *
     * @param boxes each in one frame
     * @param gridRows rows of a frame's grid of tokens
     * @param gridColumns its columns
     */
    public record Regions(List<QueryRegion> boxes, int gridRows, int gridColumns) {
        /** None. */
        public static final Regions NONE = new Regions(List.of(), 1, 1);

        /** Copies the list. */
        public Regions {
            boxes = List.copyOf(boxes);
        }

        /** The queries of each box that lies in a pass, in the order of the boxes. */
        public List<int[]> queries(Pass pass) {
            return boxes.stream()
                    .filter(box -> box.in(pass))
                    .map(box -> box.queries(pass, gridColumns, gridRows * gridColumns))
                    .toList();
        }
    }

    /** A plan without regions. */
    public CapturePlan(
            List<Integer> layers,
            Set<AttentionKind> kinds,
            PassChoice passes,
            List<Integer> heads,
            Set<Quantity> quantities,
            Recorded recorded) {
        this(layers, kinds, passes, heads, quantities, recorded, Regions.NONE);
    }

    /** A plan without activations. */
    public CapturePlan(
            List<Integer> layers,
            Set<AttentionKind> kinds,
            PassChoice passes,
            List<Integer> heads,
            Set<Quantity> quantities) {
        this(layers, kinds, passes, heads, quantities, Recorded.NONE);
    }

    /** Copies and sorts the collections, and refuses empty ones and negative indices. */
    public CapturePlan {
        layers = ascending(layers);
        kinds = Set.copyOf(kinds);
        heads = ascending(heads);
        quantities = Set.copyOf(quantities);
        boolean nothing = quantities.isEmpty() && recorded.sites().isEmpty();
        if (layers.isEmpty() || kinds.isEmpty() || heads.isEmpty() || nothing) {
            throw new UsageException("capture: expected at least one layer, attention, head and quantity");
        }
    }

    /**
     * The reference script's capture: self-attention frame logits of the first denoising step, all heads.
     *
     * @param numHeads heads of the model
     * @param layers 0-based
     */
    public static CapturePlan frameLogits(int numHeads, Integer... layers) {
        return new CapturePlan(
                List.of(layers),
                EnumSet.of(AttentionKind.SELF),
                PassChoice.FIRST,
                IndexList.parse("heads", "all", numHeads, ""),
                EnumSet.of(Quantity.FRAME_LOGITS));
    }

    /** The same plan with other boxes of queries. */
    public CapturePlan with(Regions other) {
        return new CapturePlan(layers, kinds, passes, heads, quantities, recorded, other);
    }

    private static List<Integer> ascending(List<Integer> indices) {
        List<Integer> sorted = indices.stream().distinct().sorted().toList();
        if (!sorted.isEmpty() && sorted.getFirst() < 0) {
            throw new UsageException("capture: expected indices from 0, got " + sorted.getFirst());
        }
        return sorted;
    }

    /** Passes that are captured, in order. */
    public List<Pass> captured(List<Pass> all, int numSteps) {
        return all.stream().filter(pass -> passes.includes(pass.id(), numSteps)).toList();
    }

    /** How many layers the last captured pass has to run. */
    public int layersNeeded() {
        return layers.getLast() + 1;
    }

    /**
     * The tensors of one pass.
     *
     * @param run the sizes of the run
     */
    public List<Item> items(Pass pass, RunGeometry run) {
        List<Item> items = new ArrayList<>();
        for (int layer : layers) {
            for (AttentionKind kind : AttentionKind.values()) {
                if (!kinds.contains(kind) || (kind == AttentionKind.IMAGE && run.imageTokens() == 0)) {
                    continue;
                }
                for (Quantity quantity : Quantity.values()) {
                    if (wanted(pass).contains(quantity)) {
                        Shape shape = shape(pass, kind, quantity, run);
                        items.add(new Item(name(pass.id(), layer, kind, quantity, run), shape));
                    }
                }
            }
            for (Site site : Site.values()) {
                if (recorded.sites().contains(site)) {
                    items.add(new Item(name(pass.id(), layer, site), shape(pass, site, run)));
                }
            }
        }
        return items;
    }

    /** The quantities of each attention of a captured pass; region quantities only if the pass contains a region. */
    Set<Quantity> wanted(Pass pass) {
        if (!regions.queries(pass).isEmpty()) {
            return quantities;
        }
        Set<Quantity> others = EnumSet.noneOf(Quantity.class);
        quantities.stream().filter(quantity -> !quantity.ofRegions()).forEach(others::add);
        return others;
    }

    Shape shape(Pass pass, Site site, RunGeometry run) {
        long queries = (long) pass.frames() * run.frameSeqLen();
        return site.byHead()
                ? Shape.of(run.batch(), queries, heads.size(), recorded.headDim())
                : Shape.of(run.batch(), queries, (long) recorded.numHeads() * recorded.headDim());
    }

    /** The name of a recorded site in a result file, for example {@code block1.step0.layer3.q}. */
    public static String name(PassId pass, int layer, Site site) {
        return pass.label() + ".layer" + layer + "." + site.tensor();
    }

    Shape shape(Pass pass, AttentionKind kind, Quantity quantity, RunGeometry run) {
        long f = pass.frames();
        long queries = f * run.frameSeqLen();
        boolean self = kind == AttentionKind.SELF;
        long context = kind == AttentionKind.IMAGE ? run.imageTokens() : run.textLen();
        long groups = self ? pass.placement().keys() : context;
        long keys = self ? groups * run.frameSeqLen() : context;
        return switch (quantity) {
            case FRAME_LOGITS, FRAME_MASS -> Shape.of(run.batch(), heads.size(), f, groups);
            case KEY_LOGITS -> Shape.of(run.batch(), heads.size(), f, keys);
            case QUERY_LOGITS, QUERY_MASS -> Shape.of(run.batch(), heads.size(), queries, groups);
            case REGION_LOGITS, REGION_MASS -> {
                int boxes = regions.queries(pass).size();
                yield Shape.of(run.batch(), heads.size(), boxes, keys);
            }
            case TOKEN_LOGITS, LOGITS_USED -> Shape.of(run.batch(), heads.size(), queries, keys);
        };
    }

    /** The name of a tensor in a result file, for example {@code block1.step0.layer3.frame_logits}. */
    public static String name(PassId pass, int layer, AttentionKind kind, Quantity quantity) {
        String what = switch (quantity) {
            case FRAME_LOGITS -> "frame_logits";
            case FRAME_MASS -> "frame_mass";
            case KEY_LOGITS -> "key_logits";
            case QUERY_LOGITS -> "query_logits";
            case QUERY_MASS -> "query_mass";
            case REGION_LOGITS -> "region_logits";
            case REGION_MASS -> "region_mass";
            case TOKEN_LOGITS -> kind == AttentionKind.SELF ? "self_logits" : "logits";
            case LOGITS_USED -> kind == AttentionKind.SELF ? "self_logits_used" : "logits_used";
        };
        String prefix = switch (kind) {
            case SELF -> "";
            case CROSS -> "cross_";
            case IMAGE -> "img_";
        };
        return pass.label() + ".layer" + layer + "." + prefix + what;
    }

    /** As the other, but {@code text_} in place of {@code cross_} for models whose cross-attention also attends to a picture. */
    static String name(PassId pass, int layer, AttentionKind kind, Quantity quantity, RunGeometry run) {
        String name = name(pass, layer, kind, quantity);
        return run.imageTokens() > 0 ? beside(name) : name;
    }

    /**
     * The name under which a file has a tensor: {@code cross_}, or {@code text_} if the model also attends to a picture.
     *
     * @param names all tensors of the file
     */
    public static String name(PassId pass, int layer, AttentionKind kind, Quantity quantity, Set<String> names) {
        String name = name(pass, layer, kind, quantity);
        return !names.contains(name) && names.contains(beside(name)) ? beside(name) : name;
    }

    private static String beside(String name) {
        return name.replace(".cross_", ".text_");
    }
}
