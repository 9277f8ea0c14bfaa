package wan.app.command;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.offset;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.app.CommandLineRun;
import wan.file.Safetensors;

/** Two runs side by side through the command line. */
class CompareCommandTest {
    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    static Path folder;

    @BeforeAll
    static void run() {
        for (String name : List.of("a", "b")) {
            List<Object> words = new ArrayList<>(List.of(
                    "extract",
                    "--latent-size",
                    "4x4",
                    "--num-frames",
                    "4",
                    "--steps",
                    "1000,500",
                    "--layer",
                    "0-1",
                    "--head",
                    "2-4",
                    "--what",
                    "frame-logits,frame-mass",
                    "-q",
                    "-o",
                    folder.resolve(name + ".safetensors"),
                    "--save-latents",
                    folder.resolve(name + "-latents.safetensors")));
            words.addAll(name.equals("b") ? List.of("--ablate", "0:3") : List.of());
            assertThat(CommandLineRun.of(words.toArray())).returns(0, CommandLineRun::exitCode);
        }
    }

    private static CommandLineRun compare(Object... more) {
        List<Object> words = new ArrayList<>(List.of("compare"));
        words.addAll(Arrays.asList(more));
        return CommandLineRun.of(words.toArray());
    }

    @Test
    void compare_measuresLatents_allAndByFrame() throws IOException {
        Path json = folder.resolve("latents.json");
        CommandLineRun run = compare(
                folder.resolve("a-latents.safetensors"),
                folder.resolve("b-latents.safetensors"),
                "-o",
                json,
                "--figure",
                folder.resolve("frames.svg"));
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.out()).contains("output", "frame 3");
        double squared = 0;
        double reference = 0;
        double product = 0;
        double other = 0;
        double low = Double.MAX_VALUE;
        double high = -Double.MAX_VALUE;
        try (Safetensors a = Safetensors.open(folder.resolve("a-latents.safetensors"));
                Safetensors b = Safetensors.open(folder.resolve("b-latents.safetensors"))) {
            float[] x = a.tensor("output").toFloats();
            float[] y = b.tensor("output").toFloats();
            for (int i = 0; i < x.length; i++) {
                squared += Math.pow((double) x[i] - y[i], 2);
                reference += (double) x[i] * x[i];
                other += (double) y[i] * y[i];
                product += (double) x[i] * y[i];
                low = Math.min(low, x[i]);
                high = Math.max(high, x[i]);
            }
            JsonNode got = JsonMapper.shared().readTree(Files.readString(json)).at("/quantities/output");
            assertThat(got.get("relative_l2").asDouble())
                    .isPositive()
                    .isCloseTo(Math.sqrt(squared / reference), offset(1e-9));
            assertThat(got.get("cosine").asDouble()).isCloseTo(product / Math.sqrt(reference * other), offset(1e-9));
            assertThat(got.get("psnr").asDouble())
                    .isCloseTo(10 * Math.log10((high - low) * (high - low) * x.length / squared), offset(1e-6));
        }
        assertThat(JsonMapper.shared().readTree(Files.readString(json)).get("frames"))
                .hasSize(4);
        assertThat(Files.readString(folder.resolve("frames.svg"))).contains("Difference of each frame");
    }

    @Test
    void compare_measuresMatricesAndMasses_byHead() throws IOException {
        Path json = folder.resolve("heads.json");
        CommandLineRun run = compare(
                folder.resolve("a.safetensors"),
                folder.resolve("b.safetensors"),
                "-o",
                json,
                "--figure",
                folder.resolve("heads.svg"),
                "--quantity",
                "frame_mass");
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.out()).contains("frame_logits", "frame_mass", "full_frame_attention");
        JsonNode heads = JsonMapper.shared().readTree(Files.readString(json)).at("/heads/frame_logits");
        assertThat(heads).hasSize(6);
        assertThat(heads.get(0).get("head").asInt()).isEqualTo(2);
        // In the first pass nothing but what follows layer 0's heads has changed; in the second frame block its keys
        // have, too.
        assertThat(heads.get(5).get("relative_l2").asDouble()).isPositive();
        assertThat(Files.readString(folder.resolve("heads.svg"))).contains("difference of frame_mass");
    }

    @Test
    void compare_findsNoDifference_whereThereIsNone() {
        CommandLineRun run = compare(folder.resolve("a.safetensors"), folder.resolve("a.safetensors"));
        assertThat(run.exitCode()).isZero();
        assertThat(run.out().lines().skip(1))
                .isNotEmpty()
                .allMatch(line -> line.contains("0.000e+00") && line.contains("inf"));
    }

    @Test
    void compare_refusesFilesWithNothingInCommon_andFiguresThatAreNotThere() {
        CommandLineRun run = compare(folder.resolve("a.safetensors"), folder.resolve("a-latents.safetensors"));
        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(run.err()).contains("expected tensors that");
        CommandLineRun figure = compare(
                folder.resolve("a.safetensors"),
                folder.resolve("b.safetensors"),
                "--figure",
                folder.resolve("x.svg"),
                "--quantity",
                "mass");
        assertThat(figure.exitCode()).isEqualTo(2);
        assertThat(figure.err()).contains("frame_mass");
    }
}
