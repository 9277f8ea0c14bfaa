package tornado;

import java.util.List;
import wan.op.HeadShapes;
import wan.op.OpChecks;
import wan.op.Tensor;
import wan.op.WanException;

/** What changes activations in place: heads averaged or mixed, and a gated sum whose product was changed. */
final class EditCalls {
    private final Recorder recorder;

    EditCalls(Recorder recorder) {
        this.recorder = recorder;
    }

    void averageHeads(Tensor x, int numHeads, int[] heads, int groupTokens) {
        String op = "averageHeads";
        HeadShapes.check(op, x.shape(), numHeads, heads);
        int rows = x.shape().dim(0);
        int dim = OpChecks.rowLength(op, x);
        if (groupTokens < 1 || rows % groupTokens != 0) {
            throw WanException.mismatch(op, "rows in groups of " + groupTokens, x.shape(), "");
        }
        DeviceTensor at = Operands.activation(op, x);
        Operands.begin(op);
        int headDim = dim / numHeads;
        int items = rows / groupTokens * heads.length * headDim;
        if (items > 0) {
            recorder.add(recorder.elements(
                    Kernel.AVERAGE_HEADS,
                    null,
                    null,
                    items,
                    List.of(new Call.Table(6, heads.clone())),
                    at.offset(),
                    dim,
                    headDim,
                    heads.length,
                    groupTokens,
                    0));
        }
    }

    void mixHeads(Tensor x, int numHeads, int[] heads, float keep, Tensor values) {
        String op = "mixHeads";
        HeadShapes.check(op, x.shape(), numHeads, heads);
        int dim = OpChecks.rowLength(op, x);
        int headDim = dim / numHeads;
        OpChecks.expect(op + " values", values, x.shape().dim(0), (long) heads.length * headDim);
        DeviceTensor at = Operands.activation(op, x);
        DeviceTensor from = Operands.activation(op, values);
        Operands.begin(op);
        if (from.shape().size() > 0) {
            DeviceTensor kept = recorder.upload(
                    new float[] {keep}); // a number of this step, which no table of constants should keep
            recorder.add(recorder.elements(
                    Kernel.MIX_HEADS,
                    null,
                    null,
                    from.shape().intSize(),
                    List.of(new Call.Table(7, heads.clone())),
                    at.offset(),
                    from.offset(),
                    dim,
                    headDim,
                    heads.length,
                    kept.offset(),
                    0));
        }
    }

    void gatedResidual(Tensor residual, Tensor y, Tensor modulation, int gateRow) {
        String op = "gatedResidual";
        int dim = OpChecks.rowLength(op, residual);
        int rows = residual.shape().dim(0);
        OpChecks.expect(op, y, rows, dim);
        int entries = OpChecks.entries(op, modulation, rows, dim, gateRow);
        DeviceTensor to = Operands.activation(op, residual);
        DeviceTensor from = Operands.activation(op, y);
        DeviceModulation.Row gate = DeviceModulation.Row.of(op, modulation, gateRow);
        Operands.begin(op);
        recorder.addElements(
                Kernel.GATED_RESIDUAL,
                rows * dim,
                to.offset(),
                from.offset(),
                dim,
                gate.at(),
                gate.stride(),
                Math.max(1, rows / entries),
                gate.table());
    }
}
