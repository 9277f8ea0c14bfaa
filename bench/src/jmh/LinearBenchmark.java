package jmh;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.op.DType;
import wan.op.Linear;
import wan.op.Tensor;

/** Linear layers of Wan 1.3B on the JVM backend, each size in a JVM of its own: what they reach when no other kernel was compiled. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
        value = 2,
        jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "-XX:+UseParallelGC"})
public class LinearBenchmark {
    @Param({"1560", "4680"})
    public int rows;

    @Param({"1536x1536", "1536x8960", "8960x1536"})
    public String inOut;

    @Param({"BF16", "F32"})
    public DType weights;

    private JvmOps ops;
    private wan.op.Scope operands;
    private Tensor x;
    private Linear linear;

    @Setup
    public void setUp() {
        int at = inOut.indexOf('x');
        int in = Integer.parseInt(inOut.substring(0, at));
        int out = Integer.parseInt(inOut.substring(at + 1));
        ops = new JvmOps(JvmOptions.defaults());
        operands = ops.scope();
        x = Operands.scratch(ops, rows, in);
        linear = ops.linearWeights(Operands.stored(weights, out, in), Operands.stored(DType.F32, out));
    }

    @Benchmark
    public Tensor linear() {
        try (wan.op.Scope _ = ops.scope()) {
            return ops.linear(x, linear);
        }
    }

    @TearDown
    public void tearDown() {
        operands.close();
        ops.close();
    }
}
