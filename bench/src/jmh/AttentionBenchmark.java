package jmh;

import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
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
import wan.op.AttentionTap;
import wan.op.Dyn;
import wan.op.KvTensor;
import wan.op.Tensor;

/** Self-attention of Wan 1.3B on the JVM backend: 12 heads of 128 channels, frames of 1560 tokens. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
        value = 2,
        jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "-XX:+UseParallelGC"})
public class AttentionBenchmark {
    private static final int FRAME = 1560;
    private static final int HEADS = 12;
    private static final int HEAD_DIM = 128;

    @Param({"1", "3"})
    public int frames;

    @Param({"3", "21"})
    public int keyFrames;

    private final Dyn pages = new Dyn("pages", 64);
    private JvmOps ops;
    private KvTensor cache;
    private wan.op.Scope operands;
    private Tensor q;

    @Setup
    public void setUp() {
        ops = new JvmOps(JvmOptions.defaults());
        cache = ops.kvCache(1, keyFrames, FRAME, HEADS, HEAD_DIM);
        operands = ops.scope();
        q = Operands.scratch(ops, (long) frames * FRAME, HEADS * HEAD_DIM);
        Tensor page = Operands.scratch(ops, FRAME, HEADS * HEAD_DIM);
        for (int i = 0; i < keyFrames; i++) {
            pages.set(i);
            ops.append(cache, page, page, pages);
        }
        pages.set(IntStream.range(0, keyFrames).toArray());
    }

    @Benchmark
    public Tensor attention() {
        try (wan.op.Scope _ = ops.scope()) {
            return ops.attention(q, cache, pages, FRAME, FRAME, AttentionTap.NONE);
        }
    }

    @TearDown
    public void tearDown() {
        operands.close();
        ops.close();
    }
}
