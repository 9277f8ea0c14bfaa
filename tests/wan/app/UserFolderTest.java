package wan.app;

import static org.assertj.core.api.Assertions.assertThat;

import capture.analysis.SavedResult;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.file.Safetensors;
import wan.file.TensorStore;
import wan.file.TorchWriter;
import wan.model.WanConfig;
import wan.op.DType;
import wan.op.TensorView;
import wan.text.SmallTextEncoder;
import wan.weights.ModelFolder;
import wan.weights.RandomModel;

/** The files that a researcher has on the disk, small and random: Wan's folder with T5 and tokenizer, and a Self-Forcing .pt. */
class UserFolderTest {
    private static final WanConfig CONFIG = new WanConfig(48, 96, 32, 16, 16, 2, 5, 48, 512, 1e-6f);

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path folder;

    @Test
    void extract_runsFromNothingButTheReleasedFiles() throws IOException {
        Path base = folder.resolve("Wan2.1-T2V-1.3B");
        RandomModel.write(base, CONFIG, DType.BF16, 1, (done, total) -> {});
        SmallTextEncoder.create(base);
        rewriteAsTorch(base.resolve(SmallTextEncoder.WEIGHTS), base.resolve("models_t5_umt5-xxl-enc-bf16.pth"), "");
        Files.delete(base.resolve(SmallTextEncoder.WEIGHTS));

        Path trained = folder.resolve("trained");
        RandomModel.write(trained, CONFIG, DType.BF16, 2, (done, total) -> {});
        Path checkpoint = folder.resolve("self_forcing_dmd.pt");
        SequencedMap<String, Object> dict = new LinkedHashMap<>();
        try (TensorStore base1 = ModelFolder.weights(base);
                TensorStore trained1 = ModelFolder.weights(trained)) {
            dict.put("generator", tensors(base1, "model."));
            dict.put("generator_ema", tensors(trained1, "model._fsdp_wrapped_module."));
            TorchWriter.write(checkpoint, dict);
        }

        Map<String, String> metadata = extract("a.safetensors", "--model", base, "--checkpoint", checkpoint);
        assertThat(metadata.get("prompt")).isEqualTo("a cat walks");
        assertThat(metadata.get("noise")).contains("torch-cuda", "42");
        assertThat(metadata.get("prompt_tokens")).startsWith("[[[\"").endsWith("\"</s>\"]]]");
        try (SavedResult result = SavedResult.open(folder.resolve("a.safetensors"))) {
            assertThat(String.join("", result.info().promptTokens())).isEqualTo("\u2581a\u2581cat\u2581walks</s>");
        }
        assertThat(metadata.get("model")).contains("self_forcing_dmd.pt");
        Map<String, String> _ = extract("b.safetensors", "--model", base);
        Map<String, String> _ = extract("c.safetensors", "--model", base, "--checkpoint", checkpoint, "--no-use-ema");
        Map<String, String> _ =
                extract("d.safetensors", "--model", trained, "--text-encoder", base, "--tokenizer", base);
        assertThat(matrix("a")).isEqualTo(matrix("d")).isNotEqualTo(matrix("b"));
        assertThat(matrix("c")).isEqualTo(matrix("b"));
    }

    private Map<String, String> extract(String result, Object... model) {
        Object[] common = {
            "extract",
            "--layer",
            "3",
            "--prompt",
            "a cat walks",
            "--seed",
            "42",
            "--num-frames",
            "4",
            "--latent-size",
            "4x4",
            "--no-cache",
            "-o",
            folder.resolve(result)
        };
        Object[] all = new Object[common.length + model.length];
        System.arraycopy(common, 0, all, 0, common.length);
        System.arraycopy(model, 0, all, common.length, model.length);
        CommandLineRun run = CommandLineRun.of(all);
        assertThat(run.exitCode()).as(run.err()).isZero();
        try (Safetensors file = Safetensors.open(folder.resolve(result))) {
            return Map.copyOf(file.metadata());
        }
    }

    private float[] matrix(String result) {
        try (Safetensors file = Safetensors.open(folder.resolve(result + ".safetensors"))) {
            return file.tensor("layer3.last_block_frame_attention").toFloats();
        }
    }

    private static void rewriteAsTorch(Path from, Path to, String prefix) {
        try (TensorStore store = TensorStore.open(from)) {
            TorchWriter.write(to, tensors(store, prefix));
        }
    }

    private static SequencedMap<String, TensorView> tensors(TensorStore store, String prefix) {
        SequencedMap<String, TensorView> dict = new LinkedHashMap<>();
        store.names().forEach(name -> dict.put(prefix + name, store.tensor(name)));
        return dict;
    }
}
