package wan.op;

import java.util.Locale;

/**
 * A place in a layer whose activations can be recorded and changed. Letters: R = batch x tokens, N heads of d channels, dim = N d.
 *
 * <p>Names follow TransformerLens where it has one: z is what each head gives, before the output projection joins them.
 */
public enum Site {
    /** [R, dim]: queries of self-attention after their norm, before rotation. */
    Q_RAW(true),
    /** [R, dim]: keys likewise. */
    K_RAW(true),
    /** [R, dim]: values. */
    V(true),
    /** [R, dim]: rotated queries. */
    Q(true),
    /** [R, dim]: rotated keys, before they go to the cache. */
    K(true),
    /** [R, dim]: outputs of the heads of self-attention. */
    Z(true),
    /** [R, dim]: output of self-attention after its projection, before the gate. */
    ATTN_OUT(false),
    /** [R, dim]: queries of cross-attention after their norm. */
    CROSS_Q(true),
    /** [R, dim]: outputs of the heads of cross-attention. */
    CROSS_Z(true),
    /** [R, dim]: output of cross-attention after its projection. */
    CROSS_OUT(false),
    /** [R, dim]: output of the feed-forward network, before the gate. */
    FFN_OUT(false),
    /** [R, dim]: the residual stream after the layer. */
    RESID(false);

    private final boolean byHead;

    Site(boolean byHead) {
        this.byHead = byHead;
    }

    /** Whether its channels belong to heads. */
    public boolean byHead() {
        return byHead;
    }

    /** As options and plans spell it: {@code attn-out}. */
    public String option() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /** As names of tensors spell it: {@code attn_out}. */
    public String tensor() {
        return name().toLowerCase(Locale.ROOT);
    }
}
