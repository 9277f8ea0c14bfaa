package wan.jvm;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import wan.jvm.onednn.OneDnnTest;
import wan.op.AttentionTap;
import wan.op.CachePart;
import wan.op.Dyn;
import wan.op.Grid;
import wan.op.KvTensor;
import wan.op.Linear;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;

/** Every operation against the reference, within the tolerances that its golden files state. */
class JvmOpsGoldenTest {
    private static final int DIM = 48;
    private static final int HEADS = 2;
    private static final int HEAD_DIM = 24;
    private static final int S = 6;
    private static final Grid THREE_FRAMES = new Grid(3, 2, 3);
    private static final float EPS = 1e-6f;

    /** What the tests of one backend share. */
    private record Bench(JvmOps ops) implements AutoCloseable {
        static Bench of(JvmOptions.Kind kernels) {
            OneDnnTest.assumeThere(kernels);
            return new Bench(new JvmOps(new JvmOptions(2, kernels)));
        }

        Tensor input(String name, long... dims) {
            Tensor tensor = ops.scratch(Shape.of(dims));
            ops.write(tensor, Golden.values(name));
            return tensor;
        }

        Linear linear(String name) {
            return ops.linearWeights(
                    Golden.view("weights." + name + ".weight"), Golden.view("weights." + name + ".bias"));
        }

        Tensor weight(String name) {
            return ops.parameter(Golden.view("weights." + name));
        }

        Dyn dyn(int... values) {
            Dyn dyn = new Dyn("test", Math.max(1, values.length));
            dyn.set(values);
            return dyn;
        }

        @Override
        public void close() {
            ops.close();
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"SCALAR", "VECTOR", "ONEDNN_F32"})
    void rmsNorm_matchesReference(JvmOptions.Kind kernels) {
        try (Bench b = Bench.of(kernels);
                Scope _ = b.ops.scope()) {
            Tensor y =
                    b.ops.rmsNorm(b.input("rmsnorm.x", 10, DIM), b.ops.parameter(Golden.view("rmsnorm.weight")), EPS);
            Golden.check(b.ops.read(y), "rmsnorm.out", 3e-6);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"SCALAR", "VECTOR", "ONEDNN_F32"})
    void layerNorm_matchesReference(JvmOptions.Kind kernels) {
        try (Bench b = Bench.of(kernels);
                Scope _ = b.ops.scope()) {
            Tensor x = b.input("layernorm.x", 10, DIM);
            Tensor weight = b.ops.parameter(Golden.view("layernorm.weight"));
            Tensor bias = b.ops.parameter(Golden.view("layernorm.bias"));
            Golden.check(b.ops.read(b.ops.layerNorm(x, weight, bias, EPS)), "layernorm.affine.out", 1e-5);
            Tensor zeros = b.ops.scratch(Shape.of(1, 2, DIM));
            b.ops.write(zeros, new float[2 * DIM]);
            Golden.check(b.ops.read(b.ops.layerNormModulate(x, zeros, 0, 1, EPS)), "layernorm.plain.out", 1e-5);
        }
    }

    @ParameterizedTest
    @CsvSource({"SCALAR,128", "SCALAR,24", "SCALAR,20", "VECTOR,128", "VECTOR,24", "VECTOR,20"})
    void rope_matchesReference(JvmOptions.Kind kernels, int headDim) {
        try (Bench b = Bench.of(kernels);
                Scope _ = b.ops.scope()) {
            for (int start : new int[] {0, 5}) {
                Tensor x = b.input("rope." + headDim + ".x", 36, 2L * headDim);
                b.ops.rope(x, 2, THREE_FRAMES, b.dyn(start, start + 1, start + 2));
                Golden.check(b.ops.read(x), "rope." + headDim + ".start" + start + ".out", 5e-7);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"SCALAR", "VECTOR", "ONEDNN_F32"})
    void silu_matchesReference(JvmOptions.Kind kernels) {
        try (Bench b = Bench.of(kernels);
                Scope _ = b.ops.scope()) {
            Golden.check(b.ops.read(b.ops.silu(b.input("silu.x", 250))), "silu.out", 3e-6);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"SCALAR", "VECTOR", "ONEDNN_F32"})
    void linearGelu_matchesReference_whenTheWeightIsOne(JvmOptions.Kind kernels) {
        try (Bench b = Bench.of(kernels);
                Scope _ = b.ops.scope()) {
            Linear one = b.ops.linearWeights(
                    Tensors.f32("one", new float[] {1}, 1, 1), Tensors.f32("bias", new float[1], 1));
            Golden.check(b.ops.read(b.ops.linearGelu(b.input("gelu_tanh.x", 250, 1), one)), "gelu_tanh.out", 3e-6);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"SCALAR", "VECTOR", "ONEDNN_F32"})
    void patchify_matchesReference_whenProjected(JvmOptions.Kind kernels) {
        try (Bench b = Bench.of(kernels);
                Scope _ = b.ops.scope()) {
            Tensor patches = b.ops.patchify(latents(b));
            Golden.check(b.ops.read(b.ops.linear(patches, b.linear("patch_embedding"))), "patch.tokens.out", 1e-5);
        }
    }

    /** {@code patch.x} is [B, C, F, H, W]; the operation takes [B, F, C, H, W]. */
    private static Tensor latents(Bench b) {
        float[] x = Golden.values("patch.x");
        float[] turned = swapAxes(x, 2, 16, 3, 24);
        Tensor tensor = b.ops.scratch(Shape.of(2, 3, 16, 4, 6));
        b.ops.write(tensor, turned);
        return tensor;
    }

    /** [a, b, c, d] to [a, c, b, d]. */
    private static float[] swapAxes(float[] x, int a, int b, int c, int d) {
        float[] out = new float[x.length];
        for (int i = 0; i < a; i++) {
            for (int j = 0; j < b; j++) {
                for (int k = 0; k < c; k++) {
                    System.arraycopy(x, ((i * b + j) * c + k) * d, out, ((i * c + k) * b + j) * d, d);
                }
            }
        }
        return out;
    }

    @ParameterizedTest
    @EnumSource(names = {"SCALAR", "VECTOR", "ONEDNN_F32"})
    void unpatchify_matchesReference(JvmOptions.Kind kernels) {
        try (Bench b = Bench.of(kernels);
                Scope _ = b.ops.scope()) {
            Tensor latents = b.ops.unpatchify(b.input("unpatch.x", 36, 64), THREE_FRAMES);
            assertThat(latents.shape()).isEqualTo(Shape.of(2, 3, 16, 4, 6));
            Golden.check(swapAxes(b.ops.read(latents), 2, 3, 16, 24), "unpatch.out", 0);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"SCALAR", "VECTOR", "ONEDNN_F32"})
    void time_matchesReference(JvmOptions.Kind kernels) {
        try (Bench b = Bench.of(kernels);
                Scope _ = b.ops.scope()) {
            // The sinusoid is the model's business; its golden values at other times cannot feed this. Computed here in
            // double.
            float[] t = Golden.values("time.t");
            float[] sinusoid = new float[t.length * 32];
            for (int i = 0; i < sinusoid.length; i++) {
                double angle = t[i / 32] * Math.pow(10_000, -(i % 16) / 16.0);
                sinusoid[i] = (float) (i % 32 < 16 ? Math.cos(angle) : Math.sin(angle));
            }
            Tensor x = b.ops.scratch(Shape.of(t.length, 32));
            b.ops.write(x, sinusoid);
            Tensor e = b.ops.linear(
                    b.ops.silu(b.ops.linear(x, b.linear("time_embedding.0"))), b.linear("time_embedding.2"));
            Golden.check(b.ops.read(e), "time.e.out", 3e-6);
            Golden.check(b.ops.read(b.ops.linear(b.ops.silu(e), b.linear("time_projection.1"))), "time.e0.out", 3e-6);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"SCALAR", "VECTOR", "ONEDNN_F32"})
    void textAndFfn_matchReference(JvmOptions.Kind kernels) {
        try (Bench b = Bench.of(kernels);
                Scope _ = b.ops.scope()) {
            Tensor text = b.ops.linearGelu(b.input("text.x", 14, 20), b.linear("text_embedding.0"));
            Golden.check(b.ops.read(b.ops.linear(text, b.linear("text_embedding.2"))), "text.out", 3e-6);
            Tensor ffn = b.ops.linearGelu(b.input("ffn.x", 12, DIM), b.linear("blocks.0.ffn.0"));
            Golden.check(b.ops.read(b.ops.linear(ffn, b.linear("blocks.0.ffn.2"))), "ffn.out", 3e-6);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"SCALAR", "VECTOR", "ONEDNN_F32"})
    void head_matchesReference(JvmOptions.Kind kernels) {
        try (Bench b = Bench.of(kernels);
                Scope _ = b.ops.scope()) {
            Tensor m = b.ops.modulation(b.weight("head.modulation"), b.input("head.e", 6, DIM));
            Tensor x = b.ops.layerNormModulate(b.input("head.x", 36, DIM), m, 0, 1, EPS);
            Golden.check(b.ops.read(b.ops.linear(x, b.linear("head.head"))), "head.out", 1e-5);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"SCALAR", "VECTOR", "ONEDNN_F32"})
    void attention_matchesReference_withLogitsAndMass(JvmOptions.Kind kernels) {
        try (Bench b = Bench.of(kernels);
                Scope _ = b.ops.scope()) {
            KvTensor cache = b.ops.kvCache(2, 1, 2 * S, HEADS, HEAD_DIM);
            b.ops.append(cache, b.input("attention.k", 24, DIM), b.input("attention.v", 24, DIM), b.dyn(0));
            // Key groups of one token: frame mass is then the weight of each key, mean over the queries of a group.
            RecordingTap tap = new RecordingTap(new int[] {0, 1}, Quantity.TOKEN_LOGITS, Quantity.FRAME_MASS);
            Tensor y = b.ops.attention(b.input("attention.q", 12, DIM), cache, b.dyn(0), 1, 1, tap);
            Golden.check(b.ops.read(y), "attention.out", 3e-6);
            Golden.check(tap.tokenLogits(2, S, 2 * S), "attention.logits.out", 3e-6);
            Golden.check(tap.values(Quantity.FRAME_MASS), "attention.probs.out", 3e-6);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"SCALAR", "VECTOR", "ONEDNN_F32"})
    void selfAttention_matchesReference_overThreeCallsOfOneCache(JvmOptions.Kind kernels) {
        try (Bench b = Bench.of(kernels);
                Scope _ = b.ops.scope()) {
            KvTensor cache = b.ops.kvCache(2, 3, S, HEADS, HEAD_DIM);
            int[][] pages = {{0}, {1, 2}, {1, 2}};
            for (int call = 1; call <= 3; call++) {
                int frames = pages[call - 1].length;
                Grid grid = new Grid(frames, 2, 3);
                Tensor x = b.input("self_attn.call" + call + ".x", 2L * frames * S, DIM);
                Tensor q = projected(b, x, "q");
                Tensor k = projected(b, x, "k");
                Tensor v = b.ops.linear(x, b.linear("blocks.0.self_attn.v"));
                Dyn positions = b.dyn(pages[call - 1]);
                b.ops.rope(q, HEADS, grid, positions);
                b.ops.rope(k, HEADS, grid, positions);
                b.ops.append(cache, k, v, b.dyn(pages[call - 1]));
                Dyn attended = call == 1 ? b.dyn(0) : b.dyn(0, 1, 2);
                Tensor y = b.ops.attention(q, cache, attended, S, S, AttentionTap.NONE);
                Golden.check(
                        b.ops.read(b.ops.linear(y, b.linear("blocks.0.self_attn.o"))),
                        "self_attn.call" + call + ".out",
                        6e-6);
            }
            Golden.check(b.ops.readPages(cache, CachePart.KEYS, new int[] {0, 1, 2}), "self_attn.cache.k.out", 6e-6);
            Golden.check(b.ops.readPages(cache, CachePart.VALUES, new int[] {0, 1, 2}), "self_attn.cache.v.out", 6e-6);
        }
    }

    private static Tensor projected(Bench b, Tensor x, String which) {
        return b.ops.rmsNorm(
                b.ops.linear(x, b.linear("blocks.0.self_attn." + which)),
                b.weight("blocks.0.self_attn.norm_" + which + ".weight"),
                EPS);
    }

    @ParameterizedTest
    @EnumSource(names = {"SCALAR", "VECTOR", "ONEDNN_F32"})
    void crossAttention_matchesReference(JvmOptions.Kind kernels) {
        try (Bench b = Bench.of(kernels);
                Scope _ = b.ops.scope()) {
            String at = "blocks.0.cross_attn.";
            Tensor context = b.input("cross_attn.context", 14, DIM);
            Tensor k = b.ops.rmsNorm(b.ops.linear(context, b.linear(at + "k")), b.weight(at + "norm_k.weight"), EPS);
            KvTensor cache = b.ops.kvCache(2, 1, 7, HEADS, HEAD_DIM);
            b.ops.append(cache, k, b.ops.linear(context, b.linear(at + "v")), b.dyn(0));
            Tensor x = b.input("cross_attn.x", 24, DIM);
            Tensor q = b.ops.rmsNorm(b.ops.linear(x, b.linear(at + "q")), b.weight(at + "norm_q.weight"), EPS);
            Tensor y = b.ops.attention(q, cache, b.dyn(0), S, 1, AttentionTap.NONE);
            Golden.check(b.ops.read(b.ops.linear(y, b.linear(at + "o"))), "cross_attn.out", 6e-6);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"SCALAR", "VECTOR", "ONEDNN_F32"})
    void gatedResidual_matchesReference_whenTheGateIsOne(JvmOptions.Kind kernels) {
        // x + ffn(...) * m with a residual of zeros and a gate row of ones.
        try (Bench b = Bench.of(kernels);
                Scope _ = b.ops.scope()) {
            Tensor ffn = b.ops.linearGelu(b.input("ffn.x", 12, DIM), b.linear("blocks.0.ffn.0"));
            Tensor residual = b.ops.scratch(Shape.of(12, DIM));
            b.ops.write(residual, new float[12 * DIM]);
            Tensor gates = b.ops.scratch(Shape.of(2, 3, DIM));
            float[] ones = new float[6 * DIM];
            Arrays.fill(ones, DIM, 2 * DIM, 1);
            Arrays.fill(ones, 4 * DIM, 5 * DIM, 1);
            b.ops.write(gates, ones);
            b.ops.linearGatedResidual(residual, ffn, b.linear("blocks.0.ffn.2"), gates, 1);
            Golden.check(b.ops.read(residual), "ffn.out", 3e-6);
        }
    }
}
