package wan.app.command;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.Goldens;
import wan.app.CommandLineRun;
import wan.file.Safetensors;
import wan.op.DType;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.TensorView;

/** Every rollout of the Wan family through the command line, with the reference's noise. */
class FamilyCommandTest {
    private static final Path FOLDER = Path.of("tests/goldens/golden3");
    private static final double LATENT = 5e-5;
    private static final double LOGITS = 3e-5;

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path folder;

    /** All files of rollouts, with the names of their runs where one file has several. */
    static Stream<Arguments> rollouts() throws Exception {
        List<Arguments> all = new ArrayList<>();
        try (Stream<Path> files = Files.list(FOLDER)) {
            for (Path file : files.sorted().toList()) {
                String name = file.getFileName().toString().replace(".safetensors", "");
                if (!file.toString().endsWith(".safetensors") || name.startsWith("interventions")) {
                    continue; // those have a test of their own
                }
                try (Goldens golden = Goldens.open("golden3/" + name)) {
                    JsonNode runs = golden.config().path("runs");
                    if (runs.path(0).has("solver")) {
                        runs.forEach(run ->
                                all.add(Arguments.of(name, run.get("name").asString())));
                    } else if (golden.has("output")) {
                        all.add(Arguments.of(name, ""));
                    }
                }
            }
        }
        return all.stream();
    }

    @ParameterizedTest
    @MethodSource("rollouts")
    void replay_reproducesTheReference(String name, String run) {
        Path result = folder.resolve("result.safetensors");
        Path latents = folder.resolve("latents.safetensors");
        try (Goldens golden = Goldens.open("golden3/" + name)) {
            List<Object> words = new ArrayList<>(List.of(
                    "extract",
                    "--quiet",
                    "--device",
                    "jvm",
                    "--model",
                    model(golden, name),
                    "--replay",
                    Goldens.path("golden3/" + name),
                    "--layer",
                    golden.config().get("captured_layer").asInt(),
                    "--attention",
                    "both",
                    "--pass",
                    "all",
                    "--what",
                    "frame-logits,frame-mass,token-logits",
                    "--save-latents",
                    latents,
                    "--save-passes",
                    "--output",
                    result));
            if (!run.isEmpty()) {
                words.addAll(List.of("--replay-run", run));
            }
            CommandLineRun command = CommandLineRun.of(words.toArray());
            assertThat(command.exitCode()).as(command.err()).isZero();

            Map<String, HostTensor> written = new HashMap<>();
            read(result, written);
            read(latents, written);
            String prefix = run.isEmpty() ? "" : run + "/";
            List<String> missing = new ArrayList<>();
            for (String tensor : golden.file().names()) {
                if (tensor.startsWith(prefix) && isResult(tensor.substring(prefix.length()))) {
                    HostTensor actual =
                            written.get(tensor.substring(prefix.length()).replace('/', '.'));
                    if (actual == null) {
                        missing.add(tensor);
                    } else {
                        Shape expected = golden.file().tensor(tensor).shape();
                        golden.assertMatches(tensor, reshaped(actual, expected), tolerance(tensor));
                    }
                }
            }
            assertThat(missing).isEmpty();
            assertListsMatch(golden, result);
        }
    }

    private static Path model(Goldens golden, String name) {
        JsonNode config = golden.config();
        String file = config.has("model")
                ? config.get("model").asString()
                : config.has("weights") ? config.get("weights").asString() : name + ".safetensors";
        return FOLDER.resolve(file);
    }

    /** What the run computes, rather than what it is given. */
    private static boolean isResult(String tensor) {
        return tensor.equals("output")
                || tensor.matches(
                        ".*[./](in|flow|x0|self_logits|cross_logits|img_logits|text_logits|frame_logits|frame_mass)")
                || tensor.matches("step\\d+/(v_cond|v_uncond|v_guided|latent|latent_after|corrected)");
    }

    private static void read(Path path, Map<String, HostTensor> into) {
        try (Safetensors file = Safetensors.open(path)) {
            for (String tensor : file.names()) {
                TensorView view = file.tensor(tensor);
                if (view.dtype() == DType.F32) {
                    into.put(tensor, new HostTensor(view.shape(), view.toFloats()));
                }
            }
        }
    }

    /** Wan's own files have no batch and put the channels first: [1, F, C, H, W] as [C, F, H, W], [1, ...] as [...]. */
    private static HostTensor reshaped(HostTensor actual, Shape expected) {
        Shape shape = actual.shape();
        if (shape.rank() == expected.rank()) {
            return actual;
        }
        if (shape.rank() != 5) {
            return new HostTensor(expected, actual.values());
        }
        int frames = shape.dim(1);
        int channels = shape.dim(2);
        int cells = shape.dim(3) * shape.dim(4);
        float[] turned = new float[actual.values().length];
        for (int i = 0; i < frames * channels; i++) {
            System.arraycopy(actual.values(), i * cells, turned, (i % channels * frames + i / channels) * cells, cells);
        }
        return new HostTensor(Shape.of(channels, frames, shape.dim(3), shape.dim(4)), turned);
    }

    private static double tolerance(String tensor) {
        if (tensor.endsWith("frame_mass")) {
            return Goldens.FRAME_MASS;
        }
        if (tensor.endsWith("frame_logits")) {
            return Goldens.FRAME_LOGITS;
        }
        if (tensor.endsWith("logits")) {
            return LOGITS;
        }
        return tensor.endsWith("v_guided") ? 1e-4 : tensor.contains("step") && tensor.contains("/") ? LATENT : 2e-5;
    }

    /** Frames, positions and writers of the keys of every pass, as the result's metadata lists them. */
    private static void assertListsMatch(Goldens golden, Path result) {
        JsonNode expected = golden.config().path("passes");
        if (!expected.path(0).has("key_frames")) {
            return;
        }
        try (Safetensors file = Safetensors.open(result)) {
            JsonNode passes = JsonMapper.shared().readTree(file.metadata().get("passes"));
            assertThat(passes.size()).isLessThanOrEqualTo(expected.size());
            for (int i = 0; i < passes.size(); i++) {
                for (String list :
                        List.of("name", "key_frames", "key_positions", "key_written_by", "query_positions")) {
                    assertThat(passes.get(i).get(list))
                            .as(i + " " + list)
                            .isEqualTo(expected.get(i).get(list));
                }
            }
        }
    }

    @Test
    void dryRun_listsEventsAndKeys() {
        CommandLineRun command = CommandLineRun.of(
                "extract",
                "--dry-run",
                "--model",
                FOLDER.resolve("model-causal.safetensors"),
                "--replay",
                FOLDER.resolve("longlive-switch.safetensors"));
        assertThat(command.exitCode()).as(command.err()).isZero();
        assertThat(command.out().lines().map(line -> line.replaceAll(" +", " ")))
                .contains("-- switch: prompt 1 from frame 6", "-- recache: frames 0 to 5")
                .anyMatch(line -> line.startsWith("block1.step0 1000.000 3-5 ") && line.endsWith(" 0-2 ctx, 3-5 own"))
                .anyMatch(line -> line.startsWith("block2.step0 ") && line.endsWith(" 0-5 recache0, 6-8 own"));
    }
}
