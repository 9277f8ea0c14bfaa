package tornado;

import java.util.ArrayList;
import java.util.List;
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

    AttentionCalls(
            DeviceTarget target, Recorder recorder, Parameters parameters, ScratchStack scratch, HalfCalls halves) {
        this.target = target;
        this.recorder = recorder;
        this.parameters = parameters;
        this.scratch = scratch;
        this.halves = halves;
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
            attend(from, out, true, kv, attended, queries, queryGroupTokens, keyGroupTokens, tap, edit);
            return out;
        }
        if (kv.batch() > 1) {
            throw new UsageException(
                    "cache policy: expected one sample where the frames of a block see different keys on"
                            + " this device, got " + kv.batch() + "; run them one by one, or on the JVM");
        }
        QueryGroupTap gathering = new QueryGroupTap(tap, groups, queryGroupTokens);
        for (int group = 0; group < groups; group++) {
            attend(
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

    private void attend(
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
        boolean library = edit.isNone() && SdpaCalls.byLibrary(target, kv, queries); // a library's cannot be changed
        if (library && tap.wanted().isEmpty()) {
            sdpa(from, out, kv, queries, attended);
            return;
        }
        boolean tensor = !library && target.tensorAttention();
        Pages stored = halves.stored(kv, attended);
        boolean masses = tap.wanted().stream().anyMatch(Quantity::inAttention);
        boolean ownKernel =
                library && masses && !SdpaCalls.massesByLibrary(kv, attended.length * kv.pageTokens() / keyGroupTokens);
        boolean onlyMasses = tap.wanted().stream().allMatch(Quantity::inAttention);
        Pages readable = onlyMasses && (tensor || (library && !ownKernel)) ? stored : halves.readable(kv, attended);
        int scale = parameters.constant((float) (1 / Math.sqrt(kv.headDim())));
        DeviceTensor changes = edit.isNone() ? from : recorder.upload(AttentionOperands.numbers(edit, kv.numHeads()));
        AttentionOperands call = new AttentionOperands(
                target,
                from,
                kv,
                tensor ? stored : readable,
                queries,
                scale,
                edit,
                changes,
                tensor ? halves.narrowingCache("queries" + recorder.afterLayer()) : NOTHING,
                tensor && whole && Linears.roundsInputs(target, kv.batch() * queries)
                        ? halves.roundingInputs("attention" + recorder.afterLayer())
                        : null);
        if (tap.wanted().isEmpty()) {
            call.record(out, recorder, scratch);
            return;
        }
        CaptureCalls captures =
                new CaptureCalls(recorder, scratch, target, call, readable, queryGroupTokens, keyGroupTokens, tap);
        captures.record();
        if (!captures.wantsMass()) {
            if (library) {
                sdpa(from, out, kv, queries, attended);
            } else {
                call.record(out, recorder, scratch);
            }
        } else if (library && !ownKernel) {
            captures.masses(to ->
                    recorder.addTogether(libraryWithMasses(from, out, to, kv, queries, attended, keyGroupTokens)));
        } else {
            captures.masses(to -> call.record(out, to, keyGroupTokens, recorder, scratch));
            if (library) {
                // Replaces the output of the kernel that keeps masses: a capture changes nothing of what follows.
                sdpa(from, out, kv, queries, attended);
            }
        }
    }

    /** In a graph of its own: it is compiled for every number of pages. */
    private void sdpa(DeviceTensor q, DeviceTensor out, DeviceCache kv, int queries, int[] pages) {
        recorder.cut();
        recorder.addTogether(
                SdpaCalls.library(q, out, kv, queries, pages, halves.roundingQueries(recorder.afterLayer())));
        recorder.cut();
    }

    private List<Call> libraryWithMasses(
            DeviceTensor q,
            DeviceTensor out,
            DeviceTensor masses,
            DeviceCache kv,
            int queries,
            int[] pages,
            int keyGroupTokens) {
        int[] rounding = halves.roundingQueries(recorder.afterLayer());
        List<Call> calls = new ArrayList<>(SdpaCalls.library(q, out, kv, queries, pages, rounding));
        calls.addAll(SdpaCalls.masses(q, masses, kv, queries, pages, keyGroupTokens, rounding));
        return calls;
    }
}
