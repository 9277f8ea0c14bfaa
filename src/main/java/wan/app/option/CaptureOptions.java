package wan.app.option;

import capture.Indices;
import capture.PassChoice;
import capture.QueryRegion;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.op.AttentionKind;
import wan.op.Quantity;
import wan.op.Site;
import wan.op.UsageException;
import wan.run.RunSpec;

/** The options that say what is captured. */
public final class CaptureOptions {
    @Option(
            names = {"--layer", "--layer_index", "--layers"},
            paramLabel = "LIST",
            description = "Layers to capture, counted from 0: 3, 0-5,9 or all. All come from one run (default: 0).")
    private @Nullable String layer;

    @Option(
            names = "--attention",
            paramLabel = "KIND",
            description = "self, cross or both (default: self). In cross-attention, every text token is a key group.")
    private @Nullable String attention;

    @Option(
            names = "--pass",
            paramLabel = "CHOICE",
            description = "Passes to capture in each frame block: first or last denoising step, context, all, or steps"
                    + " such as 0,2 (default: first, as in the reference). Passes over given latents are always"
                    + " included.")
    private @Nullable String pass;

    @Option(
            names = "--head",
            paramLabel = "LIST",
            description = "Heads to capture, counted from 0: 0, 2-4,7 or all (default: all).")
    private @Nullable String head;

    @Option(
            names = "--what",
            split = ",",
            paramLabel = "QUANTITY",
            description = {
                "One or more of (default: frame-logits):",
                "  frame-logits  mean logit over the token pairs of two frames; exact, almost free",
                "  frame-mass    softmax weight of a key frame",
                "  key-logits    mean logit of a query frame with every key token",
                "  query-logits  mean logit of every query token with a key frame",
                "  query-mass    softmax weight of every query token on a key frame or, with --attention cross, on a"
                        + " text token: which regions attend to a word",
                "  token-logits  every logit; large, see --dry-run",
                "  logits-used   every logit after --edit",
                "  q, k, v, q-raw, k-raw, z, attn-out, ffn-out, resid, cross-q, cross-z, cross-out: activations (queries,"
                        + " keys, values; raw: before RoPE; head outputs, attention and FFN outputs, the residual stream)"
            })
    private List<String> what = new ArrayList<>();

    @Option(
            names = "--query",
            paramLabel = "FRAME,ROW,COLUMN",
            description = "Also capture the mean logit and softmax weight of these query tokens on every key token: one"
                    + " token, or a box such as 3,2-5,4-7 in a latent frame's token grid. May be repeated.")
    private List<String> queries = new ArrayList<>();

    @Option(
            names = "--allow-non-finite",
            description = "Keep values that are not finite in the result. Without it, the first one ends the run.")
    private boolean allowNonFinite;

    /** The layers as they were given, for a file name: {@code 0-5,9}; null if they were not. */
    @Nullable
    public String layers() {
        return layer;
    }

    /** Whether no more than one layer was named, by its number. */
    public boolean isOneLayer() {
        return layer == null || layer.matches("\\d+");
    }

    /**
     * What the options ask for.
     *
     * @param base what holds where no option is given
     * @throws UsageException if a word is unknown
     */
    public RunSpec.Captures over(RunSpec.Captures base) {
        Set<Quantity> chosen = what.isEmpty() ? base.quantities() : quantities();
        return new RunSpec.Captures(
                layer == null ? base.layers() : Indices.parse("--layer", layer, "layers"),
                head == null ? base.heads() : Indices.parse("--head", head, "heads"),
                attention == null ? base.attention() : kinds(attention),
                pass == null ? base.passes() : PassChoice.parse(pass),
                queries.isEmpty() ? chosen : RunSpec.Captures.withRegions(chosen),
                what.isEmpty() ? base.sites() : sites(),
                allowNonFinite || base.keepNonFinite(),
                queries.isEmpty()
                        ? base.queries()
                        : queries.stream().map(QueryRegion::parse).toList());
    }

    private static Set<AttentionKind> kinds(String attention) {
        return switch (attention) {
            case "self" -> EnumSet.of(AttentionKind.SELF);
            case "cross" -> EnumSet.of(AttentionKind.CROSS);
            case "both" -> EnumSet.allOf(AttentionKind.class);
            default -> throw new UsageException("--attention: expected self, cross or both, got \"" + attention + "\"");
        };
    }

    private Set<Quantity> quantities() {
        Set<Quantity> chosen = EnumSet.noneOf(Quantity.class);
        for (Quantity quantity : Quantity.values()) {
            if (what.contains(quantity.option())) {
                chosen.add(quantity);
            }
        }
        return chosen;
    }

    private Set<Site> sites() {
        Set<Site> chosen = EnumSet.noneOf(Site.class);
        List<String> known = new ArrayList<>();
        for (Quantity quantity : Quantity.values()) {
            known.add(quantity.option());
        }
        for (Site site : Site.values()) {
            known.add(site.option());
            if (what.contains(site.option())) {
                chosen.add(site);
            }
        }
        for (String word : what) {
            if (!known.contains(word)) {
                throw new UsageException(
                        "--what: expected some of " + String.join(", ", known) + ", got \"" + word + "\"");
            }
        }
        return chosen;
    }
}
