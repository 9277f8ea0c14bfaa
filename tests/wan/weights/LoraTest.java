package wan.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import wan.Goldens;
import wan.cache.CacheLayout;
import wan.cache.Placement;
import wan.file.SafetensorsWriter;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.HostTensor;
import wan.op.PassObserver;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WeightSource;
import wan.pass.Context;
import wan.pass.Pass;
import wan.pass.PassId;
import wan.pass.PassRunner;

/** Low-rank adapters merged at load, as PEFT merges them, whatever the names. */
class LoraTest {
    private static final String LORA = "golden3/lora";

    @TempDir
    Path folder;

    private static Path golden(String file) {
        return Path.of("tests/goldens/golden3", file);
    }

    /** The base model's file, of one type. */
    private Path base(DType dtype) {
        Path file = folder.resolve("base-" + dtype + ".safetensors");
        try (Goldens model = Goldens.open("golden3/model-causal");
                SafetensorsWriter writer = SafetensorsWriter.create(file, 1 << 16)) {
            for (String name : model.file().names()) {
                TensorView view = model.file().tensor(name);
                writer.add(name, dtype, view.shape()).write(view.toFloats());
            }
            writer.finish(Map.of("config", Goldens.configJson(model)));
        }
        return file;
    }

    /** The adapters under other names. */
    private Path renamed(String name, UnaryOperator<String> rename, boolean alphas) {
        Path file = folder.resolve(name);
        try (Goldens lora = Goldens.open(LORA);
                SafetensorsWriter writer = SafetensorsWriter.create(file, 1 << 16)) {
            for (String key : lora.file().names()) {
                if (key.startsWith("lora/")) {
                    TensorView view = lora.file().tensor(key);
                    String to = rename.apply(key.substring("lora/base_model.model.".length()));
                    writer.add(to, DType.F32, view.shape()).write(view.toFloats());
                    if (alphas && to.endsWith("lora_down.weight")) {
                        writer.add(to.replace("lora_down.weight", "alpha"), DType.F32, Shape.of(1))
                                .write(new float[] {(float) alpha(lora)});
                    }
                }
            }
            writer.finish(Map.of());
        }
        return file;
    }

    private static double alpha(Goldens lora) {
        return lora.config().get("alpha").asDouble();
    }

    private void assertMerged(Goldens lora, WeightSource model, String prefix, double tolerance) {
        for (String name : lora.file().names()) {
            if (name.startsWith(prefix)) {
                TensorView expected = lora.file().tensor(name);
                TensorView actual = model.get(name.substring(prefix.length()), expected.shape());
                Goldens.assertClose(name, actual.toFloats(), expected.toDoubles(), tolerance);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"peft", "diffusers", "kohya", "comfy", "torch"})
    void open_mergesAsPeft_whateverTheNames(String kind) {
        Path file = switch (kind) {
            case "peft" -> renamed("peft.safetensors", key -> "base_model.model." + key, false);
            case "diffusers" ->
                renamed(
                        "diffusers.safetensors",
                        key -> "transformer."
                                + ParameterNames.diffusers(key.replaceFirst("\\.lora_[AB]", ""))
                                        .orElseThrow()
                                        .replace(
                                                ".weight",
                                                key.contains("lora_A") ? ".lora_A.weight" : ".lora_B.weight"),
                        false);
            case "kohya" ->
                renamed(
                        "kohya.safetensors",
                        key -> "lora_unet_"
                                + key.replaceFirst("\\.lora_[AB]\\.weight", "").replace('.', '_')
                                + (key.contains("lora_A") ? ".lora_down.weight" : ".lora_up.weight"),
                        true);
            case "comfy" ->
                renamed(
                        "comfy.safetensors",
                        key -> "diffusion_model."
                                + key.replace("lora_A", "lora_down").replace("lora_B", "lora_up"),
                        true);
            default -> golden("lora.pt");
        };
        try (Goldens lora = Goldens.open(LORA)) {
            boolean saysAlpha = kind.equals("kohya") || kind.equals("comfy");
            List<Lora> loras = List.of(new Lora(file, 1, saysAlpha ? null : alpha(lora)));
            try (ModelFolder model =
                    ModelFolder.open(base(DType.F32), null, ModelLayout.Branch.EMA_OR_GENERATOR, loras)) {
                assertMerged(lora, model, "merged/", 3e-7);
                assertThat(model.description()).contains("LoRA").contains("scale 2.0");
            }
        }
    }

    @Test
    void open_roundsAsPeft_inBfloat16() {
        try (Goldens lora = Goldens.open(LORA)) {
            List<Lora> loras = List.of(new Lora(golden("lora.pt"), 1, alpha(lora)));
            try (ModelFolder model =
                    ModelFolder.open(base(DType.BF16), null, ModelLayout.Branch.EMA_OR_GENERATOR, loras)) {
                assertMerged(lora, model, "merged_bf16/", 0);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"lora.pt,merged", "lora-bare-bf16.pt,''", "'',base"})
    void model_predictsWhatTheReferencePredicts(String file, String flow) {
        try (Goldens lora = Goldens.open(LORA);
                JvmOps ops = new JvmOps(new JvmOptions(2, JvmOptions.Kind.AUTO))) {
            List<Lora> loras = file.isEmpty() ? List.of() : List.of(new Lora(golden(file), 1, alpha(lora)));
            WanConfig config = Goldens.modelConfig(lora.config().get("model_config"));
            try (ModelFolder folder =
                    ModelFolder.open(base(DType.F32), null, ModelLayout.Branch.EMA_OR_GENERATOR, loras)) {
                HostTensor x = lora.get("x");
                HostTensor t = lora.get("t");
                int frames = x.shape().dim(1);
                Pass pass = new Pass(
                        new PassId(PassId.Kind.DENOISE, 0, 0),
                        0,
                        frames,
                        t.values()[0],
                        Placement.alone("block0.step0", frames),
                        config.numLayers(),
                        true);
                try (PassRunner runner = new PassRunner(
                        List.of(new WanModel(config, folder, ops)),
                        List.of(new Context(lora.get("prompt_embeds"))),
                        x.shape().dim(3),
                        x.shape().dim(4),
                        List.of(CacheLayout.passing(frames)),
                        config.numLayers())) {
                    HostTensor result = Objects.requireNonNull(runner.run(pass, x, PassObserver.NONE));
                    if (flow.isEmpty()) {
                        // Adapters in bfloat16 are other adapters, if only slightly.
                        Goldens.assertClose(
                                file,
                                result.values(),
                                lora.file().tensor("flow/merged").toDoubles(),
                                0.1);
                    } else {
                        lora.assertMatches("flow/" + flow, result, 2e-5);
                        if (flow.equals("merged")) {
                            lora.assertMatches("flow/adapter", result, 2e-5);
                        }
                    }
                }
            }
        }
    }

    /** Two files are merged one after the other: the second takes away what the first adds. */
    @Test
    void open_mergesSeveralFiles() {
        try (Goldens lora = Goldens.open(LORA)) {
            Lora added = new Lora(golden("lora.pt"), 1, alpha(lora));
            Lora takenAway = new Lora(golden("lora.pt"), -0.5, alpha(lora));
            Lora half = new Lora(golden("lora.pt"), 0.5, alpha(lora));
            try (ModelFolder both = open(added, takenAway);
                    ModelFolder one = open(half)) {
                for (String name : lora.file().names()) {
                    if (name.startsWith("merged/")) {
                        String parameter = name.substring("merged/".length());
                        TensorView expected =
                                one.get(parameter, lora.file().tensor(name).shape());
                        TensorView actual = both.get(parameter, expected.shape());
                        Goldens.assertClose(name, actual.toFloats(), expected.toDoubles(), 3e-7);
                    }
                }
            }
        }
    }

    private ModelFolder open(Lora... loras) {
        return ModelFolder.open(base(DType.F32), null, ModelLayout.Branch.EMA_OR_GENERATOR, List.of(loras));
    }

    /** Differences of weights, norms and biases, as they are extracted from fully trained models. */
    @Test
    void open_addsWholeDifferences() {
        Path file = folder.resolve("diff.safetensors");
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, 4096)) {
            writer.add("diffusion_model.blocks.0.self_attn.q.diff_b", DType.F32, Shape.of(64))
                    .write(filled(64, 2));
            writer.add("diffusion_model.blocks.0.norm3.diff", DType.F32, Shape.of(64))
                    .write(filled(64, 4));
            writer.finish(Map.of());
        }
        try (ModelFolder changed = open(new Lora(file, 0.5, null));
                ModelFolder plain = open()) {
            for (String name : List.of("blocks.0.self_attn.q.bias", "blocks.0.norm3.weight")) {
                float by = name.endsWith("bias") ? 1 : 2;
                double[] expected = plain.get(name, Shape.of(64)).toDoubles();
                for (int i = 0; i < expected.length; i++) {
                    expected[i] += by;
                }
                Goldens.assertClose(name, changed.get(name, Shape.of(64)).toFloats(), expected, 1e-6);
            }
            assertThat(changed.description()).contains("2 whole differences");
        }
    }

    private static float[] filled(int count, float value) {
        float[] values = new float[count];
        Arrays.fill(values, value);
        return values;
    }

    @Test
    void open_refusesMagnitudes() {
        Path file = folder.resolve("dora.safetensors");
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, 4096)) {
            writer.add("diffusion_model.blocks.0.self_attn.q.dora_scale", DType.F32, Shape.of(64))
                    .write(filled(64, 1));
            writer.finish(Map.of());
        }
        assertThatThrownBy(() -> open(new Lora(file, 1, null)))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("a DoRA");
    }

    @Test
    void open_refuses_whatIsNoAdapterOfTheModel() {
        Path model = base(DType.F32);
        Path other = renamed("other.safetensors", key -> "base_model.model.other." + key, false);
        assertThatThrownBy(() -> ModelFolder.open(
                        model, null, ModelLayout.Branch.EMA_OR_GENERATOR, List.of(new Lora(other, 1, null))))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("not a LoRA of this model");
    }
}
