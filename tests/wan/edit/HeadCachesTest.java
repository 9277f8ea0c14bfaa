package wan.edit;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import wan.Goldens;
import wan.cache.CacheLayout;
import wan.cache.Policies;
import wan.cache.PolicySchedule;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.jvm.onednn.OneDnnTest;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.pass.Context;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.run.Replay;
import wan.sampling.RunPlan;

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
            PolicySchedule schedule = PolicySchedule.of(policy, rollout.plan.settings().blockSizes());
            assertThat(schedule.turns()).isFalse();
            HeadCaches caches = new HeadCaches(schedule, heads, 3, 4);
            List<HostTensor> kept = rollout.run(new EditPlan(List.of()), caches);

            // The same masks as rules over a cache that keeps everything.
            List<Rule> rules = new java.util.ArrayList<>();
            for (Pass pass : rollout.plan.passes()) {
                PolicySchedule.Block block = schedule.blocks().stream()
                        .filter(b -> b.firstFrame() == pass.firstFrame())
                        .findFirst()
                        .orElseThrow();
                for (int layer = 0; layer < 3; layer++) {
                    for (int head = 0; head < 4; head++) {
                        java.util.BitSet seen = block.seen().get(heads.of(layer, head));
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
                                    wan.op.AttentionKind.SELF,
                                    new Passes(List.of(pass.id().label())),
                                    capture.Indices.ALL,
                                    new Effect.Bias(
                                            capture.Indices.of(hidden),
                                            capture.Indices.ALL,
                                            Float.NEGATIVE_INFINITY)));
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
            wan.sampling.RunSettings s = replay.settings();
            plan = RunPlan.of(
                    new wan.sampling.RunSettings(
                            s.latentHeight(), s.latentWidth(), 30, 0, 3, false, List.of(1000f, 500f), 5, true, -1, 0, 0),
                    3);
        }

        List<HostTensor> run(EditPlan edits, HeadCaches caches) {
            List<Pass> passes = caches == null ? plan.passes() : caches.place(plan.passes());
            CacheLayout layout = caches == null ? CacheLayout.rotated(30) : caches.layout();
            Edits.Sizes applied = new Edits.Sizes(3, 4, sizes.headDim(), plan.settings().frameSeqLen(), sizes.textLen());
            List<HostTensor> flows = new java.util.ArrayList<>();
            try (PassRunner runner = new PassRunner(
                            new WanModel(sizes, parameters.weights(), ops),
                            List.of(new Context(replay.promptEmbeds())),
                            plan.settings().latentHeight(),
                            plan.settings().latentWidth(),
                            List.of(layout),
                            3);
                    Edits editor = new Edits(edits, caches, applied)) {
                java.util.Random random = new java.util.Random(5);
                for (Pass pass : passes) {
                    Shape shape = Shape.of(
                            1, pass.frames(), 16, plan.settings().latentHeight(), plan.settings().latentWidth());
                    float[] latents = new float[shape.intSize()];
                    for (int i = 0; i < latents.length; i++) {
                        latents[i] = (float) random.nextGaussian();
                    }
                    flows.add(runner.run(
                            pass.withFlow(3), new HostTensor(shape, latents), editor.observe(pass)));
                }
            }
            return flows;
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
