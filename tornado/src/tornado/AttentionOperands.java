package tornado;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.op.AttentionEdit;

/**
 * What one attention works on; {@link AttentionKernels} has the slot.
 *
 * @param queries of one sample
 * @param scale where 1 / sqrt(headDim) stands among the parameters
 * @param edit what is changed
 * @param changes the edit's numbers among the activations; the queries where there is none
 * @param rounding what {@link HalfKernels#half} needs for queries, on tensor cores; else nothing
 * @param alsoHalf how the result is rounded that is left in 16 bits as well, on tensor cores, or null
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record AttentionOperands(
        DeviceTarget target,
        DeviceTensor q,
        DeviceCache kv,
        Pages pages,
        int queries,
        int scale,
        AttentionEdit edit,
        DeviceTensor changes,
        int[] rounding,
        HalfCalls.@Nullable Inputs alsoHalf) {
    /** Stands for minus infinity, of which kernels cannot take a difference. */
    private static final float BLOCKED = -1e30f;

    /** The numbers of an edit, [heads, 2 + groups]: factor of the logits, factor of the output, biases. */
    static float[] numbers(AttentionEdit edit, int heads) {
        int groups = edit.groups();
        float[] numbers = new float[heads * (2 + groups)];
        for (int head = 0; head < heads; head++) {
            int at = head * (2 + groups);
            numbers[at] = edit.logitScale(head);
            numbers[at + 1] = edit.outputScale(head);
            for (int group = 0; group < groups; group++) {
                numbers[at + 2 + group] = Math.max(BLOCKED, edit.bias(head, group * edit.groupTokens()));
            }
        }
        return numbers;
    }

    /** What kernels need of an edit: where its numbers are, groups, tokens of a group; then per head how many pages it sees, and which. */
    private int[] editTable() {
        int stride = 1 + pages.numbers().length;
        int[] table = new int[3 + kv.numHeads() * stride];
        table[0] = changes.offset();
        table[1] = edit.groups();
        table[2] = edit.groupTokens();
        for (int head = 0; head < kv.numHeads(); head++) {
            int[] seen = edit.seen(head, pages.numbers().length, kv.pageTokens());
            table[3 + head * stride] = seen.length;
            System.arraycopy(seen, 0, table, 4 + head * stride, seen.length);
        }
        return table;
    }

    /** The attention alone. */
    void record(DeviceTensor out, Recorder recorder, ScratchStack scratch) {
        record(out, 0, 1, 0, recorder, scratch);
    }

    /**
     * The attention that also keeps masses.
     *
     * @param masses [B, N, Lq, K]
     */
    void record(DeviceTensor out, DeviceTensor masses, int keyGroupTokens, Recorder recorder, ScratchStack scratch) {
        record(out, masses.offset(), keyGroupTokens, masses.shape().dim(3), recorder, scratch);
    }

    private void record(
            DeviceTensor out, int masses, int keyGroupTokens, int keyGroups, Recorder recorder, ScratchStack scratch) {
        int[] slot = {
            queries,
            kv.batch(),
            kv.numHeads(),
            kv.headDim(),
            q.offset(),
            out.offset(),
            kv.pageTokens(),
            pages.numbers().length,
            0,
            pages.first(),
            pages.perSample(),
            scale,
            masses,
            keyGroupTokens,
            keyGroups,
            0
        };
        if (rounding.length == 0) {
            boolean vector = target.kernels() == DeviceTarget.Kernels.VECTOR;
            Kernel kernel = vector ? Kernel.ATTENTION_VECTOR : Kernel.ATTENTION_SHARED;
            int tileRows = vector ? AttentionKernels.ROWS : AttentionKernels.SHARED_ROWS;
            int items = vector ? 1 : AttentionKernels.SHARED_ITEMS;
            recorder.add(call(kernel, slot, pages.numbers(), groups(tileRows), items));
        } else {
            int groups = groups(TensorAttentionKernels.ROWS);
            scratch.lend((long) groups * TensorAttentionKernels.SCRATCH, room -> {
                int count = pages.numbers().length;
                int[] table = Arrays.copyOf(pages.numbers(), count + 10);
                table[count] = room;
                System.arraycopy(rounding, 0, table, count + 1, rounding.length);
                if (alsoHalf == null) {
                    table[count + 4] = -1;
                    recorder.add(call(Kernel.ATTENTION_TENSOR, slot, table, groups, TensorAttentionKernels.ITEMS));
                    return;
                }
                int place = scratch.takeHalves(out.shape());
                table[count + 4] = place;
                System.arraycopy(alsoHalf.table(), 0, table, count + 5, alsoHalf.table().length);
                recorder.addRounding(
                        call(Kernel.ATTENTION_TENSOR, slot, table, groups, TensorAttentionKernels.ITEMS),
                        new Recorder.Rounded(
                                out.offset(), place, target.storage().weights(), 0, alsoHalf.number()));
            });
        }
    }

    private int groups(int tileRows) {
        return kv.batch() * kv.numHeads() * Math.ceilDiv(queries, tileRows);
    }

    private Call call(Kernel kernel, int[] slot, int[] pageTable, int groups, int items) {
        List<Call.Table> tables = new ArrayList<>(List.of(new Call.Table(8, pageTable)));
        if (!edit.isNone()) {
            tables.add(new Call.Table(15, editTable()));
        }
        return new Call(kernel, pages.keys(), pages.values(), slot, List.copyOf(tables), groups, items);
    }
}
