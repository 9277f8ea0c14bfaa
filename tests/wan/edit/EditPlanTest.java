package wan.edit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.json.JsonMapper;
import wan.Goldens;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.op.HostTensor;
import wan.op.TracingOps;
import wan.op.UsageException;
import wan.pass.PassId;
import wan.pass.PassRunner;
import wan.run.Replay;
import wan.sampling.CausalSampler;
import wan.sampling.RunListener;
import wan.sampling.RunPlan;

class EditPlanTest {
    private static final String ALL_EFFECTS = """
            [{"do": "zero", "heads": "3:5,7:0-3"},
             {"do": "mean", "heads": "1:2"},
             {"do": "mean_frame", "heads": "1:2", "passes": ["block1.step0", "context"]},
             {"do": "scale", "heads": "1:all", "value": 0.5, "frame_blocks": "1-3"},
             {"do": "temperature", "heads": "3:5", "value": 0.7},
             {"do": "bias", "heads": "0:3", "frames": "5", "tokens": "0-9", "value": -2.0},
             {"do": "block", "heads": "0:3", "attention": "cross", "tokens": "4"},
             {"do": "keep", "heads": "all:1", "sink": 1, "window": 2},
             {"do": "patch", "heads": "1:3", "site": "k", "from": "a.safetensors", "prefix": "source/"},
             {"do": "add", "heads": "3", "site": "resid", "from": "v.safetensors", "tensor": "v", "value": 2.0},
             {"do": "noise", "heads": "3:1", "site": "q", "value": 0.1, "seed": 9}]
            """;

    @Test
    void json_readsWhatItWrites() {
        JsonMapper mapper = JsonMapper.shared();
        EditPlan plan = EditJson.parse("test", mapper.readTree(ALL_EFFECTS));
        String written = mapper.writeValueAsString(EditJson.toJson(plan));
        assertThat(EditJson.parse("test", mapper.readTree(written))).isEqualTo(plan);
        assertThat(mapper.readTree(written)).isEqualTo(mapper.readTree(ALL_EFFECTS));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{} | test: expected a list of rules",
                "[{\"do\": \"delete\", \"heads\": \"1\"}] | test, rule 0: expected do to be one of",
                "[{\"do\": \"zero\"}] | test, rule 0: expected either heads or layers",
                "[{\"do\": \"zero\", \"heads\": \"1:x\"}] | test, rule 0, heads: expected indices such as 3",
                "[{\"do\": \"zero\", \"heads\": \"1\", \"value\": 2}] | got \"value\"",
                "[{\"do\": \"scale\", \"heads\": \"1\"}] | test, rule 0: expected a number as value, got none",
                "[{\"do\": \"zero\", \"heads\": \"1\", \"passes\": [\"first\"]}] | edit, passes: expected names",
                "[{\"do\": \"noise\", \"heads\": \"1\", \"site\": \"w\", \"value\": 1}] | expected a site, one of [q-raw",
            })
    void json_isRefused_whenItIsWrong(String json, String message) {
        assertThatThrownBy(() -> EditJson.parse("test", JsonMapper.shared().readTree(json)))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining(message);
    }

    @Test
    void heads_areReadInAllForms() {
        Heads heads = Heads.parse("x", "3:5,7:0-1,3,9:all");
        assertThat(heads.in(3, 12)).containsExactly(5);
        assertThat(heads.in(7, 12)).containsExactly(0, 1, 3);
        assertThat(heads.in(9, 3)).containsExactly(0, 1, 2);
        assertThat(Heads.parse("x", "2,4-5").in(4, 2)).containsExactly(0, 1);
        assertThat(Heads.parse("x", "all:2").inLayer(29)).isTrue();
        assertThat(heads.inLayer(4)).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"block2.step1", "step1", "denoise", "all"})
    void passes_areFoundByLabelStepAndKind(String name) {
        Passes passes = name.equals("all") ? Passes.ALL : new Passes(List.of("init", name));
        assertThat(passes.contains(PassId.parse("block2.step1"))).isTrue();
        assertThat(passes.contains(PassId.parse("block2.ctx"))).isEqualTo(name.equals("all"));
    }

    /** Without edits, or with edits that change nothing, the model runs the same operations and gives the same bits. */
    @Test
    void noEdit_addsNoOperation_andChangesNoBit() {
        EditPlan idle = EditJson.parse(
                "test",
                JsonMapper.shared()
                        .readTree("[{\"do\": \"temperature\", \"heads\": \"all\", \"value\": 1},"
                                + " {\"do\": \"bias\", \"heads\": \"all\", \"value\": 0},"
                                + " {\"do\": \"scale\", \"heads\": \"all\", \"value\": 1},"
                                + " {\"do\": \"zero\", \"heads\": \"all\", \"passes\": [\"window\"]}]"));
        List<String> plain = new ArrayList<>();
        List<String> edited = new ArrayList<>();
        float[] expected = rollOut(null, plain);
        assertThat(rollOut(EditPlan.NONE, edited)).isEqualTo(expected);
        assertThat(edited).isNotEmpty().isEqualTo(plain);
        edited.clear();
        assertThat(rollOut(idle, edited)).isEqualTo(expected);
        assertThat(edited).isEqualTo(plain);
    }

    private static float[] rollOut(@Nullable EditPlan plan, List<String> trace) {
        String file = "golden3/interventions-window";
        try (Goldens golden = Goldens.open(file);
                Replay replay = Replay.open(Goldens.path(file));
                Goldens parameters = Goldens.open("golden3/model-causal");
                TracingOps ops = new TracingOps(new JvmOps(new JvmOptions(2, JvmOptions.Kind.AUTO)))) {
            WanConfig sizes = Goldens.modelConfig(golden.config().get("model_config"));
            RunPlan passes = RunPlan.of(replay.settings(), sizes.numLayers());
            CausalSampler sampler = new CausalSampler(passes, replay, null);
            Edits.Sizes applied = new Edits.Sizes(
                    sizes.numLayers(),
                    sizes.numHeads(),
                    sizes.headDim(),
                    passes.settings().frameSeqLen(),
                    sizes.textLen());
            try (PassRunner runner =
                            sampler.open(new WanModel(sizes, parameters.weights(), ops), replay.promptEmbeds());
                    Edits edits = new Edits(plan == null ? EditPlan.NONE : plan, applied)) {
                HostTensor output = sampler.run(runner, plan == null ? RunListener.NONE : edits::observe);
                trace.addAll(ops.trace());
                return output.values();
            }
        }
    }
}
