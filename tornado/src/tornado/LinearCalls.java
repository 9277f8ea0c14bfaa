package tornado;

import java.util.ArrayList;
import java.util.List;
import wan.op.DType;
import wan.op.Linear;
import wan.op.OpChecks;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;

/** Linear layers: by our own kernels, on tensor cores or not, or by a library, whose inputs are in 16 or 8 bits where its weights are. */
final class LinearCalls {
    private static final int NO_HALF = -1;

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

    /**
     * What a library multiplies.
     *
     * @param at among the activations, or in the array of halves if it is not in float32
     * @param scales of the rows among the activations, if it is in 8 bits
     */
    private record Input(int at, int scales) {}

    /** Into new scratch, {@link LinearKernels#BIAS} or {@link LinearKernels#GELU}. */
    Tensor linear(String op, Tensor x, Linear weights, int mode) {
        DeviceLinear w = Operands.linear(op, x, weights);
        int rows = x.shape().dim(0);
        DeviceTensor y = scratch.take(Shape.of(rows, w.outFeatures()));
        // In float16 the result may be beyond its range, which has to be seen.
        boolean left = mode == LinearKernels.GELU
                && Linears.byLibrary(target, rows, w)
                && (target.storage().weights() == DType.BF16 || target.quantisesInputs());
        if (!left) {
            into(op, x, List.of(w), List.of(y), new Epilogue(mode));
            return y;
        }
        int place = scratch.takeHalves(y.shape());
        begin(op, List.of(w));
        Input from = input(x, w.layer());
        if (!target.quantisesInputs()) {
            add(from, w, rows, y, new Epilogue(mode), place);
            return new DeviceHalf(y, place, 0, () -> add(from, w, rows, y, new Epilogue(mode), NO_HALF));
        }
        // The scale of a row needs all of it, so GELU comes with the rounding, and not with the matmul.
        add(from, w, rows, y, new Epilogue(LinearKernels.BIAS), place);
        Input bytes = quantised("GELU of " + w.layer(), y, place, true);
        return new DeviceHalf(y, bytes.at(), bytes.scales(), () -> {
            add(from, w, rows, y, new Epilogue(LinearKernels.BIAS), NO_HALF);
            recorder.addElements(Kernel.GELU, y.shape().intSize(), y.offset());
        });
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
        if (!(x instanceof DeviceHalf) && to.equals(Operands.activation(op, x))) {
            throw new WanException(op + " " + w.name() + ": x and the residual are the same tensor");
        }
        return to;
    }

    private void begin(String op, List<DeviceLinear> layers) {
        Operands.begin(op);
        layers.forEach(recorder::place);
        recorder.in(layers.getLast().layer());
    }

    private void into(String op, Tensor x, List<DeviceLinear> layers, List<DeviceTensor> results, Epilogue epilogue) {
        int rows = x.shape().dim(0);
        if (layers.stream().allMatch(w -> Linears.byLibrary(target, rows, w))) {
            begin(op, layers);
            byLibrary(x, layers, results, epilogue);
            return;
        }
        DeviceTensor from = Operands.activation(op, x);
        begin(op, layers);
        if (rows == 0) {
            return;
        }
        if (target.cublas()) {
            for (int i = 0; i < layers.size(); i++) {
                int[] slot =
                        slot(from.offset(), layers.get(i), rows, layers.get(i).vector(), results.get(i), epilogue);
                slot[15] = halves.weightTable();
                recorder.add(Linears.few(target, layers.get(i).shard(), slot));
            }
        } else if (together(layers, rows)) {
            own(from, layers, results, epilogue);
        } else {
            for (int i = 0; i < layers.size(); i++) {
                own(from, List.of(layers.get(i)), List.of(results.get(i)), epilogue);
            }
        }
    }

    private void byLibrary(Tensor x, List<DeviceLinear> layers, List<DeviceTensor> results, Epilogue epilogue) {
        int rows = x.shape().dim(0);
        Input from = input(x, layers.getFirst().layer());
        for (int i = 0; i < layers.size(); i++) {
            DeviceLinear w = layers.get(i);
            DeviceTensor to = results.get(i);
            if (epilogue.mode() != LinearKernels.ADD_GATED) {
                add(from, w, rows, to, epilogue, NO_HALF);
                continue;
            }
            // No epilogue of the library multiplies by a gate. A norm that follows may do it, so the product stays.
            DeviceTensor product = scratch.take(to.shape());
            add(from, w, rows, product, new Epilogue(LinearKernels.BIAS), NO_HALF);
            DeviceModulation.Row gate = epilogue.gate();
            recorder.addElements(
                    Kernel.GATED_RESIDUAL,
                    to.shape().intSize(),
                    to.offset(),
                    product.offset(),
                    w.outFeatures(),
                    gate.at(),
                    gate.stride(),
                    epilogue.rowsPerEntry(),
                    gate.table());
        }
    }

    /**
     * Adds a library's call.
     *
     * @param half where the result goes in 16 bits, or {@link #NO_HALF}
     */
    private void add(Input from, DeviceLinear w, int rows, DeviceTensor to, Epilogue epilogue, int half) {
        int[] slot = slot(from.at(), w, rows, w.vector(), to, epilogue);
        slot[9] = from.scales();
        slot[14] = CublasMatmul.type(target.storage().weights());
        slot[15] = half;
        recorder.add(Linears.library(w.shard(), slot));
    }

    /** Where an input is as the library takes it, rounded now if the operation before has not left it so. */
    private Input input(Tensor x, String layer) {
        boolean rounds = target.roundsInputs() || target.quantisesInputs();
        if (rounds && x instanceof DeviceHalf half && half.isHalf()) {
            DeviceTensor _ = half.room().alive("linear");
            return new Input(half.place(), half.scales());
        }
        DeviceTensor from = Operands.activation("linear", x);
        if (!rounds) {
            return new Input(from.offset(), 0);
        }
        String what = "input of " + layer;
        Recorder.Rounded before = recorder.rounded();
        if (before != null
                && before.from() == from.offset()
                && before.dtype() == target.storage().weights()) {
            halves.name(before.number(), what);
            return new Input(before.to(), before.scales());
        }
        if (target.quantisesInputs()) {
            return quantised(what, from, from.offset(), false);
        }
        int to = scratch.takeHalves(from.shape());
        HalfCalls.Inputs rounding = halves.roundingInputs(what);
        int items = from.shape().intSize();
        List<Call.Table> tables = List.of(new Call.Table(3, rounding.table()));
        recorder.add(recorder.elements(Kernel.ROUND_ROWS, null, null, items, tables, from.offset(), to, 0));
        return new Input(to, 0);
    }

    /**
     * Rounds rows to 8 bits.
     *
     * @param x which has their shape
     * @param from where they are
     * @param gelu whether that is in the array of halves, and GELU is still to come
     */
    private Input quantised(String what, DeviceTensor x, int from, boolean gelu) {
        int rows = x.shape().dim(0);
        int bytes = scratch.takeBytes(x.shape());
        int scales = scratch.take(Shape.of(rows)).offset();
        int[] slot = new int[16];
        slot[0] = rows;
        slot[1] = x.shape().dim(1);
        slot[2] = from;
        slot[4] = gelu ? 1 : 0;
        List<Call.Table> tables = List.of(
                new Call.Table(3, halves.quantisingInputs(what, bytes, scales).table()));
        recorder.add(new Call(Kernel.QUANTISE_ROWS, null, null, slot, tables, rows, target.rowItems()));
        return new Input(bytes, scales);
    }

    /** Whether one launch can make all of them. */
    private boolean together(List<DeviceLinear> layers, int rows) {
        DeviceLinear first = layers.getFirst();
        boolean alike =
                layers.stream().allMatch(w -> w.outFeatures() == first.outFeatures() && w.shard() == first.shard());
        return alike && (layers.size() == 1 || !widens(rows));
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
        int[] slot = slot(x.offset(), first, rows, widens ? 0 : first.vector(), results.getFirst(), epilogue);
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
        int table = target.storage().weights() == DType.F8_E4M3 ? halves.byteTable() : 0;
        scratch.lend(parts * Linears.tensorSums(rows, first.outFeatures()), sums -> {
            slot[15] = sums;
            recorder.add(Linears.tensor(weights, table, more, slot));
        });
    }

    private static int[] slot(int x, DeviceLinear w, int rows, int vector, DeviceTensor y, Epilogue epilogue) {
        DeviceModulation.Row gate = epilogue.gate();
        return new int[] {
            rows,
            w.inFeatures(),
            w.outFeatures(),
            x,
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
