package wan.run;

import static org.assertj.core.api.Assertions.assertThat;

import capture.Indices;
import capture.PassChoice;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import wan.op.AttentionKind;
import wan.op.DType;
import wan.op.Quantity;
import wan.pass.Pass;
import wan.sampling.Method;

/**
 * Runs whose whole process dies: killed, out of memory, on a disk that fills. What goes on with them gives the bytes of a run left alone. {@code
 * tests/kill_and_resume.py} does the same to the program, as often as one likes.
 */
@Tag("slow")
class DyingRunTest {
    private static final int KILLS = 4;

    @TempDir
    Path folder;

    private Path result = Path.of("");
    private byte[] whole = {};

    /** A run of 35 passes. */
    private static RunSpec spec(Path result) {
        return RunSpec.of(RunSpec.Model.DEMO)
                .withVideo(new RunSpec.Video(4, 4, 14, null))
                .withSampler(new RunSpec.Sampler(
                        List.of(1000f, 750f, 500f, 250f), 5, true, 0, 2, false, Method.SELF_FORCING))
                .withCapture(new RunSpec.Captures(
                        Indices.of(0, 4),
                        Indices.of(1, 3),
                        EnumSet.of(AttentionKind.SELF),
                        PassChoice.parse("all"),
                        EnumSet.of(Quantity.FRAME_LOGITS, Quantity.TOKEN_LOGITS),
                        Set.of(),
                        false))
                .withDevice(new RunSpec.Device("jvm", DType.F32, DType.F32, "auto", "auto", 0, 1))
                .withOutput(new RunSpec.Output(result, null, false, true, null));
    }

    /** Leaves time for a kill between one place to go on from and the next, on any machine. */
    private static final class Slow implements RunMonitor {
        @Override
        public void passStarted(Pass pass) {
            LockSupport.parkNanos(20_000_000);
        }
    }

    /** Takes all memory that is left when a frame block begins. */
    private static final class Hoarder implements RunMonitor {
        private final List<byte[]> hoard = new ArrayList<>();

        @Override
        public void passStarted(Pass pass) {
            if (pass.id().frameBlock() == 3) {
                for (int bytes = 1 << 20; bytes > 64; bytes /= 2) {
                    try {
                        while (hoard.size() < 1 << 20) {
                            hoard.add(new byte[bytes]);
                        }
                    } catch (OutOfMemoryError _) {
                        // As much as there was in pieces of that size.
                    }
                }
            }
        }
    }

    /** What the other process does. */
    public static void main(String[] args) {
        run(
                Path.of(args[1]),
                switch (args[0]) {
                    case "hoard" -> new Hoarder();
                    case "slow" -> new Slow();
                    default -> RunMonitor.NONE;
                });
    }

    private static void run(Path result, RunMonitor monitor) {
        try (Wan wan = Wan.demo()) {
            RunResult done = wan.prepare(spec(result), monitor).execute(monitor, Leftovers.RESUME);
            assertThat(done.complete()).isTrue();
        }
    }

    @BeforeEach
    void runAlone() throws IOException {
        result = folder.resolve("run.safetensors");
        run(result, RunMonitor.NONE);
        whole = Files.readAllBytes(result);
        Files.writeString(result, "older");
    }

    private Process start(String how, String... before) throws IOException {
        List<String> command = new ArrayList<>(List.of(before));
        command.addAll(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx160m",
                "-XX:-UsePerfData",
                "--add-modules",
                "jdk.incubator.vector",
                "-cp",
                System.getProperty("java.class.path"),
                DyingRunTest.class.getName(),
                how,
                result.toString()));
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("said").toFile())
                .start();
    }

    private String said() throws IOException {
        return Files.readString(folder.resolve("said"));
    }

    private void resume() throws IOException {
        assertThat(result).hasContent("older");
        run(result, RunMonitor.NONE);
        assertThat(result).hasBinaryContent(whole);
        try (Stream<Path> left = Files.list(folder)) {
            assertThat(left).containsExactlyInAnyOrder(result, folder.resolve("said"));
        }
    }

    @Test
    void resume_givesTheSameBytes_afterAKill() throws Exception {
        Random random = new Random(4);
        Path left = folder.resolve("run.safetensors.partial");
        for (int place = 1; place <= KILLS; place++) {
            Files.writeString(result, "older");
            Process process = start("slow");
            while (process.isAlive() && places(left) < place) {
                Thread.sleep(5);
            }
            boolean ended = process.waitFor(random.nextInt(100), TimeUnit.MILLISECONDS);
            assertThat(process.destroyForcibly().waitFor()).as(said()).isEqualTo(137);
            assertThat(ended).isFalse();
            assertThat(PartialSummary.of(left).passes()).isBetween(5 * place, 30);
            resume();
        }
    }

    /** How many places to go on from a run has so far. */
    private static int places(Path left) throws IOException {
        Path journal = left.resolve("journal");
        return Files.exists(journal) ? Files.readString(journal).split("\\{\"pass\"", -1).length - 1 : 0;
    }

    @Test
    void resume_givesTheSameBytes_whenThereWasNoMemory() throws Exception {
        assertThat(start("hoard").waitFor()).isEqualTo(1);
        assertThat(said()).contains("OutOfMemoryError");
        assertThat(PartialSummary.of(folder.resolve("run.safetensors.partial")).passes())
                .isEqualTo(15);
        resume();
    }

    /** A limit on the size of files fails writes where a full disk does. */
    @Test
    @EnabledOnOs(OS.LINUX)
    void resume_givesTheSameBytes_whenTheDiskWasFull() throws Exception {
        long kibibytes = whole.length / 1024 / 2;
        Process process = start("run", "bash", "-c", "ulimit -f " + kibibytes + "; exec \"$0\" \"$@\"");
        assertThat(process.waitFor()).isEqualTo(1);
        assertThat(said()).contains("cannot write");
        assertThat(PartialSummary.of(folder.resolve("run.safetensors.partial")).passes())
                .isBetween(5, 30);
        resume();
    }
}
