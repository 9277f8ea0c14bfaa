package wan.jvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import wan.jvm.kernel.Workers;
import wan.op.AttentionTap;
import wan.op.Dyn;
import wan.op.Grid;
import wan.op.KvTensor;
import wan.op.Linear;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.UsageException;
import wan.op.WanException;

/** What is refused and with which words; scopes, threads and interrupts. */
class JvmOpsTest {
    private final JvmOps ops = new JvmOps(new JvmOptions(2, JvmOptions.Kind.AUTO));
    private final Dyn page0 = new Dyn("pages", 4);

    JvmOpsTest() {
        page0.set(0);
    }

    @AfterEach
    void close() {
        ops.close();
    }

    private Tensor zeros(long... dims) {
        Tensor tensor = ops.scratch(Shape.of(dims));
        ops.write(tensor, new float[tensor.shape().intSize()]);
        return tensor;
    }

    private Linear weights(int out, int in) {
        return ops.linearWeights(
                Tensors.f32("blocks.3.ffn.0.weight", new float[out * in], out, in),
                Tensors.f32("b", new float[out], out));
    }

    @Test
    void linear_namesTheParameters_whenShapesDoNotFit() {
        try (Scope _ = ops.scope()) {
            assertThatThrownBy(() -> ops.linear(zeros(2, 5), weights(3, 4)))
                    .isInstanceOf(WanException.class)
                    .hasMessage("linear blocks.3.ffn.0.weight: expected x [R, 4], got [2, 5]");
            assertThatThrownBy(() -> ops.linearResidual(zeros(2, 4), zeros(2, 4), weights(3, 4)))
                    .hasMessage("linearResidual blocks.3.ffn.0.weight: expected [2, 3], got [2, 4]");
            assertThatThrownBy(
                            () -> ops.linearGatedResidual(zeros(4, 3), zeros(4, 4), weights(3, 4), zeros(3, 6, 3), 2))
                    .hasMessage(
                            "linearGatedResidual modulation: expected [E, rows, 3] with E a divisor of 4, got [3, 6, 3]");
            assertThatThrownBy(
                            () -> ops.linearGatedResidual(zeros(4, 3), zeros(4, 4), weights(3, 4), zeros(2, 6, 3), 6))
                    .hasMessage("linearGatedResidual modulation: expected a row below 6, got 6");
            Tensor square = zeros(4, 4);
            assertThatThrownBy(() -> ops.linearResidual(square, square, weights(4, 4)))
                    .hasMessageContaining("same tensor");
        }
        assertThatThrownBy(() ->
                        ops.linearWeights(Tensors.f32("w", new float[6], 2, 3), Tensors.f32("b", new float[3], 3)))
                .hasMessage("linear b: expected [2], got [3]");
    }

    @Test
    void rowOperations_nameThemselves_whenShapesDoNotFit() {
        try (Scope _ = ops.scope()) {
            assertThatThrownBy(() -> ops.rmsNorm(zeros(2, 4), zeros(5), 1e-6f))
                    .hasMessage("rmsNorm weight: expected [4], got [5]");
            assertThatThrownBy(() -> ops.layerNorm(zeros(2, 4), zeros(4), zeros(3), 1e-6f))
                    .hasMessage("layerNorm bias: expected [4], got [3]");
            assertThatThrownBy(() -> ops.layerNormModulate(zeros(3, 4), zeros(2, 2, 4), 0, 1, 1e-6f))
                    .hasMessageStartingWith(
                            "layerNormModulate modulation: expected [E, rows, 4] with E a divisor of 3");
            assertThatThrownBy(() -> ops.modulation(zeros(1, 6, 4), zeros(2, 5)))
                    .hasMessage("modulation: expected embedding [E, 24] or [E, 4], got [2, 5]");
            assertThatThrownBy(() -> ops.rope(zeros(5, 8), 2, new Grid(1, 2, 3), page0))
                    .hasMessageStartingWith("rope: expected a multiple of 6 rows");
            assertThatThrownBy(() -> ops.patchify(zeros(1, 1, 4, 3, 4))).hasMessageStartingWith("patchify: expected");
            assertThatThrownBy(() -> ops.unpatchify(zeros(6, 6), new Grid(1, 2, 3)))
                    .hasMessageStartingWith("unpatchify: ");
            assertThatThrownBy(() -> ops.write(zeros(2, 2), new float[3]))
                    .hasMessage("write: expected 4 values for [2, 2], got 3");
        }
    }

    @Test
    void attention_saysWhatIsWrong_whenPagesOrGroupsAre() {
        KvTensor cache = ops.kvCache(1, 2, 6, 2, 4);
        try (Scope _ = ops.scope()) {
            Tensor q = zeros(6, 8);
            assertThatThrownBy(() -> ops.attention(q, cache, page0, 6, 6, AttentionTap.NONE))
                    .hasMessage("kv cache: page 0 of sample 0 has not been written");
            ops.append(cache, zeros(6, 8), zeros(6, 8), page0);
            assertThatThrownBy(() -> ops.attention(q, cache, page0, 4, 6, AttentionTap.NONE))
                    .hasMessage("attention: expected Lq a multiple of 4, got 6");
            assertThatThrownBy(() -> ops.attention(q, cache, page0, 6, 4, AttentionTap.NONE))
                    .hasMessage("attention: expected a key group that divides 6, got 4");
            assertThatThrownBy(() -> ops.attention(q, cache, new Dyn("none", 1), 6, 6, AttentionTap.NONE))
                    .hasMessageStartingWith("attention: expected at least one page");
            RecordingTap badHeads = new RecordingTap(new int[] {1, 2}, Quantity.FRAME_LOGITS);
            assertThatThrownBy(() -> ops.attention(q, cache, page0, 6, 6, badHeads))
                    .hasMessage("attention tap: expected ascending heads below 2, got [1, 2]");
            Dyn outside = new Dyn("pages", 1);
            outside.set(2);
            assertThatThrownBy(() -> ops.append(cache, zeros(6, 8), zeros(6, 8), outside))
                    .hasMessage("kv cache: expected a page below 2, got 2");
            assertThatThrownBy(() -> ops.append(cache, zeros(5, 8), zeros(6, 8), page0))
                    .hasMessage("append k: expected [6, 8], got [5, 8]");
            ops.release(cache);
            assertThatThrownBy(() -> ops.attention(q, cache, page0, 6, 6, AttentionTap.NONE))
                    .hasMessage("kv cache: used after it was released");
        }
    }

    @Test
    void kvCache_touchesNoMemory_beforeAPageIsWritten() {
        // 12 TB: only possible because nothing is allocated.
        KvTensor cache = ops.kvCache(1, 1_000_000, 1560, 12, 128);
        assertThat(cache.pages()).isEqualTo(1_000_000);
    }

    @Test
    void tensor_isRefused_whenItsScopeIsClosed() {
        Tensor tensor;
        try (Scope _ = ops.scope()) {
            tensor = zeros(2, 2);
        }
        assertThatThrownBy(() -> ops.silu(tensor))
                .hasMessage("silu: a tensor [2, 2] is used after its scope was closed");
        assertThatThrownBy(() -> ops.scratch(Shape.of(1))).hasMessage("scratch: no scope is open");
    }

    /** Passes that grow with the video, as a policy's keys do, leave nothing behind; what comes again in every second pass stays. */
    @Test
    void scratchPool_letsGoOfLengths_thatAreNotAskedForAnyMore() {
        List<Integer> made = new ArrayList<>();
        List<Integer> gone = new ArrayList<>();
        ScratchPool pool = new ScratchPool(
                length -> {
                    made.add(length);
                    return new float[length];
                },
                gone::add);
        for (int pass = 1; pass <= 30; pass++) {
            try (Scope _ = pool.scope()) {
                HeapTensor _ = pool.take(Shape.of(100 + pass), "test");
                HeapTensor _ = pool.take(Shape.of(pass % 2 == 0 ? 5 : 7), "test");
            }
        }
        assertThat(made).containsOnlyOnce(5, 7).hasSize(32);
        assertThat(gone)
                .containsExactlyElementsOf(
                        IntStream.rangeClosed(101, 122).boxed().toList());
    }

    @Test
    void scope_givesItsArraysToTheNext_whenClosed() {
        ScratchPool pool = new ScratchPool(float[]::new, _ -> {});
        Scope outer = pool.scope();
        float[] first;
        try (Scope _ = pool.scope()) {
            first = pool.take(Shape.of(3, 4), "test").values("test");
        }
        assertThat(pool.take(Shape.of(4, 3), "test").values("test")).isSameAs(first);
        Scope abandoned = pool.scope();
        HeapTensor inner = pool.take(Shape.of(5), "test");
        outer.close();
        assertThatThrownBy(() -> inner.values("test")).isInstanceOf(WanException.class);
        abandoned.close(); // nothing left to do
        assertThatThrownBy(() -> pool.take(Shape.of(1), "test")).hasMessage("test: no scope is open");
    }

    @Test
    void operation_throwsCancellation_whenTheThreadIsInterrupted() {
        try (Scope _ = ops.scope()) {
            Tensor x = zeros(2, 4);
            Thread.currentThread().interrupt();
            assertThatThrownBy(() -> ops.silu(x)).isInstanceOf(CancellationException.class);
            assertThat(Thread.currentThread().isInterrupted()).isFalse();
            assertThat(ops.read(ops.silu(x))).containsOnly(0);
        }
    }

    @Test
    void options_refuseNoThreads() {
        assertThatThrownBy(() -> new JvmOptions(0, JvmOptions.Kind.AUTO)).isInstanceOf(UsageException.class);
    }

    @Test
    void workers_runEveryTaskOnce_andNeverTwoOnOneWorker() {
        try (Workers workers = new Workers(3)) {
            for (int round = 0; round < 200; round++) {
                Set<Integer> done = ConcurrentHashMap.newKeySet();
                AtomicInteger[] busy = {new AtomicInteger(), new AtomicInteger(), new AtomicInteger()};
                workers.run(50, (task, worker) -> {
                    assertThat(busy[worker].incrementAndGet()).isEqualTo(1);
                    assertThat(done.add(task)).isTrue();
                    busy[worker].decrementAndGet();
                });
                assertThat(done).hasSize(50);
            }
        }
    }

    @Test
    void workers_throwWhatATaskThrew_andGoOn() {
        try (Workers workers = new Workers(2)) {
            assertThatThrownBy(() -> workers.run(100, (task, _) -> {
                        if (task == 57) {
                            throw new WanException("task 57");
                        }
                    }))
                    .hasMessage("task 57");
            AtomicInteger sum = new AtomicInteger();
            workers.run(100, (task, _) -> sum.addAndGet(task));
            assertThat(sum.get()).isEqualTo(4950);
        }
    }

    @Test
    void ranges_coverEverythingOnce() {
        try (Workers workers = new Workers(2)) {
            for (int items : new int[] {0, 1, 7, 8, 100, 1001}) {
                AtomicInteger covered = new AtomicInteger();
                workers.ranges(items, 8, (from, to) -> covered.addAndGet(to - from));
                assertThat(covered.get()).isEqualTo(items);
            }
        }
    }
}
