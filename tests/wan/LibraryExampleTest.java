package wan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static wan.op.AttentionKind.SELF;
import static wan.op.Quantity.FRAME_LOGITS;
import static wan.op.Quantity.FRAME_MASS;

import capture.analysis.RunInfo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.model.WanConfig;
import wan.op.DType;
import wan.op.HostTensor;
import wan.op.UsageException;
import wan.op.WanException;
import wan.pass.Pass;
import wan.pass.PassId;
import wan.run.Job;
import wan.run.Run;
import wan.run.RunMonitor;
import wan.run.RunResult;
import wan.run.SpecFile;
import wan.run.Wan;
import wan.text.SmallTextEncoder;
import wan.weights.RandomModel;

/** The README's example of library use: compiled, run, and the same to the letter; and what else a program does with a run. */
class LibraryExampleTest {
    @TempDir
    private Path folder;

    @Test
    void example_readsAHeadsSink() throws IOException {
        RandomModel.write(
                folder, new WanConfig(192, 512, 64, 16, 16, 12, 6, 48, 32, 1e-6f), DType.F32, 0, (done, total) -> {});
        SmallTextEncoder.create(folder);
        assertThat(sink(folder)).isFinite().isNotZero();
    }

    // README begins
    static float sink(Path model) {
        try (Wan wan = Wan.open(model)) {
            Run run = wan.run("a cat walks").frames(7).latentSize(8, 8).seed(42);
            RunResult result = run.layers(3).capture(FRAME_LOGITS, FRAME_MASS).execute(); // ends when it has these
            return result.frameLogits(3).get(0, 6, 0); // head, query frame, key frame
        }
    }
    // README ends

    @Test
    void readme_showsThisVeryCode() throws IOException {
        List<String> source = Files.readAllLines(Path.of("tests/wan/LibraryExampleTest.java"));
        int from = source.indexOf("    // README begins") + 1;
        int to = source.indexOf("    // README ends");
        assertThat(to - from).isLessThanOrEqualTo(10);
        String example = String.join("\n", source.subList(from, to)).stripIndent();
        assertThat(Files.readString(Path.of("README.md"))).contains("```java\n" + example + "\n```");
    }

    @Test
    void result_isTheSame_inMemoryAndFromAFile() {
        Path streamed = folder.resolve("streamed.safetensors");
        Path saved = folder.resolve("saved.safetensors");
        PassId pass = PassId.parse("block1.step0");
        try (Wan wan = Wan.demo()) {
            RunResult memory = wan.run().frames(4).latentSize(4, 4).layers(1).execute();
            memory.save(saved);
            RunResult file =
                    wan.run().frames(4).latentSize(4, 4).layers(1).to(streamed).execute();
            assertThat(saved).hasSameBinaryContentAs(streamed);
            HostTensor logits = memory.get(pass, 1, SELF, FRAME_LOGITS);
            assertThat(file.get(pass, 1, SELF, FRAME_LOGITS).values()).isEqualTo(logits.values());
            assertThat(memory.frameLogits(1).get(0, 3, 0)).isEqualTo(logits.values()[2 * 4]);
            assertThatThrownBy(() -> memory.frameLogits(2))
                    .isInstanceOf(WanException.class)
                    .hasMessage("result: no frame-logits of layer 2 were captured; there are [1]");
            assertThatThrownBy(() -> file.save(saved)).isInstanceOf(WanException.class);
            try (capture.analysis.SavedResult opened = capture.analysis.SavedResult.open(saved)) {
                RunInfo info = opened.info();
                assertThat(info.frames()).isEqualTo(4);
                assertThat(info.layers()).containsExactly(1);
            }
            assertThat(SpecFile.read(saved)).isEqualTo(SpecFile.read(streamed));
        }
    }

    @Test
    void monitor_hearsOfEveryPass_andMayEndTheRun() {
        List<String> passes = new ArrayList<>();
        RunMonitor monitor = new RunMonitor() {
            @Override
            public void passStarted(Pass pass) {
                passes.add(pass.id().label());
            }

            @Override
            public boolean cancelled() {
                return passes.size() == 3;
            }
        };
        try (Wan wan = Wan.demo()) {
            RunResult result = wan.run()
                    .frames(4)
                    .latentSize(4, 4)
                    .layers(1)
                    .monitor(monitor)
                    .execute();
            assertThat(passes).containsExactly("block0.step0", "block0.step1", "block0.step2");
            assertThat(result.complete()).isFalse();
            assertThat(result.state()).isEqualTo("interrupted in block0.step2");
            assertThat(result.get(PassId.parse("block0.step0"), 1, SELF, FRAME_LOGITS)
                            .values())
                    .hasSize(12);
        }
    }

    /** The library knows no options. */
    @Test
    void errors_nameTheField() {
        try (Wan wan = Wan.demo()) {
            assertThatThrownBy(() -> wan.run().frames(0).execute())
                    .isInstanceOf(UsageException.class)
                    .hasMessage("video.num_frames: expected at least 1, got 0");
            assertThatThrownBy(() -> wan.run().layers(6).execute())
                    .isInstanceOf(UsageException.class)
                    .hasMessage("capture.layers: expected indices from 0 to 5, got 6 (they count from 0)");
            assertThatThrownBy(() -> wan.run().device("cuda").execute())
                    .isInstanceOf(UsageException.class)
                    .hasMessageStartingWith("device.name: expected jvm, onednn, ");
            Job job = wan.run().frames(4).prepare();
            assertThat(job.plan().passes()).hasSize(6);
        }
    }
}
