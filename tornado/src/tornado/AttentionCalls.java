package tornado;

import wan.op.AttentionEdit;
import wan.op.AttentionShapes;
import wan.op.AttentionTap;
import wan.op.Dyn;
import wan.op.KvTensor;
import wan.op.Quantity;
import wan.op.QueryGroupTap;
import wan.op.Tensor;
import wan.op.UsageException;
import wan.op.WanException;

/** Attention with what is captured and changed of it: by our own kernels, on tensor cores or not, or by a library. */
final class AttentionCalls {
    private static final int[] NOTHING = {};

    private final DeviceTarget target;
    private final Recorder recorder;
    private final Parameters parameters;
    private final ScratchStack scratch;
    private final HalfCalls halves;
    private final SdpaCalls sdpa;

    AttentionCalls(
            DeviceTarget target, Recorder recorder, Parameters parameters, ScratchStack scratch, HalfCalls halves) {
        this.target = target;
        this.recorder = recorder;
        this.parameters = parameters;
        this.scratch = scratch;
        this.halves = halves;
        this.sdpa = new SdpaCalls(target, recorder, scratch, halves);
    }

    Tensor attention(
            Tensor q,
            KvTensor cache,
            Dyn pages,
            int queryGroupTokens,
            int keyGroupTokens,
            AttentionTap tap,
            AttentionEdit edit) {
        String op = "attention";
        DeviceCache kv = Operands.cache(op, cache);
        int queries = AttentionShapes.queries(q.shape(), kv, queryGroupTokens, keyGroupTokens);
        int[] attended = Present.values(pages);
        if (attended.length == 0) {
            throw WanException.mismatch(op, "at least one page", pages, "");
        }
        for (int page : attended) {
            kv.require(op, page);
        }
        edit.check(kv, attended.length, queries / queryGroupTokens);
        DeviceTensor from = Operands.activation(op, q);
        DeviceTensor out = scratch.take(q.shape());
        Operands.begin(op);
        int groups = edit.byQueryGroup().size();
        if (groups == 0) {
            return attend(from, out, true, kv, attended, queries, queryGroupTokens, keyGroupTokens, tap, edit);
        }
        if (kv.batch() > 1) {
            throw new UsageException(
                    "cache policy: expected one sample where the frames of a block see different keys on"
                            + " this device, got " + kv.batch() + "; run them one by one, or on the JVM");
        }
        QueryGroupTap gathering = new QueryGroupTap(tap, groups, queryGroupTokens);
        for (int group = 0; group < groups; group++) {
            Tensor _ = attend(
                    from.rows(group * queryGroupTokens, queryGroupTokens),
                    out.rows(group * queryGroupTokens, queryGroupTokens),
                    false,
                    kv,
                    attended,
                    queryGroupTokens,
                    queryGroupTokens,
                    keyGroupTokens,
                    gathering.part(group),
                    edit.byQueryGroup().get(group));
        }
        return out;
    }

    /** Returns what has the result: {@code out}, or what a library has left in 16 bits. */
    private Tensor attend(
            DeviceTensor from,
            DeviceTensor out,
            boolean whole,
            DeviceCache kv,
            int[] attended,
            int queries,
            int queryGroupTokens,
            int keyGroupTokens,
            AttentionTap tap,
            AttentionEdit edit) {
        if (edit.isNone() && kv.pool().isRows()) { // a library's cannot be changed
            return attendByLibrary(
                    from, out, whole, kv, attended, queries, queryGroupTokens, keyGroupTokens, tap, edit);
        }
        boolean tensor = target.tensorAttention();
        Pages stored = halves.stored(kv, attended);
        Pages readable = !tensor
                ? halves.readable(kv, attended)
                : CaptureCalls.readsPanels(tap) ? halves.readableKeys(kv, attended) : stored;
        DeviceTensor changes = edit.isNone() ? from : recorder.upload(AttentionOperands.numbers(edit, kv.numHeads()));
        AttentionOperands call = new AttentionOperands(
                target,
                from,
                kv,
                tensor ? stored : readable,
                queries,
                scale(kv),
                edit,
                changes,
                tensor ? halves.narrowingCache("queries" + recorder.afterLayer()) : NOTHING,
                tensor && whole && Linears.roundsInputs(target, kv.batch() * queries)
                        ? halves.roundingInputs("attention" + recorder.afterLayer())
                        : null);
        if (tap.wanted().isEmpty()) {
            call.record(out, recorder, scratch);
            return out;
        }
        CaptureCalls captures = new CaptureCalls(
                recorder, scratch, target, halves, call, readable, queryGroupTokens, keyGroupTokens, tap);
        captures.record();
        if (captures.wantsMass()) {
            captures.masses(to -> call.record(out, to, keyGroupTokens, recorder, scratch));
        } else {
            call.record(out, recorder, scratch);
        }
        return out;
    }

    private int scale(DeviceCache kv) {
        return parameters.constant((float) (1 / Math.sqrt(kv.headDim())));
    }

    private Tensor attendByLibrary(
            DeviceTensor from,
            DeviceTensor out,
            boolean whole,
            DeviceCache kv,
            int[] attended,
            int queries,
            int queryGroupTokens,
            int keyGroupTokens,
            AttentionTap tap,
            AttentionEdit edit) {
        SdpaCalls.Operands operands = sdpa.operands(from, kv, queries, attended);
        if (!tap.wanted().isEmpty()) {
            boolean own = tap.wanted().stream().anyMatch(Quantity::inAttention)
                    && !SdpaCalls.massesByLibrary(kv, attended.length * kv.pageTokens() / keyGroupTokens);
            Pages readable;
            if (own) {
                readable = halves.readable(kv, attended);
            } else {
                readable =
                        CaptureCalls.readsPanels(tap) ? halves.readableKeys(kv, attended) : halves.stored(kv, attended);
            }
            AttentionOperands call =
                    new AttentionOperands(target, from, kv, readable, queries, scale(kv), edit, from, NOTHING, null);
            CaptureCalls captures = new CaptureCalls(
                    recorder, scratch, target, halves, call, readable, queryGroupTokens, keyGroupTokens, tap);
            captures.record();
            if (captures.wantsMass()) {
                // A capture changes nothing of what follows: the library's result replaces that of a kernel that keeps
                // masses.
                captures.masses(
                        own
                                ? to -> call.record(out, to, keyGroupTokens, recorder, scratch)
                                : to -> sdpa.masses(operands, to, keyGroupTokens));
            }
        }
        if (whole && sdpa.leavesHalves(kv.batch() * queries)) {
            return sdpa.attendInHalves(operands, out);
        }
        sdpa.attend(operands, out);
        return out;
    }
}
