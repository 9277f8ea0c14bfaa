package wan.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import wan.file.TensorStore;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;
import wan.weights.ModelLayout.Branch;

class ModelLayoutTest {
    private static final Path CHECKPOINTS = Path.of("tests/goldens/checkpoints");

    /** Names only; a tensor's single value is its number. */
    private record Names(List<String> list) implements TensorStore {
        static Names of(String... names) {
            return new Names(List.of(names));
        }

        @Override
        public Set<String> names() {
            return new LinkedHashSet<>(list);
        }

        @Override
        public TensorView tensor(String name) {
            return new TensorView(
                    name, DType.U8, Shape.of(1), MemorySegment.ofArray(new byte[] {(byte) list.indexOf(name)}));
        }

        @Override
        public Map<String, String> metadata() {
            return Map.of();
        }

        @Override
        public Path path() {
            return Path.of("x.pt");
        }

        @Override
        public void close() {}
    }

    @ParameterizedTest
    @CsvSource({
        "sf-fp32.pt, EMA_OR_GENERATOR, sf-fp32, generator_ema, 'Self-Forcing checkpoint, generator_ema; prefix model.'",
        "sf-bf16.pt, EMA, sf-bf16, generator_ema, 'Self-Forcing checkpoint, generator_ema; prefix model.'",
        "sf-bf16.pt, GENERATOR, sf-bf16, generator, 'Self-Forcing checkpoint, generator; prefix model.'",
        "sf-bf16-legacy.pt, GENERATOR, sf-bf16, generator, 'Self-Forcing checkpoint, generator; prefix model.'",
        "bare-wrapper-bf16.pt, EMA_OR_GENERATOR, sf-bf16, generator, prefix model.",
        "under-model-key-bf16.pt, EMA_OR_GENERATOR, sf-bf16, generator, parameters under model; prefix model.",
        "sf-fsdp-prefix.pt, EMA_OR_GENERATOR, sf-bf16, generator_ema, 'Self-Forcing checkpoint, generator_ema; without"
                + " _fsdp_wrapped_module.; without _checkpoint_wrapped_module.; without _orig_mod.; prefix model.'",
        "sf-bf16.expected.safetensors, GENERATOR, sf-bf16, generator, 'Self-Forcing checkpoint, generator; prefix"
                + " model.'",
    })
    void tensor_isTheExpectedOne_whenTheCheckpointIsGolden(
            String file, Branch branch, String twin, String dict, String description) {
        try (ModelLayout layout = ModelLayout.of(TensorStore.open(CHECKPOINTS.resolve(file)), branch);
                TensorStore expected = TensorStore.open(CHECKPOINTS.resolve(twin + ".expected.safetensors"))) {
            String prefix = dict + "/model.";
            Set<String> names = expected.names().stream()
                    .filter(name -> name.startsWith(prefix))
                    .map(name -> name.substring(prefix.length()))
                    .collect(Collectors.toCollection(TreeSet::new));
            assertThat(new TreeSet<>(layout.names())).isEqualTo(names);
            for (String name : names) {
                TensorView want = expected.tensor(prefix + name);
                assertThat(layout.tensor(name).name()).isEqualTo(name);
                assertThat(layout.tensor(name).dtype()).isEqualTo(want.dtype());
                assertThat(layout.tensor(name).shape()).isEqualTo(want.shape());
                assertThat(layout.tensor(name).data().mismatch(want.data())).isEqualTo(-1);
            }
            assertThat(layout.description()).isEqualTo(description);
            assertThat(layout.notices()).isEmpty();
        }
    }

    /** Every parameter of a model of one layer, with the name it has in Diffusers. */
    static Map<String, String> parameters() {
        Map<String, String> names = new LinkedHashMap<>();
        names.put("patch_embedding", "patch_embedding");
        names.put("text_embedding.0", "condition_embedder.text_embedder.linear_1");
        names.put("text_embedding.2", "condition_embedder.text_embedder.linear_2");
        names.put("time_embedding.0", "condition_embedder.time_embedder.linear_1");
        names.put("time_embedding.2", "condition_embedder.time_embedder.linear_2");
        names.put("time_projection.1", "condition_embedder.time_proj");
        names.put("head.head", "proj_out");
        for (String attention : List.of("self_attn:attn1", "cross_attn:attn2")) {
            String ours = "blocks.0." + attention.split(":", 2)[0] + ".";
            String theirs = "blocks.0." + attention.split(":", 2)[1] + ".";
            names.put(ours + "q", theirs + "to_q");
            names.put(ours + "k", theirs + "to_k");
            names.put(ours + "v", theirs + "to_v");
            names.put(ours + "o", theirs + "to_out.0");
        }
        names.put("blocks.0.norm3", "blocks.0.norm2");
        names.put("blocks.0.ffn.0", "blocks.0.ffn.net.0.proj");
        names.put("blocks.0.ffn.2", "blocks.0.ffn.net.2");
        Map<String, String> all = new LinkedHashMap<>();
        names.forEach(
                (ours, theirs) -> Stream.of(".weight", ".bias").forEach(leaf -> all.put(ours + leaf, theirs + leaf)));
        for (String norm : List.of("norm_q", "norm_k")) {
            all.put("blocks.0.self_attn." + norm + ".weight", "blocks.0.attn1." + norm + ".weight");
            all.put("blocks.0.cross_attn." + norm + ".weight", "blocks.0.attn2." + norm + ".weight");
        }
        all.put("blocks.0.modulation", "blocks.0.scale_shift_table");
        all.put("head.modulation", "scale_shift_table");
        return all;
    }

    @Test
    void names_mapBothWays_whenTheyAreAllOfAModel() {
        try (TensorStore golden = TensorStore.open(CHECKPOINTS.resolve("sf-bf16.expected.safetensors"))) {
            assertThat(parameters().keySet())
                    .as("the list of this test is the golden model's")
                    .containsExactlyInAnyOrderElementsOf(golden.names().stream()
                            .filter(name -> name.startsWith("generator/model."))
                            .map(name -> name.substring("generator/model.".length()))
                            .toList());
        }
        parameters().forEach((ours, theirs) -> {
            assertThat(ParameterNames.diffusers(ours)).hasValue(theirs);
            assertThat(ParameterNames.original(theirs)).hasValue(ours);
        });
        assertThat(ParameterNames.original("norm_out.linear.weight")).isEmpty();
        assertThat(ParameterNames.original("blocks.0.attn2.add_q_proj.weight")).isEmpty();
        assertThat(ParameterNames.diffusers("blocks.x.modulation")).isEmpty();
    }

    @Test
    void names_areOriginal_whenTheLayoutIsThatOfDiffusers() {
        List<String> stored = new ArrayList<>(parameters().values());
        stored.add("blocks.0.attn2.add_q_proj.weight");
        ModelLayout layout = ModelLayout.of(new Names(stored));

        List<String> expected = new ArrayList<>(parameters().keySet());
        expected.add("blocks.0.attn2.add_q_proj.weight");
        assertThat(layout.names()).containsExactlyElementsOf(expected);
        assertThat(layout.description()).isEqualTo("Diffusers' names");
        assertThat(layout.storedName("blocks.0.norm3.bias")).isEqualTo("blocks.0.norm2.bias");
        assertThat(layout.tensor("blocks.0.norm3.bias").data().get(ValueLayout.JAVA_BYTE, 0))
                .isEqualTo((byte) stored.indexOf("blocks.0.norm2.bias"));
    }

    @Test
    void names_areOriginal_whenTheFileIsOfComfyUi() {
        List<String> stored = new ArrayList<>(parameters().keySet().stream()
                .map(name -> "model.diffusion_model." + name)
                .toList());
        stored.add("first_stage_model.decoder.conv1.weight");
        ModelLayout layout = ModelLayout.of(new Names(stored));

        assertThat(layout.names()).containsExactlyElementsOf(parameters().keySet());
        assertThat(layout.description()).isEqualTo("ComfyUI file, prefix model.diffusion_model.");
        assertThat(layout.notices())
                .containsExactly("x.pt: leaving out 1 tensors that are not under model.diffusion_model.");
    }

    @Test
    void names_areKept_whenTheyAreWan21sOwn() {
        ModelLayout layout = ModelLayout.of(new Names(List.copyOf(parameters().keySet())));

        assertThat(layout.names()).containsExactlyElementsOf(parameters().keySet());
        assertThat(layout.description()).isEqualTo("Wan2.1's own names");
    }

    @Test
    void of_fallsBackWithANotice_whenThereIsNoMovingAverage() {
        ModelLayout layout = ModelLayout.of(Names.of("generator/model.head.head.bias", "critic/model.head.head.bias"));

        assertThat(layout.names()).containsExactly("head.head.bias");
        assertThat(layout.notices())
                .containsExactly("x.pt: has no generator_ema; using generator, as the reference does");
    }

    @Test
    void of_refuses_whenTheBranchAskedForIsNotThere() {
        assertThatThrownBy(() -> ModelLayout.of(Names.of("generator/model.head.head.bias"), Branch.EMA))
                .isInstanceOf(WanException.class)
                .hasMessage(
                        "x.pt: expected generator_ema, got only generator/model; model.branch generator takes that");
        assertThatThrownBy(() ->
                        ModelLayout.of(Names.of("generator_ema/model.head.head.bias", "critic/x"), Branch.GENERATOR))
                .isInstanceOf(WanException.class)
                .hasMessage(
                        "x.pt: expected generator, got only generator_ema/model; leave out model.branch generator?");
        assertThatThrownBy(() -> ModelLayout.of(Names.of("optimizer/state/0", "critic/x")))
                .isInstanceOf(WanException.class)
                .hasMessage("x.pt: expected generator_ema, generator, model, or the parameters themselves, got critic,"
                        + " optimizer");
    }

    @Test
    void of_refuses_whenTwoTensorsAreTheSameParameter() {
        assertThatThrownBy(() -> ModelLayout.of(Names.of("head._orig_mod.head.bias", "head.head.bias")))
                .isInstanceOf(FormatException.class)
                .hasMessage("x.pt: head._orig_mod.head.bias and head.head.bias are both the parameter head.head.bias");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "module.",
                "model.module.",
                "state_dict/",
                "state_dict/model.",
                "module/",
                "module/module.model.",
                "model_state_dict/",
                "ema/",
                "ema/module.",
                "generator_ema.model.",
                "net.",
                "pipe.dit.",
                "0/",
                "checkpoint/model/state/net._orig_mod.module.",
                "model.diffusion_model.",
                "transformer."
            })
    void names_areFound_whateverStandsBeforeThem(String prefix) {
        for (Collection<String> names :
                List.of(parameters().keySet(), parameters().values())) {
            List<String> stored =
                    new ArrayList<>(names.stream().map(name -> prefix + name).toList());
            String dict = prefix.contains("/") ? "" : "beside/";
            List.of("optimizer/state/0/exp_avg", dict + "epoch", "optimizer/state/1/step")
                    .forEach(stored::add);
            ModelLayout layout = ModelLayout.of(new Names(stored));

            assertThat(layout.names()).containsExactlyElementsOf(parameters().keySet());
            assertThat(layout.storedName("head.modulation")).startsWith(prefix);
            assertThat(layout.description()).isNotEqualTo("Wan2.1's own names");
        }
    }

    private static List<String> twice(String first, String second) {
        return Stream.of(first, second)
                .flatMap(prefix -> parameters().keySet().stream().map(name -> prefix + name))
                .toList();
    }

    @ParameterizedTest
    @CsvSource({
        "state_dict/, ema/, EMA_OR_GENERATOR, ema/",
        "state_dict/, ema/, GENERATOR, state_dict/",
        "model., model_ema., EMA, model_ema.",
        "'', ema., EMA_OR_GENERATOR, ema.",
        "'', ema., GENERATOR, ''",
        "generator.model., generator_ema.model., EMA_OR_GENERATOR, generator_ema.model.",
        "generator/model., fake_score/model., EMA_OR_GENERATOR, generator/model.",
        "model/, critic/, EMA, model/",
        "student., teacher., EMA_OR_GENERATOR, student.",
    })
    void names_areOfTheBranch_whenAFileHoldsTwoModels(String first, String second, Branch branch, String chosen) {
        ModelLayout layout = ModelLayout.of(new Names(twice(first, second)), branch);
        assertThat(layout.names()).containsExactlyElementsOf(parameters().keySet());
        assertThat(layout.storedName("head.modulation")).isEqualTo(chosen + "head.modulation");
    }

    @Test
    void of_namesBoth_whenTwoModelsCouldBeMeant() {
        assertThatThrownBy(() -> ModelLayout.of(new Names(twice("high_noise_model.", "low_noise_model."))))
                .isInstanceOf(WanException.class)
                .hasMessage(
                        "x.pt: expected one model, got 2, under high_noise_model, low_noise_model; save the intended one"
                                + " to a separate file");
    }

    @Test
    void notices_sayThePrefix_whenItIsUnusual() {
        List<String> stored = new ArrayList<>(
                parameters().keySet().stream().map(name -> "pipe.dit." + name).toList());
        stored.add("pipe.vae.decoder.conv1.weight");
        assertThat(ModelLayout.of(new Names(stored)).notices())
                .containsExactly(
                        "x.pt: the model's parameters are those under pipe.dit.",
                        "x.pt: leaving out 1 tensors that are not under pipe.dit.");
        assertThat(ModelLayout.of(new Names(twice("model/", "ema/"))).notices())
                .containsExactly("x.pt: using the moving average, ema/; model.branch generator takes model");
    }

    @Test
    void names_areKept_whenTheyAreNoModel() {
        List<String> encoder = List.of(
                "token_embedding.weight", "blocks.0.norm2.weight", "blocks.0.attn.q.weight", "blocks.0.attn.k.weight");
        assertThat(ModelLayout.of(new Names(encoder)).names()).containsExactlyElementsOf(encoder);
    }
}
