package capture;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

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
                    EnumSet.allOf(Quantity.class));
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
