package wan.selftest;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.function.Supplier;
import wan.backend.Storage;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.op.DType;
import wan.op.Ops;
import wan.op.Scope;

/**
 * Every operation of a backend against the scalar kernels, and its speed: test and perf modes as in ggml's {@code test-backend-ops}.
 */
public final class SelfTest {
    /** Float32 kernels stay well below; a wrong index, a lost transfer or half precision does not. */
    private static final double LIMIT = 2e-5;

    /**
     * Where factors are rounded to bfloat16, by up to 2^-8 of themselves and 1.7e-3 root mean square: a sum of products is then off
     * by 2.3e-3 of its size, root mean square, and four to five times that is the largest of some thousands. Twice that for
     * what follows in the same operation.
     */
    private static final double BFLOAT16_LIMIT = 2e-2;

    /** Half precision has three more bits. */
    private static final double FLOAT16_LIMIT = BFLOAT16_LIMIT / 8;

    /**
     * E4M3 has four bits less. Only the inputs count, each row with a scale of its own, since the oracle has the weights in E4M3 too: a sum is
     * off by 2.7e-2 of its size, root mean square, and what comes of it is as above.
     */
    private static final double FLOAT8_LIMIT = 0.24;

    /**
     * Logits, weights and values are rounded: 3.3e-3, but of the value itself, and where one key gets most of the weight an
     * output is some ten times the root mean square. Twice that.
     */
    private static final double BFLOAT16_ATTENTION_LIMIT = 6e-2;

    /**
     * Where factors are rounded to 127ths of the largest of their row, some four times the root mean square: each is off by 0.9 % of
     * its size, root mean square, a sum of products by 1.3 %. Five times that is the largest of some thousands; twice that.
     */
    private static final double INT8_LIMIT = 1.3e-1;

    private static final double FLOAT16_ATTENTION_LIMIT = BFLOAT16_ATTENTION_LIMIT / 8;

    private static final long MEASURE_NANOS = 1_000_000_000;

    /**
     * One operation at one size.
     *
     * @param error largest difference over the root mean square of what was expected
     * @param limit what is allowed
     */
    public record Result(String op, String size, double error, double limit) {
        /** Whether it is as near as the backend's arithmetic should be. */
        public boolean passed() {
            return error <= limit;
        }

        @Override
        public String toString() {
            return String.format(
                    Locale.ROOT, "%-22s %-34s %10.1e %10.0e %s", op, size, error, limit, passed() ? "ok" : "WRONG");
        }
    }

    private SelfTest() {}

    /**
     * One small case of every operation; returns those that are wrong.
     *
     * @param prefix how the operations' names begin
     */
    public static List<Result> quick(Ops ops, Storage storage, String prefix) {
        List<SelfTestCases.Case> cases = SelfTestCases.quick().stream()
                .filter(one -> one.op().startsWith(prefix))
                .toList();
        return compare(ops, storage, cases).stream()
                .filter(result -> !result.passed())
                .toList();
    }

    /**
     * All cases.
     *
     * @param storage of the backend: the oracle gets weights, keys and values rounded to it, so the limit is the same
     * @param filter part of an operation's name
     */
    public static List<Result> run(Ops ops, Storage storage, String filter) {
        return compare(
                ops,
                storage,
                SelfTestCases.odd().stream()
                        .filter(one -> one.op().contains(filter))
                        .toList());
    }

    private static Ops oracle(Storage storage) {
        JvmOptions scalar = new JvmOptions(Runtime.getRuntime().availableProcessors(), JvmOptions.Kind.SCALAR);
        return new RoundedOps(new JvmOps(scalar), storage);
    }

    private static List<Result> compare(Ops ops, Storage storage, List<SelfTestCases.Case> cases) {
        List<float[]> actual = results(ops, cases);
        List<Result> results = new ArrayList<>();
        try (Ops oracle = oracle(storage)) {
            List<float[]> expected = results(oracle, cases);
            for (int i = 0; i < cases.size(); i++) {
                SelfTestCases.Case one = cases.get(i);
                double error = error(actual.get(i), expected.get(i));
                results.add(new Result(one.op(), one.size(), error, limit(ops, storage, one)));
            }
        }
        return results;
    }

    private static double limit(Ops ops, Storage storage, SelfTestCases.Case one) {
        if (one.rounds() && storage.cache() != DType.F32) {
            return storage.cache() == DType.BF16 ? BFLOAT16_ATTENTION_LIMIT : FLOAT16_ATTENTION_LIMIT;
        }
        boolean linear = one.op().startsWith("linear");
        DType type = linear ? ops.productType() : ops.attentionType();
        return switch (type) {
            case F8_E4M3 -> linear ? FLOAT8_LIMIT : LIMIT;
            case BF16 -> linear ? BFLOAT16_LIMIT : one.multiplies() ? BFLOAT16_ATTENTION_LIMIT : LIMIT;
            case F16 -> linear ? FLOAT16_LIMIT : one.attends() ? FLOAT16_ATTENTION_LIMIT : LIMIT;
            case I8 -> INT8_LIMIT;
            default -> LIMIT;
        };
    }

    /** Calls all operations before it reads a result: a backend that records then records once. */
    private static List<float[]> results(Ops ops, List<SelfTestCases.Case> cases) {
        try (Scope _ = ops.scope()) {
            List<SelfTestCases.Output> outputs = new ArrayList<>();
            for (SelfTestCases.Case one : cases) {
                outputs.add(one.body().prepare(ops).get());
            }
            return outputs.stream().map(SelfTestCases.Output::values).toList();
        }
    }

    private static double error(float[] actual, float[] expected) {
        if (actual.length != expected.length) {
            return Double.POSITIVE_INFINITY;
        }
        double squares = 0;
        double worst = 0;
        for (int i = 0; i < expected.length; i++) {
            squares += (double) expected[i] * expected[i];
            double difference = Math.abs((double) actual[i] - expected[i]);
            worst = difference <= worst ? worst : difference; // NaN stays
        }
        return worst / Math.sqrt(squares / Math.max(1, expected.length));
    }

    /**
     * Measures the cases at the model's sizes and hands over a line for each.
     *
     * @param open a backend for each case, so that none stands in the way of the next
     */
    public static void measure(Supplier<Ops> open, String filter, Consumer<String> each) {
        for (SelfTestCases.Case one : SelfTestCases.large()) {
            if (one.op().contains(filter)) {
                try (Ops ops = open.get()) {
                    each.accept(measure(ops, one));
                }
            }
        }
    }

    private static String measure(Ops ops, SelfTestCases.Case one) {
        double best = seconds(ops, one, MEASURE_NANOS);
        return String.format(
                Locale.ROOT,
                "%-22s %-34s %10.3f %7.1f %s",
                one.op(),
                one.size(),
                best * 1e3,
                one.work() / best * 1e-9,
                one.unit());
    }

    /** The shortest of the runs that so long a time has room for, and of four at least. */
    public static double seconds(Ops ops, SelfTestCases.Case one, long nanos) {
        try (Scope _ = ops.scope()) {
            Supplier<SelfTestCases.Output> body = one.body().prepare(ops);
            double best = Double.MAX_VALUE;
            long start = System.nanoTime();
            for (int round = 0; round < 4 || System.nanoTime() - start < nanos; round++) {
                long from = System.nanoTime();
                try (Scope _ = ops.scope()) {
                    SelfTestCases.Output output = body.get();
                    output.finish();
                }
                best = Math.min(best, (System.nanoTime() - from) * 1e-9);
            }
            return best;
        }
    }
}
