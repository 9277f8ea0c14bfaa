package capture.analysis;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.Goldens;
import wan.file.SafetensorsWriter;
import wan.op.DType;
import wan.op.Shape;

/** Result files as extract writes them, for tests: of the reference's tensors, and made up. */
public final class ResultFiles {
    private ResultFiles() {}

    /** A golden rollout with its captured layer's frame logits, frame mass, and key logits averaged from its token logits. */
    public static Path ofGolden(String name, Path folder) {
        try (Goldens golden = Goldens.open(name)) {
            JsonNode config = golden.config();
            int layer = config.get("captured_layer").asInt();
            JsonNode model = config.get("model_config");
            int frames = config.get("num_frames_noise").asInt()
                    + config.get("num_frames_initial").asInt();
            Map<String, String> metadata = metadata(
                    frames,
                    config.get("latent_height").asInt(),
                    config.get("latent_width").asInt(),
                    List.of(layer),
                    model.get("num_layers").asInt(),
                    model.get("num_heads").asInt());
            JsonNode passes = config.get("passes");
            metadata.put("passes", passes.toString());
            Path file = folder.resolve(name + ".safetensors");
            try (SafetensorsWriter writer = SafetensorsWriter.create(file, 1 << 20)) {
                for (JsonNode pass : passes) {
                    String prefix = pass.get("name").asString() + ".layer" + layer + ".";
                    for (String what : List.of("frame_logits", "frame_mass")) {
                        if (golden.has(prefix + what)) {
                            var tensor = golden.get(prefix + what);
                            writer.add(prefix + what, DType.F32, tensor.shape()).write(tensor.values());
                        }
                    }
                    if (golden.has(prefix + "self_logits")) {
                        keyLogits(
                                writer,
                                prefix,
                                golden,
                                config.get("frame_seq_length").asInt());
                    }
                }
                writer.finish(metadata);
            }
            return file;
        }
    }

    private static void keyLogits(SafetensorsWriter writer, String prefix, Goldens golden, int tokens) {
        var logits = golden.get(prefix + "self_logits");
        int groups =
                logits.shape().dim(0) * logits.shape().dim(1) * logits.shape().dim(2) / tokens;
        int keys = logits.shape().dim(3);
        float[] means = new float[groups * keys];
        for (int g = 0; g < groups; g++) {
            for (int k = 0; k < keys; k++) {
                double sum = 0;
                for (int q = 0; q < tokens; q++) {
                    sum += logits.values()[(g * tokens + q) * keys + k];
                }
                means[g * keys + k] = (float) (sum / tokens);
            }
        }
        Shape shape = Shape.of(
                logits.shape().dim(0), logits.shape().dim(1), logits.shape().dim(2) / tokens, keys);
        writer.add(prefix + "key_logits", DType.F32, shape).write(means);
    }

    /**
     * A run with seeded values: frame blocks [1,3,...], masses that sum to 1, a grid of 2 x 3 tokens.
     *
     * @param steps denoising steps, all captured, and the context pass
     */
    public static Path made(Path file, int layers, int heads, int blocks, int steps, long seed, String prompt) {
        int frames = 1 + 3 * (blocks - 1);
        SplittableRandom random = new SplittableRandom(seed);
        List<Integer> layerList = new ArrayList<>();
        for (int layer = 0; layer < layers; layer++) {
            layerList.add(layer);
        }
        Map<String, String> metadata = metadata(frames, 4, 6, layerList, layers, heads);
        metadata.put("prompt", prompt);
        List<Map<String, Object>> passes = new ArrayList<>();
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, 8 << 20)) {
            for (int block = 0; block < blocks; block++) {
                int first = block == 0 ? 0 : 1 + 3 * (block - 1);
                int f = block == 0 ? 1 : 3;
                for (int step = 0; step <= steps; step++) {
                    String name = "block" + block + "." + (step == steps ? "ctx" : "step" + step);
                    passes.add(pass(name, first, f, step == steps ? 0 : 1000 - 100 * step));
                    for (int layer = 0; layer < layers; layer++) {
                        write(writer, name + ".layer" + layer + ".", heads, f, first + f, random);
                    }
                }
            }
            metadata.put("passes", JsonMapper.shared().writeValueAsString(passes));
            writer.finish(metadata);
        }
        return file;
    }

    private static Map<String, Object> pass(String name, int first, int frames, double timestep) {
        List<Integer> keys = new ArrayList<>();
        for (int k = 0; k < first + frames; k++) {
            keys.add(k);
        }
        Map<String, Object> pass = new LinkedHashMap<>();
        pass.put("name", name);
        pass.put("first_frame", first);
        pass.put("frames", frames);
        pass.put("timestep", timestep);
        pass.put("key_frames", keys);
        return pass;
    }

    private static void write(
            SafetensorsWriter writer, String prefix, int heads, int f, int keys, SplittableRandom random) {
        float[] logits = new float[heads * f * keys];
        float[] mass = new float[logits.length];
        float[] tokens = new float[logits.length * 6];
        for (int h = 0; h < heads; h++) {
            double sink = random.nextDouble(-1, 3);
            double wave = random.nextDouble(0, 1);
            for (int q = 0; q < f; q++) {
                double total = 0;
                int at = (h * f + q) * keys;
                for (int k = 0; k < keys; k++) {
                    double value = random.nextDouble(-0.6, 0.6) + wave * Math.cos(k * 2) + (k == 0 ? sink : 0);
                    logits[at + k] = (float) value;
                    total += Math.exp(value);
                    for (int t = 0; t < 6; t++) {
                        tokens[(at + k) * 6 + t] = (float) (value + random.nextDouble(-1, 1));
                    }
                }
                for (int k = 0; k < keys; k++) {
                    mass[at + k] = (float) (Math.exp(logits[at + k]) / total);
                }
            }
        }
        writer.add(prefix + "frame_logits", DType.F32, Shape.of(1, heads, f, keys))
                .write(logits);
        writer.add(prefix + "frame_mass", DType.F32, Shape.of(1, heads, f, keys))
                .write(mass);
        writer.add(prefix + "key_logits", DType.F32, Shape.of(1, heads, f, keys * 6L))
                .write(tokens);
    }

    /**
     * One pass of frames 1 to 3 with token logits, hidden for the first query's last key, and cross-attention over 5 tokens of text, 3 of
     * which are the prompt's.
     */
    public static Path ofTokens(Path file) {
        Map<String, String> metadata = metadata(4, 4, 6, List.of(0), 1, 2);
        metadata.put("prompt_tokens", "[[[\"\u2581a\",\"\u2581cat\",\"</s>\"]]]");
        metadata.put("passes", JsonMapper.shared().writeValueAsString(List.of(pass("block1.step0", 1, 3, 1000))));
        float[] logits = new float[2 * 18 * 24];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = tokenLogit(Math.floorDiv(i, 18 * 24), Math.floorDiv(i, 24) % 18, i % 24);
        }
        float[] mass = new float[2 * 3 * 5];
        for (int i = 0; i < mass.length; i++) {
            mass[i] = i % 5 < 3 ? 0.1f * (i % 5 + 1) : 0.2f; // 0.1, 0.2, 0.3; the padding's 0.2 twice
        }
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, 1 << 20)) {
            writer.add("block1.step0.layer0.self_logits", DType.F32, Shape.of(1, 2, 18, 24))
                    .write(logits);
            writer.add("block1.step0.layer0.cross_frame_mass", DType.F32, Shape.of(1, 2, 3, 5))
                    .write(mass);
            writer.finish(metadata);
        }
        return file;
    }

    /** What {@link #ofTokens} has. */
    public static float tokenLogit(int head, int query, int key) {
        return query == 0 && key == 23 ? Float.NEGATIVE_INFINITY : head * 10 + query - 0.5f * key;
    }

    private static Map<String, String> metadata(
            int frames, int height, int width, List<Integer> layers, int numLayers, int heads) {
        List<Integer> headList = new ArrayList<>();
        for (int h = 0; h < heads; h++) {
            headList.add(h);
        }
        JsonMapper json = JsonMapper.shared();
        Map<String, String> metadata = new LinkedHashMap<>();
        metadata.put("prompt", "a test");
        metadata.put("num_frames", String.valueOf(frames));
        metadata.put("frame_seq_length", String.valueOf(height / 2 * (width / 2)));
        metadata.put("layers", json.writeValueAsString(layers));
        metadata.put("heads", json.writeValueAsString(headList));
        metadata.put("settings", json.writeValueAsString(Map.of("latentHeight", height, "latentWidth", width)));
        metadata.put(
                "model_config",
                json.writeValueAsString(Map.of("numLayers", numLayers, "numHeads", heads, "dim", heads * 8)));
        return metadata;
    }
}
