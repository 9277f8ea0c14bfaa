package tornado;

import java.util.ArrayList;
import java.util.List;
import wan.op.DType;
import wan.op.Linear;
import wan.op.OpChecks;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;

/** Linear layers: by our own kernels, on tensor cores or not, or by a library. */
final class LinearCalls {
    private final DeviceTarget target;
    private final Recorder recorder;
    private final ScratchStack scratch;
    private final HalfCalls halves;

    LinearCalls(DeviceTarget target, Recorder recorder, ScratchStack scratch, HalfCalls halves) {
        this.target = target;
        this.recorder = recorder;
        this.scratch = scratch;
        this.halves = halves;
    }

    /**
     * What follows the sums.
     *
     * @param mode of {@link LinearKernels}
     * @param gate what is multiplied by, where the mode has it
     * @param rowsPerEntry rows of one entry of the gate
     */
    private record Epilogue(int mode, DeviceModulation.Row gate, int rowsPerEntry) {
        Epilogue(int mode) {
            this(mode, new DeviceModulation.Row(0, 0, 0), 1);
        }
    }

    /** Into new scratch, {@link LinearKernels#BIAS} or {@link LinearKernels#GELU}. */
    Tensor linear(String op, Tensor x, Linear weights, int mode) {
        DeviceLinear w = Operands.linear(op, x, weights);
        DeviceTensor y = scratch.take(Shape.of(x.shape().dim(0), w.outFeatures()));
        into(op, x, List.of(w), List.of(y), new Epilogue(mode));
        return y;
    }

    /** Several layers of one input, in one launch where their weights lie in one array. */
    List<Tensor> linears(Tensor x, List<Linear> weights) {
        String op = "linears";
        List<DeviceLinear> layers = new ArrayList<>();
        List<DeviceTensor> results = new ArrayList<>();
        for (Linear one : weights) {
            DeviceLinear w = Operands.linear(op, x, one);
            layers.add(w);
            results.add(scratch.take(Shape.of(x.shape().dim(0), w.outFeatures())));
        }
        into(op, x, layers, results, new Epilogue(LinearKernels.BIAS));
        return List.copyOf(results);
    }

    /** residual += x W^T + b. */
    void residual(String op, Tensor residual, Tensor x, Linear weights) {
        DeviceLinear w = Operands.linear(op, x, weights);
        into(op, x, List.of(w), List.of(notInput(op, residual, x, w)), new Epilogue(LinearKernels.ADD));
    }

    /** residual += (x W^T + b) * gate. */
    void gatedResidual(String op, Tensor residual, Tensor x, Linear weights, Tensor modulation, int gateRow) {
        DeviceLinear w = Operands.linear(op, x, weights);
        int rows = x.shape().dim(0);
        int entries = OpChecks.entries(op, modulation, rows, w.outFeatures(), gateRow);
        DeviceModulation.Row gate = DeviceModulation.Row.of(op, modulation, gateRow);
        Epilogue epilogue = new Epilogue(LinearKernels.ADD_GATED, gate, Math.max(1, rows / entries));
        into(op, x, List.of(w), List.of(notInput(op, residual, x, w)), epilogue);
    }

    private static DeviceTensor notInput(String op, Tensor residual, Tensor x, DeviceLinear w) {
        OpChecks.expect(op + " " + w.name(), residual, x.shape().dim(0), w.outFeatures());
        DeviceTensor to = Operands.activation(op, residual);
        if (to.equals(Operands.activation(op, x))) {
            throw new WanException(op + " " + w.name() + ": x and the residual are the same tensor");
        }
        return to;
    }

    private void into(String op, Tensor x, List<DeviceLinear> layers, List<DeviceTensor> results, Epilogue epilogue) {
        DeviceTensor from = Operands.activation(op, x);
        Operands.begin(op);
        layers.forEach(recorder::place);
        recorder.in(layers.getLast().layer());
        int rows = x.shape().dim(0);
        if (rows == 0) {
            return;
        }
        if (together(layers, rows)) {
            own(from, layers, results, epilogue);
            return;
        }
        boolean staged = false; // a library's input is copied once
        for (int i = 0; i < layers.size(); i++) {
            DeviceLinear w = layers.get(i);
            if (Linears.byLibrary(target, rows, w)) {
                int[] rounding = target.storage().weights() == DType.F32 ? new int[0] : halves.roundingInputs(w);
                int[] slot = slot(from, w, w.vector(), results.get(i), epilogue);
                List<Call> calls = Linears.library(w.shard(), rounding, slot);
                recorder.addTogether(staged ? calls.subList(1, calls.size()) : calls);
                staged = true;
            } else {
                own(from, List.of(w), List.of(results.get(i)), epilogue);
            }
        }
    }

    /** Whether one launch can make all of them. */
    private boolean together(List<DeviceLinear> layers, int rows) {
        DeviceLinear first = layers.getFirst();
        boolean alike =
                layers.stream().allMatch(w -> w.outFeatures() == first.outFeatures() && w.shard() == first.shard());
        return alike && !Linears.byLibrary(target, rows, first) && (layers.size() == 1 || !widens(rows));
    }

    /** Whether weights have to be widened before a kernel reads them. */
    private boolean widens(int rows) {
        return target.storage().weights() != DType.F32 && !Linears.byTensorCores(target, rows);
    }

    private void own(DeviceTensor x, List<DeviceLinear> layers, List<DeviceTensor> results, Epilogue epilogue) {
        int rows = x.shape().dim(0);
        DeviceLinear first = layers.getFirst();
        boolean widens = widens(rows);
        Store weights = widens ? halves.widen(first) : first.shard();
        int[] slot = slot(x, first, widens ? 0 : first.vector(), results.getFirst(), epilogue);
        List<Linears.Part> more = new ArrayList<>();
        for (int i = 1; i < layers.size(); i++) {
            more.add(new Linears.Part(
                    layers.get(i).vector(),
                    results.get(i).offset(),
                    layers.get(i).bias()));
        }
        if (!Linears.byTensorCores(target, rows)) {
            recorder.add(Linears.call(target, weights, more, slot));
            return;
        }
        int parts = layers.size();
        scratch.lend(parts * Linears.tensorSums(rows, first.outFeatures()), sums -> {
            slot[15] = sums;
            recorder.add(Linears.tensor(weights, more, slot));
        });
    }

    private static int[] slot(DeviceTensor x, DeviceLinear w, int vector, DeviceTensor y, Epilogue epilogue) {
        DeviceModulation.Row gate = epilogue.gate();
        return new int[] {
            x.shape().dim(0),
            w.inFeatures(),
            w.outFeatures(),
            x.offset(),
            w.inFeatures(),
            y.offset(),
            w.outFeatures(),
            vector,
            epilogue.mode(),
            gate.table(),
            w.bias(),
            gate.at(),
            gate.stride(),
            epilogue.rowsPerEntry(),
            0,
            0
        };
    }
}
