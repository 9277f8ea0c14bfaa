package wan;

import static org.assertj.core.api.Assertions.assertThat;

import capture.Capture;
import capture.CapturePlan;
import capture.MemorySink;
import capture.RunGeometry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.noise.CudaGeometry;
import wan.noise.NoiseSource;
import wan.noise.Rng;
import wan.op.DType;
import wan.op.HostTensor;
import wan.op.Ops;
import wan.op.Shape;
import wan.pass.PassRunner;
import wan.sampling.CausalSampler;
import wan.sampling.RunPlan;
import wan.sampling.RunSettings;
import wan.weights.ModelFolder;
import wan.weights.RandomModel;

/** The README's example of library use: compiled, run, and the same to the letter. */
class LibraryExampleTest {
    @Test
    void example_readsAHeadsSink(@TempDir Path folder) {
        RandomModel.write(folder, RandomModel.tiny(), DType.F32, 0, (done, total) -> {});
        HostTensor promptEmbeds = HostTensor.zeros(Shape.of(1, 32, 64));
        float sink = sink(folder, promptEmbeds);
        assertThat(sink).isFinite().isNotZero();
    }

    // README begins
    static float sink(Path folder, HostTensor promptEmbeds) {
        try (Ops ops = new JvmOps(JvmOptions.defaults());
                ModelFolder weights = ModelFolder.open(folder)) {
            WanConfig config = weights.config();
            WanModel model = new WanModel(config, weights, ops);
            RunSettings run = RunSettings.of(8, 8, 7); // latent height and width, frames: blocks [1, 3, 3]
            RunPlan plan = RunPlan.of(run, config.numLayers());
            RunGeometry geometry = new RunGeometry(1, run.totalFrames(), run.frameSeqLen(), config.textLen(), 4);
            CapturePlan layer3 = CapturePlan.frameLogits(config.numHeads(), 3);
            Capture capture = new Capture(layer3, geometry, new MemorySink());
            NoiseSource noise = NoiseSource.of(Rng.TORCH_CUDA, 42, true, CudaGeometry.H100);
            CausalSampler sampler = new CausalSampler(plan, noise, null);
            try (PassRunner runner = sampler.open(model, promptEmbeds)) {
                HostTensor _ = sampler.run(runner, capture::observe); // clean latents, [1, 7, 16, 8, 8]
            }
            return capture.matrix(3).get(0, 6, 0); // logit of head 0, query frame 6, key frame 0
        }
    }
    // README ends

    @Test
    void readme_showsThisVeryCode() throws IOException {
        List<String> source = Files.readAllLines(Path.of("tests/wan/LibraryExampleTest.java"));
        int from = source.indexOf("    // README begins") + 1;
        int to = source.indexOf("    // README ends");
        String example = String.join("\n", source.subList(from, to)).stripIndent();
        assertThat(Files.readString(Path.of("README.md"))).contains("```java\n" + example + "\n```");
    }
}
