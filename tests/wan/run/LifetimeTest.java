package wan.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.Goldens;
import wan.file.Safetensors;
import wan.file.TensorStore;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.jvm.onednn.OneDnnStatus;
import wan.model.WanModel;
import wan.op.HostTensor;
import wan.op.KvTensor;
import wan.op.Linear;
import wan.op.ObservedOps;
import wan.op.Ops;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;
import wan.pass.PassId;
import wan.pass.PassRunner;
import wan.sampling.CausalSampler;
import wan.sampling.RunListener;
import wan.sampling.RunPlan;

/** What a long-lived program keeps of runs that are over: nothing, however they ended. */
class LifetimeTest {
    private static final Path MODEL = Goldens.path("model-tiny");
    private static final Path ROLLOUT = Goldens.path("rollout-a");

    /** What of the process a run could leave behind. */
    private record Held(long threads, long descriptors, long maps, long residentKib) {
        static Held now() throws IOException {
            long threads = Thread.getAllStackTraces().keySet().stream()
                    .filter(thread -> thread.getName().startsWith("wan-"))
                    .count();
            long maps;
            long resident;
            try (Stream<String> lines = Files.lines(Path.of("/proc/self/maps"))) {
                maps = lines.filter(line -> line.contains(".safetensors")).count();
            }
            try (Stream<String> lines = Files.lines(Path.of("/proc/self/status"))) {
                resident = Long.parseLong(lines.filter(line -> line.startsWith("VmRSS:"))
                        .findFirst()
                        .orElseThrow()
                        .replaceAll("\\D", ""));
            }
            try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
                return new Held(threads, open.count(), maps, resident);
            }
        }
    }

    /** Fails after some operations, and counts the caches that are not released. */
    private static final class Failing extends ObservedOps {
        private int left;
        private int caches;

        Failing(Ops ops, int operations) {
            super(ops);
            left = operations;
        }

        @Override
        protected Tensor observe(String op, double flops, Supplier<Tensor> call) {
            if (left-- == 0) {
                throw new WanException(op + ": out of luck");
            }
            return call.get();
        }

        @Override
        public KvTensor kvCache(int batch, int pages, int pageTokens, int numHeads, int headDim) {
            caches++;
            return super.kvCache(batch, pages, pageTokens, numHeads, headDim);
        }

        @Override
        public void release(KvTensor cache) {
            caches--;
            super.release(cache);
        }
    }

    private static JvmOptions.Kind kernels(int run) {
        boolean oneDnn = OneDnnStatus.find().isThere();
        return oneDnn && run % 3 == 1
                ? JvmOptions.Kind.ONEDNN_F32
                : run % 3 == 2 ? JvmOptions.Kind.SCALAR : JvmOptions.Kind.AUTO;
    }

    /** One rollout of two frame blocks; every other one fails somewhere. */
    private static void run(int number, Path folder) {
        try (Safetensors file = Safetensors.open(MODEL);
                Goldens golden = Goldens.open("rollout-a");
                Replay replay = Replay.open(ROLLOUT);
                Failing ops = new Failing(
                        new JvmOps(new JvmOptions(3, kernels(number))), number % 2 == 0 ? -1 : 7 * number)) {
            WanModel model = new WanModel(
                    Goldens.modelConfig(golden.config().get("model_config")), (name, _) -> file.tensor(name), ops);
            RunPlan plan = RunPlan.of(replay.settings(), 4).endingAt(PassId.parse("block1.step0"), 2);
            CausalSampler sampler = new CausalSampler(plan, replay, null);
            try (PassRunner runner = sampler.open(model, replay.promptEmbeds())) {
                HostTensor _ = sampler.run(runner, RunListener.NONE);
            } catch (WanException e) {
                assertThat(e).hasMessageEndingWith("out of luck");
            }
            assertThat(ops.caches).isZero();
        }
        Path missing = folder.resolve("none.safetensors");
        assertThatThrownBy(() -> TensorStore.open(missing)).isInstanceOf(WanException.class);
        assertThatThrownBy(() -> TensorStore.open(folder.resolve("broken.safetensors")))
                .isInstanceOf(WanException.class);
        assertThatThrownBy(() -> new JvmOptions(0, JvmOptions.Kind.AUTO)).isInstanceOf(WanException.class);
        if (!OneDnnStatus.find().isThere()) {
            assertThatThrownBy(() -> new JvmOps(new JvmOptions(5, JvmOptions.Kind.ONEDNN_F32)))
                    .isInstanceOf(WanException.class);
        }
    }

    @Test
    void twoHundredRuns_leaveNothingBehind(@TempDir Path folder) throws IOException {
        assumeTrue(Files.exists(Path.of("/proc/self/maps")), "only Linux says what a process holds");
        Files.write(folder.resolve("broken.safetensors"), new byte[] {9, 0, 0, 0, 0, 0, 0, 0, '{'});
        for (int i = 0; i < 60; i++) { // until the JIT has compiled what it will
            run(i, folder);
        }
        System.gc();
        Held before = Held.now();
        for (int i = 0; i < 200; i++) {
            run(i, folder);
        }
        System.gc();
        Held after = Held.now();
        assertThat(after.threads).as("threads").isEqualTo(before.threads);
        assertThat(after.descriptors).as("descriptors").isLessThanOrEqualTo(before.descriptors + 2);
        assertThat(after.maps).as("mapped files").isEqualTo(before.maps);
        assertThat(after.residentKib).as("resident KiB").isLessThan(before.residentKib + 100 * 1024);
    }

    @Test
    void close_isHarmless_whenItIsDoneTwice() {
        for (int i = 0; i < 3; i++) {
            JvmOps ops = new JvmOps(new JvmOptions(3, kernels(i)));
            Scope scope = ops.scope();
            Tensor x = ops.scratch(Shape.of(40, 32));
            ops.write(x, new float[40 * 32]);
            Linear linear = ops.linearWeights(
                    wan.jvm.Tensors.f32("w", new float[32 * 32], 32, 32), wan.jvm.Tensors.f32("b", new float[32], 32));
            Tensor _ = ops.linear(x, linear);
            KvTensor cache = ops.kvCache(1, 1, 4, 1, 32);
            ops.release(cache);
            ops.release(cache);
            scope.close();
            scope.close();
            ops.close();
            ops.close();
            assertThatThrownBy(() -> {
                        try (Scope _ = ops.scope()) {
                            Tensor y = ops.scratch(Shape.of(40, 32));
                            Tensor _ = ops.linear(y, linear);
                        }
                    })
                    .isInstanceOf(WanException.class)
                    .hasMessageContaining("closed");
        }
        Safetensors file = Safetensors.open(MODEL);
        file.close();
        file.close();
        Replay replay = Replay.open(ROLLOUT);
        replay.close();
        replay.close();
    }

    @Test
    void constructor_leavesNoThread_whenItFails() {
        assumeTrue(!OneDnnStatus.find().isThere(), "needs kernels that are not there");
        long before = workers();
        assertThatThrownBy(() -> new JvmOps(new JvmOptions(9, JvmOptions.Kind.ONEDNN_BF16)))
                .isInstanceOf(WanException.class);
        assertThat(workers()).isEqualTo(before);
    }

    private static long workers() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().startsWith("wan-worker"))
                .count();
    }
}
