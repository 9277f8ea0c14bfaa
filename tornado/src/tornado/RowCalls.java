package tornado;

import java.util.Arrays;
import java.util.List;
import wan.op.Dyn;
import wan.op.Grid;
import wan.op.OpChecks;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;

/** Norms, modulation and rotation of rows. */
final class RowCalls {
    private final DeviceTarget target;
    private final Recorder recorder;
    private final Parameters parameters;
    private final ScratchStack scratch;
    private final HalfCalls halves;

    RowCalls(DeviceTarget target, Recorder recorder, Parameters parameters, ScratchStack scratch, HalfCalls halves) {
        this.target = target;
        this.recorder = recorder;
        this.parameters = parameters;
        this.scratch = scratch;
        this.halves = halves;
    }

    Tensor rmsNorm(Tensor x, Tensor weight, float eps) {
        return rows("rmsNorm", Kernel.RMS_NORM, x, eps, vector("rmsNorm weight", x, weight));
    }

    Tensor layerNorm(Tensor x, Tensor weight, Tensor bias, float eps) {
        int w = vector("layerNorm weight", x, weight);
        return rows("layerNorm", Kernel.LAYER_NORM, x, eps, w, vector("layerNorm bias", x, bias));
    }

    /** Where a parameter of the length of a row is. */
    private static int vector(String what, Tensor x, Tensor parameter) {
        OpChecks.expect(what, parameter, OpChecks.rowLength(what, x));
        return Operands.parameter(what, parameter).offset();
    }

    Tensor layerNormModulate(Tensor x, Tensor modulation, int shiftRow, int scaleRow, float eps) {
        String op = "layerNormModulate";
        int dim = OpChecks.rowLength(op, x);
        int rows = x.shape().dim(0);
        int entries = OpChecks.entries(op, modulation, rows, dim, shiftRow);
        int _ = OpChecks.entries(op, modulation, rows, dim, scaleRow);
        DeviceModulation.Row scale = DeviceModulation.Row.of(op, modulation, scaleRow);
        DeviceModulation.Row shift = DeviceModulation.Row.of(op, modulation, shiftRow);
        return rows(
                op,
                Kernel.LAYER_NORM_MODULATE,
                x,
                eps,
                scale.at(),
                shift.at(),
                scale.stride(),
                Math.max(1, rows / entries),
                scale.table(),
                shift.table());
    }

    /** A kernel with one group per row. */
    private Tensor rows(String op, Kernel kernel, Tensor x, float eps, int... more) {
        DeviceTensor from = Operands.activation(op, x);
        DeviceTensor y = scratch.take(x.shape());
        Operands.begin(op);
        int rows = x.shape().dim(0);
        int[] slot = new int[16];
        slot[0] = rows;
        slot[1] = x.shape().dim(1);
        slot[2] = from.offset();
        slot[3] = y.offset();
        slot[4] = parameters.constant(eps);
        System.arraycopy(more, 0, slot, 5, more.length);
        if (rows == 0) {
            return y;
        }
        Kernel used = withGate(kernel, slot);
        if (kernel == Kernel.RMS_NORM && target.cudnn()) { // they may be queries of an attention
            slot[6] = scratch.takeHalves(x.shape());
            int[] table = halves.narrowingCache(op);
            recorder.addRounding(
                    new Call(
                            Kernel.RMS_NORM_HALF,
                            null,
                            null,
                            slot,
                            List.of(new Call.Table(7, table)),
                            rows,
                            target.rowItems()),
                    new Recorder.Rounded(y.offset(), slot[6], target.storage().cache(), 0, table[2]));
            return y;
        }
        if (kernel != Kernel.RMS_NORM && Linears.quantisesInputs(target, rows, slot[1])) {
            quantised(op, used, slot, y, more.length);
            return y;
        }
        if (kernel == Kernel.RMS_NORM || !Linears.roundsInputs(target, rows)) {
            recorder.add(new Call(used, null, null, slot, List.of(), rows, target.rowItems()));
            return y;
        }
        int place = 5 + more.length; // for the linear layer that follows
        slot[place] = scratch.takeHalves(x.shape());
        HalfCalls.Inputs rounding = halves.roundingInputs(op);
        List<Call.Table> tables = List.of(new Call.Table(place + 1, rounding.table()));
        Kernel both = switch (used) {
            case LAYER_NORM -> Kernel.LAYER_NORM_HALF;
            case LAYER_NORM_MODULATE -> Kernel.LAYER_NORM_MODULATE_HALF;
            default -> used;
        };
        recorder.addRounding(
                new Call(both, null, null, slot, tables, rows, target.rowItems()),
                new Recorder.Rounded(y.offset(), slot[place], target.storage().weights(), 0, rounding.number()));
        return y;
    }

    /** A norm that leaves its rows in 8 bits as well, for the linear layer that follows. */
    private void quantised(String op, Kernel kernel, int[] slot, DeviceTensor y, int arguments) {
        int rows = slot[0];
        int bytes = scratch.takeBytes(y.shape());
        int scales = scratch.take(Shape.of(rows)).offset();
        HalfCalls.Inputs rounding = halves.quantisingInputs(op, bytes, scales);
        boolean gated = kernel == Kernel.GATED_LAYER_NORM;
        Kernel both = gated
                ? Kernel.GATED_LAYER_NORM_BYTES
                : kernel == Kernel.LAYER_NORM ? Kernel.LAYER_NORM_BYTES : Kernel.LAYER_NORM_MODULATE_BYTES;
        List<Call.Table> tables = List.of(new Call.Table(gated ? 14 : 5 + arguments, rounding.table()));
        recorder.addRounding(
                new Call(both, null, null, slot, tables, rows, target.rowItems()),
                new Recorder.Rounded(y.offset(), bytes, target.storage().weights(), scales, rounding.number()));
    }

    /** Takes the gate that a library's matmul has left to a kernel into the norm of the same rows, if it comes right before. */
    private Kernel withGate(Kernel kernel, int[] slot) {
        Call gate = kernel == Kernel.LAYER_NORM && target.cublas() ? recorder.last(Kernel.GATED_RESIDUAL) : null;
        int[] gated = gate == null ? new int[0] : gate.arguments();
        if (gate == null || gated[0] != slot[0] * slot[1] || gated[1] != slot[2] || gated[3] != slot[1]) {
            return kernel;
        }
        recorder.removeLast();
        slot[7] = -1;
        slot[9] = gated[2];
        System.arraycopy(gated, 4, slot, 10, 4);
        return Kernel.GATED_LAYER_NORM;
    }

    Tensor modulation(Tensor table, Tensor embedding) {
        String op = "modulation";
        int width = OpChecks.rowLength(op, embedding);
        if (table.shape().rank() != 3 || table.shape().dim(0) != 1) {
            throw WanException.mismatch(op + " table", "[1, rows, dim]", table.shape(), "");
        }
        int rows = table.shape().dim(1);
        int dim = table.shape().dim(2);
        if (width != rows * dim && width != dim) {
            throw WanException.mismatch(
                    op, "embedding [E, " + rows * dim + "] or [E, " + dim + "]", embedding.shape(), "");
        }
        DeviceTensor base = Operands.parameter(op, table);
        DeviceTensor added = Operands.activation(op, embedding);
        DeviceTensor y = scratch.take(Shape.of(embedding.shape().dim(0), rows, dim));
        Operands.begin(op);
        return new DeviceModulation(
                y,
                base,
                added,
                () -> recorder.addElements(
                        Kernel.MODULATION,
                        y.shape().intSize(),
                        y.offset(),
                        base.offset(),
                        rows * dim,
                        added.alive(op).offset(),
                        width));
    }

    /** Where the cosines and sines of a rotation are. */
    record Angles(int frames, int grid) {}

    /** Checks what is rotated, and says where its angles are. */
    Angles angles(String op, Tensor x, int numHeads, Grid grid, Dyn positions) {
        int dim = OpChecks.rowLength(op, x);
        int rows = x.shape().dim(0);
        if (numHeads < 1 || dim % (2 * numHeads) != 0) {
            throw WanException.mismatch(op, "rows of " + numHeads + " heads of even size", x.shape(), "");
        }
        if (grid.tokens() < 1 || rows % grid.tokens() != 0) {
            throw WanException.mismatch(op, "a multiple of " + grid.tokens() + " rows for " + grid, x.shape(), "");
        }
        int[] frames = positions.values();
        if (frames.length != grid.frames() || Arrays.stream(frames).anyMatch(frame -> frame < 0)) {
            throw WanException.mismatch(op, "a position from 0 for each frame of " + grid, positions, "");
        }
        recorder.sawFrames(grid.frames());
        int pairs = dim / numHeads / 2;
        int third = pairs / 3;
        int last = Arrays.stream(frames).max().orElse(0);
        return new Angles(
                parameters.ropeTable(pairs - 2 * third, last + 1),
                parameters.ropeTable(third, Math.max(grid.rows(), grid.columns())));
    }

    void rope(Tensor x, int numHeads, Grid grid, Dyn positions) {
        String op = "rope";
        DeviceTensor at = Operands.activation(op, x);
        Angles angles = angles(op, x, numHeads, grid, positions);
        Operands.begin(op);
        if (x.shape().dim(0) > 0) {
            recorder.add(recorder.elements(
                    Kernel.ROPE,
                    null,
                    null,
                    x.shape().intSize() / 2,
                    List.of(new Call.Table(7, positions.values())),
                    at.offset(),
                    numHeads,
                    x.shape().dim(1) / numHeads / 2,
                    grid.tokens(),
                    grid.rows(),
                    grid.columns(),
                    0,
                    angles.frames(),
                    angles.grid()));
        }
    }
}
