package wan.jvm;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import wan.jvm.kernel.AttentionCall;
import wan.jvm.kernel.FrameMass;
import wan.jvm.kernel.Kernels;
import wan.jvm.kernel.Workers;
import wan.op.AttentionEdit;
import wan.op.AttentionTap;
import wan.op.Quantity;
import wan.op.QueryGroupTap;
import wan.op.WanException;

/** Attention with what a tap wants of it, each quantity by the cheapest way: within the softmax, from means, or from tiles of logits. */
record TappedAttention(Kernels kernels, Workers workers, int queryGroupTokens, int keyGroupTokens) {
    void run(AttentionCall call, float[] out, AttentionTap tap) {
        if (call.edit().byQueryGroup().isEmpty()) {
            attend(call, out, tap);
        } else {
            byGroup(call, out, tap);
        }
    }

    /** A call for each group of queries, each with its own edit. */
    private void byGroup(AttentionCall all, float[] out, AttentionTap tap) {
        List<AttentionEdit> edits = all.edit().byQueryGroup();
        QueryGroupTap gathering = new QueryGroupTap(tap, edits.size(), queryGroupTokens);
        int batch = all.cache().batch();
        int length = queryGroupTokens * all.cache().numHeads() * all.cache().headDim();
        float[] some = new float[batch * length];
        float[] result = new float[some.length];
        for (int group = 0; group < edits.size(); group++) {
            for (int sample = 0; sample < batch; sample++) {
                System.arraycopy(all.q(), (sample * edits.size() + group) * length, some, sample * length, length);
            }
            AttentionCall call = new AttentionCall(some, queryGroupTokens, all.cache(), all.pages(), edits.get(group));
            attend(call, result, gathering.part(group));
            for (int sample = 0; sample < batch; sample++) {
                System.arraycopy(result, sample * length, out, (sample * edits.size() + group) * length, length);
            }
        }
    }

    private void attend(AttentionCall call, float[] out, AttentionTap tap) {
        Set<Quantity> wanted = tap.wanted();
        if (wanted.isEmpty()) {
            kernels.attention(call, out, null);
            return;
        }
        checkHeads(tap.heads(), call.cache().numHeads());
        if (wanted.stream().anyMatch(Quantity::inAttention)) {
            FrameMass mass = new FrameMass(call, queryGroupTokens, keyGroupTokens, tap, kernels.massTileQueries());
            kernels.attention(call, out, mass);
            mass.deliver(tap);
        } else {
            kernels.attention(call, out, null);
        }
        Set<Quantity> means = EnumSet.copyOf(wanted);
        means.retainAll(MeanLogits.QUANTITIES);
        if (!means.isEmpty()) {
            new MeanLogits(call, queryGroupTokens, keyGroupTokens).deliver(tap, workers);
        }
        if (wanted.stream().anyMatch(Quantity::ofRegions)) {
            new RegionMaps(call, tap).deliver(workers);
        }
        if (wanted.stream().anyMatch(Quantity::inTiles)) {
            kernels.tokenLogits(call, tap);
        }
    }

    private static void checkHeads(int[] heads, int numHeads) {
        for (int i = 0; i < heads.length; i++) {
            if (heads[i] < (i == 0 ? 0 : heads[i - 1] + 1) || heads[i] >= numHeads) {
                throw WanException.mismatch(
                        "attention tap", "ascending heads below " + numHeads, Arrays.toString(heads), "");
            }
        }
    }
}
