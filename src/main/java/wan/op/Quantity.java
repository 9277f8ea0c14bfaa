package wan.op;

import java.util.Locale;

/**
 * A quantity that can be captured of an attention call. Letters: B batch, N the captured heads, f query groups, Lq queries, K key groups, Lk keys.
 *
 * <p>A group is a latent frame; in cross-attention, every text token is a key group.
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
    /**
     * [B, N, Lq, K]: softmax weight that every query gives to a key group; sums to 1 over K. For text tokens: which
     * regions attend to each.
     */
    QUERY_MASS,
    /** [B, N, R, Lk]: mean logit of the queries of each of the tap's R regions with every key. */
    REGION_LOGITS,
    /** [B, N, R, Lk]: mean softmax weight that a region's queries give to every key; sums to 1 over Lk. */
    REGION_MASS,
    /** [B, N, Lq, Lk]: every logit, delivered in tiles. */
    TOKEN_LOGITS,
    /** As {@link #TOKEN_LOGITS}, after the call's {@link AttentionEdit}; minus infinity where a key is blocked. */
    LOGITS_USED;

    /** Whether it comes in tiles. */
    public boolean inTiles() {
        return this == TOKEN_LOGITS || this == LOGITS_USED;
    }

    /** Whether it belongs to regions of queries, so that it needs {@link AttentionTap#regions}. */
    public boolean ofRegions() {
        return this == REGION_LOGITS || this == REGION_MASS;
    }

    /** Whether it consists of softmax weights that are accumulated during the attention. */
    public boolean inAttention() {
        return this == FRAME_MASS || this == QUERY_MASS;
    }

    /** Whether its rows are weights: 0 where a key is hidden, with the sum 1. */
    public boolean isMass() {
        return inAttention() || this == REGION_MASS;
    }

    /** As options spell it: {@code frame-logits}. */
    public String option() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
