package wan.sweep;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import wan.pass.Pass;

/** Shards whose processes are killed, and a folder without room. {@code tests/sweep_kills.py} does the same to the program, as often as one likes. */
class DyingSweepTest {
    private static final int ROUNDS = 1;

    private static final String SWEEP = """
            {"base": {"video": {"latent_height": 4, "latent_width": 4, "num_frames": 8},
                      "sampler": {"steps": [1000, 500], "num_frame_per_block": 2, "independent_first_frame": false},
                      "capture": {"layers": [0, 3], "passes": "all", "quantities": ["frame-logits", "token-logits"]},
                      "output": {"complete": true}, "device": {"threads": 1}},
             "axes": [{"seeds": "0-3"}, {"policies": ["none", "streaming-llm"]}]}
            """;

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path folder;

    private Path file = Path.of("");
    private Path root = Path.of("");
    private Map<String, byte[]> whole = Map.of();

    /** Leaves time for a kill within a run, and counts what is gone on with. */
    private static final class Slow implements SweepListener {
        private final long nanos;
        private int resumed;

        Slow(long nanos) {
            this.nanos = nanos;
        }

        @Override
        public void passStarted(Pass pass) {
            LockSupport.parkNanos(nanos);
        }

        @Override
        public void resumed(int passes, String progress) {
            resumed++;
        }
    }

    /** What the other process does. */
    public static void main(String[] args) {
        SweepListener.Counts _ = run(Path.of(args[0]), Path.of(args[1]), Shard.parse(args[2]), new Slow(20_000_000));
    }

    private static SweepListener.Counts run(Path file, Path root, Shard shard, SweepListener listener) {
        SweepFolder folder = SweepFolder.begin(root, SweepJson.read(file));
        return new SweepRunner(folder, new SweepRunner.Options(shard, 0, null), listener)
                .execute()
                .counts();
    }

    private static Map<String, byte[]> results(Path root) throws IOException {
        Map<String, byte[]> results = new TreeMap<>();
        try (Stream<Path> files = Files.list(root.resolve("runs"))) {
            for (Path each : files.filter(name -> name.toString().endsWith(".safetensors"))
                    .toList()) {
                results.put(each.getFileName().toString(), Files.readAllBytes(each));
            }
        }
        return results;
    }

    @BeforeEach
    void runUndisturbed() throws IOException {
        file = Files.writeString(folder.resolve("sweep.json"), SWEEP);
        Path undisturbed = folder.resolve("undisturbed");
        assertThat(run(file, undisturbed, Shard.WHOLE, SweepListener.NONE).done())
                .isEqualTo(8);
        whole = results(undisturbed);
        root = folder.resolve("sweep");
    }

    private Process start(Shard shard, String... before) throws IOException {
        List<String> command = new ArrayList<>(List.of(before));
        command.addAll(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx160m",
                "-XX:TieredStopAtLevel=1",
                "--add-modules",
                "jdk.incubator.vector",
                "-cp",
                System.getProperty("java.class.path"),
                DyingSweepTest.class.getName(),
                file.toString(),
                root.toString(),
                shard.toString()));
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("said" + shard.index()).toFile())
                .start();
    }

    private void assertGoesOn(int resumed) throws IOException {
        Slow last = new Slow(0);
        assertThat(run(file, root, Shard.WHOLE, last)).isEqualTo(new SweepListener.Counts(8, 8, 0, 0));
        assertThat(last.resumed).isGreaterThanOrEqualTo(resumed);
        Map<String, byte[]> results = results(root);
        assertThat(results.keySet()).isEqualTo(whole.keySet());
        results.forEach((name, bytes) -> assertThat(bytes).as(name).isEqualTo(whole.get(name)));
        assertThat(root.resolve("workers")).isEmptyDirectory();
        assertThat(root.resolve("claims")).isEmptyDirectory();
    }

    /** How many runs of any worker have a place to go on from. */
    private long underWay() throws IOException {
        if (!Files.exists(root.resolve("workers"))) {
            return 0;
        }
        try (Stream<Path> files = Files.walk(root.resolve("workers"))) {
            return files.filter(each -> each.endsWith("journal"))
                    .filter(each -> {
                        try {
                            return Files.readString(each).contains("{\"pass\"");
                        } catch (IOException e) {
                            return false; // over just now
                        }
                    })
                    .count();
        } catch (UncheckedIOException e) {
            return 0;
        }
    }

    @Test
    void sweep_isWholeAndTheSame_afterKillsOfAllItsShards() throws Exception {
        for (int round = 0; round < ROUNDS; round++) {
            List<Process> shards = List.of(start(new Shard(0, 2)), start(new Shard(1, 2)));
            while (shards.stream().allMatch(Process::isAlive) && underWay() < 2) {
                Thread.sleep(5);
            }
            for (Process shard : shards) {
                assertThat(shard.destroyForcibly().waitFor()).isEqualTo(137);
            }
        }
        assertThat(results(root)).hasSizeLessThan(8);
        assertGoesOn(1);
    }

    /** A limit on the size of files fails writes where a full disk does: no fault of the run. */
    @Test
    @EnabledOnOs(OS.LINUX)
    void sweep_stops_whenThereIsNoRoom_andGoesOnWhenThereIs() throws Exception {
        int kibibytes =
                whole.values().stream().mapToInt(each -> each.length).max().orElseThrow() / 1024 / 2;
        Process process = start(Shard.WHOLE, "bash", "-c", "ulimit -f " + kibibytes + "; exec \"$0\" \"$@\"");
        assertThat(process.waitFor()).isEqualTo(1);
        assertThat(folder.resolve("said0")).content().contains("cannot write");
        assertThat(root.resolve("runs")).isEmptyDirectory();
        assertGoesOn(1);
    }
}
