package wan.edit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import capture.Indices;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import wan.Goldens;
import wan.cache.CacheLayout;
import wan.cache.HeadPolicy;
import wan.cache.Policies;
import wan.cache.PolicySchedule;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.jvm.kernel.PagedKv;
import wan.jvm.onednn.OneDnnTest;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.op.AttentionKind;
import wan.op.Grid;
import wan.op.HostTensor;
import wan.op.KvTensor;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Shape;
import wan.op.Site;
import wan.op.Tensor;
import wan.pass.Context;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.run.Replay;
import wan.sampling.RunPlan;
import wan.sampling.RunSettings;

/** Rollouts under a cache policy against attention over a cache of every frame, in which the same keys are blocked. */
@Tag("slow")
public class HeadCachesTest {
    private static final int BLOCKS = 30;

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "VECTOR | full | all=all",
                "VECTOR | self-forcing-window | full=all",
                "VECTOR | dummy-forcing | mid=0:1,2:0-1;dummy=1:all,2:3",
                "SCALAR | dummy-forcing | mid=0:1,2:0-1;dummy=1:all,2:3",
                "ONEDNN_F32 | dummy-forcing | mid=0:1,2:0-1;dummy=1:all,2:3",
                "VECTOR | dummy-forcing-longlive | mid=0:1,2:0-1;dummy=1:all,2:3",
                "VECTOR | forcing-kv | dynamic=0:1,1:0-2,2:1-3",
                "SCALAR | forcing-kv | dynamic=0:1,1:0-2,2:1-3",
                "ONEDNN_F32 | forcing-kv | dynamic=0:1,1:0-2,2:1-3",
            })
    void rollout_equalsPlainAttention_underTheSameMask(JvmOptions.Kind kernels, String name, String groups) {
        OneDnnTest.assumeThere(kernels);
        Policies policy = Policies.of(name);
        HeadGroups heads = HeadGroups.parse(policy.groups(), policy.groups().size() == 1 ? null : groups);
        try (Rollout rollout = new Rollout(kernels)) {
            PolicySchedule schedule =
                    PolicySchedule.of(policy, rollout.plan.settings().blockSizes());
            assertThat(schedule.turns()).isFalse();
            HeadCaches caches = new HeadCaches(schedule, heads, 3, 4);
            Map<String, float[]> recorded = new HashMap<>();
            List<HostTensor> kept = rollout.run(new EditPlan(List.of()), caches, recorded);

            // The same masks as rules over a cache that keeps everything.
            List<Rule> rules = new ArrayList<>();
            for (Pass pass : rollout.plan.passes()) {
                HeadPolicy.History history = new HeadPolicy.History(Collections.nCopies(pass.firstFrame() / 3, 3), 3);
                for (int l = 0; l < 12; l++) {
                    int layer = l / 4;
                    int head = l % 4;
                    // Whole frames in one rule; of others, their tokens.
                    Map<Integer, List<Integer>> hidden = rollout.hidden(recorded, caches, policy, history, layer, head);
                    int[] whole = hidden.keySet().stream()
                            .filter(frame ->
                                    Objects.requireNonNull(hidden.get(frame)).size() == rollout.s)
                            .mapToInt(Integer::intValue)
                            .sorted()
                            .toArray();
                    if (whole.length > 0) {
                        rules.add(blocked(pass, layer, head, Indices.of(whole), Indices.ALL));
                    }
                    hidden.forEach((frame, tokens) -> {
                        if (tokens.size() < rollout.s) {
                            int[] some =
                                    tokens.stream().mapToInt(Integer::intValue).toArray();
                            rules.add(blocked(pass, layer, head, Indices.of(frame), Indices.of(some)));
                        }
                    });
                }
            }
            List<HostTensor> masked = rollout.run(new EditPlan(rules), null);
            for (int i = 0; i < kept.size(); i++) {
                double[] expected = new double[masked.get(i).values().length];
                for (int j = 0; j < expected.length; j++) {
                    expected[j] = masked.get(i).values()[j];
                }
                Goldens.assertClose("pass " + i, kept.get(i).values(), expected, 2e-5);
            }
            if (!name.equals("full") && !name.equals("self-forcing-window")) {
                List<HostTensor> plain = rollout.run(EditPlan.NONE, null);
                assertThat(plain.getLast().values()).isNotEqualTo(kept.getLast().values());
            }
        }
    }

    /** Dummy Forcing's own choice against weights in float64 of the queries that are drawn; what follows is a run with these groups given. */
    @ParameterizedTest
    @CsvSource({"DUMMY_FORCING, 1, 1, 0 1 2", "DUMMY_FORCING_LONGLIVE, 2, 3, 0 3 4 5"})
    void choice_isThatOfTheMethod_inFloat64(Policies policy, int block, int firstFrames, String before) {
        try (Rollout rollout = new Rollout(new JvmOps(new JvmOptions(2, JvmOptions.Kind.VECTOR)), 5)) {
            PolicySchedule schedule =
                    PolicySchedule.of(policy, rollout.plan.settings().blockSizes());
            List<Integer> attended = new ArrayList<>(
                    Arrays.stream(before.split(" ", -1)).map(Integer::valueOf).toList());
            for (int i = 0; i < 3; i++) {
                attended.add(3 * block + i);
            }
            HeadCaches choosing = HeadCaches.choosing(schedule, 3, 4, 7);
            Map<String, float[]> recorded = new HashMap<>();
            List<HostTensor> flows = rollout.run(EditPlan.NONE, choosing, recorded);

            int s = rollout.s;
            int d = rollout.d;
            double[] first = new double[12];
            double[] between = new double[12];
            for (int i = 0; i < 12; i++) {
                int layer = i / 4;
                int head = i % 4;
                int[] rows = new HeadChoice(3, 4, firstFrames, 7).rows(layer, 3 * s, s);
                assertThat(rows).hasSize(firstFrames * s / 3);
                assertThat(IntStream.of(rows).max().orElse(0)).isGreaterThanOrEqualTo(s);
                for (int row : rows) {
                    float[] raw = at(recorded, "block" + block + ".ctx.layer" + layer + ".Q_RAW");
                    double[] q =
                            Rotary64.turn(rows(raw, row / s, head, s, d), rollout.grid, 3 * block + row / s)[row % s];
                    double[] bySlot = new double[attended.size()];
                    for (int slot = 0; slot < attended.size(); slot++) {
                        HeadPolicy.Content content = new HeadPolicy.Content.Frame(attended.get(slot));
                        double[][] keys = Rotary64.turn(
                                content(recorded, content, "K_RAW", layer, head, s, d),
                                rollout.grid,
                                attended.get(slot));
                        for (double[] key : keys) {
                            double logit = 0;
                            for (int c = 0; c < d; c++) {
                                logit += q[c] * key[c];
                            }
                            bySlot[slot] += Math.exp(logit / Math.sqrt(d));
                        }
                    }
                    double all = Arrays.stream(bySlot).sum();
                    for (int slot = 0; slot < attended.size() - 3; slot++) {
                        (slot < firstFrames ? first : between)[i] += bySlot[slot] / all / rows.length;
                    }
                }
            }
            double sinks = Arrays.stream(first).sum();
            double mids = Arrays.stream(between).sum();
            List<Integer> order = IntStream.range(0, 12)
                    .boxed()
                    .sorted(Comparator.comparingDouble(i -> Math.max(first[i] / sinks, between[i] / mids)))
                    .toList();
            Map<String, Integer> counts = new HashMap<>();
            for (int i = 0; i < 12; i++) {
                String expected =
                        order.indexOf(i) < 6 ? "dummy" : first[i] / sinks < between[i] / mids ? "mid" : "sink";
                assertThat(choosing.group(i / 4, i % 4)).as("head " + i).isEqualTo(expected);
                counts.merge(expected, 1, Integer::sum);
            }
            assertThat(counts).containsEntry("dummy", 6).hasSizeGreaterThan(1);

            String text = Objects.requireNonNull(choosing.chosenGroups());
            HeadGroups given = HeadGroups.parse(policy.groups(), text);
            List<HostTensor> same = rollout.run(EditPlan.NONE, new HeadCaches(schedule, given, 3, 4));
            for (int i = 0; i < flows.size(); i++) {
                assertThat(flows.get(i).values())
                        .as("pass " + i)
                        .isEqualTo(same.get(i).values());
            }
        }
    }

    /** Every head's output of every layer against float64 attention over the recorded keys, at the positions that the policy gives them. */
    @ParameterizedTest
    @EnumSource(Policies.class)
    void outputs_areThoseOfThePolicysKeys_inFloat64(Policies policy) {
        String spread = policy == Policies.FORCING_KV
                ? "dynamic=all:1-2"
                : IntStream.range(0, policy.groups().size())
                        .mapToObj(i -> policy.groups().get(i) + "=all:" + i)
                        .collect(Collectors.joining(";"));
        HeadGroups heads = HeadGroups.parse(policy.groups(), policy.groups().size() == 1 ? null : spread);
        try (Rollout rollout = new Rollout(JvmOptions.Kind.VECTOR)) {
            PolicySchedule schedule =
                    PolicySchedule.of(policy, rollout.plan.settings().blockSizes());
            HeadCaches caches = new HeadCaches(schedule, heads, 3, 4).on(rollout.grid, rollout.d);
            Map<String, float[]> recorded = new HashMap<>();
            List<HostTensor> _ = rollout.run(EditPlan.NONE, caches, recorded);
            // What the memory check counts is what each head really held.
            for (int i = 0; i < 12; i++) {
                assertThat(rollout.held[i])
                        .as("pages of layer " + i / 4 + " head " + i % 4)
                        .isEqualTo(caches.mostPages(i / 4, i % 4));
            }
            int s = rollout.s;
            int d = rollout.d;
            Grid grid = rollout.grid;
            for (int block = 0; block < BLOCKS; block++) {
                for (int layer = 0; layer < 3; layer++) {
                    String pass = "block" + block + ".step0.layer" + layer + ".";
                    for (int head = 0; head < 4; head++) {
                        List<double[][]> keys = new ArrayList<>();
                        List<double[][]> values = new ArrayList<>();
                        for (int i = 0; i < 3; i++) {
                            int frame = i;
                            if (i == 0 || policy.perFrame()) {
                                keys.clear();
                                values.clear();
                                List<HeadPolicy.Key> kept = policy.keysOf(
                                        caches.group(layer, head),
                                        new HeadPolicy.History(Collections.nCopies(block, 3), 3),
                                        frame);
                                for (HeadPolicy.Key key : kept) {
                                    int[] tokens = switch (key.content()) {
                                        case HeadPolicy.Content.Patches patches ->
                                            rollout.tokens(recorded, caches, patches);
                                        case HeadPolicy.Content.Top top -> rollout.tokens(recorded, layer, top);
                                        default -> new int[0];
                                    };
                                    if (tokens.length > 0) {
                                        double[][] k = new double[s][];
                                        double[][] v = new double[s][];
                                        for (int j = 0; j < s; j++) {
                                            HeadPolicy.Content.Frame from = new HeadPolicy.Content.Frame(tokens[j] / s);
                                            k[j] = Rotary64.turn(
                                                    content(recorded, from, "K_RAW", layer, head, s, d),
                                                    grid,
                                                    tokens[j] / s)[tokens[j] % s];
                                            v[j] = content(recorded, from, "V", layer, head, s, d)[tokens[j] % s];
                                        }
                                        keys.add(k);
                                        values.add(v);
                                    } else {
                                        double[][] raw = content(recorded, key.content(), "K_RAW", layer, head, s, d);
                                        keys.add(Rotary64.turn(raw, grid, 3 * block - key.distance()));
                                        values.add(content(recorded, key.content(), "V", layer, head, s, d));
                                    }
                                }
                                for (int own = 0; own < 3; own++) {
                                    keys.add(Rotary64.turn(
                                            rows(at(recorded, pass + "K_RAW"), own, head, s, d),
                                            grid,
                                            3 * block + own));
                                    values.add(rows(at(recorded, pass + "V"), own, head, s, d));
                                }
                            }
                            double[][] q = Rotary64.turn(
                                    rows(at(recorded, pass + "Q_RAW"), i, head, s, d), grid, 3 * block + i);
                            double[][] z = rows(at(recorded, pass + "Z"), i, head, s, d);
                            assertAttention(policy + " " + pass + head, q, keys, values, z);
                        }
                    }
                }
            }
        }
    }

    /**
     * Rollouts in which pages are chosen by their keys, and heads by their weights, on another backend beside the JVM.
     *
     * @param other is closed
     */
    public static void compare(Ops other) {
        List<List<HostTensor>> flows = new ArrayList<>();
        for (Ops ops : List.of(new JvmOps(new JvmOptions(2, JvmOptions.Kind.VECTOR)), other)) {
            try (Rollout rollout = new Rollout(ops, 10)) {
                List<Integer> sizes = rollout.plan.settings().blockSizes();
                HeadGroups heads = HeadGroups.parse(Policies.FORCING_KV.groups(), "dynamic=0:1,1:0-2,2:1-3");
                List<HostTensor> all = new ArrayList<>(rollout.run(
                        EditPlan.NONE, new HeadCaches(PolicySchedule.of(Policies.FORCING_KV, sizes), heads, 3, 4)));
                all.addAll(rollout.run(
                        EditPlan.NONE, HeadCaches.choosing(PolicySchedule.of(Policies.DUMMY_FORCING, sizes), 3, 4, 7)));
                HeadGroups single = HeadGroups.parse(Policies.DEEP_FORCING.groups(), null);
                all.addAll(rollout.run(
                        EditPlan.NONE,
                        new HeadCaches(PolicySchedule.of(Policies.DEEP_FORCING, sizes), single, 3, 4)
                                .on(rollout.grid, rollout.d)));
                HeadGroups labels = HeadGroups.parse(Policies.PYRAMID_FORCING.groups(), "1=0:1,2:all;2=1:0-2");
                all.addAll(rollout.run(
                        EditPlan.NONE,
                        new HeadCaches(PolicySchedule.of(Policies.PYRAMID_FORCING, sizes), labels, 3, 4)));
                flows.add(all);
            }
        }
        for (int i = 0; i < flows.getFirst().size(); i++) {
            float[] values = flows.getFirst().get(i).values();
            double[] expected = IntStream.range(0, values.length)
                    .mapToDouble(j -> values[j])
                    .toArray();
            Goldens.assertClose("pass " + i, flows.getLast().get(i).values(), expected, 2e-5);
        }
    }

    private static Rule blocked(Pass pass, int layer, int head, Indices frames, Indices tokens) {
        return new Rule(
                Heads.of(layer, head),
                AttentionKind.SELF,
                new Passes(List.of(pass.id().label())),
                Indices.ALL,
                new Effect.Bias(frames, tokens, Float.NEGATIVE_INFINITY));
    }

    private static float[] at(Map<String, float[]> recorded, String name) {
        return Objects.requireNonNull(recorded.get(name), name);
    }

    private static double[][] content(
            Map<String, float[]> recorded, HeadPolicy.Content content, String site, int layer, int head, int s, int d) {
        return switch (content) {
            case HeadPolicy.Content.Frame frame ->
                rows(
                        at(recorded, "block" + frame.frame() / 3 + ".ctx.layer" + layer + "." + site),
                        frame.frame() % 3,
                        head,
                        s,
                        d);
            case HeadPolicy.Content.Patches _, HeadPolicy.Content.Top _ -> throw new AssertionError(content);
            case HeadPolicy.Content.Blend blend -> {
                double[][] sum = new double[s][d];
                for (int part = 0; part < blend.parts().size(); part++) {
                    double[][] one = content(recorded, blend.parts().get(part), site, layer, head, s, d);
                    for (int i = 0; i < s * d; i++) {
                        sum[i / d][i % d] += blend.weights().get(part) * one[i / d][i % d];
                    }
                }
                yield sum;
            }
        };
    }

    /** One frame and head of [R, 4 heads]. */
    private static double[][] rows(float[] all, int frame, int head, int s, int d) {
        double[][] rows = new double[s][d];
        for (int i = 0; i < s; i++) {
            for (int c = 0; c < d; c++) {
                rows[i][c] = all[((frame * s + i) * 4 + head) * d + c];
            }
        }
        return rows;
    }

    private static void assertAttention(
            String what, double[][] q, List<double[][]> keys, List<double[][]> values, double[][] z) {
        int d = q[0].length;
        for (int i = 0; i < q.length; i++) {
            double sum = 0;
            double[] expected = new double[d];
            for (int frame = 0; frame < keys.size(); frame++) {
                for (int j = 0; j < q.length; j++) {
                    double logit = 0;
                    for (int c = 0; c < d; c++) {
                        logit += q[i][c] * keys.get(frame)[j][c];
                    }
                    double weight = Math.exp(logit / Math.sqrt(d));
                    sum += weight;
                    for (int c = 0; c < d; c++) {
                        expected[c] += weight * values.get(frame)[j][c];
                    }
                }
            }
            for (int c = 0; c < d; c++) {
                assertThat(z[i][c]).as(what).isCloseTo(expected[c] / sum, within(2e-5));
            }
        }
    }

    /** The model of golden3 over thirty frame blocks of three, two by six tokens a frame, each pass with the same latents whatever the cache. */
    private static final class Rollout implements AutoCloseable {
        private final Goldens golden = Goldens.open("golden3/interventions");
        private final Replay replay = Replay.open(Goldens.path("golden3/interventions"));
        private final Goldens parameters = Goldens.open("golden3/model-causal");
        private final Ops ops;
        private final int blocks;
        private final WanConfig sizes;
        private final RunPlan plan;
        private final Grid grid;
        /** Tokens of a frame. */
        private final int s;
        /** Channels of a head. */
        private final int d;
        /** By layer and head: the most pages that it held in any pass, its own frames among them. */
        private final int[] held = new int[12];

        /** By the first frame of the candidates. */
        private final Map<Integer, int[]> chosen = new HashMap<>();
        /** By layer and frame: the tokens that queries have chosen there. */
        private final Map<String, List<Integer>> best = new HashMap<>();
        /** By layer and token: how often it was among them. */
        private final Map<String, Integer> uses = new HashMap<>();

        Rollout(JvmOptions.Kind kernels) {
            this(new JvmOps(new JvmOptions(2, kernels)), BLOCKS);
        }

        /** @param ops are closed with it */
        Rollout(Ops ops, int blocks) {
            this.ops = ops;
            this.blocks = blocks;
            sizes = Goldens.modelConfig(golden.config().get("model_config"));
            RunSettings given = replay.settings();
            plan = RunPlan.of(
                    new RunSettings(4, 12, 3 * blocks, 0, 3, false, List.of(500f), 5, true, -1, 0, 0, given.method()),
                    3);
            grid = new Grid(1, 2, 6);
            s = grid.tokens();
            d = sizes.headDim();
        }

        /** By frame: the tokens before a pass that a head does not see in it. */
        Map<Integer, List<Integer>> hidden(
                Map<String, float[]> recorded,
                HeadCaches caches,
                HeadPolicy policy,
                HeadPolicy.History history,
                int layer,
                int head) {
            BitSet seen = new BitSet();
            for (HeadPolicy.Key key : policy.keys(caches.group(layer, head), history)) {
                switch (key.content()) {
                    case HeadPolicy.Content.Frame frame -> seen.set(frame.frame() * s, (frame.frame() + 1) * s);
                    case HeadPolicy.Content.Patches patches ->
                        IntStream.of(tokens(recorded, caches, patches)).forEach(seen::set);
                    case HeadPolicy.Content.Blend _, HeadPolicy.Content.Top _ -> throw new AssertionError(key);
                }
            }
            return IntStream.range(0, history.firstFrame() * s)
                    .filter(token -> !seen.get(token))
                    .boxed()
                    .collect(Collectors.groupingBy(
                            token -> token / s, Collectors.mapping(token -> token % s, Collectors.toList())));
        }

        /** Tokens of the video that patches are made of: the least mean cosine with the next frame's rotated keys at layer 1, in float64. */
        int[] tokens(Map<String, float[]> recorded, HeadCaches caches, HeadPolicy.Content.Patches patches) {
            int first = ((HeadPolicy.Content.Frame) patches.frames().getFirst()).frame();
            return chosen.computeIfAbsent(first, _ -> chosen(recorded, caches, first));
        }

        /** Tokens of the video on one page of those that queries have chosen in a layer, in float64. */
        int[] tokens(Map<String, float[]> recorded, int layer, HeadPolicy.Content.Top top) {
            List<Integer> all =
                    best.computeIfAbsent(layer + " at " + top.chosenAt(), _ -> best(recorded, layer, top.chosenAt()));
            return all.subList(top.page() * s, (top.page() + 1) * s).stream()
                    .mapToInt(Integer::intValue)
                    .toArray();
        }

        /**
         * The tokens of two frames, of all heads together those with the highest product with the queries of the block's first pass and of the last
         * frame before: at frame 21 of frames 10 to 19, then every six frames of those and of the last six but one.
         */
        private List<Integer> best(Map<String, float[]> recorded, int layer, int at) {
            List<Integer> candidates = new ArrayList<>();
            if (at > 21) {
                candidates.addAll(Objects.requireNonNull(best.get(layer + " at " + (at - 6))));
            }
            IntStream.range((at == 21 ? 10 : at - 7) * s, (at - 1) * s).forEach(candidates::add);
            double[] scores = new double[at * s];
            for (int head = 0; head < 4; head++) {
                double[] sum = new double[d];
                for (int i = -1; i < 3; i++) {
                    String pass = i < 0 ? "block" + (at / 3 - 1) + ".ctx" : "block" + at / 3 + ".step0";
                    float[] raw = at(recorded, pass + ".layer" + layer + ".Q_RAW");
                    for (double[] q : Rotary64.turn(rows(raw, Math.floorMod(i, 3), head, s, d), grid, at + i)) {
                        for (int c = 0; c < d; c++) {
                            sum[c] += q[c];
                        }
                    }
                }
                for (int token : candidates) {
                    HeadPolicy.Content.Frame frame = new HeadPolicy.Content.Frame(token / s);
                    double[] key = Rotary64.turn(content(recorded, frame, "K_RAW", layer, head, s, d), grid, token / s)[
                            token % s];
                    for (int c = 0; c < d; c++) {
                        scores[token] += sum[c] * key[c];
                    }
                }
            }
            List<Integer> kept = candidates.stream()
                    .filter(token -> uses.getOrDefault(layer + " " + token, 0) < 7)
                    .sorted(Comparator.comparingDouble(token -> -scores[token]))
                    .limit(2L * s)
                    .sorted()
                    .toList();
            kept.forEach(token -> uses.merge(layer + " " + token, 1, Integer::sum));
            return kept;
        }

        private int[] chosen(Map<String, float[]> recorded, HeadCaches caches, int first) {
            int length = s / 6;
            Map<Integer, Double> scores = new HashMap<>();
            for (int frame = first; frame < first + 3; frame++) {
                for (int token = 0; token < s; token++) {
                    double product = 0;
                    double here = 0;
                    double next = 0;
                    for (int head = 0; head < 4; head++) {
                        if (caches.group(1, head).equals("dynamic")) {
                            double[] a = rotated(recorded, frame, head)[token];
                            double[] b = rotated(recorded, frame + 1, head)[token];
                            for (int c = 0; c < d; c++) {
                                product += a[c] * b[c];
                                here += a[c] * a[c];
                                next += b[c] * b[c];
                            }
                        }
                    }
                    double cosine = product / Math.sqrt(here * next);
                    scores.merge((frame * s + token) / length, cosine / length, Double::sum);
                }
            }
            return scores.entrySet().stream()
                    .sorted(Map.Entry.comparingByValue())
                    .limit(6)
                    .map(Map.Entry::getKey)
                    .sorted()
                    .flatMapToInt(patch -> IntStream.range(patch * length, (patch + 1) * length))
                    .toArray();
        }

        private double[][] rotated(Map<String, float[]> recorded, int frame, int head) {
            return Rotary64.turn(
                    content(recorded, new HeadPolicy.Content.Frame(frame), "K_RAW", 1, head, s, d), grid, frame);
        }

        List<HostTensor> run(EditPlan edits, @Nullable HeadCaches caches) {
            return run(edits, caches, new HashMap<>());
        }

        /** @param recorded takes queries, keys, values and outputs of all heads by pass, layer and site */
        List<HostTensor> run(EditPlan edits, @Nullable HeadCaches caches, Map<String, float[]> recorded) {
            List<Pass> passes = caches == null ? plan.passes() : caches.place(plan.passes());
            CacheLayout layout = caches == null ? CacheLayout.rotated(3 * blocks) : caches.layout();
            Edits.Sizes applied = new Edits.Sizes(3, 4, sizes.headDim(), s, sizes.textLen());
            List<HostTensor> flows = new ArrayList<>();
            try (PassRunner runner = new PassRunner(
                            List.of(new WanModel(sizes, parameters.weights(), ops)),
                            List.of(new Context(replay.promptEmbeds())),
                            plan.settings().latentHeight(),
                            plan.settings().latentWidth(),
                            List.of(layout),
                            3);
                    Edits editor = new Edits(edits, caches, applied)) {
                Random random = new Random(5);
                for (Pass pass : passes) {
                    Shape shape = Shape.of(
                            1,
                            pass.frames(),
                            16,
                            plan.settings().latentHeight(),
                            plan.settings().latentWidth());
                    float[] latents = new float[shape.intSize()];
                    for (int i = 0; i < latents.length; i++) {
                        latents[i] = (float) random.nextGaussian();
                    }
                    flows.add(runner.run(
                            pass.withFlow(3),
                            new HostTensor(shape, latents),
                            Edits.watched(editor.observe(pass), recorder(pass, recorded))));
                }
            }
            return flows;
        }

        private PassObserver recorder(Pass pass, Map<String, float[]> recorded) {
            return new PassObserver() {
                private @Nullable KvTensor cache;

                @Override
                public void begin(int layer, KvTensor frames, Ops ops) {
                    cache = frames;
                }

                @Override
                public void layerDone(int layer) {
                    if (cache instanceof PagedKv kv) {
                        for (int head = 0; head < 4; head++) {
                            int of = head;
                            int pages = (int) IntStream.range(0, kv.pages())
                                    .filter(page -> kv.holds(0, page, of))
                                    .count();
                            held[4 * layer + head] = Math.max(held[4 * layer + head], pages);
                        }
                    }
                }

                @Override
                public boolean looksAt(int layer, Site site) {
                    return EnumSet.of(Site.Q_RAW, Site.K_RAW, Site.V, Site.Z).contains(site);
                }

                @Override
                public void visit(int layer, Site site, Tensor x, Ops ops) {
                    recorded.put(pass.id() + ".layer" + layer + "." + site, ops.read(x));
                }
            };
        }

        @Override
        public void close() {
            ops.close();
            parameters.close();
            replay.close();
            golden.close();
        }
    }
}
