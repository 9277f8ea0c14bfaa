package wan.op;

import java.util.Locale;

/**
 * What can be captured of an attention call. Letters: B batch, N the captured heads, f query groups, Lq queries, K key groups, Lk keys.
 *
 * <p>A group is a latent frame, but for the keys of cross-attention, where every text token is a group of its own.
 * Logits are scaled, after RoPE, before softmax, and before any {@link AttentionEdit} but for {@link #LOGITS_USED}. Masses are of what
 * the attention uses, so after it.
 */
public enum Quantity {
    /**
     * [B, N, f, K]: mean logit over all token pairs of two groups. Exact and nearly free: the mean of q_i.k_j over i and j is
     * the product of the means.
     */
    FRAME_LOGITS,
    /** [B, N, f, K]: softmax weight over all keys, summed over a group's keys, mean over the group's queries; sums to 1 over K. */
    FRAME_MASS,
    /** [B, N, f, Lk]: mean logit of a query group with every key. */
    KEY_LOGITS,
    /** [B, N, Lq, K]: mean logit of every query with a key group. */
    QUERY_LOGITS,
    /** [B, N, Lq, Lk]: every logit, delivered in tiles. */
    TOKEN_LOGITS,
    /** As {@link #TOKEN_LOGITS}, after the call's {@link AttentionEdit}; minus infinity where a key is blocked. */
    LOGITS_USED;

    /** Whether it comes in tiles. */
    public boolean inTiles() {
        return this == TOKEN_LOGITS || this == LOGITS_USED;
    }

    /** As options spell it: {@code frame-logits}. */
    public String option() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
