package wan.op;

import java.util.Arrays;
import java.util.List;

/**
 * The changes to one attention call: for each head a factor of the logits, a bias for each key group, and a factor of the
 * output. {@link #NONE} adds no operation and changes no bit.
 *
 * <p>A head computes softmax(scale * logits + bias) v, times its output factor. A bias of minus infinity blocks a group: its
 * keys get no weight, and a page of which a head sees no key costs it nothing. Like a {@link Dyn}, the values change from pass
 * to pass while the operations stay the same: only backends and those who make edits read them, never the model.
 *
 * <p>Immutable; made by a {@link Builder}.
 */
public final class AttentionEdit {
    /** Changes nothing. */
    public static final AttentionEdit NONE =
            new AttentionEdit(0, 0, 1, new float[0], new float[0], new float[0], List.of());

    private final int heads;
    private final int groups;
    private final int groupTokens;
    private final float[] logitScales;
    private final float[] outputScales;
    /** [heads, groups]. */
    private final float[] biases;
    /** One for each group of queries; empty where it is the same for all. */
    private final List<AttentionEdit> byQueryGroup;

    private AttentionEdit(
            int heads,
            int groups,
            int groupTokens,
            float[] logitScales,
            float[] outputScales,
            float[] biases,
            List<AttentionEdit> byQueryGroup) {
        this.heads = heads;
        this.groups = groups;
        this.groupTokens = groupTokens;
        this.logitScales = logitScales;
        this.outputScales = outputScales;
        this.biases = biases;
        this.byQueryGroup = List.copyOf(byQueryGroup);
    }

    /**
     * An edit for each group of queries. Backends carry it out as a call for each; only they ask it anything.
     *
     * @param edits of neighbouring groups, such as frames, in order
     */
    public static AttentionEdit ofQueryGroups(List<AttentionEdit> edits) {
        if (edits.stream().allMatch(AttentionEdit::isNone)) {
            return NONE;
        }
        return new AttentionEdit(-1, 0, 1, new float[0], new float[0], new float[0], edits);
    }

    /** The edits of the groups of queries; empty where one holds for all queries. */
    public List<AttentionEdit> byQueryGroup() {
        return byQueryGroup;
    }

    /** Whether nothing is changed. */
    public boolean isNone() {
        return heads == 0;
    }

    /** Whether a head's logits are unchanged. */
    public boolean keepsLogits(int head) {
        return isNone() || (logitScales[head] == 1 && !biased(head));
    }

    /** The factor of a head's logits. */
    public float logitScale(int head) {
        return isNone() ? 1 : logitScales[head];
    }

    /** The factor of a head's output. */
    public float outputScale(int head) {
        return isNone() ? 1 : outputScales[head];
    }

    /** Whether a head has any bias other than 0. */
    public boolean biased(int head) {
        for (int i = head * groups; i < (head + 1) * groups; i++) {
            if (biases[i] != 0) {
                return true;
            }
        }
        return false;
    }

    /** What is added to the scaled logits of one key of a head; keys count in the order in which they are attended. */
    public float bias(int head, int key) {
        return isNone() ? 0 : biases[head * groups + key / groupTokens];
    }

    /** Keys that share a bias. */
    public int groupTokens() {
        return groupTokens;
    }

    /** Groups of keys. */
    public int groups() {
        return groups;
    }

    /**
     * Which of the attended pages hold a key that a head sees, ascending, as indices into the list of attended pages.
     *
     * @param pages how many are attended
     * @param pageTokens keys of a page
     */
    public int[] seen(int head, int pages, int pageTokens) {
        int[] seen = new int[pages];
        int count = 0;
        for (int page = 0; page < pages; page++) {
            if (sees(head, page * pageTokens, pageTokens)) {
                seen[count++] = page;
            }
        }
        return Arrays.copyOf(seen, count);
    }

    private boolean sees(int head, int firstKey, int keys) {
        if (isNone()) {
            return true;
        }
        for (int group = firstKey / groupTokens; group * groupTokens < firstKey + keys; group++) {
            if (biases[head * groups + group] != Float.NEGATIVE_INFINITY) {
                return true;
            }
        }
        return false;
    }

    /**
     * For backends: hands one tile of logits to a tap: before the edit, after it, or both, as the tap wants.
     *
     * @param head the head that {@code headIndex} stands for
     * @param tile [queries, keys], before the edit; overwritten
     */
    public void deliver(
            AttentionTap tap, int batch, int headIndex, int head, int firstQuery, int queries, int keys, float[] tile) {
        if (tap.wanted().contains(Quantity.TOKEN_LOGITS)) {
            tap.acceptTokens(Quantity.TOKEN_LOGITS, batch, headIndex, firstQuery, queries, keys, tile);
        }
        if (tap.wanted().contains(Quantity.LOGITS_USED)) {
            if (!keepsLogits(head)) {
                for (int i = 0; i < queries * keys; i++) {
                    tile[i] = tile[i] * logitScales[head] + bias(head, i % keys);
                }
            }
            tap.acceptTokens(Quantity.LOGITS_USED, batch, headIndex, firstQuery, queries, keys, tile);
        }
    }

    /**
     * For backends: checks that the edit fits a call and leaves every head something to attend to.
     *
     * @param queryGroups groups of queries of the call
     * @throws WanException if it does not
     */
    public void check(KvTensor cache, int pages, int queryGroups) {
        if (isNone()) {
            return;
        }
        if (!byQueryGroup.isEmpty()) {
            if (byQueryGroup.size() != queryGroups) {
                throw WanException.mismatch(
                        "attention edit", queryGroups + " groups of queries", byQueryGroup.size(), "");
            }
            byQueryGroup.forEach(edit -> edit.check(cache, pages, 1));
            return;
        }
        int keys = pages * cache.pageTokens();
        if (heads != cache.numHeads() || groups * groupTokens != keys || cache.pageTokens() % groupTokens != 0) {
            throw WanException.mismatch(
                    "attention edit",
                    cache.numHeads() + " heads and " + keys + " keys in groups that divide " + cache.pageTokens(),
                    this,
                    "");
        }
        for (int head = 0; head < heads; head++) {
            if (seen(head, pages, cache.pageTokens()).length == 0) {
                throw new WanException("attention edit: head " + head + " has every key blocked; expected one that is"
                        + " left, or the head zeroed");
            }
        }
    }

    @Override
    public String toString() {
        return heads + " heads, " + groups + " groups of " + groupTokens + " keys";
    }

    /** Collects changes in the order in which they apply. */
    public static final class Builder {
        private final int heads;
        private final int groups;
        private final int groupTokens;
        private final float[] logitScales;
        private final float[] outputScales;
        private final float[] biases;

        /**
         * Nothing is changed yet.
         *
         * @param heads of the model
         * @param groups groups of keys in the call
         * @param groupTokens keys of a group; divides a page
         */
        public Builder(int heads, int groups, int groupTokens) {
            this.heads = heads;
            this.groups = groups;
            this.groupTokens = groupTokens;
            logitScales = filled(heads);
            outputScales = filled(heads);
            biases = new float[heads * groups];
        }

        private static float[] filled(int count) {
            float[] ones = new float[count];
            Arrays.fill(ones, 1);
            return ones;
        }

        /** Multiplies the present logits of a head, including biases. */
        public void scaleLogits(int head, float factor) {
            require(factor > 0 && factor < Float.POSITIVE_INFINITY, "a logit factor above 0", factor);
            logitScales[head] *= factor;
            for (int i = head * groups; i < (head + 1) * groups; i++) {
                biases[i] *= factor;
            }
        }

        /**
         * Adds to the logits of one group of keys.
         *
         * @param bias minus infinity to block the group
         */
        public void addBias(int head, int group, float bias) {
            require(bias < Float.POSITIVE_INFINITY, "a bias below infinity", bias);
            biases[head * groups + group] += bias;
        }

        /** Multiplies a head's output; 0 silences it. */
        public void scaleOutput(int head, float factor) {
            require(Float.isFinite(factor), "a finite output factor", factor);
            outputScales[head] *= factor;
        }

        private static void require(boolean holds, String expected, float got) {
            if (!holds) {
                throw WanException.mismatch("attention edit", expected, got, "");
            }
        }

        /** The edit; {@link #NONE} if nothing has been changed. */
        public AttentionEdit build() {
            AttentionEdit edit = new AttentionEdit(
                    heads, groups, groupTokens, logitScales.clone(), outputScales.clone(), biases.clone(), List.of());
            for (int head = 0; head < heads; head++) {
                if (!edit.keepsLogits(head) || edit.outputScale(head) != 1) {
                    return edit;
                }
            }
            return NONE;
        }
    }
}
