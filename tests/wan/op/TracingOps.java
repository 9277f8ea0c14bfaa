package wan.op;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Supplier;

/** Notes every operation and the shape of its result, in order; can hand the results to a test as well. */
public final class TracingOps extends ObservedOps {
    private final List<String> trace = new ArrayList<>();
    private BiConsumer<String, Tensor> results = (op, result) -> {};

    public TracingOps(Ops ops) {
        super(ops);
    }

    public List<String> trace() {
        return trace;
    }

    /** Called with each operation and its result; for a linear layer that adds to a residual, with what it adds, ungated. */
    public void onResult(BiConsumer<String, Tensor> consumer) {
        results = consumer;
    }

    @Override
    protected Tensor observe(String op, double flops, Supplier<Tensor> call) {
        Tensor result = call.get();
        trace.add(op + result.shape());
        if (!op.endsWith("Residual")) {
            results.accept(op, result);
        }
        return result;
    }

    @Override
    public void linearResidual(Tensor residual, Tensor x, Linear weights) {
        results.accept("linearResidual", observed().linear(x, weights));
        super.linearResidual(residual, x, weights);
    }

    @Override
    public void linearGatedResidual(Tensor residual, Tensor x, Linear weights, Tensor modulation, int gateRow) {
        results.accept("linearGatedResidual", observed().linear(x, weights));
        super.linearGatedResidual(residual, x, weights, modulation, gateRow);
    }
}
