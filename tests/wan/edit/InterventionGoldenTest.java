package wan.edit;

import static org.assertj.core.api.Assertions.assertThat;

import capture.Capture;
import capture.CapturePlan;
import capture.MemorySink;
import capture.PassChoice;
import capture.RunGeometry;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import wan.Goldens;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.op.AttentionKind;
import wan.op.HostTensor;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Quantity;
import wan.op.Site;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.run.Replay;
import wan.sampling.CausalSampler;
import wan.sampling.RunListener;
import wan.sampling.RunPlan;

/** The reference's rollouts with changed attention, every tensor of every case. */
public class InterventionGoldenTest {
    private static final double LOGITS_USED = 4e-5;

    /** The backend that is tested. */
    protected Ops open() {
        return new JvmOps(new JvmOptions(2, JvmOptions.Kind.AUTO));
    }

    static Stream<Arguments> cases() {
        List<Arguments> all = new ArrayList<>();
        for (String file : List.of("golden3/interventions", "golden3/interventions-window")) {
            try (Goldens golden = Goldens.open(file)) {
                golden.config().get("cases").propertyNames().forEach(name -> all.add(Arguments.of(file, name)));
                if (golden.has("source/output")) {
                    all.add(Arguments.of(file, "source"));
                }
            }
        }
        return all.stream();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void run_reproducesEveryTensor_ofTheCase(String file, String run) {
        try (Goldens golden = Goldens.open(file);
                Replay replay = Replay.open(Goldens.path(file), run);
                Goldens parameters = Goldens.open("golden3/model-causal");
                Ops ops = open()) {
            WanConfig sizes = Goldens.modelConfig(golden.config().get("model_config"));
            WanModel model = new WanModel(sizes, parameters.weights(), ops);
            RunPlan plan = RunPlan.of(replay.settings(), sizes.numLayers()).withAllFlows(sizes.numLayers());
            MemorySink sink = new MemorySink();
            Capture capture = capture(plan, sizes, sink);
            Map<String, HostTensor> x0s = new TreeMap<>();
            List<String> compared = new ArrayList<>();
            CausalSampler sampler = new CausalSampler(plan, replay, replay.initialLatent());
            Edits.Sizes applied = new Edits.Sizes(
                    sizes.numLayers(),
                    sizes.numHeads(),
                    sizes.headDim(),
                    plan.settings().frameSeqLen(),
                    sizes.textLen());
            HostTensor output;
            try (Edits edits = new Edits(replay.edits(), applied);
                    PassRunner runner = sampler.open(model, replay.promptEmbeds())) {
                edits.check(plan.passes());
                output = sampler.run(runner, new RunListener() {
                    @Override
                    public PassObserver passStarted(Pass pass) {
                        return Edits.watched(edits.observe(pass), capture.observe(pass));
                    }

                    @Override
                    public void passDone(
                            Pass pass, HostTensor latents, @Nullable HostTensor flow, @Nullable HostTensor x0) {
                        x0s.put(pass.id().label(), Objects.requireNonNull(x0));
                    }
                });
            }
            for (String tensor : golden.file().names()) {
                if (!tensor.startsWith(run + "/")) {
                    continue;
                }
                String name = tensor.substring(run.length() + 1);
                if (name.equals("output") || name.equals("output64")) {
                    Goldens.assertClose(
                            tensor,
                            output.values(),
                            golden.file().tensor(tensor).toDoubles(),
                            Goldens.ROLLOUT);
                } else if (name.endsWith(".x0")) {
                    golden.assertMatches(
                            tensor,
                            Objects.requireNonNull(x0s.get(name.substring(0, name.length() - 3)), tensor),
                            Goldens.ROLLOUT);
                } else if (name.equals("noise")) {
                    continue;
                } else {
                    String captured = name.endsWith(".out") ? name.replace(".out", ".z") : name;
                    golden.assertMatches(tensor, sink.get(captured), tolerance(name));
                }
                compared.add(tensor);
            }
            assertThat(compared).hasSizeGreaterThan(8);
        }
    }

    private static double tolerance(String name) {
        if (name.endsWith("frame_mass")) {
            return Goldens.FRAME_MASS;
        }
        if (name.endsWith("frame_logits")) {
            return Goldens.FRAME_LOGITS;
        }
        return name.endsWith("self_logits_used") ? LOGITS_USED : Goldens.ROLLOUT;
    }

    private static Capture capture(RunPlan plan, WanConfig sizes, MemorySink sink) {
        CapturePlan captures = new CapturePlan(
                IntStream.range(0, sizes.numLayers()).boxed().toList(),
                EnumSet.of(AttentionKind.SELF),
                PassChoice.parse("all"),
                IntStream.range(0, sizes.numHeads()).boxed().toList(),
                EnumSet.of(Quantity.FRAME_LOGITS, Quantity.FRAME_MASS, Quantity.TOKEN_LOGITS, Quantity.LOGITS_USED),
                new CapturePlan.Recorded(
                        EnumSet.of(Site.Q, Site.K, Site.V, Site.Z), sizes.numHeads(), sizes.headDim()));
        RunGeometry run = new RunGeometry(
                1,
                plan.settings().totalFrames(),
                plan.settings().frameSeqLen(),
                sizes.textLen(),
                plan.timesteps().size());
        return new Capture(captures, run, sink);
    }
}
