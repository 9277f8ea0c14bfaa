package wan.edit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import capture.Capture;
import capture.CapturePlan;
import capture.Indices;
import capture.MemorySink;
import capture.PassChoice;
import capture.RunGeometry;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.json.JsonMapper;
import wan.cache.Placement;
import wan.file.SafetensorsWriter;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.noise.CudaGeometry;
import wan.noise.NoiseSource;
import wan.noise.Rng;
import wan.op.AttentionKind;
import wan.op.DType;
import wan.op.ForwardingObserver;
import wan.op.Grid;
import wan.op.HostTensor;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Quantity;
import wan.op.Shape;
import wan.op.Site;
import wan.op.Tensor;
import wan.op.WeightSource;
import wan.pass.Context;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.sampling.Method;
import wan.sampling.RunListener;
import wan.sampling.RunPlan;
import wan.sampling.RunSettings;
import wan.sampling.Sampler;
import wan.sampling.SamplerInputs;
import wan.weights.RandomModel;

/**
 * Interventions of every kind, alone and together, in samplers and caches of every kind: each head's output and the logits that it used
 * against attention in float64 over the queries, keys and values that the run itself recorded.
 */
public class InterventionOracleTest {
    private static final int LAYERS = 2;
    private static final int HEADS = 4;
    private static final int DIM = 48;
    private static final int HEAD_DIM = DIM / HEADS;
    private static final int TEXT = 5;
    private static final Grid GRID = new Grid(1, 2, 3);
    private static final double TOLERANCE = 2e-5;

    @TempDir
    private Path folder;

    private final Arena arena = Arena.ofShared();

    /** The backend that is tested. */
    protected Ops open() {
        return new JvmOps(new JvmOptions(2, JvmOptions.Kind.AUTO));
    }

    private record Setting(RunSettings run, int batch, boolean image) {}

    /** Frames of two by three tokens. */
    private static RunSettings run(int frames, int given, int perBlock, int window, int sink) {
        return new RunSettings(4, 6, frames, given, perBlock, false, List.of(1000f, 500f), 5, true, window, sink, 0);
    }

    private static final Map<String, Setting> SETTINGS = Map.of(
            "plain", new Setting(run(6, 0, 2, -1, 0), 1, false),
            "window", new Setting(run(10, 0, 2, 4, 1), 1, false),
            "single", new Setting(run(5, 0, 1, 3, 1), 1, false),
            "given", new Setting(run(4, 2, 2, -1, 0), 1, false),
            "batch", new Setting(run(8, 0, 2, 4, 1), 2, false),
            "sink", new Setting(run(8, 0, 2, 5, 3).with(longLive(false, List.of(4))), 1, false),
            "slots", new Setting(run(8, 0, 2, 4, 1).with(longLive(true, List.of())), 1, false),
            "rolling", new Setting(run(12, 0, 3, -1, 0).with(new Method.RollingWindow(9, 9)), 1, false),
            "guided", new Setting(run(3, 0, 3, -1, 0).with(new Method.Ode(Method.Solver.UNIPC, 2, 3)), 1, false),
            "picture", new Setting(run(3, 0, 3, -1, 0).with(new Method.Ode(Method.Solver.DPMPP, 2, 3)), 1, true));

    private static Method longLive(boolean slots, List<Integer> switches) {
        return new Method.FewStep(List.of(), Method.CacheRule.LONGLIVE, slots, switches, true);
    }

    static Stream<Arguments> cases() {
        Map<String, List<String>> cases = new LinkedHashMap<>();
        cases.put(
                "plain",
                List.of(
                        "{do: zero, heads: '0:1,1:2-3'}",
                        "{do: mean, heads: '0:all'}",
                        "{do: mean_frame, heads: '1:0'} {do: scale, heads: '1:0-1', value: -2}",
                        "{do: temperature, heads: '0:2', value: 0.3} {do: bias, heads: '0:2', frames: '0', value: 1.5}",
                        "{do: bias, heads: '0:2', frames: '0', value: 1.5} {do: temperature, heads: '0:2', value: 0.3}",
                        "{do: temperature, heads: '1:1', value: 2} {do: temperature, heads: '1:1', value: 0.25}",
                        "{do: block, heads: 'all', frames: '1,3', tokens: '0-2,5'}",
                        "{do: bias, heads: '0:0', frames: '2-5', tokens: '4', value: -3} {do: keep, heads: '0:0', sink: 1, window: 1}",
                        "{do: keep, heads: 'all:1', sink: 0, window: 0, frame_blocks: '1'}",
                        "{do: keep, heads: '1', sink: 2, window: 1} {do: bias, heads: '1', frames: '0-1', value: 0.5}",
                        "{do: patch, heads: '0:1,0:3', site: q, from: REC} {do: temperature, heads: '0:1', value: 0.5}",
                        "{do: patch, heads: '1:2', site: k, from: REC, passes: [context]}",
                        "{do: patch, heads: '0:all', site: v, from: REC, passes: [step0]}",
                        "{do: patch, heads: '1:0', site: z, from: REC, frame_blocks: '1-2'} {do: mean, heads: '1:0'}",
                        "{do: patch, heads: '1:0', site: z, from: REC} {do: scale, heads: '1:0', value: 0.5}",
                        "{do: scale, heads: '1:0', value: 0.5} {do: patch, heads: '1:0', site: z, from: REC}",
                        "{do: mean, heads: '0:1'} {do: add, heads: '0:1', site: z, from: VEC, tensor: one, value: 2}",
                        "{do: add, heads: '0:1', site: z, from: VEC, tensor: one, value: 2} {do: zero, heads: '0:1'}",
                        "{do: add, heads: '0:1-2', site: q, from: VEC, tensor: two, value: 1} {do: keep, heads: '0', sink: 1, window: 0}",
                        "{do: noise, heads: '1:all', site: k, value: 0.4, seed: 5, passes: [denoise]} {do: mean_frame, heads: '1:3'}",
                        "{do: zero, heads: '0:0', passes: [block1.step1]} {do: zero, heads: '0:1', passes: [block1.ctx]}",
                        "{do: temperature, heads: '1:all', attention: cross, value: 0.4}",
                        "{do: block, heads: '0:1', attention: cross, tokens: '0,3'} {do: zero, heads: '0:2', attention: cross}",
                        "{do: bias, heads: '1:0-2', attention: cross, tokens: '1-2', value: 2} {do: scale, heads: '1:1', attention: cross, value: 3}",
                        "{do: patch, heads: '0:2', attention: cross, site: q, from: REC} {do: block, heads: '0:2', frames: '0'}",
                        "{do: patch, heads: '0:2', attention: cross, site: z, from: REC} {do: mean, heads: '0:2', attention: cross}"));
        List<String> everywhere = List.of(
                "{do: keep, heads: 'all', sink: 1, window: 1}",
                "{do: bias, heads: '0:1,1:all', frames: '0', value: -2} {do: temperature, heads: '1:3', value: 0.6} {do: mean, heads: '0:0'}",
                "{do: block, heads: '0:0-2', frames: '2-3', tokens: '1,4'} {do: zero, heads: '1:1', frame_blocks: '1'}",
                "{do: patch, heads: '1:1', site: z, from: REC} {do: mean_frame, heads: '1:1'} {do: scale, heads: '0:2', value: 1.5}",
                "{do: bias, heads: 'all:2', attention: cross, tokens: '0', value: -1} {do: keep, heads: '0:2', sink: 0, window: 2}");
        for (String setting :
                List.of("window", "single", "given", "batch", "sink", "slots", "rolling", "guided", "picture")) {
            cases.put(setting, everywhere);
        }
        cases.put(
                "window",
                Stream.concat(
                                everywhere.stream(),
                                Stream.of(
                                        "{do: patch, heads: '0:1', site: k, from: REC, passes: [block1.ctx]} {do: bias, heads: '0:1', frames: '2', value: 1}",
                                        "{do: patch, heads: '1:1', site: v, from: REC, passes: [block0.ctx]} {do: keep, heads: '1:1', sink: 1, window: 0}",
                                        "{do: bias, heads: '0:3', frames: '1-4', value: 4} {do: keep, heads: '0:3', sink: 0, window: 3, passes: [step1]}"))
                        .toList());
        List<Arguments> all = new ArrayList<>();
        cases.forEach((setting, plans) -> plans.forEach(plan -> all.add(Arguments.of(setting, plan))));
        return all.stream();
    }

    private Map<String, float[]> vectors = Map.of();

    @BeforeEach
    void write() {
        vectors = Map.of("one", random(HEAD_DIM, 1), "two", random(2 * HEAD_DIM, 2));
        try (SafetensorsWriter writer = SafetensorsWriter.create(folder.resolve("vec.safetensors"), 1024)) {
            vectors.forEach((name, values) ->
                    writer.add(name, DType.F32, Shape.of(values.length)).write(values));
            writer.finish(Map.of());
        }
    }

    @AfterEach
    void close() {
        arena.close();
    }

    private static float[] random(int length, long seed) {
        Random random = new Random(seed);
        float[] values = new float[length];
        for (int i = 0; i < length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** A case's rules as JSON. */
    private EditPlan plan(String rules) {
        String json = "[" + rules.replaceAll("\\} \\{", "}, {").replace('\'', '"') + "]";
        json = json.replaceAll("([{,] ?)(\\w+): ", "$1\"$2\": ");
        json = json.replaceAll(
                ": (zero|mean|mean_frame|scale|temperature|bias|block|keep|patch|add|noise|cross|q|k|v|z|one|two)\\b",
                ": \"$1\"");
        json = json.replaceAll("\\[(?!\\{)([\\w.]+)\\]", "[\"$1\"]");
        json = json.replace("REC", "\"" + folder.resolve("rec.safetensors") + "\"")
                .replace("VEC", "\"" + folder.resolve("vec.safetensors") + "\"");
        return EditJson.parse("test", JsonMapper.shared().readTree(json));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void heads_giveWhatTheRulesSay_inFloat64(String name, String rules) throws IOException {
        Setting setting = Objects.requireNonNull(SETTINGS.get(name));
        WanConfig config = new WanConfig(DIM, 64, 16, setting.image() ? 20 : 16, 16, HEADS, LAYERS, 16, TEXT, 1e-6f);
        config = setting.image() ? config.withImage(8, 0) : config;
        RunPlan plan = RunPlan.of(setting.run(), LAYERS);
        plan = setting.run().method() instanceof Method.Ode ? plan : plan.withAllFlows(LAYERS);
        writeRecording(plan, setting.batch());
        EditPlan edits = plan(rules);
        WeightSource weights = RandomModel.inMemory(config, 11, arena);
        List<Context> prompts = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            HostTensor text =
                    new HostTensor(Shape.of(setting.batch(), TEXT, 16), random(setting.batch() * TEXT * 16, 100 + i));
            prompts.add(new Context(
                    text, setting.image() ? new HostTensor(Shape.of(1, 3, 8), random(3 * 8, 7)) : null));
        }
        Recorded recorded = new Recorded(plan, setting.batch());
        roll(plan, config, weights, prompts, edits, recorded);
        Map<List<Integer>, Text> texts = new HashMap<>();
        int compared = 0;
        for (Pass pass : plan.passes()) {
            for (int layer = 0; layer < LAYERS; layer++) {
                for (int head = 0; head < HEADS; head++) {
                    for (int sample = 0; sample < setting.batch(); sample++) {
                        compareSelf(recorded, edits, pass, layer, head, sample);
                        if (!setting.image()) {
                            int l = layer;
                            int h = head;
                            int b = sample;
                            Text text = texts.computeIfAbsent(
                                    List.of(pass.context(), layer, head, sample),
                                    _ -> new Text(weights, prompts.get(pass.context()), l, h, b));
                            compareCross(recorded, edits, pass, layer, head, sample, text);
                        }
                        compared++;
                    }
                }
            }
        }
        assertThat(compared).isEqualTo(plan.passes().size() * LAYERS * HEADS * setting.batch());
        Files.deleteIfExists(folder.resolve("rec.safetensors"));
    }

    private void writeRecording(RunPlan plan, int batch) {
        Set<Site> sites = EnumSet.of(Site.Q, Site.K, Site.V, Site.Z, Site.CROSS_Q, Site.CROSS_Z);
        long tensors = (long) plan.passes().size() * LAYERS * sites.size();
        try (SafetensorsWriter writer = SafetensorsWriter.create(folder.resolve("rec.safetensors"), 200 * tensors)) {
            for (Pass pass : plan.passes()) {
                for (int layer = 0; layer < LAYERS; layer++) {
                    for (Site site : sites) {
                        String name = pass.id() + ".layer" + layer + "." + site.tensor();
                        int rows = batch * pass.frames() * 6;
                        writer.add(name, DType.F32, Shape.of(batch, rows / batch, HEADS, HEAD_DIM))
                                .write(random(rows * DIM, name.hashCode()));
                    }
                }
            }
            writer.finish(Map.of());
        }
    }

    private void roll(
            RunPlan plan,
            WanConfig config,
            WeightSource weights,
            List<Context> prompts,
            EditPlan edits,
            Recorded recorded) {
        RunSettings run = plan.settings();
        Shape given = Shape.of(recorded.batch, Math.max(1, run.numInitialFrames()), 16, 4, 6);
        HostTensor latent = run.numInitialFrames() == 0 ? null : new HostTensor(given, random(given.intSize(), 3));
        Shape channels = Shape.of(1, run.totalFrames(), 4, 4, 6);
        HostTensor y = config.imageDim() == 0 ? null : new HostTensor(channels, random(channels.intSize(), 4));
        CapturePlan used = new CapturePlan(
                IntStream.range(0, LAYERS).boxed().toList(),
                EnumSet.of(AttentionKind.SELF, AttentionKind.CROSS),
                PassChoice.parse("all"),
                IntStream.range(0, HEADS).boxed().toList(),
                EnumSet.of(Quantity.LOGITS_USED, Quantity.FRAME_MASS));
        RunGeometry geometry = new RunGeometry(
                recorded.batch, run.totalFrames(), 6, TEXT, plan.timesteps().size(), config.imageDim() == 0 ? 0 : 3);
        Capture capture = new Capture(used, geometry, recorded.captured);
        Edits.Sizes sizes = new Edits.Sizes(LAYERS, HEADS, HEAD_DIM, 6, TEXT);
        try (Ops ops = open();
                Edits editor = new Edits(edits, sizes);
                NoiseSource noise = NoiseSource.of(Rng.TORCH_CPU, 3, false, CudaGeometry.H100)) {
            editor.check(plan.passes());
            Sampler sampler = Sampler.of(plan, new SamplerInputs(noise, latent, y, null));
            try (PassRunner runner = sampler.open(List.of(new WanModel(config, weights, ops)), prompts)) {
                RunListener listener =
                        pass -> Edits.watched(editor.observe(pass), recorded.watching(pass, capture.observe(pass)));
                HostTensor _ = sampler.run(runner, listener);
            }
        }
    }

    /** What a run had at the sites of each pass. */
    private static final class Recorded {
        private static final Set<Site> SITES =
                EnumSet.of(Site.Q, Site.K, Site.K_RAW, Site.V, Site.Z, Site.CROSS_Q, Site.CROSS_Z);

        private final Map<String, Pass> passes = new HashMap<>();
        private final boolean turned;
        private final int batch;
        private final Map<String, float[]> values = new HashMap<>();
        private final MemorySink captured = new MemorySink();

        Recorded(RunPlan plan, int batch) {
            plan.passes().forEach(pass -> passes.put(pass.id().label(), pass));
            turned = plan.caches().stream().anyMatch(cache -> cache.workspaceFrames() > 0);
            this.batch = batch;
        }

        PassObserver watching(Pass pass, PassObserver capture) {
            return new ForwardingObserver(capture) {
                @Override
                public boolean looksAt(int layer, Site site) {
                    return SITES.contains(site);
                }

                @Override
                public void visit(int layer, Site site, Tensor x, Ops ops) {
                    values.put(pass.id() + " " + layer + " " + site, ops.read(x));
                }
            };
        }

        /** Rows of one head of one sample. */
        double[][] rows(String pass, int layer, Site site, int head, int sample) {
            float[] all = Objects.requireNonNull(values.get(pass + " " + layer + " " + site), pass + site);
            int rows = all.length / DIM / batch;
            double[][] out = new double[rows][HEAD_DIM];
            for (int row = 0; row < rows; row++) {
                for (int c = 0; c < HEAD_DIM; c++) {
                    out[row][c] = all[(sample * rows + row) * DIM + head * HEAD_DIM + c];
                }
            }
            return out;
        }

        /** One frame's rows of those that a pass wrote. */
        double[][] frame(String writer, int layer, Site site, int head, int sample, int frame) {
            Pass pass = Objects.requireNonNull(passes.get(writer), writer);
            double[][] rows = rows(writer, layer, site, head, sample);
            int first = (frame - pass.firstFrame()) * 6;
            return Arrays.copyOfRange(rows, first, first + 6);
        }
    }

    private static void compareSelf(Recorded recorded, EditPlan edits, Pass pass, int layer, int head, int sample) {
        Placement placement = pass.placement();
        int slots = placement.keys();
        double[][] keys = new double[slots * 6][HEAD_DIM];
        double[][] values = new double[slots * 6][HEAD_DIM];
        for (int slot = 0; slot < slots; slot++) {
            if (placement.keyFrames().get(slot) == Placement.EMPTY) {
                continue;
            }
            String writer = placement.keyWrittenBy().get(slot);
            int frame = placement.keyFrames().get(slot);
            double[][] k = recorded.turned
                    ? Rotary64.turn(
                            recorded.frame(writer, layer, Site.K_RAW, head, sample, frame),
                            GRID,
                            placement.keyPositions().get(slot))
                    : recorded.frame(writer, layer, Site.K, head, sample, frame);
            double[][] v = recorded.frame(writer, layer, Site.V, head, sample, frame);
            for (int token = 0; token < 6; token++) {
                keys[slot * 6 + token] = k[token];
                values[slot * 6 + token] = v[token];
            }
        }
        double[][] q = recorded.rows(pass.id().label(), layer, Site.Q, head, sample);
        double[][] used = new double[q.length][slots * 6];
        for (int i = 0; i < q.length; i++) {
            for (int j = 0; j < slots * 6; j++) {
                used[i][j] = dot(q[i], keys[j]) / Math.sqrt(HEAD_DIM);
            }
        }
        for (Rule rule : rules(edits, AttentionKind.SELF, pass, layer, head)) {
            for (int j = 0; j < slots * 6; j++) {
                int frame = placement.keyFrames().get(j / 6);
                double bias = switch (rule.effect()) {
                    case Effect.Bias b -> has(b.frames(), frame) && b.tokens().contains(j % 6) ? b.value() : 0;
                    case Effect.Keep k ->
                        frame >= k.sink() && frame < pass.firstFrame() - k.window() ? Double.NEGATIVE_INFINITY : 0;
                    default -> 0;
                };
                for (double[] row : used) {
                    row[j] = rule.effect() instanceof Effect.Temperature t ? row[j] / t.value() : row[j] + bias;
                }
            }
        }
        String what = pass.id() + ".layer" + layer + ".";
        compareUsed(recorded, what + "self_logits_used", used, head, sample);
        compare(
                what + "head" + head,
                output(used, values, edits, AttentionKind.SELF, pass, layer, head, sample),
                recorded.rows(pass.id().label(), layer, Site.Z, head, sample));
    }

    private static boolean has(Indices frames, int frame) {
        return frames.equals(Indices.ALL) || (frame >= 0 && frames.contains(frame));
    }

    private static List<Rule> rules(EditPlan edits, AttentionKind kind, Pass pass, int layer, int head) {
        return edits.rules().stream()
                .filter(rule -> rule.attention() == kind
                        && rule.actsIn(pass)
                        && rule.heads().contains(layer, head))
                .toList();
    }

    private static void compareCross(
            Recorded recorded, EditPlan edits, Pass pass, int layer, int head, int sample, Text text) {
        double[][] q = recorded.rows(pass.id().label(), layer, Site.CROSS_Q, head, sample);
        double[][] used = new double[q.length][TEXT];
        for (int i = 0; i < q.length; i++) {
            for (int j = 0; j < TEXT; j++) {
                used[i][j] = dot(q[i], text.keys[j]) / Math.sqrt(HEAD_DIM);
            }
        }
        for (Rule rule : rules(edits, AttentionKind.CROSS, pass, layer, head)) {
            for (double[] row : used) {
                for (int j = 0; j < TEXT; j++) {
                    row[j] = switch (rule.effect()) {
                        case Effect.Temperature t -> row[j] / t.value();
                        case Effect.Bias b -> row[j] + (b.tokens().contains(j) ? b.value() : 0);
                        default -> row[j];
                    };
                }
            }
        }
        String what = pass.id() + ".layer" + layer + ".";
        compareUsed(recorded, what + "cross_logits_used", used, head, sample);
        compare(
                what + "cross head" + head,
                output(used, text.values, edits, AttentionKind.CROSS, pass, layer, head, sample),
                recorded.rows(pass.id().label(), layer, Site.CROSS_Z, head, sample));
    }

    private static void compareUsed(Recorded recorded, String name, double[][] used, int head, int sample) {
        HostTensor captured = recorded.captured.get(name);
        int keys = used[0].length;
        assertThat(captured.shape()).as(name).isEqualTo(Shape.of(recorded.batch, HEADS, used.length, keys));
        for (int i = 0; i < used.length; i++) {
            for (int j = 0; j < keys; j++) {
                float value = captured.values()[((sample * HEADS + head) * used.length + i) * keys + j];
                if (used[i][j] == Double.NEGATIVE_INFINITY) {
                    assertThat(value).as(name + " " + i + " " + j).isEqualTo(Float.NEGATIVE_INFINITY);
                } else {
                    assertThat((double) value).as(name + " " + i + " " + j).isCloseTo(used[i][j], within(TOLERANCE));
                }
            }
        }
    }

    private static void compare(String what, double[][] expected, double[][] got) {
        for (int i = 0; i < expected.length; i++) {
            for (int c = 0; c < HEAD_DIM; c++) {
                assertThat(got[i][c]).as(what + " row " + i).isCloseTo(expected[i][c], within(TOLERANCE));
            }
        }
    }

    /** Softmax, values, then what the rules do to the outputs, in their order. */
    private static double[][] output(
            double[][] used,
            double[][] values,
            EditPlan edits,
            AttentionKind kind,
            Pass pass,
            int layer,
            int head,
            int sample) {
        double[][] z = new double[used.length][HEAD_DIM];
        for (int i = 0; i < z.length; i++) {
            double sum = 0;
            for (int j = 0; j < values.length; j++) {
                double weight = Math.exp(used[i][j]);
                sum += weight;
                for (int c = 0; c < HEAD_DIM; c++) {
                    z[i][c] += weight * values[j][c];
                }
            }
            for (int c = 0; c < HEAD_DIM; c++) {
                z[i][c] /= sum;
            }
        }
        for (Rule rule : rules(edits, kind, pass, layer, head)) {
            switch (rule.effect()) {
                case Effect.Zero _ -> scale(z, 0);
                case Effect.Scale scale -> scale(z, scale.value());
                case Effect.Mean mean -> average(z, mean.perFrame() ? 6 : z.length);
                case Effect.Patch patch
                when patch.site() == Site.Z -> {
                    String name = pass.id() + ".layer" + layer + "."
                            + (kind == AttentionKind.SELF ? Site.Z : Site.CROSS_Z).tensor();
                    float[] other = random((sample + 1) * z.length * DIM, name.hashCode());
                    for (int i = 0; i < z.length; i++) {
                        for (int c = 0; c < HEAD_DIM; c++) {
                            z[i][c] = other[(sample * z.length + i) * DIM + head * HEAD_DIM + c];
                        }
                    }
                }
                case Effect.Add add
                when add.site() == Site.Z -> {
                    float[] vector = random(HEAD_DIM, 1);
                    for (double[] row : z) {
                        for (int c = 0; c < HEAD_DIM; c++) {
                            row[c] += add.value() * vector[c];
                        }
                    }
                }
                default -> {}
            }
        }
        return z;
    }

    private static void scale(double[][] z, double factor) {
        for (double[] row : z) {
            for (int c = 0; c < HEAD_DIM; c++) {
                row[c] *= factor;
            }
        }
    }

    private static void average(double[][] z, int group) {
        for (int first = 0; first < z.length; first += group) {
            for (int c = 0; c < HEAD_DIM; c++) {
                double sum = 0;
                for (int i = first; i < first + group; i++) {
                    sum += z[i][c];
                }
                for (int i = first; i < first + group; i++) {
                    z[i][c] = sum / group;
                }
            }
        }
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int c = 0; c < a.length; c++) {
            sum += a[c] * b[c];
        }
        return sum;
    }

    /** Keys and values of the text for one head, from the parameters, in float64. */
    private static final class Text {
        private final double[][] keys = new double[TEXT][HEAD_DIM];
        private final double[][] values = new double[TEXT][HEAD_DIM];
        private final WeightSource weights;

        Text(WeightSource weights, Context context, int layer, int head, int sample) {
            this.weights = weights;
            double[] norm = parameter("blocks." + layer + ".cross_attn.norm_k.weight", Shape.of(DIM));
            for (int token = 0; token < TEXT; token++) {
                double[] x = new double[16];
                for (int c = 0; c < 16; c++) {
                    x[c] = context.text().values()[(sample * TEXT + token) * 16 + c];
                }
                double[] h = linear("text_embedding.0", x);
                for (int c = 0; c < DIM; c++) {
                    double v = h[c];
                    h[c] = 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v * v * v)));
                }
                double[] embedded = linear("text_embedding.2", h);
                double[] k = linear("blocks." + layer + ".cross_attn.k", embedded);
                double[] v = linear("blocks." + layer + ".cross_attn.v", embedded);
                double square = dot(k, k) / DIM;
                for (int c = 0; c < HEAD_DIM; c++) {
                    int at = head * HEAD_DIM + c;
                    keys[token][c] = k[at] / Math.sqrt(square + 1e-6) * norm[at];
                    values[token][c] = v[at];
                }
            }
        }

        private double[] linear(String name, double[] x) {
            double[] weight = parameter(name + ".weight", Shape.of(DIM, x.length));
            double[] out = parameter(name + ".bias", Shape.of(DIM));
            for (int row = 0; row < DIM; row++) {
                for (int c = 0; c < x.length; c++) {
                    out[row] += weight[row * x.length + c] * x[c];
                }
            }
            return out;
        }

        private double[] parameter(String name, Shape shape) {
            return weights.get(name, shape).toDoubles();
        }
    }
}
