package wan.app;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.file.TensorStore;
import wan.file.TorchStore;
import wan.file.TorchWriter;
import wan.model.WanConfig;
import wan.op.DType;
import wan.op.TensorView;
import wan.text.SmallTextEncoder;
import wan.weights.ModelFolder;
import wan.weights.RandomModel;

/** The command lines of the reference's extraction script, typed as they are in a folder laid out as its README says. */
@Tag("slow")
class ScriptCommandsTest {
    private static final WanConfig CONFIG = new WanConfig(48, 96, 32, 16, 16, 2, 5, 48, 512, 1e-6f);

    @TempDir
    private Path folder;

    @Test
    void commandsOfTheScript_runVerbatim_onTheModelInItsUsualFolder() throws Exception {
        layOut();
        String checkpoint = runs(
                "extract --layer_index 3 --output_path cache/layer3.pt --checkpoint_path checkpoints/self_forcing_dmd.pt"
                        + " --config_path configs/self_forcing_dmd.yaml --gpu_id 0");
        assertThat(checkpoint).contains("Saved to cache/layer3.pt");
        Map<?, ?> dict = dict("cache/layer3.pt");
        assertThat(dict.get("prompt")).isEqualTo("A majestic eagle soaring through a cloudy sky, cinematic lighting");
        assertThat(dict.get("num_frames")).hasToString("19");
        assertThat(dict.get("block_sizes")).hasToString("[1, 3, 3, 3, 3, 3, 3]");
        runs("extract --layer_index 3 --output_path cache/layer3_wan.pt --no_checkpoint");
        byte[] with = matrix("cache/layer3.pt");
        assertThat(with).hasSameSizeAs(matrix("cache/layer3_wan.pt")).isNotEqualTo(matrix("cache/layer3_wan.pt"));
    }

    @Test
    void checkpoint_withoutAModel_neverRunsTheDemo() throws Exception {
        for (String option : List.of("--no_checkpoint", "--checkpoint_path checkpoints/x.pt")) {
            Result run = run("extract --layer_index 3 --output_path layer3.pt " + option);
            assertThat(run.exitCode()).isEqualTo(2);
            assertThat(run.text())
                    .contains("--model: expected a model folder", "wan_models/Wan2.1-T2V-1.3B")
                    .hasLineCount(1);
        }
        assertThat(folder.resolve("layer3.pt")).doesNotExist();
    }

    @Test
    void withoutATextEncoder_theEmbeddingsAreRandom_andThatIsSaid() throws Exception {
        layOut();
        Files.delete(folder.resolve("wan_models/Wan2.1-T2V-1.3B").resolve(SmallTextEncoder.WEIGHTS));
        for (String weights : List.of("--no_checkpoint", "--checkpoint_path checkpoints/self_forcing_dmd.pt")) {
            assertThat(runs("extract --layer_index 3 --num_frames 1 --latent-size 4x4 --force -q " + weights))
                    .contains("Prompt: none; its embeddings are random numbers drawn from the seed");
        }
    }

    @Test
    void configuration_saysSteps_andOptionsOverrideIt() throws Exception {
        Path config = Files.writeString(folder.resolve("c.yaml"), """
                # comment
                lr: 2e-06
                denoising_step_list:
                - 1000  # first
                - 500
                warp_denoising_step: false
                num_frame_per_block: 1
                model_kwargs:
                  timestep_shift: 8.0
                  local_attn_size: 9
                  sink_size: 3
                context_noise: 0
                """);
        CommandLineRun run = CommandLineRun.of(
                "extract", "--model", folder, "--config_path", config, "--num_frame_per_block", 3, "--print-spec");
        assertThat(run.err()).isEmpty();
        assertThat(run.out())
                .contains("\"steps\" : [ 1000.0, 500.0 ]", "\"warp\" : false", "\"shift\" : 8.0")
                .contains("\"local_attn_size\" : 9", "\"sink_size\" : 3", "\"num_frame_per_block\" : 3");
        Files.writeString(config, "denoising_step_list: [1000, fast]\n");
        CommandLineRun broken = CommandLineRun.of("extract", "--model", folder, "--config_path", config);
        assertThat(broken.err())
                .contains("c.yaml", "denoising_step_list", "fast")
                .hasLineCount(1);
    }

    private void layOut() throws IOException {
        Path base = folder.resolve("wan_models/Wan2.1-T2V-1.3B");
        RandomModel.write(base, CONFIG, DType.BF16, 1, (done, total) -> {});
        SmallTextEncoder.create(base);
        Path trained = folder.resolve("trained");
        RandomModel.write(trained, CONFIG, DType.BF16, 2, (done, total) -> {});
        Files.createDirectory(folder.resolve("checkpoints"));
        try (TensorStore weights = ModelFolder.weights(trained)) {
            SequencedMap<String, TensorView> tensors = new LinkedHashMap<>();
            weights.names().forEach(name -> tensors.put("model." + name, weights.tensor(name)));
            SequencedMap<String, Object> dict = new LinkedHashMap<>();
            dict.put("generator_ema", tensors);
            TorchWriter.write(folder.resolve("checkpoints/self_forcing_dmd.pt"), dict);
        }
        Files.createDirectory(folder.resolve("configs"));
        Files.writeString(folder.resolve("configs/self_forcing_dmd.yaml"), """
                generator_ckpt: checkpoints/ode_init.pt
                denoising_step_list:
                - 1000
                - 750
                - 500
                - 250
                warp_denoising_step: true # need to remove - 0
                num_frame_per_block: 3
                model_kwargs:
                  timestep_shift: 5.0
                """);
    }

    private record Result(int exitCode, String text) {}

    private String runs(String line) throws Exception {
        // The real size would take minutes; nothing else differs from what the script's users type.
        Result run = run(line + (line.contains("--latent-size") ? "" : " --latent-size 4x4"));
        assertThat(run.exitCode()).as(run.text()).isZero();
        return run.text();
    }

    private Result run(String line) throws Exception {
        List<String> command = new ArrayList<>(List.of(
                ProcessHandle.current().info().command().orElse("java"),
                "--add-modules",
                "jdk.incubator.vector",
                "-Xmx512m",
                "-cp",
                Stream.of(System.getProperty("java.class.path").split(File.pathSeparator, -1))
                        .map(each -> Path.of(each).toAbsolutePath().toString())
                        .collect(Collectors.joining(File.pathSeparator)),
                "wan.app.Main"));
        command.addAll(List.of(line.split(" ")));
        ProcessBuilder builder =
                new ProcessBuilder(command).directory(folder.toFile()).redirectErrorStream(true);
        builder.environment().put("WAN_ATTN_CACHE", folder.resolve("kept").toString());
        Process process = builder.start();
        String text = new String(process.getInputStream().readAllBytes(), UTF_8);
        return new Result(
                process.waitFor(),
                text.lines()
                        .filter(each -> !each.startsWith("WARNING"))
                        .reduce((a, b) -> a + "\n" + b)
                        .orElse(""));
    }

    private Map<?, ?> dict(String file) {
        try (TorchStore store = TorchStore.open(folder.resolve(file))) {
            return (Map<?, ?>) store.values();
        }
    }

    private byte[] matrix(String file) {
        try (TorchStore store = TorchStore.open(folder.resolve(file))) {
            return store.tensor("full_frame_attention").data().toArray(ValueLayout.JAVA_BYTE);
        }
    }
}
