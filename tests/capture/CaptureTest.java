package capture;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import org.junit.jupiter.api.Test;
import wan.Goldens;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.op.AttentionKind;
import wan.op.HostTensor;
import wan.op.Quantity;
import wan.op.TracingOps;
import wan.op.UsageException;
import wan.pass.PassId;
import wan.pass.PassRunner;
import wan.run.Replay;
import wan.sampling.CausalSampler;
import wan.sampling.RunListener;
import wan.sampling.RunPlan;

class CaptureTest {
    private record Outcome(List<String> trace, HostTensor output, MemorySink sink) {}

    private static Outcome run(boolean captured, int threads) {
        try (Goldens golden = Goldens.open("rollout-c");
                Replay replay = Replay.open(Goldens.path("rollout-c"));
                Goldens parameters = Goldens.open("model-tiny");
                TracingOps ops = new TracingOps(new JvmOps(new JvmOptions(threads, JvmOptions.Kind.AUTO)))) {
            WanConfig sizes = Goldens.modelConfig(golden.config().get("model_config"));
            WanModel model = new WanModel(sizes, parameters.weights(), ops);
            RunPlan plan = RunPlan.of(replay.settings(), sizes.numLayers());
            MemorySink sink = new MemorySink();
            CapturePlan what = new CapturePlan(
                    List.of(0, 1, 2, 3),
                    EnumSet.allOf(AttentionKind.class),
                    PassChoice.parse("all"),
                    List.of(1, 3),
                    EnumSet.allOf(Quantity.class),
                    CapturePlan.Recorded.NONE,
                    new CapturePlan.Regions(
                            List.of(
                                    QueryRegion.parse("4,1,0-2"),
                                    QueryRegion.parse("5,0,1"),
                                    QueryRegion.parse("0,1,1")),
                            2,
                            3));
            Capture capture = new Capture(what, new RunGeometry(1, 13, 6, sizes.textLen(), 4), sink);
            CausalSampler sampler = new CausalSampler(plan, replay, null);
            try (PassRunner runner = sampler.open(model, replay.promptEmbeds())) {
                HostTensor output = sampler.run(runner, captured ? capture::observe : RunListener.NONE);
                return new Outcome(List.copyOf(ops.trace()), output, sink);
            }
        }
    }

    @Test
    void capture_addsNoOperationAndChangesNoBit() {
        Outcome off = run(false, 2);
        Outcome on = run(true, 2);
        assertThat(on.trace()).isEqualTo(off.trace()).isNotEmpty();
        assertThat(on.output().values()).isEqualTo(off.output().values());
        assertThat(off.sink().tensors()).isEmpty();
        assertThat(on.sink().tensors()).isNotEmpty();
    }

    @Test
    void everyBit_isTheSame_forAnyNumberOfThreadsAndAgain() {
        Outcome one = run(true, 1);
        for (int threads : new int[] {1, 2, 3, 7}) {
            Outcome other = run(true, threads);
            assertThat(other.output().values()).isEqualTo(one.output().values());
            one.sink()
                    .tensors()
                    .forEach((name, tensor) ->
                            assertThat(other.sink().get(name).values()).as(name).isEqualTo(tensor.values()));
        }
    }

    @Test
    void regions_areMeansOfTheRowsOfTokenLogits_andOfTheirSoftmax_inThePassesOfTheirFrames() {
        MemorySink sink = run(true, 2).sink();
        int checked = 0;
        for (String name : sink.tensors().keySet()) {
            if (!name.endsWith(".region_logits")) {
                continue;
            }
            String stem = name.substring(0, name.length() - "region_logits".length());
            boolean cross = stem.endsWith("cross_");
            HostTensor logits = sink.get(cross ? stem + "logits" : stem + "self_logits");
            HostTensor got = sink.get(name);
            HostTensor mass = sink.get(stem + "region_mass");
            assertThat(mass.shape()).isEqualTo(got.shape());
            boolean first = stem.contains("block0") || stem.contains("init0");
            int queries = logits.shape().dim(2);
            int keys = logits.shape().dim(3);
            int regions = got.shape().dim(2);
            int start = first ? 0 : 4; // the pass's first frame
            List<List<Integer>> expected = first
                    ? List.of(List.of(4))
                    : List.of(List.of((4 - start) * 6 + 3, (4 - start) * 6 + 4, (4 - start) * 6 + 5), List.of(6 + 1));
            assertThat(regions).as(name).isEqualTo(expected.size());
            for (int row = 0; row < got.values().length / keys; row++) {
                int plane = row / regions;
                double[] meanLogits = new double[keys];
                double[] meanMass = new double[keys];
                List<Integer> members = expected.get(row % regions);
                for (int query : members) {
                    int from = (plane * queries + query) * keys;
                    double sum = 0;
                    for (int k = 0; k < keys; k++) {
                        sum += Math.exp(logits.values()[from + k]);
                    }
                    for (int k = 0; k < keys; k++) {
                        meanLogits[k] += logits.values()[from + k] / (double) members.size();
                        meanMass[k] += Math.exp(logits.values()[from + k]) / sum / members.size();
                    }
                }
                for (int k = 0; k < keys; k++) {
                    assertThat((double) got.values()[row * keys + k]).as(name).isCloseTo(meanLogits[k], within(2e-6));
                    assertThat((double) mass.values()[row * keys + k]).as(name).isCloseTo(meanMass[k], within(2e-6));
                }
                checked++;
            }
        }
        assertThat(checked).isPositive();
    }

    @Test
    void queryMass_isOfEveryQuery_whatFrameMassIsOfAFrame() {
        MemorySink sink = run(true, 2).sink();
        int checked = 0;
        for (String name : sink.tensors().keySet()) {
            if (name.endsWith("query_mass")) {
                HostTensor frames = sink.get(name.replace("query_mass", "frame_mass"));
                HostTensor queries = sink.get(name);
                int keys = queries.shape().dim(3);
                assertThat(queries.shape().dim(2)).isEqualTo(6 * frames.shape().dim(2));
                double[] means = new double[frames.values().length];
                for (int i = 0; i < queries.values().length; i++) {
                    means[i / keys / 6 * keys + i % keys] += queries.values()[i] / 6.0;
                }
                for (int i = 0; i < means.length; i++) {
                    assertThat((double) frames.values()[i]).as(name).isCloseTo(means[i], within(1e-6));
                }
                checked++;
            }
        }
        assertThat(checked).isPositive();
    }

    @Test
    void queryRegion_readsTokensAndBoxes_andRefusesTheRest() {
        assertThat(QueryRegion.parse("3,10,20")).isEqualTo(new QueryRegion(3, 10, 20, 1, 1));
        assertThat(QueryRegion.parse(" 3,2-5,4-7"))
                .isEqualTo(new QueryRegion(3, 2, 4, 4, 4))
                .hasToString("3,2-5,4-7");
        for (String text : List.of("", "3", "3,1", "3,1,2,4", "3,5-2,1", "-1,0,0", "a,b,c", "3,1,", "99999999,0,0")) {
            assertThatThrownBy(() -> QueryRegion.parse(text)).as(text).isInstanceOf(UsageException.class);
        }
        assertThatThrownBy(() -> QueryRegion.parse("3,0,0-4").check(4, 2, 4)).hasMessageContaining("columns below 4");
        QueryRegion.parse("3,0-1,0-3").check(4, 2, 4);
    }

    @Test
    void capturedHeads_areTheOnesAskedFor() {
        Outcome on = run(true, 2);
        try (Goldens golden = Goldens.open("rollout-c")) {
            HostTensor two = on.sink().get("block4.ctx.layer1.frame_logits");
            HostTensor four = golden.get("block4.ctx.layer1.frame_logits");
            int perHead = two.values().length / 2;
            for (int h = 0; h < 2; h++) {
                int head = h == 0 ? 1 : 3;
                for (int i = 0; i < perHead; i++) {
                    assertThat(Math.abs(two.values()[h * perHead + i] - four.values()[head * perHead + i]))
                            .isLessThan((float) Goldens.FRAME_LOGITS);
                }
            }
        }
    }

    @Test
    void passChoice_includes_initPassesAlways() {
        PassId init = new PassId(PassId.Kind.INIT, 0, 0);
        PassId first = new PassId(PassId.Kind.DENOISE, 2, 0);
        PassId third = new PassId(PassId.Kind.DENOISE, 2, 2);
        PassId last = new PassId(PassId.Kind.DENOISE, 2, 3);
        PassId context = new PassId(PassId.Kind.CONTEXT, 2, 0);
        List<String> rules = List.of("first", "last", "context", "all", "0,2");
        List<List<PassId>> expected = List.of(
                List.of(init, first),
                List.of(init, last),
                List.of(init, context),
                List.of(init, first, third, last, context),
                List.of(init, first, third));
        for (int i = 0; i < rules.size(); i++) {
            PassChoice choice = PassChoice.parse(rules.get(i));
            List<PassId> included = new ArrayList<>(List.of(init, first, third, last, context));
            included.removeIf(id -> !choice.includes(id, 4));
            assertThat(included).as(rules.get(i)).isEqualTo(expected.get(i));
            assertThat(choice).hasToString(rules.get(i));
        }
    }

    @Test
    void passChoice_refuses_whatIsNoPass() {
        for (String text : List.of("", "second", "0,,1", "3-1", "-1", "1-", "99999999999")) {
            assertThatThrownBy(() -> PassChoice.parse(text)).as(text).isInstanceOf(UsageException.class);
        }
        assertThatThrownBy(() -> PassChoice.parse("0,4").check(4))
                .isInstanceOf(UsageException.class)
                .hasMessage("capture.passes: expected steps 0 to 3, got 4");
    }

    @Test
    void indexList_readsRangesAndAll_andRefusesTheRest() {
        assertThat(IndexList.parse("--layer", "3", 30, "layers")).containsExactly(3);
        assertThat(IndexList.parse("--layer", "9,0-2, 1", 30, "layers")).containsExactly(0, 1, 2, 9);
        assertThat(IndexList.parse("--layer", "all", 3, "layers")).containsExactly(0, 1, 2);
        assertThatThrownBy(() -> IndexList.parse("--layer", "30", 30, "layers"))
                .isInstanceOf(UsageException.class)
                .hasMessage("--layer: expected indices from 0 to 29, got 30 (they count from 0)");
        for (String text : List.of("", ",", "a", "1-2-3", "2-1", "-1", "1.5", "1;2")) {
            assertThatThrownBy(() -> IndexList.parse("--layer", text, 30, "layers"))
                    .as(text)
                    .isInstanceOf(UsageException.class);
        }
    }
}
