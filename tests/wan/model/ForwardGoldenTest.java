package wan.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.json.JsonMapper;
import wan.Goldens;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.jvm.RecordingTap;
import wan.op.AttentionKind;
import wan.op.AttentionTap;
import wan.op.CachePart;
import wan.op.Dyn;
import wan.op.Grid;
import wan.op.HostTensor;
import wan.op.KvTensor;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Site;
import wan.op.Tensor;
import wan.op.TracingOps;

/**
 * Single forwards of the models that are not causal, with every activation that the reference stored: text to video, image to video, a
 * timestep per token. The reference pads tokens to a common length; here there is no padding, so rows of tokens alone are compared.
 */
public class ForwardGoldenTest {
    private static final double BLOCK = 1e-5;
    private static final double LOGITS = 2e-5;
    private static final double GUIDED = 5e-5;
    private static final int LAYER = 1;

    /** The backend that is tested. */
    protected Ops open() {
        return new JvmOps(new JvmOptions(2, JvmOptions.Kind.AUTO));
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void textToVideo_matchesTheReference_inEveryActivationOfASample(int sample) {
        try (Goldens golden = Goldens.open("golden2/bidir");
                Forward forward = new Forward(golden, Goldens.modelConfig(golden.config()), open())) {
            HostTensor x = golden.get("batch/x" + sample);
            float[] t = {golden.get("batch/t").values()[sample]};
            forward.run(x, repeated(t, x.shape().dim(1)), golden.get("batch/context" + sample), null);
            int rows = forward.tokens;

            forward.check("batch/tokens_in", sample, forward.patches, BLOCK);
            forward.check("batch/time_e", sample, Arrays.copyOf(forward.timeE, forward.config.dim()), BLOCK);
            forward.check("batch/time_e0", sample, Arrays.copyOf(forward.timeE0, 6 * forward.config.dim()), BLOCK);
            forward.check("batch/context_embedded", sample, forward.text, BLOCK);
            for (int layer = 0; layer < forward.config.numLayers(); layer++) {
                forward.check("batch/after_block" + layer, sample, forward.site(layer, Site.RESID), BLOCK);
            }
            String inside = "batch/layer1/";
            forward.check(inside + "self_attn_in", sample, forward.selfAttentionIn.get(LAYER), BLOCK);
            forward.check(inside + "q_normed", sample, forward.site(LAYER, Site.Q_RAW), BLOCK);
            forward.check(inside + "q_roped", sample, forward.site(LAYER, Site.Q), BLOCK);
            forward.check(inside + "k_roped", sample, forward.site(LAYER, Site.K), BLOCK);
            forward.check(inside + "self_attn_out", sample, forward.site(LAYER, Site.ATTN_OUT), BLOCK);
            forward.check(inside + "cross_attn_out", sample, forward.site(LAYER, Site.CROSS_OUT), BLOCK);
            forward.check("batch/head_out", sample, forward.head, BLOCK);
            forward.checkRows("batch/self_logits_layer1_sample" + sample, forward.logits(AttentionKind.SELF, rows));
            forward.checkRows(
                    "batch/cross_logits_layer1_sample" + sample,
                    forward.logits(AttentionKind.CROSS, forward.config.textLen()));
            golden.assertMatches("batch/out" + sample, forward.output(), BLOCK);
            forward.compared.add("batch/out" + sample);

            String other = "sample" + (1 - sample);
            assertThat(golden.file().names())
                    .filteredOn(name -> name.startsWith("batch/") && !name.endsWith(other))
                    .filteredOn(name ->
                            !Set.of("batch/out" + (1 - sample), "batch/t").contains(name))
                    .filteredOn(name -> !name.matches("batch/(x|context)[01]"))
                    .allSatisfy(name -> assertThat(forward.compared).contains(name));
        }
    }

    @Test
    void sinusoid_matchesTheReference_atTheRealSize() {
        try (Goldens golden = Goldens.open("golden2/bidir")) {
            float[] timesteps = golden.get("tables/time256_t").values();
            float[] actual = Sinusoid.embed(timesteps, 256);
            golden.assertMatches("tables/time256", new HostTensor(Shape.of(timesteps.length, 256), actual), 5e-7);
        }
    }

    /** The pairs of a head of 128 turn by time (22 pairs), row (21) and column (21), each from frequency 1 down. */
    @Test
    void rope_turnsAsTheReferencesTable_alongEachAxis() {
        try (Goldens golden = Goldens.open("golden2/bidir");
                Ops ops = open()) {
            float[] positions = golden.get("tables/rope128_positions").values();
            double[] cos = golden.file().tensor("tables/rope128_cos").toDoubles();
            double[] sin = golden.file().tensor("tables/rope128_sin").toDoubles();
            for (int i = 0; i < positions.length; i++) {
                int position = (int) positions[i];
                Grid[] grids = {new Grid(1, 1, 1), new Grid(1, position + 1, 1), new Grid(1, 1, position + 1)};
                int[] first = {0, 22, 43};
                int[] end = {22, 43, 64};
                for (int axis = 0; axis < 3; axis++) {
                    float[] turned = turned(ops, grids[axis], axis == 0 ? position : 0);
                    int last = turned.length - 128;
                    for (int pair = first[axis]; pair < end[axis]; pair++) {
                        assertThat((double) turned[last + 2 * pair]).isCloseTo(cos[i * 64 + pair], within(1e-6));
                        assertThat((double) turned[last + 2 * pair + 1]).isCloseTo(sin[i * 64 + pair], within(1e-6));
                    }
                }
            }
        }
    }

    /** Pairs (1, 0) of all tokens, rotated. */
    private static float[] turned(Ops ops, Grid grid, int time) {
        try (Scope _ = ops.scope()) {
            float[] ones = new float[grid.tokens() * 128];
            for (int i = 0; i < ones.length; i += 2) {
                ones[i] = 1;
            }
            Tensor x = ops.scratch(Shape.of(grid.tokens(), 128));
            ops.write(x, ones);
            Dyn positions = new Dyn("positions", 1);
            positions.set(new int[] {time});
            ops.rope(x, 1, grid, positions);
            return ops.read(x);
        }
    }

    @Test
    void guidance_matchesTheReference_overTwoForwards() {
        try (Goldens golden = Goldens.open("golden2/bidir");
                Forward forward = new Forward(golden, Goldens.modelConfig(golden.config()), open())) {
            HostTensor x = golden.get("cfg/x");
            float[] t = repeated(golden.get("cfg/t").values(), x.shape().dim(1));
            forward.run(x, t, golden.get("cfg/context_cond"), null);
            HostTensor conditional = forward.output();
            forward.run(x, t, golden.get("cfg/context_uncond"), null);
            HostTensor unconditional = forward.output();
            golden.assertMatches("cfg/v_cond", conditional, BLOCK);
            golden.assertMatches("cfg/v_uncond", unconditional, BLOCK);
            float scale = (float) JsonMapper.shared()
                    .readTree(golden.file().metadata().get("inputs"))
                    .get("guide_scale")
                    .asDouble();
            float[] guided = new float[conditional.values().length];
            for (int i = 0; i < guided.length; i++) {
                float base = unconditional.values()[i];
                guided[i] = base + scale * (conditional.values()[i] - base);
            }
            golden.assertMatches("cfg/v_guided", new HostTensor(conditional.shape(), guided), GUIDED);
        }
    }

    @Test
    void imageToVideo_matchesTheReference_inEveryActivation() {
        try (Goldens golden = Goldens.open("golden3/i2v")) {
            HostTensor picture = golden.get("clip_fea");
            WanConfig plain = Goldens.modelConfig(golden.config().get("model_config"));
            WanConfig config = plain.withImage(picture.shape().dim(2), 0);
            try (Forward forward = new Forward(golden, config, open())) {
                HostTensor x = stacked(golden.get("x"), golden.get("y"));
                float[] t = repeated(golden.get("t").values(), x.shape().dim(1));
                forward.run(x, t, golden.get("context"), picture);
                forward.checkRun("i2v/");
                int tokens = picture.shape().dim(1);
                forward.check("i2v/img_embedded", 0, forward.image, BLOCK);
                forward.check("i2v/layer1/cross_k_img_normed", 0, forward.imageKeys, BLOCK);
                forward.check("i2v/layer1/cross_v_img", 0, forward.imageValues, BLOCK);
                forward.checkRows("i2v/layer1/img_logits", forward.logits(AttentionKind.IMAGE, tokens));
                forward.check("i2v/layer1/text_heads", 0, forward.crossHeads.get(2 * LAYER), BLOCK);
                forward.check("i2v/layer1/img_heads", 0, forward.crossHeads.get(2 * LAYER + 1), BLOCK);
                forward.assertAllCompared("i2v/");
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"scalar", "image", "mixed"})
    void aTimestepPerToken_matchesTheReference_inEveryActivation(String run) {
        try (Goldens golden = Goldens.open("golden3/ti2v");
                Forward forward =
                        new Forward(golden, Goldens.modelConfig(golden.config().get("model_config")), open())) {
            HostTensor x = golden.get("x");
            float[] t = golden.get(run + "/t").values();
            int tokens =
                    x.shape().dim(1) * golden.config().get("tokens_per_frame").asInt();
            forward.run(x, t.length == 1 ? repeated(t, tokens) : Arrays.copyOf(t, tokens), golden.get("context"), null);
            forward.checkRun(run + "/");
            forward.assertAllCompared(run + "/");
        }
    }

    private static float[] repeated(float[] one, int times) {
        assertThat(one).hasSize(1);
        float[] all = new float[times];
        Arrays.fill(all, one[0]);
        return all;
    }

    /** Two latents [C, F, H, W], one's channels behind the other's. */
    private static HostTensor stacked(HostTensor first, HostTensor second) {
        float[] both = Arrays.copyOf(first.values(), first.values().length + second.values().length);
        System.arraycopy(second.values(), 0, both, first.values().length, second.values().length);
        Shape shape = first.shape();
        return new HostTensor(
                Shape.of((long) shape.dim(0) + second.shape().dim(0), shape.dim(1), shape.dim(2), shape.dim(3)), both);
    }

    /** One model, and everything that its last forward computed. */
    private static final class Forward implements AutoCloseable {
        final Goldens golden;
        final WanConfig config;
        final Set<String> compared = new HashSet<>();
        int tokens;
        float[] patches = {};
        float[] timeE = {};
        float[] timeE0 = {};
        float[] text = {};
        float[] image = {};
        float[] textKeys = {};
        float[] imageKeys = {};
        float[] imageValues = {};
        float[] head = {};
        final List<float[]> selfAttentionIn = new ArrayList<>();
        final List<float[]> crossAttentionIn = new ArrayList<>();
        final List<float[]> crossHeads = new ArrayList<>();

        private final TracingOps ops;
        private final WanModel model;
        private final List<Map<Site, float[]>> sites = new ArrayList<>();
        private final Map<AttentionKind, RecordingTap> taps = new EnumMap<>(AttentionKind.class);
        private @Nullable HostTensor flow;

        Forward(Goldens golden, WanConfig config, Ops ops) {
            this.golden = golden;
            this.config = config;
            this.ops = new TracingOps(ops);
            this.model = new WanModel(config, golden.weights("weights/"), this.ops);
        }

        /**
         * Runs the model.
         *
         * @param x [C, F, H, W]
         * @param t per frame or per token
         * @param context [n, textDim]
         * @param picture [1, n, imageDim], or null
         */
        void run(HostTensor x, float[] t, HostTensor context, @Nullable HostTensor picture) {
            HostTensor latents = framesFirst(x);
            int frames = x.shape().dim(1);
            Grid grid = new Grid(frames, x.shape().dim(2) / 2, x.shape().dim(3) / 2);
            tokens = grid.tokens();
            HostTensor padded = new HostTensor(
                    Shape.of(1, config.textLen(), config.textDim()),
                    Arrays.copyOf(context.values(), config.textLen() * config.textDim()));
            try (Scope _ = ops.scope()) {
                patches = ops.read(model.embedPatches(latents));
                Tensor e = model.timeEmbedding(t);
                timeE = ops.read(e);
                timeE0 = ops.read(model.timeProjection(e));
                text = ops.read(model.embedText(padded));
            }
            ops.onResult((op, result) -> {
                if (op.equals("layerNorm") && result.shape().dim(-1) == config.dim()) {
                    image = ops.read(result); // the second norm's result comes last
                }
            });
            List<KvTensor> pictures = picture == null ? List.of() : model.encodeImage(picture, config.numLayers());
            List<KvTensor> texts = model.encodeContext(padded, config.numLayers());
            List<KvTensor> cache = new ArrayList<>();
            for (int i = 0; i < config.numLayers(); i++) {
                cache.add(model.newFrameCache(1, frames, grid.frameSeqLen()));
            }
            int[] all = {0};
            textKeys = ops.readPages(texts.get(LAYER), CachePart.KEYS, all);
            if (picture != null) {
                imageKeys = ops.readPages(pictures.get(LAYER), CachePart.KEYS, all);
                imageValues = ops.readPages(pictures.get(LAYER), CachePart.VALUES, all);
            }
            sites.clear();
            selfAttentionIn.clear();
            crossAttentionIn.clear();
            crossHeads.clear();
            IntStream.range(0, config.numLayers()).forEach(i -> sites.add(new EnumMap<>(Site.class)));
            int[] heads = IntStream.range(0, config.numHeads()).toArray();
            for (AttentionKind kind : AttentionKind.values()) {
                taps.put(
                        kind,
                        new RecordingTap(heads, Quantity.TOKEN_LOGITS, Quantity.FRAME_LOGITS, Quantity.FRAME_MASS));
            }
            int[] count = new int[2];
            ops.onResult((op, result) -> {
                switch (op) {
                    case "layerNormModulate" -> {
                        if (count[0]++ % 2 == 0) {
                            selfAttentionIn.add(ops.read(result)); // the head's comes after the last layer's
                        }
                    }
                    case "layerNorm" -> crossAttentionIn.add(ops.read(result));
                    case "attention" -> {
                        int each = pictures.isEmpty() ? 2 : 3;
                        if (count[1]++ % each > 0) {
                            crossHeads.add(ops.read(result));
                        }
                    }
                    case "linear" -> {
                        if (result.shape().dim(-1) == 4 * config.outDim()
                                && result.shape().dim(0) == tokens) {
                            head = ops.read(result); // the last one of this width
                        }
                    }
                    default -> {
                        return;
                    }
                }
            });
            Dyn pages = new Dyn("pages", frames);
            pages.set(IntStream.range(0, frames).toArray());
            Caches caches = new Caches(cache, texts, pictures, null);
            flow = model.forward(latents, t, new Step(grid, pages, pages, pages), caches, watch());
            ops.onResult((op, result) -> {});
            List.of(cache, texts, pictures).forEach(list -> list.forEach(ops::release));
        }

        private PassObserver watch() {
            return new PassObserver() {
                @Override
                public AttentionTap tap(int layer, AttentionKind kind) {
                    return layer == LAYER ? recorded(kind) : AttentionTap.NONE;
                }

                @Override
                public boolean looksAt(int layer, Site site) {
                    return true;
                }

                @Override
                public void visit(int layer, Site site, Tensor x, Ops backend) {
                    sites.get(layer).put(site, backend.read(x));
                }
            };
        }

        float[] site(int layer, Site site) {
            return Objects.requireNonNull(sites.get(layer).get(site));
        }

        private RecordingTap recorded(AttentionKind kind) {
            return Objects.requireNonNull(taps.get(kind));
        }

        /** [N, tokens, keys]. */
        float[] logits(AttentionKind kind, int keys) {
            return recorded(kind).tiles(Quantity.TOKEN_LOGITS, 1, tokens, keys);
        }

        /** The flow as [C, F, H, W]. */
        HostTensor output() {
            HostTensor result = Objects.requireNonNull(flow);
            Shape shape = result.shape();
            Shape turned = Shape.of(1, shape.dim(2), shape.dim(1), shape.dim(3), shape.dim(4));
            HostTensor channelsFirst = swapped(result.values(), turned, shape.dim(1), shape.dim(2));
            return new HostTensor(
                    Shape.of(shape.dim(2), shape.dim(1), shape.dim(3), shape.dim(4)), channelsFirst.values());
        }

        private static HostTensor framesFirst(HostTensor x) {
            Shape shape = x.shape();
            Shape turned = Shape.of(1, shape.dim(1), shape.dim(0), shape.dim(2), shape.dim(3));
            return swapped(x.values(), turned, shape.dim(0), shape.dim(1));
        }

        /** Exchanges the two slowest axes. */
        private static HostTensor swapped(float[] values, Shape turned, int outer, int inner) {
            int cells = values.length / (outer * inner);
            float[] out = new float[values.length];
            for (int i = 0; i < outer * inner; i++) {
                System.arraycopy(values, i * cells, out, (i % inner * outer + i / inner) * cells, cells);
            }
            return new HostTensor(turned, out);
        }

        /** Everything that a run of golden3's single forwards stores of any model. */
        void checkRun(String run) {
            boolean perToken = golden.get(run + "time_e").shape().rank() == 2;
            int rows = perToken ? tokens : 1;
            check(run + "tokens_in", 0, patches, BLOCK);
            check(run + "time_e", 0, Arrays.copyOf(timeE, rows * config.dim()), BLOCK);
            check(run + "time_e0", 0, Arrays.copyOf(timeE0, rows * 6 * config.dim()), BLOCK);
            check(run + "text_embedded", 0, text, BLOCK);
            for (int layer = 0; layer < config.numLayers(); layer++) {
                check(run + "after_block" + layer, 0, site(layer, Site.RESID), BLOCK);
            }
            String inside = run + "layer1/";
            check(inside + "self_attn_in", 0, selfAttentionIn.get(LAYER), BLOCK);
            check(inside + "self_attn_out", 0, site(LAYER, Site.ATTN_OUT), BLOCK);
            check(inside + "cross_attn_in", 0, crossAttentionIn.get(LAYER), BLOCK);
            check(inside + "cross_q_normed", 0, site(LAYER, Site.CROSS_Q), BLOCK);
            check(inside + "cross_k_normed", 0, textKeys, BLOCK);
            check(inside + "cross_attn_out", 0, site(LAYER, Site.CROSS_OUT), BLOCK);
            check(inside + "ffn_out", 0, site(LAYER, Site.FFN_OUT), BLOCK);
            checkRows(inside + "self_logits", logits(AttentionKind.SELF, tokens));
            checkRows(inside + "text_logits", logits(AttentionKind.CROSS, config.textLen()));
            for (Quantity quantity : List.of(Quantity.FRAME_LOGITS, Quantity.FRAME_MASS)) {
                String name = inside + quantity.option().replace('-', '_');
                if (golden.has(name)) {
                    double tolerance = quantity == Quantity.FRAME_MASS ? Goldens.FRAME_MASS : Goldens.FRAME_LOGITS;
                    check(name, 0, recorded(AttentionKind.SELF).values(quantity), tolerance);
                }
            }
            check(run + "head_out", 0, head, BLOCK);
            golden.assertMatches(run + "out", output(), BLOCK);
            compared.add(run + "out");
        }

        /** Compares the first values of a sample: its tokens, where rows of padding follow them. */
        void check(String name, int sample, float[] actual, double tolerance) {
            Shape shape = golden.file().tensor(name).shape();
            double[] stored = golden.file().tensor(name).toDoubles();
            boolean ofBatch = name.startsWith("batch/");
            int each = ofBatch ? stored.length / shape.dim(0) : stored.length;
            double[] expected = Arrays.copyOfRange(stored, sample * each, sample * each + actual.length);
            int rows = shape.dim(ofBatch ? 1 : 0);
            boolean padded = (long) each * tokens == (long) actual.length * rows;
            assertThat(actual.length == each || padded)
                    .as(name + ": all rows, or those of tokens")
                    .isTrue();
            Goldens.assertClose(name, actual, expected, tolerance);
            compared.add(name);
        }

        /** Compares logits [N, rows, keys], whose stored rows may go on with padding. */
        void checkRows(String name, float[] actual) {
            Shape shape = golden.file().tensor(name).shape();
            double[] stored = golden.file().tensor(name).toDoubles();
            int keys = shape.dim(2);
            double[] expected = new double[shape.dim(0) * tokens * keys];
            for (int n = 0; n < shape.dim(0); n++) {
                System.arraycopy(stored, n * shape.dim(1) * keys, expected, n * tokens * keys, tokens * keys);
            }
            Goldens.assertClose(name, actual, expected, LOGITS);
            compared.add(name);
        }

        void assertAllCompared(String run) {
            assertThat(golden.file().names())
                    .filteredOn(name -> name.startsWith(run) && !name.equals(run + "t"))
                    .allSatisfy(name -> assertThat(compared).contains(name));
        }

        @Override
        public void close() {
            ops.close();
        }
    }
}
