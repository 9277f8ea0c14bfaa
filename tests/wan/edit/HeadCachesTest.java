package wan.edit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import capture.Indices;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
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
import wan.jvm.onednn.OneDnnTest;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.op.AttentionKind;
import wan.op.Grid;
import wan.op.HostTensor;
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
class HeadCachesTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "VECTOR | full | all=all",
                "VECTOR | self-forcing-window | full=all",
                "VECTOR | dummy-forcing | mid=0:1,2:0-1;dummy=1:all,2:3",
                "SCALAR | dummy-forcing | mid=0:1,2:0-1;dummy=1:all,2:3",
                "ONEDNN_F32 | dummy-forcing | mid=0:1,2:0-1;dummy=1:all,2:3",
                "VECTOR | forcing-kv | dynamic=0:1,1:all",
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
            List<HostTensor> kept = rollout.run(new EditPlan(List.of()), caches);

            // The same masks as rules over a cache that keeps everything.
            List<Rule> rules = new ArrayList<>();
            for (Pass pass : rollout.plan.passes()) {
                PolicySchedule.Block block = schedule.blocks().stream()
                        .filter(b -> b.firstFrame() == pass.firstFrame())
                        .findFirst()
                        .orElseThrow();
                for (int layer = 0; layer < 3; layer++) {
                    for (int head = 0; head < 4; head++) {
                        BitSet seen = Objects.requireNonNull(block.seen().get(heads.of(layer, head)));
                        List<Integer> frames = seen.stream()
                                .map(slot -> block.slots().get(slot).frame())
                                .boxed()
                                .toList();
                        int[] hidden = IntStream.range(0, pass.firstFrame() + pass.frames())
                                .filter(frame -> !frames.contains(frame))
                                .toArray();
                        if (hidden.length > 0) {
                            rules.add(new Rule(
                                    Heads.of(layer, head),
                                    AttentionKind.SELF,
                                    new Passes(List.of(pass.id().label())),
                                    Indices.ALL,
                                    new Effect.Bias(Indices.of(hidden), Indices.ALL, Float.NEGATIVE_INFINITY)));
                        }
                    }
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

    /** Every head's output of every layer against float64 attention over the recorded keys, at the positions that the policy gives them. */
    @ParameterizedTest
    @EnumSource(Policies.class)
    void outputs_areThoseOfThePolicysKeys_inFloat64(Policies policy) {
        String spread = IntStream.range(0, policy.groups().size())
                .mapToObj(i -> policy.groups().get(i) + "=all:" + i)
                .collect(Collectors.joining(";"));
        HeadGroups heads = HeadGroups.parse(policy.groups(), policy.groups().size() == 1 ? null : spread);
        try (Rollout rollout = new Rollout(JvmOptions.Kind.VECTOR)) {
            PolicySchedule schedule =
                    PolicySchedule.of(policy, rollout.plan.settings().blockSizes());
            HeadCaches caches = new HeadCaches(schedule, heads, 3, 4);
            Map<String, float[]> recorded = new HashMap<>();
            List<HostTensor> _ = rollout.run(EditPlan.NONE, caches, recorded);
            int s = rollout.plan.settings().frameSeqLen();
            Grid grid = new Grid(
                    1,
                    rollout.plan.settings().latentHeight() / 2,
                    rollout.plan.settings().latentWidth() / 2);
            int d = rollout.sizes.headDim();
            for (int block = 0; block < 10; block++) {
                for (int layer = 0; layer < 3; layer++) {
                    String pass = "block" + block + ".step0.layer" + layer + ".";
                    for (int head = 0; head < 4; head++) {
                        List<double[][]> keys = new ArrayList<>();
                        List<double[][]> values = new ArrayList<>();
                        List<HeadPolicy.Key> kept = policy.keys(
                                heads.of(layer, head), new HeadPolicy.History(Collections.nCopies(block, 3)));
                        for (HeadPolicy.Key key : kept) {
                            double[][] raw = content(recorded, key.content(), "K_RAW", layer, head, s, d);
                            keys.add(Rotary.turn(raw, grid, 3 * block - key.distance()));
                            values.add(content(recorded, key.content(), "V", layer, head, s, d));
                        }
                        for (int i = 0; i < 3; i++) {
                            keys.add(Rotary.turn(
                                    rows(at(recorded, pass + "K_RAW"), i, head, s, d), grid, 3 * block + i));
                            values.add(rows(at(recorded, pass + "V"), i, head, s, d));
                        }
                        for (int i = 0; i < 3; i++) {
                            double[][] q =
                                    Rotary.turn(rows(at(recorded, pass + "Q_RAW"), i, head, s, d), grid, 3 * block + i);
                            double[][] z = rows(at(recorded, pass + "Z"), i, head, s, d);
                            assertAttention(policy + " " + pass + head, q, keys, values, z);
                        }
                    }
                }
            }
        }
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

    /** Rotary embedding in float64. */
    private static final class Rotary {
        static double[][] turn(double[][] frame, Grid grid, int position) {
            int pairs = frame[0].length / 2;
            int third = pairs / 3;
            int first = pairs - 2 * third;
            double[][] out = new double[frame.length][2 * pairs];
            for (int token = 0; token < frame.length; token++) {
                for (int pair = 0; pair < pairs; pair++) {
                    int axis = pair < first ? 0 : pair < first + third ? 1 : 2;
                    int at = axis == 0 ? position : axis == 1 ? token / grid.columns() : token % grid.columns();
                    int j = pair - (axis == 0 ? 0 : axis == 1 ? first : first + third);
                    double angle = at * Math.pow(10000, -(double) j / (axis == 0 ? first : third));
                    double re = frame[token][2 * pair];
                    double im = frame[token][2 * pair + 1];
                    out[token][2 * pair] = re * Math.cos(angle) - im * Math.sin(angle);
                    out[token][2 * pair + 1] = re * Math.sin(angle) + im * Math.cos(angle);
                }
            }
            return out;
        }
    }

    /** The model of golden3 over ten frame blocks of three, each pass with the same latents whatever the cache. */
    private static final class Rollout implements AutoCloseable {
        private final Goldens golden = Goldens.open("golden3/interventions");
        private final Replay replay = Replay.open(Goldens.path("golden3/interventions"));
        private final Goldens parameters = Goldens.open("golden3/model-causal");
        private final JvmOps ops;
        private final WanConfig sizes;
        private final RunPlan plan;

        Rollout(JvmOptions.Kind kernels) {
            ops = new JvmOps(new JvmOptions(2, kernels));
            sizes = Goldens.modelConfig(golden.config().get("model_config"));
            RunSettings s = replay.settings();
            plan = RunPlan.of(
                    new RunSettings(
                            s.latentHeight(),
                            s.latentWidth(),
                            30,
                            0,
                            3,
                            false,
                            List.of(1000f, 500f),
                            5,
                            true,
                            -1,
                            0,
                            0,
                            s.method()),
                    3);
        }

        List<HostTensor> run(EditPlan edits, @Nullable HeadCaches caches) {
            return run(edits, caches, new HashMap<>());
        }

        /** @param recorded takes queries, keys, values and outputs of all heads by pass, layer and site */
        List<HostTensor> run(EditPlan edits, @Nullable HeadCaches caches, Map<String, float[]> recorded) {
            List<Pass> passes = caches == null ? plan.passes() : caches.place(plan.passes());
            CacheLayout layout = caches == null ? CacheLayout.rotated(30) : caches.layout();
            Edits.Sizes applied =
                    new Edits.Sizes(3, 4, sizes.headDim(), plan.settings().frameSeqLen(), sizes.textLen());
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

        private static PassObserver recorder(Pass pass, Map<String, float[]> recorded) {
            return new PassObserver() {
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
