package wan.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.SequencedMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.file.Safetensors;
import wan.file.SafetensorsWriter;
import wan.file.TensorStore;
import wan.file.TorchWriter;
import wan.model.WanConfig;
import wan.op.DType;
import wan.op.Shape;
import wan.op.TensorView;
import wan.run.Preset;
import wan.text.SmallTextEncoder;
import wan.weights.RandomModel;

/** A small random model laid out as each public checkpoint is released, run with its preset from a prompt. */
class ReleasedCheckpointsTest {
    private static final WanConfig CAUSAL = new WanConfig(48, 96, 32, 16, 16, 2, 3, 48, 512, 1e-6f);
    private static final WanConfig PICTURE = new WanConfig(48, 96, 32, 36, 16, 2, 3, 48, 512, 1e-6f);
    private static final int FEATURES = 40;

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    static Path folder;

    /** Wan2.1's own folder: config, parameters, text encoder, tokenizer. */
    private static Path base = Path.of("");

    /** One checkpoint as it is released: what stands after {@code extract}. */
    private interface Release {
        List<Object> write(Path folder) throws IOException;
    }

    @BeforeAll
    static void wan() throws IOException {
        base = model("Wan2.1-T2V-1.3B", CAUSAL, 1);
    }

    /** A folder in Diffusers' style with the text encoder beside the parameters, as Wan's repositories have it. */
    private static Path model(String name, WanConfig config, int seed) throws IOException {
        Path model = folder.resolve(name);
        RandomModel.write(model, config, DType.BF16, seed, (done, total) -> {});
        SmallTextEncoder.create(model);
        return model;
    }

    /** A checkpoint that is trained further from Wan's: the named dicts of a .pt file, keys with a prefix. */
    private static Release torch(String file, String prefix, String... dicts) {
        return target -> {
            Path checkpoint = target.resolve(file);
            Files.createDirectories(checkpoint.resolveSibling(""));
            SequencedMap<String, Object> all = new LinkedHashMap<>();
            try (Parameters first = Parameters.random(target, 2);
                    Parameters second = Parameters.random(target, 3)) {
                for (String dict : dicts) {
                    Parameters of = dict.equals("generator_ema") ? first : second;
                    all.put(dict, of.named(prefix));
                }
                if (dicts.length == 0) {
                    all.putAll(first.named(prefix));
                }
                TorchWriter.write(checkpoint, all);
            }
            return List.of("--model", base, "--checkpoint", checkpoint);
        };
    }

    /** Parameters of a random model, open. */
    private record Parameters(TensorStore store) implements AutoCloseable {
        static Parameters random(Path target, int seed) {
            Path model = target.resolve("parameters-" + seed);
            RandomModel.write(model, CAUSAL, DType.BF16, seed, (done, total) -> {});
            return new Parameters(TensorStore.open(model.resolve("diffusion_pytorch_model.safetensors")));
        }

        SequencedMap<String, TensorView> named(String prefix) {
            SequencedMap<String, TensorView> dict = new LinkedHashMap<>();
            store.names().forEach(name -> dict.put(prefix + name, store.tensor(name)));
            return dict;
        }

        @Override
        public void close() {
            store.close();
        }
    }

    private static Release folderOf(String name, WanConfig config, Object... more) {
        return target -> {
            List<Object> words = new ArrayList<>(List.of("--model", model(name, config, 4)));
            words.addAll(List.of(more));
            if (config.inDim() > config.outDim()) {
                words.addAll(List.of("--picture", picture(target, config)));
            }
            return words;
        };
    }

    private static Release experts(String name, WanConfig config) {
        return target -> {
            Path model = folder.resolve(name);
            SmallTextEncoder.create(model);
            RandomModel.write(model.resolve("high_noise_model"), config, DType.BF16, 5, (done, total) -> {});
            RandomModel.write(model.resolve("low_noise_model"), config, DType.BF16, 6, (done, total) -> {});
            List<Object> words = new ArrayList<>(List.of("--model", model));
            if (config.inDim() > config.outDim()) {
                words.addAll(List.of("--picture", picture(target, config)));
            }
            return words;
        };
    }

    /** What image-to-video is given: mask and latent, and the features where the model attends them. */
    private static Path picture(Path target, WanConfig config) {
        Path file = target.resolve("picture.safetensors");
        boolean two = config.imagePositions() > 0; // CLIP gives the features of both as a batch
        int tokens = two ? config.imagePositions() / 2 : 9;
        Random random = new Random(7);
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, 4096)) {
            writer.add("y", DType.F32, Shape.of(20, 4, 4, 4)).write(normal(random, 20 * 4 * 16));
            if (config.imageDim() > 0) {
                int pictures = two ? 2 : 1;
                writer.add("clip_fea", DType.F32, Shape.of(pictures, tokens, FEATURES))
                        .write(normal(random, pictures * tokens * FEATURES));
            }
            writer.finish(Map.of());
        }
        return file;
    }

    private static float[] normal(Random random, int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** LongLive's adapters: every linear layer of the blocks, PEFT's names in a dict of the trainer's. */
    private static Path adapters(Path target) {
        Path file = target.resolve("lora.pt");
        SequencedMap<String, Object> dict = new LinkedHashMap<>();
        Path values = target.resolve("adapters.safetensors");
        try (TensorStore store = TensorStore.open(base.resolve("diffusion_pytorch_model.safetensors"));
                SafetensorsWriter writer = SafetensorsWriter.create(values, 1 << 16)) {
            Random random = new Random(8);
            for (String name : store.names()) {
                Shape shape = store.tensor(name).shape();
                if (name.startsWith("blocks.") && name.endsWith(".weight") && shape.rank() == 2) {
                    String module = "base_model.model." + name.substring(0, name.length() - ".weight".length());
                    writer.add(module + ".lora_A.weight", DType.F32, Shape.of(2, shape.dim(1)))
                            .write(normal(random, 2 * shape.dim(1)));
                    writer.add(module + ".lora_B.weight", DType.F32, Shape.of(shape.dim(0), 2))
                            .write(normal(random, 2 * shape.dim(0)));
                }
            }
            writer.finish(Map.of());
        }
        try (TensorStore store = TensorStore.open(values)) {
            SequencedMap<String, Object> generator = new LinkedHashMap<>();
            store.names().forEach(name -> generator.put(name, store.tensor(name)));
            dict.put("generator_lora", generator);
            TorchWriter.write(file, dict);
        }
        return file;
    }

    private static Map<String, Release> releases() {
        String fsdp = "model._fsdp_wrapped_module.";
        Release longLive = target -> {
            List<Object> words = new ArrayList<>(
                    torch("models/longlive_base.pt", "model.", "generator").write(target));
            words.addAll(List.of("--lora", adapters(target), "--lora-alpha", "2", "--prompt-at", "3=a dog"));
            return words;
        };
        Release krea = target -> {
            Path file = target.resolve("krea-realtime-video-14b.safetensors");
            try (Parameters parameters = Parameters.random(target, 2);
                    SafetensorsWriter writer = SafetensorsWriter.create(file, 1 << 16)) {
                parameters
                        .named("model.")
                        .forEach((name, view) ->
                                writer.add(name, view.dtype(), view.shape()).write(view.toFloats()));
                writer.finish(Map.of());
            }
            return List.of("--model", base, "--checkpoint", file);
        };
        Map<String, Release> all = new LinkedHashMap<>();
        all.put("self-forcing", torch("checkpoints/self_forcing_dmd.pt", "model.", "generator", "generator_ema"));
        all.put("causal-forcing-chunkwise", torch("chunkwise/causal_forcing.pt", fsdp, "generator"));
        all.put("causal-forcing-framewise", torch("framewise/causal_forcing.pt", fsdp, "generator", "generator_ema"));
        all.put("causal-forcing-2step", torch("causal-forcing++/framewise-2step.pt", fsdp, "generator_ema"));
        all.put("causal-forcing-1step", torch("causal-forcing++/framewise-1step.pt", fsdp, "generator_ema"));
        all.put("causal-forcing-ar-chunkwise", torch("chunkwise/ar_diffusion.pt", fsdp, "generator"));
        all.put("causal-forcing-ar-framewise", torch("framewise/ar_diffusion.pt", fsdp, "generator"));
        all.put("causal-forcing-long", torch("chunkwise/longvideo.pt", fsdp, "generator", "generator_ema"));
        all.put("rolling-forcing", torch("checkpoints/rolling_forcing_dmd.pt", "model.", "generator_ema"));
        all.put("reward-forcing", torch("rewardforcing.pt", "model.", "generator", "generator_ema"));
        all.put("infinite-forcing", torch("infinite-forcing/ema_model.pt", "model.", "generator_ema"));
        all.put("longlive", longLive);
        all.put("longlive-infinity", longLive);
        all.put("krea-realtime-14b", krea);
        all.put("causvid", torch("autoregressive_checkpoint/model.pt", "model.", "generator"));
        all.put("raven", torch("raven_model.pt", "model."));
        all.put("wan2.1-t2v-1.3b", target -> List.of("--model", base));
        all.put("wan2.1-t2v-14b", folderOf("Wan2.1-T2V-14B", CAUSAL));
        all.put("wan2.1-i2v-14b-480p", folderOf("Wan2.1-I2V-14B-480P", PICTURE.withImage(FEATURES, 0)));
        all.put("wan2.1-i2v-14b-720p", folderOf("Wan2.1-I2V-14B-720P", PICTURE.withImage(FEATURES, 0)));
        all.put("wan2.1-flf2v-14b", folderOf("Wan2.1-FLF2V-14B-720P", PICTURE.withImage(FEATURES, 18)));
        all.put("wan2.2-t2v-a14b", experts("Wan2.2-T2V-A14B", CAUSAL));
        all.put("wan2.2-i2v-a14b", experts("Wan2.2-I2V-A14B", PICTURE));
        all.put("wan2.2-ti2v-5b", folderOf("Wan2.2-TI2V-5B", new WanConfig(48, 96, 32, 48, 48, 2, 3, 48, 512, 1e-6f)));
        return all;
    }

    static Stream<String> presets() {
        return Preset.all().stream().filter(preset -> preset.refused() == null).map(Preset::name);
    }

    @ParameterizedTest
    @MethodSource("presets")
    void preset_runsItsCheckpointFromAPrompt(String name) throws IOException {
        Path target = Files.createDirectories(folder.resolve("release-" + name));
        List<Object> files = Objects.requireNonNull(releases().get(name)).write(target);
        Path result = target.resolve("result.safetensors");
        List<Object> words = new ArrayList<>(List.of("extract", "--preset", name));
        words.addAll(files);
        if (name.startsWith("wan2.") || name.contains("-ar-")) {
            words.addAll(List.of("--sample-steps", "3"));
        }
        words.addAll(List.of(
                "--prompt",
                "a cat walks",
                "--num-frames",
                name.startsWith("wan2.") ? "4" : "9",
                "--latent-size",
                "4x4",
                "--layer",
                "2",
                "--pass",
                "all",
                "--what",
                "frame-logits",
                "--no-cache",
                "--output",
                result));
        CommandLineRun run = CommandLineRun.of(words.toArray());
        assertThat(run.exitCode()).as(run.err()).isZero();
        try (Safetensors file = Safetensors.open(result)) {
            JsonNode spec = JsonMapper.shared().readTree(file.metadata().get("spec"));
            assertThat(spec.get("model").get("preset").asString()).isEqualTo(name);
            assertThat(file.metadata().get("run")).isEqualTo("complete");
            assertThat(file.names()).anyMatch(tensor -> tensor.endsWith("layer2.frame_logits"));
        }
        assertThat(run.err()).contains("preset " + name);
    }

    /** Without --preset the checkpoint is recognised all the same, by its path or by its parameters. */
    @ParameterizedTest
    @CsvSource({
        "wan2.1-flf2v-14b, anything, wan2.1-flf2v-14b",
        "wan2.1-i2v-14b-480p, anything, wan2.1-i2v-14b",
        "wan2.2-ti2v-5b, anything, wan2.2-ti2v-5b",
        "rolling-forcing, '', rolling-forcing"
    })
    void extract_saysWhichPresetACheckpointLooksLike(String name, String renamed, String expected) throws IOException {
        Path target = Files.createDirectories(folder.resolve("recognised-" + name));
        List<Object> files =
                new ArrayList<>(Objects.requireNonNull(releases().get(name)).write(target));
        if (!renamed.isEmpty()) {
            Path moved = folder.resolve(renamed + "-" + name.hashCode());
            Files.move((Path) files.get(1), moved);
            files.set(1, moved);
        }
        List<Object> words = new ArrayList<>(List.of("extract", "--dry-run", "--prompt", "a cat"));
        words.addAll(files);
        words.addAll(List.of("--latent-size", "4x4", "--num-frames", "4"));
        CommandLineRun run = CommandLineRun.of(words.toArray());
        assertThat(run.err()).contains("looks like a checkpoint of preset " + expected);
    }

    @Test
    void everyRunnablePreset_hasARelease() {
        assertThat(presets().toList()).allSatisfy(name -> assertThat(releases()).containsKey(name));
    }
}
