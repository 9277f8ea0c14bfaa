package wan.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import wan.Goldens;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.op.CachePart;
import wan.op.Dyn;
import wan.op.Grid;
import wan.op.HostTensor;
import wan.op.KvTensor;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TracingOps;

/** The parts of the model against the reference: embeddings, head, one layer over three calls, and the insides of one pass. */
class ModelGoldenTest {
    private static final double TEXT_AND_TIME = 3e-6;
    private static final double PATCH_AND_HEAD = 1e-5;
    private static final double LAYER = 6e-6;

    private final Goldens golden = Goldens.open("ops");
    private final Ops ops = new JvmOps(new JvmOptions(2, JvmOptions.Kind.AUTO));
    private final WanConfig config = Goldens.modelConfig(golden.config());
    private final WanModel model =
            new WanModel(config, (name, shape) -> golden.weights().get("weights." + name, shape), ops);
    private Scope scope = ops.scope();

    @BeforeEach
    void open() {
        scope = ops.scope();
    }

    @AfterEach
    void close() {
        scope.close();
        ops.close();
        golden.close();
    }

    @Test
    void sinusoid_matchesTheReference() {
        for (int freqDim : List.of(32, 256)) {
            float[] actual = Sinusoid.embed(golden.get("sinusoid.t").values(), freqDim);
            String name = "sinusoid." + freqDim + ".out";
            golden.assertMatches(name, new HostTensor(Shape.of(16, freqDim), actual), 5e-7);
        }
    }

    @Test
    void timeEmbedding_matchesTheReference_withATimestepPerFrame() {
        Tensor e = model.timeEmbedding(golden.get("time.t").values());
        assertMatches("time.e.out", e, TEXT_AND_TIME);
        assertMatches("time.e0.out", model.timeProjection(e), TEXT_AND_TIME);
    }

    @Test
    void embedText_matchesTheReference_paddingIncluded() {
        assertMatches("text.out", model.embedText(golden.get("text.x")), TEXT_AND_TIME);
    }

    @Test
    void embedPatches_matchesTheReference() {
        HostTensor x = golden.get("patch.x"); // [B, C, F, H, W], the model proper's order
        assertMatches("patch.tokens.out", model.embedPatches(framesFirst(x)), PATCH_AND_HEAD);
    }

    @Test
    void head_matchesTheReference() {
        assertMatches("head.out", model.head(tensor("head.x"), tensor("head.e")), PATCH_AND_HEAD);
    }

    @Test
    void layer_matchesTheReference_overThreeCallsOfOneCache() {
        WanLayer layer =
                new WanLayer(0, config, (name, shape) -> golden.weights().get("weights." + name, shape), ops);
        int rows = golden.config().get("grid").get(0).asInt();
        int columns = golden.config().get("grid").get(1).asInt();
        KvTensor context = layer.encodeContext(tensor("block.context"));
        KvTensor cache = model.newFrameCache(2, 3, rows * columns);
        int[][] frames = {{0}, {1, 2}, {1, 2}};
        for (int call = 1; call <= 3; call++) {
            String name = "block.call" + call;
            int[] written = frames[call - 1];
            Dyn pages = new Dyn("written", 3);
            pages.set(written);
            Dyn attended = new Dyn("attended", 3);
            attended.set(call == 1 ? new int[] {0} : new int[] {0, 1, 2});
            Tensor x = tensor(name + ".x");
            layer.forward(
                    x,
                    tensor(name + ".e0"),
                    new Step(new Grid(written.length, rows, columns), pages, pages, attended),
                    cache,
                    context,
                    null,
                    null,
                    PassObserver.NONE);
            assertMatches(name + ".out", x, LAYER);
        }
        int[] all = {0, 1, 2};
        assertValues("block.cache.k.out", ops.readPages(cache, CachePart.KEYS, all), LAYER);
        assertValues("block.cache.v.out", ops.readPages(cache, CachePart.VALUES, all), LAYER);
    }

    @Test
    void forward_matchesTheReferencesInsides_inOnePassOfARollout() {
        try (Goldens rollout = Goldens.open("rollout-a");
                Goldens parameters = Goldens.open("model-tiny");
                TracingOps traced = new TracingOps(new JvmOps(new JvmOptions(2, JvmOptions.Kind.AUTO)))) {
            WanConfig sizes = Goldens.modelConfig(rollout.config().get("model_config"));
            WanModel tiny = new WanModel(sizes, parameters.weights(), traced);
            int s = rollout.config().get("frame_seq_length").asInt();
            Caches caches = new Caches(new ArrayList<>(), tiny.encodeContext(rollout.get("prompt_embeds"), 4));
            for (int i = 0; i < 4; i++) {
                caches.frames().add(tiny.newFrameCache(1, 4, s));
            }
            // Frame 0 as its context pass leaves it, then the pass that the reference recorded.
            HostTensor first = rollout.get("block0.ctx.in");
            Step step = step(0, 1);
            HostTensor _ = tiny.forward(first, new float[] {0}, step, caches, PassObserver.NONE);

            List<String> order = List.of(
                    "patch_embedding",
                    "layer0.norm_q",
                    "layer0.norm_k",
                    "layer0.roped_q",
                    "layer0.roped_k",
                    "time_embedding",
                    "time_projection",
                    "head");
            List<String> seen = new ArrayList<>();
            Insides insides = new Insides(rollout, traced, seen);
            traced.onResult(insides::result);
            HostTensor latents = rollout.get("block1.step0.in");
            HostTensor flow = tiny.forward(
                    latents, rollout.get("block1.step0.t").values(), step(1, 3), caches, PassObserver.NONE);
            traced.onResult((op, result) -> {});
            rollout.assertMatches("block1.step0.flow", flow, Goldens.ROLLOUT);
            assertThat(seen).containsAll(order);
            for (int i = 0; i < 4; i++) {
                assertThat(seen)
                        .contains("layer" + i + ".self_attn", "layer" + i + ".cross_attn", "layer" + i + ".ffn");
            }
        }
    }

    private static Step step(int firstFrame, int frames) {
        int[] written = new int[frames];
        Arrays.setAll(written, i -> firstFrame + i);
        Dyn pages = new Dyn("written", 4);
        pages.set(written);
        int[] attended = new int[firstFrame + frames];
        Arrays.setAll(attended, i -> i);
        Dyn all = new Dyn("attended", 4);
        all.set(attended);
        return new Step(new Grid(frames, 2, 3), pages, pages, all);
    }

    /** Recognises the recorded activations by the order of the operations that make them. */
    private static final class Insides {
        private final Goldens rollout;
        private final Ops ops;
        private final List<String> seen;
        private int linears;
        private int norms;
        private int ropes;
        private int gated;
        private int plain;
        private boolean afterPatchify;

        Insides(Goldens rollout, Ops ops, List<String> seen) {
            this.rollout = rollout;
            this.ops = ops;
            this.seen = seen;
        }

        void result(String op, Tensor result) {
            switch (op) {
                case "patchify" -> afterPatchify = true;
                case "linear" -> {
                    linears++;
                    if (linears == 2) {
                        check("time_embedding", result);
                    } else if (afterPatchify && linears == 3) {
                        check("patch_embedding", result);
                    } else if (linears == 4) {
                        check("time_projection", result);
                    } else if (result.shape().dim(-1) == 64) {
                        check("head", result);
                    }
                }
                case "rmsNorm" -> {
                    norms++;
                    if (norms <= 2) {
                        check(norms == 1 ? "layer0.norm_q" : "layer0.norm_k", result);
                    }
                }
                case "rope" -> {
                    ropes++;
                    if (ropes <= 2) {
                        check(ropes == 1 ? "layer0.roped_q" : "layer0.roped_k", result);
                    }
                }
                case "linearGatedResidual" -> {
                    check("layer" + gated / 2 + (gated % 2 == 0 ? ".self_attn" : ".ffn"), result);
                    gated++;
                }
                case "linearResidual" -> check("layer" + plain++ + ".cross_attn", result);
                default -> {
                    return;
                }
            }
        }

        private void check(String name, Tensor actual) {
            String tensor = "block1.step0.debug." + name;
            Goldens.assertClose(
                    tensor, ops.read(actual), rollout.file().tensor(tensor).toDoubles(), Goldens.ROLLOUT);
            seen.add(name);
        }
    }

    /** A golden tensor [..., features] as rows. */
    private Tensor tensor(String name) {
        HostTensor host = golden.get(name);
        int features = name.endsWith(".e0") ? 6 * config.dim() : host.shape().dim(-1);
        Tensor tensor = ops.scratch(Shape.of(host.values().length / features, features));
        ops.write(tensor, host.values());
        return tensor;
    }

    private void assertMatches(String name, Tensor actual, double tolerance) {
        assertValues(name, ops.read(actual), tolerance);
    }

    private void assertValues(String name, float[] actual, double tolerance) {
        Goldens.assertClose(name, actual, golden.file().tensor(name).toDoubles(), tolerance);
        Goldens.assertClose(
                name + "64", actual, golden.file().tensor(name + "64").toDoubles(), tolerance);
    }

    private static HostTensor framesFirst(HostTensor x) {
        int[] d = {
            x.shape().dim(0),
            x.shape().dim(1),
            x.shape().dim(2),
            x.shape().dim(3) * x.shape().dim(4)
        };
        float[] out = new float[x.values().length];
        for (int b = 0; b < d[0]; b++) {
            for (int c = 0; c < d[1]; c++) {
                for (int f = 0; f < d[2]; f++) {
                    System.arraycopy(
                            x.values(),
                            ((b * d[1] + c) * d[2] + f) * d[3],
                            out,
                            ((b * d[2] + f) * d[1] + c) * d[3],
                            d[3]);
                }
            }
        }
        return new HostTensor(
                Shape.of(d[0], d[2], d[1], x.shape().dim(3), x.shape().dim(4)), out);
    }
}
