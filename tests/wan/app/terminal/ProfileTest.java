package wan.app.terminal;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.Goldens;
import wan.app.CommandLineRun;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.op.AttentionTap;
import wan.op.DType;
import wan.op.Dyn;
import wan.op.KvTensor;
import wan.op.Linear;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;

class ProfileTest {
    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path folder;

    private static TensorView zeros(long... dims) {
        Shape shape = Shape.of(dims);
        return new TensorView("zeros", DType.F32, shape, MemorySegment.ofArray(new float[shape.intSize()]));
    }

    /** A pass of two layers over 6 tokens of width 8, and a last operation outside. */
    private static void run(JvmOps ops, Profile profile) {
        KvTensor cache = profile.kvCache(1, 3, 6, 2, 4);
        Linear weights = profile.linearWeights(zeros(16, 8), zeros(16));
        Dyn pages = new Dyn("pages", 3);
        try (Scope _ = profile.scope()) {
            Tensor x = profile.scratch(Shape.of(6, 8));
            profile.write(x, new float[48]);
            for (int page = 0; page < 2; page++) {
                pages.set(page);
                ops.append(cache, x, x, pages); // not by the profile
            }
            pages.set(0, 1);
            profile.passStarted();
            for (int layer = 0; layer < 2; layer++) {
                Tensor _ = profile.linear(x, weights);
                Tensor _ = profile.attention(x, cache, pages, 6, 6, AttentionTap.NONE);
                profile.layerDone(layer);
            }
            Tensor _ = profile.silu(x);
        }
    }

    @Test
    void events_tellEveryOperation_andItsFlops() throws IOException {
        Path file = folder.resolve("run.jfr");
        JvmOps ops = new JvmOps(JvmOptions.defaults()); // which the profile closes
        try (Recording recording = new Recording();
                Profile profile = new Profile(ops)) {
            recording.enable("wan.Operation").withoutThreshold();
            recording.start();
            run(ops, profile);
            recording.stop();
            recording.dump(file);
        }
        List<RecordedEvent> events = RecordingFile.readAllEvents(file);
        assertThat(events)
                .extracting(event ->
                        event.getString("operation") + " " + event.getInt("layer") + " " + event.getDouble("flops"))
                .containsExactly(
                        "write 0 0.0",
                        "linear 0 1536.0", // 2 x 6 x 8 x 16
                        "attention 0 2304.0", // 4 x 6 x 12 x 8
                        "linear 1 1536.0",
                        "attention 1 2304.0",
                        "silu 2 0.0");
    }

    @Test
    void print_tellsOperationsLayersAndTheRest() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        JvmOps ops = new JvmOps(JvmOptions.defaults()); // which the profile closes
        try (Profile profile = new Profile(ops);
                PrintStream out = new PrintStream(bytes, true, UTF_8)) {
            run(ops, profile);
            profile.print(out, 1);
        }
        List<String> lines = bytes.toString(UTF_8).lines().toList();
        assertThat(lines.subList(1, 5))
                .extracting(line -> line.replaceAll(" +", " ").replaceAll("( \\d+) .*", "$1"))
                .containsExactlyInAnyOrder("linear 2", "attention 2", "write 1", "silu 1");
        assertThat(lines.get(5)).startsWith("all of them                 6 ");
        assertThat(lines.subList(8, lines.size()))
                .extracting(line -> line.replaceAll(" {2,}", " ").replaceAll("( \\d+) \\d+\\..*", "$1"))
                .containsExactly("0, with embeddings 1", "1 1", "outside the layers 2");
        // Only what multiplies matrices has a rate.
        assertThat(lines.stream().filter(line -> line.startsWith("silu"))).allMatch(line -> line.matches(".*% +"));
        assertThat(lines.stream().filter(line -> line.startsWith("linear")))
                .allMatch(line -> line.matches(".*\\d\\.\\d{3}"));
    }

    /** A device only queues what is called: its own time stands below. */
    @Test
    void extract_tellsTheTimeOfADevice() {
        CommandLineRun run = CommandLineRun.of(
                "extract",
                "--model",
                Goldens.path("model-tiny"),
                "--replay",
                Goldens.path("rollout-d2"),
                "--layer",
                "0",
                "--device",
                "tornado",
                "--profile",
                "--output",
                folder.resolve("result.safetensors"));
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.err())
                .containsPattern(
                        "The device, whose work the calls above only queue: \\d+ graphs, recorded 1 times in .*"
                                + ", compiled in .* s, [1-9]\\d* executions in \\d+\\.\\d\\d s");
    }

    @Test
    void extract_printsBoth_whenAsked() {
        CommandLineRun run = CommandLineRun.of(
                "extract",
                "--model",
                Goldens.path("model-tiny"),
                "--replay",
                Goldens.path("rollout-a"),
                "--layer",
                "1",
                "--profile",
                "--output",
                folder.resolve("result.safetensors"));
        assertThat(run.exitCode()).as(run.err()).isZero();
        // Only layers 0 and 1 run, 1 + 4 of them context passes that stop below what is captured.
        Stream<String> layers = run.err().lines().dropWhile(line -> !line.startsWith("layer "));
        assertThat(layers.map(line -> line.replaceAll(" {2,}.*", "")))
                .containsExactly("layer", "0, with embeddings", "1", "2", "3", "outside the layers");
        assertThat(run.err()).contains("TFLOP/s", "all of them");
    }
}
